//! SIP as read and written by the simulated peers: plain text scans, without the engine's code, so
//! that one fault cannot hide at both ends. Strict about the engine's messages.

use std::fmt::Write as _;

/// A message, split into lines.
#[derive(Debug)]
pub(crate) struct Text<'a> {
    pub(crate) start: &'a str,
    headers: Vec<(&'a str, &'a str)>,
    pub(crate) body: &'a str,
    /// Hash of the whole message.
    pub(crate) octets: usize,
}

impl<'a> Text<'a> {
    /// Reads a message; the error says what is wrong with its form.
    pub(crate) fn parse(octets: &'a [u8]) -> Result<Self, &'static str> {
        let text = std::str::from_utf8(octets).map_err(|_| "not UTF-8")?;
        let (start, mut rest) = line_of(text).ok_or("no start line")?;
        let mut headers = Vec::with_capacity(16);
        loop {
            let (line, behind) = line_of(rest).ok_or("no empty line behind the headers")?;
            rest = behind;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or("a header without a colon")?;
            if name.is_empty() || name.trim() != name || line.contains(['\r', '\0']) {
                return Err("a broken header line");
            }
            headers.push((name, value.trim()));
        }
        let body = rest;
        let message = Self {
            start,
            headers,
            body,
            octets: octets.len(),
        };
        let length = message.one("Content-Length").ok_or("no Content-Length")?;
        if length.parse() != Ok(body.len()) {
            return Err("Content-Length is not the length of the body");
        }
        for name in ["From", "To", "Call-ID", "CSeq", "Via"] {
            message
                .header(name)
                .ok_or("a mandatory header is missing")?;
        }
        if body.is_empty() == message.header("Content-Type").is_some() {
            return Err("a Content-Type without a body, or a body without a Content-Type");
        }
        Ok(message)
    }

    /// The first header of that name (long form).
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }

    /// The only header of that name; None if there is none or more than one.
    pub(crate) fn one(&self, name: &str) -> Option<&'a str> {
        let mut all = self
            .headers
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let first = all.next()?;
        all.next().is_none().then_some(first.1)
    }

    pub(crate) fn method(&self) -> Option<&'a str> {
        let (method, rest) = self.start.split_once(' ')?;
        rest.ends_with(" SIP/2.0").then_some(method)
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    pub(crate) fn cseq(&self) -> Option<(u32, &'a str)> {
        let (number, method) = self.one("CSeq")?.split_once(' ')?;
        Some((number.parse().ok()?, method.trim()))
    }

    pub(crate) fn call_id(&self) -> &'a str {
        self.one("Call-ID").unwrap_or_default()
    }

    pub(crate) fn tag(&self, name: &str) -> Option<&'a str> {
        let value = self.one(name)?;
        let parameters = value.rsplit_once('>').map_or(value, |(_, tail)| tail);
        parameter(parameters, "tag")
    }

    pub(crate) fn branch(&self) -> Option<&'a str> {
        parameter(self.header("Via")?, "branch")
    }

    /// The URI of a name-addr header.
    pub(crate) fn uri(&self, name: &str) -> Option<&'a str> {
        let value = self.one(name)?;
        let (_, rest) = value.split_once('<')?;
        rest.split_once('>').map(|(uri, _)| uri)
    }

    /// A header that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.one(name)?.split([';', ' ']).next()?.parse().ok()
    }
}

/// The first line, without its CRLF, and the rest. A lone LF is not a line end.
fn line_of(text: &str) -> Option<(&str, &str)> {
    let (line, rest) = text.split_once('\n')?;
    Some((line.strip_suffix('\r')?, rest))
}

/// The value of `;name=value` in a list of parameters.
pub(crate) fn parameter<'a>(tail: &'a str, name: &str) -> Option<&'a str> {
    tail.split(';').skip(1).find_map(|item| {
        let (known, value) = item.trim().split_once('=')?;
        known.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A request to write.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) uri: &'a str,
    /// `UDP 10.0.0.1:5060`
    pub(crate) via: &'a str,
    pub(crate) branch: &'a str,
    pub(crate) from: &'a str,
    pub(crate) from_tag: &'a str,
    pub(crate) to: &'a str,
    pub(crate) to_tag: Option<&'a str>,
    pub(crate) call_id: &'a str,
    pub(crate) cseq: u32,
    /// Further header lines, each with its CRLF.
    pub(crate) headers: &'a str,
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a str,
}

impl Request<'_> {
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut text = String::with_capacity(700 + self.body.len());
        let Request {
            method,
            uri,
            via,
            branch,
            from,
            from_tag,
            to,
            call_id,
            cseq,
            headers,
            ..
        } = self;
        let _ = write!(
            text,
            "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/{via};branch={branch};rport\r\n"
        );
        let _ = write!(
            text,
            "Max-Forwards: 70\r\nFrom: <{from}>;tag={from_tag}\r\nTo: <{to}>"
        );
        if let Some(tag) = self.to_tag {
            let _ = write!(text, ";tag={tag}");
        }
        let _ = write!(
            text,
            "\r\nCall-ID: {call_id}\r\nCSeq: {cseq} {method}\r\n{headers}"
        );
        if !self.body.is_empty() {
            let _ = write!(text, "Content-Type: {}\r\n", self.content_type);
        }
        let _ = write!(
            text,
            "Content-Length: {}\r\n\r\n{}",
            self.body.len(),
            self.body
        );
        text.into_bytes()
    }
}

/// Writes the response to a request; `headers` are further lines, each with its CRLF.
pub(crate) fn response(request: &Text<'_>, status: u16, tag: &str, headers: &str) -> Vec<u8> {
    let reason = match status {
        200 => "OK",
        481 => "Subscription Does Not Exist",
        500 => "Server Internal Error",
        503 => "Service Unavailable",
        _ => "Status",
    };
    let mut text = format!("SIP/2.0 {status} {reason}\r\n");
    for (name, value) in &request.headers {
        if ["Via", "From", "Call-ID", "CSeq"].contains(name) {
            let _ = write!(text, "{name}: {value}\r\n");
        } else if *name == "To" {
            let tag = if request.tag("To").is_none() {
                format!(";tag={tag}")
            } else {
                String::new()
            };
            let _ = write!(text, "To: {value}{tag}\r\n");
        }
    }
    let _ = write!(text, "{headers}Content-Length: 0\r\n\r\n");
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_message_is_parsed_back() {
        let request = Request {
            method: "SUBSCRIBE",
            uri: "sip:100@example.com",
            via: "UDP 10.0.0.1:5060",
            branch: "z9hG4bK1",
            from: "sip:200@example.com",
            from_tag: "abc",
            to: "sip:100@example.com",
            to_tag: None,
            call_id: "call@phone",
            cseq: 7,
            headers: "Event: dialog\r\n",
            content_type: "",
            body: "",
        };
        let octets = request.write();
        let text = Text::parse(&octets).unwrap();
        assert_eq!(text.method(), Some("SUBSCRIBE"));
        assert_eq!(text.cseq(), Some((7, "SUBSCRIBE")));
        assert_eq!(text.branch(), Some("z9hG4bK1"));
        assert_eq!((text.tag("From"), text.tag("To")), (Some("abc"), None));
        assert_eq!(text.uri("To"), Some("sip:100@example.com"));
        let octets = response(&text, 200, "xyz", "Expires: 60\r\n");
        let response = Text::parse(&octets).unwrap();
        assert_eq!(
            (response.status(), response.tag("To")),
            (Some(200), Some("xyz"))
        );
        assert_eq!(response.number("Expires"), Some(60));
    }

    #[test]
    fn a_wrong_content_length_is_detected() {
        let octets = b"SIP/2.0 200 OK\r\nVia: x\r\nFrom: x\r\nTo: x\r\nCall-ID: x\r\nCSeq: 1 X\r\nContent-Length: 1\r\n\r\n";
        assert!(Text::parse(octets).is_err());
    }
}
