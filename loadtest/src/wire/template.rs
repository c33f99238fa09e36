//! Templates of requests, built once with `rsip`: the text is split at marks, and a request is
//! written as its pieces with values between them.

use rsip::param::OtherParam;
use rsip::{Header, Headers, Method, Param, Uri};

/// Opens and closes the name of a field in the text that `rsip` writes; none of our header values
/// contains it.
const MARK: char = '\u{1}';

/// The values of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    /// The Request-URI.
    pub(crate) request_uri: &'a str,
    /// `host:port` of the phone's socket.
    pub(crate) sent_by: &'a str,
    pub(crate) branch: &'a str,
    /// The user part of From.
    pub(crate) from_user: &'a str,
    pub(crate) from_tag: &'a str,
    /// The user part of To.
    pub(crate) to_user: &'a str,
    /// `;tag=...`, or nothing outside a dialog.
    pub(crate) to_tag: &'a str,
    pub(crate) call_id: &'a str,
    pub(crate) sequence: u32,
    /// The user part of Contact.
    pub(crate) contact_user: &'a str,
    pub(crate) expires: u32,
    /// Complete header lines, each with its line end.
    pub(crate) lines: &'a str,
    pub(crate) body: &'a [u8],
}

/// A field in a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    RequestUri,
    SentBy,
    Branch,
    FromUser,
    FromTag,
    ToUser,
    ToTag,
    CallId,
    Sequence,
    ContactUser,
    Expires,
    Lines,
    Length,
}

/// A request with fields to be filled in.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pieces: Vec<(String, Option<Hole>)>,
}

/// The common values of all requests of a run.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    pub(crate) domain: String,
    pub(crate) transport: rsip::Transport,
}

impl Template {
    /// A SUBSCRIBE for the dialog package, initial or in a dialog; for a list it accepts RLMI.
    pub(crate) fn subscribe(style: &Style, list: bool) -> Self {
        let mut headers = style.head(Method::Subscribe);
        headers.push(
            rsip::typed::Contact {
                display_name: None,
                uri: Uri {
                    scheme: Some(rsip::Scheme::Sip),
                    auth: Some((hole(Hole::ContactUser), None::<String>).into()),
                    host_with_port: rsip::Domain::from(hole(Hole::SentBy)).into(),
                    params: vec![Param::Transport(style.transport)],
                    headers: Vec::new(),
                },
                params: Vec::new(),
            }
            .into(),
        );
        headers.push(rsip::headers::Event::from("dialog").into());
        if list {
            let types = "application/dialog-info+xml, application/rlmi+xml, multipart/related";
            headers.push(rsip::headers::Accept::from(types).into());
            headers.push(rsip::headers::Supported::from("eventlist").into());
        } else {
            headers.push(rsip::headers::Accept::from("application/dialog-info+xml").into());
        }
        style.finish(Method::Subscribe, headers)
    }

    /// A PUBLISH for the dialog package with a document.
    pub(crate) fn publish(style: &Style) -> Self {
        let mut headers = style.head(Method::Publish);
        headers.push(rsip::headers::Event::from("dialog").into());
        headers.push(rsip::headers::ContentType::from("application/dialog-info+xml").into());
        style.finish(Method::Publish, headers)
    }

    /// A PUBLISH for the dialog package without a document, which removes the publication.
    pub(crate) fn withdraw(style: &Style) -> Self {
        let mut headers = style.head(Method::Publish);
        headers.push(rsip::headers::Event::from("dialog").into());
        style.finish(Method::Publish, headers)
    }

    /// Appends the request.
    pub(crate) fn fill(&self, values: &Values<'_>, out: &mut Vec<u8>) {
        for (text, hole) in &self.pieces {
            out.extend_from_slice(text.as_bytes());
            match hole {
                Some(Hole::RequestUri) => out.extend_from_slice(values.request_uri.as_bytes()),
                Some(Hole::SentBy) => out.extend_from_slice(values.sent_by.as_bytes()),
                Some(Hole::Branch) => out.extend_from_slice(values.branch.as_bytes()),
                Some(Hole::FromUser) => out.extend_from_slice(values.from_user.as_bytes()),
                Some(Hole::FromTag) => out.extend_from_slice(values.from_tag.as_bytes()),
                Some(Hole::ToUser) => out.extend_from_slice(values.to_user.as_bytes()),
                Some(Hole::ToTag) => out.extend_from_slice(values.to_tag.as_bytes()),
                Some(Hole::CallId) => out.extend_from_slice(values.call_id.as_bytes()),
                Some(Hole::Sequence) => decimal(u64::from(values.sequence), out),
                Some(Hole::ContactUser) => out.extend_from_slice(values.contact_user.as_bytes()),
                Some(Hole::Expires) => decimal(u64::from(values.expires), out),
                Some(Hole::Lines) => out.extend_from_slice(values.lines.as_bytes()),
                Some(Hole::Length) => decimal(values.body.len() as u64, out),
                None => {}
            }
        }
        out.extend_from_slice(values.body);
    }

    /// Splits the text at its marks. The optional lines go before Content-Length, which is the last
    /// header.
    fn cut(text: &str) -> Self {
        let lines = format!("{}Content-Length", hole(Hole::Lines));
        let text = text.replace("Content-Length", &lines);
        let mut pieces = Vec::new();
        let mut parts = text.split(MARK);
        while let Some(piece) = parts.next() {
            pieces.push((piece.to_owned(), parts.next().and_then(Hole::named)));
        }
        Self { pieces }
    }
}

impl Style {
    /// Request line, Via, Max-Forwards, From, To, Call-ID, CSeq.
    fn head(&self, method: Method) -> Headers {
        let mut headers = Headers::default();
        let via = rsip::typed::Via {
            version: rsip::Version::V2,
            transport: self.transport,
            uri: Uri {
                host_with_port: rsip::Domain::from(hole(Hole::SentBy)).into(),
                ..Uri::default()
            },
            params: vec![
                Param::Branch(rsip::param::Branch::new(hole(Hole::Branch))),
                Param::Other(OtherParam::new("rport"), None),
            ],
        };
        headers.push(via.into());
        headers.push(rsip::headers::MaxForwards::from("70").into());
        headers.push(
            rsip::typed::From {
                display_name: None,
                uri: self.address(Hole::FromUser),
                params: vec![Param::Tag(rsip::param::Tag::new(hole(Hole::FromTag)))],
            }
            .into(),
        );
        let to = rsip::typed::To {
            display_name: None,
            uri: self.address(Hole::ToUser),
            params: Vec::new(),
        };
        headers.push(rsip::headers::To::from(format!("{to}{}", hole(Hole::ToTag))).into());
        headers.push(rsip::headers::CallId::from(hole(Hole::CallId)).into());
        headers
            .push(rsip::headers::CSeq::from(format!("{} {method}", hole(Hole::Sequence))).into());
        headers
    }

    fn finish(&self, method: Method, mut headers: Headers) -> Template {
        headers.push(rsip::headers::Expires::from(hole(Hole::Expires)).into());
        headers.push(rsip::headers::UserAgent::from("lamplighter-load").into());
        headers.push(Header::ContentLength(hole(Hole::Length).into()));
        let request = rsip::Request {
            method,
            uri: Uri {
                host_with_port: rsip::Domain::from(hole(Hole::RequestUri)).into(),
                ..Uri::default()
            },
            version: rsip::Version::V2,
            headers,
            body: Vec::new(),
        };
        Template::cut(&request.to_string())
    }

    fn address(&self, user: Hole) -> Uri {
        Uri {
            scheme: Some(rsip::Scheme::Sip),
            auth: Some((hole(user), None::<String>).into()),
            host_with_port: rsip::Domain::from(self.domain.as_str()).into(),
            ..Uri::default()
        }
    }
}

impl Hole {
    const ALL: [Self; 13] = [
        Self::RequestUri,
        Self::SentBy,
        Self::Branch,
        Self::FromUser,
        Self::FromTag,
        Self::ToUser,
        Self::ToTag,
        Self::CallId,
        Self::Sequence,
        Self::ContactUser,
        Self::Expires,
        Self::Lines,
        Self::Length,
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|hole| format!("{hole:?}") == name)
    }
}

fn hole(hole: Hole) -> String {
    format!("{MARK}{hole:?}{MARK}")
}

/// Appends a decimal number.
pub(crate) fn decimal(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0_u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use rsip::headers::ToTypedHeader;
    use rsip::message::{HasHeaders, HeadersExt};

    use super::*;
    use crate::wire::message;

    fn values(body: &[u8]) -> Values<'_> {
        Values {
            request_uri: "sip:1002@abc.com",
            sent_by: "127.0.0.1:40001",
            branch: "z9hG4bK1.2",
            from_user: "1001",
            from_tag: "w7",
            to_user: "1002",
            to_tag: ";tag=s1",
            call_id: "7-feed@127.0.0.1",
            sequence: 4_000_000_000,
            contact_user: "line7",
            expires: 600,
            lines: "SIP-If-Match: e1\r\n",
            body,
        }
    }

    fn style() -> Style {
        Style {
            domain: "abc.com".to_owned(),
            transport: rsip::Transport::Udp,
        }
    }

    #[test]
    fn rsip_reads_what_the_templates_write() {
        let templates = [
            (Template::subscribe(&style(), false), b"".as_slice()),
            (Template::subscribe(&style(), true), b"<l/>".as_slice()),
            (Template::publish(&style()), b"<a/>".as_slice()),
            (Template::withdraw(&style()), b"".as_slice()),
        ];
        for (template, body) in templates {
            let mut out = Vec::new();
            template.fill(&values(body), &mut out);
            let request = rsip::Request::try_from(out.as_slice()).unwrap();
            assert_eq!(request.uri.to_string(), "sip:1002@abc.com");
            let via = request.via_header().unwrap().typed().unwrap();
            assert_eq!(via.branch().unwrap().value(), "z9hG4bK1.2");
            assert_eq!(via.uri.to_string(), "127.0.0.1:40001");
            let from = request.from_header().unwrap().typed().unwrap();
            assert_eq!(from.uri.to_string(), "sip:1001@abc.com");
            assert_eq!(from.tag().unwrap().value(), "w7");
            let to = request.to_header().unwrap().typed().unwrap();
            assert_eq!(to.tag().unwrap().value(), "s1");
            let sequence = request.cseq_header().unwrap().typed().unwrap();
            assert_eq!(
                (sequence.seq, sequence.method),
                (4_000_000_000, request.method)
            );
            assert_eq!(request.expires_header().unwrap().seconds().unwrap(), 600);
            assert_eq!(request.body, body);
            let is_match = |header: &Header| matches!(header, Header::Other(name, value) if name == "SIP-If-Match" && value == "e1");
            assert!(request.headers().iter().any(is_match));
            assert!(message::scan(&out).is_ok());
            assert!(!out.contains(&(MARK as u8)));
        }
    }

    #[test]
    fn a_subscribe_has_its_contact_and_no_empty_holes() {
        let mut out = Vec::new();
        let values = Values {
            to_tag: "",
            lines: "",
            ..values(b"")
        };
        Template::subscribe(&style(), false).fill(&values, &mut out);
        let request = rsip::Request::try_from(out.as_slice()).unwrap();
        let contact = request.contact_header().unwrap().typed().unwrap();
        assert_eq!(
            contact.uri.to_string(),
            "sip:line7@127.0.0.1:40001;transport=UDP"
        );
        assert!(
            request
                .to_header()
                .unwrap()
                .typed()
                .unwrap()
                .tag()
                .is_none()
        );
        assert_eq!(
            message::scan(&out).unwrap().contact,
            contact.uri.to_string().as_bytes()
        );
    }

    #[test]
    fn numbers_are_written_in_full() {
        for value in [0, 7, 10, 4_294_967_295, u64::MAX] {
            let mut out = Vec::new();
            decimal(value, &mut out);
            assert_eq!(out, value.to_string().as_bytes());
        }
    }
}
