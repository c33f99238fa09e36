//! Writes our own messages directly into the caller's buffer, without allocating.
//!
//! No value written here can end its line: a peer cannot inject a header into our messages (RFC
//! 3261 §25.1).

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use crate::sip::header::Via;
use crate::sip::simd::{Block, find};
use crate::sip::uri::host_ip;
use crate::sip::{HeaderName, Message, Method, Status};

/// Seconds between keepalives that keep the binding of a NAT: on UDP, and on a stream (RFC 5626 §4.4).
const KEEPALIVE_SECS: [u64; 2] = [29, 120];

/// The parts of a response head that are not copied from the request.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status code.
    pub status: Status,
    /// Replaces the standard reason phrase of the status.
    pub reason: Option<&'a str>,
    /// Added to To if the request has no To-tag.
    pub to_tag: &'a [u8],
    /// The source of the request, for `received` and `rport` in the topmost Via (RFC 3261 §18.2.1,
    /// RFC 3581).
    pub source: SocketAddr,
}

/// Starts a response: status line, all Vias, From, To, Call-ID, CSeq. Values are copied unfolded.
/// Add further headers with [`header`], then end with [`body`].
pub fn response_head(out: &mut Vec<u8>, request: &Message<'_>, head: &ResponseHead<'_>) {
    let ResponseHead {
        status,
        reason,
        to_tag,
        ..
    } = *head;
    out.extend_from_slice(b"SIP/2.0 ");
    decimal(out, u64::from(status.0));
    out.push(b' ');
    one_line(out, reason.unwrap_or_else(|| status.reason()).as_bytes());
    out.extend_from_slice(b"\r\n");
    write_vias(out, "Via: ", request, head);
    copy(out, "From: ", request, HeaderName::From);
    write_to(out, "To: ", request, to_tag);
    copy(out, "Call-ID: ", request, HeaderName::CallId);
    copy(out, "CSeq: ", request, HeaderName::CSeq);
}

/// Starts a response in its shortest form: without a reason phrase, with compact names.
pub fn bare_response_head(out: &mut Vec<u8>, request: &Message<'_>, head: &ResponseHead<'_>) {
    let ResponseHead { status, to_tag, .. } = *head;
    out.extend_from_slice(b"SIP/2.0 ");
    decimal(out, u64::from(status.0));
    out.extend_from_slice(b" \r\n");
    write_vias(out, "v:", request, head);
    copy(out, "f:", request, HeaderName::From);
    write_to(out, "t:", request, to_tag);
    copy(out, "i:", request, HeaderName::CallId);
    copy(out, "CSeq:", request, HeaderName::CSeq);
}

/// Appends `name: value CRLF`. CR and LF in `value` are written as spaces: no header can be
/// injected (RFC 3261 §25.1).
pub fn header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    one_line(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends `name: value CRLF` for a value that is known to be one line: our own, or one from
/// [`made_one_line`].
pub fn plain_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    debug_assert!(line_break(value).is_none(), "one line");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends a value as [`header`] would write it, to be stored for [`plain_header`].
pub fn made_one_line(out: &mut Vec<u8>, value: &[u8]) {
    one_line(out, value);
}

/// Appends `name: number CRLF`.
pub fn header_number(out: &mut Vec<u8>, name: &str, value: u64) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    decimal(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Ends the head and appends the body: Content-Type only if there is a body (W:A3.11, G9),
/// Content-Length always.
pub fn body(out: &mut Vec<u8>, content_type: &str, body: &[u8]) {
    if !body.is_empty() {
        header(
            out,
            HeaderName::ContentType.canonical(),
            content_type.as_bytes(),
        );
    }
    header_number(
        out,
        HeaderName::ContentLength.canonical(),
        body.len() as u64,
    );
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Appends a decimal number.
pub fn decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a value with folds replaced by one space and other CR and LF dropped. A NUL becomes a
/// space, so that a quoted pair stays a pair.
pub fn unfolded(out: &mut Vec<u8>, value: &[u8]) {
    let mut rest = value;
    while let Some(at) = line_break(rest) {
        out.extend_from_slice(&rest[..at]);
        let line_end = match &rest[at..] {
            [b'\r', b'\n', ..] => 2,
            _ => 1,
        };
        let tail = &rest[at + line_end..];
        let blanks = tail
            .iter()
            .take_while(|octet| matches!(octet, b' ' | b'\t'))
            .count();
        let is_fold = rest[at] != b'\r' || line_end == 2;
        if rest[at] == 0 {
            out.push(b' ');
            rest = tail;
        } else if is_fold && blanks > 0 {
            out.push(b' ');
            rest = &tail[blanks..];
        } else {
            rest = tail;
        }
    }
    out.extend_from_slice(rest);
}

/// Appends an IP address; IPv6 without brackets, as `received` requires (RFC 5118 §4.5).
pub fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (index, octet) in address.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                if octet >= 100 {
                    out.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    out.push(b'0' + octet / 10 % 10);
                }
                out.push(b'0' + octet % 10);
            }
        }
        IpAddr::V6(address) => {
            // Writing to a Vec cannot fail.
            let _ = write!(out, "{address}");
        }
    }
}

/// The position of the first CR, LF or NUL.
#[inline]
fn line_break(text: &[u8]) -> Option<usize> {
    let is_break = |octet: &u8| matches!(octet, b'\r' | b'\n' | 0);
    if text.len() < Block::OCTETS {
        return text.iter().position(is_break);
    }
    let at = find(text, 0, |octets| {
        let breaks = octets.equal(b'\r').or(octets.equal(b'\n'));
        breaks.or(octets.equal(0))
    });
    (at < text.len()).then_some(at)
}

/// Appends text with every CR, LF and NUL replaced by a space.
fn one_line(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = line_break(rest) {
        out.extend_from_slice(&rest[..at]);
        out.push(b' ');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Copies every field of that name.
/// If a malformed request repeats a header, the response has the first.
fn copy(out: &mut Vec<u8>, front: &str, request: &Message<'_>, name: HeaderName) {
    if let Some(value) = request.header(name) {
        write_field(out, front, |out| copied(out, request, value));
    }
}

/// Appends a header value of a request, or a part of one.
fn copied(out: &mut Vec<u8>, request: &Message<'_>, value: &[u8]) {
    if request.has_plain_lines() {
        debug_assert!(line_break(value).is_none(), "one line");
        out.extend_from_slice(value);
    } else {
        unfolded(out, value);
    }
}

/// A field; `front` is its name with the colon.
fn write_field(out: &mut Vec<u8>, front: &str, write_value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(front.as_bytes());
    write_value(out);
    out.extend_from_slice(b"\r\n");
}

fn write_to(out: &mut Vec<u8>, front: &str, request: &Message<'_>, to_tag: &[u8]) {
    let Some(value) = request.header(HeaderName::To) else {
        return;
    };
    let has_tag = match request.to() {
        Some(to) => to.tag().is_some(),
        // A value that cannot be parsed is copied unchanged.
        None => true,
    };
    write_field(out, front, |out| {
        copied(out, request, value);
        if !has_tag && !to_tag.is_empty() {
            out.extend_from_slice(b";tag=");
            one_line(out, to_tag);
        }
    });
}

fn write_vias(out: &mut Vec<u8>, front: &str, request: &Message<'_>, head: &ResponseHead<'_>) {
    for (index, value) in request.headers(HeaderName::Via).enumerate() {
        let topmost = request.via().filter(|_| index == 0);
        write_field(out, front, |out| match topmost {
            Some(via) => {
                let (entry, others) = value.split_at(via.octets);
                let keep = via
                    .wants_keep
                    .then(|| keep_interval(request, via, head.status));
                write_topmost(out, entry, via, (head.source, keep.flatten()));
                copied(out, request, others);
            }
            None => copied(out, request, value),
        });
    }
}

/// The seconds between the keepalives that we accept from the sender of a request: those of a
/// registration, and of a dialog (RFC 6223 §4.1).
fn keep_interval(request: &Message<'_>, via: &Via<'_>, status: Status) -> Option<u64> {
    let method = request.cseq().map(|cseq| cseq.method);
    let is_kept = matches!(method, Some(Method::Subscribe | Method::Register));
    let is_stream = !via.transport.eq_ignore_ascii_case(b"UDP");
    (is_kept && (200..300).contains(&status.0)).then(|| KEEPALIVE_SECS[usize::from(is_stream)])
}

/// The topmost Via entry with the actual source address: `rport` is filled in if requested, and
/// `received` is added if `rport` was requested or if sent-by is a name or another address (RFC
/// 3261 §18.2.1, RFC 3581 §4). A `received` from the peer is ignored. `keep`: the value of `keep`.
fn write_topmost(
    out: &mut Vec<u8>,
    entry: &[u8],
    via: &Via<'_>,
    (source, keep): (SocketAddr, Option<u64>),
) {
    let front = entry.len() - via.parameters.0.len();
    unfolded(out, &entry[..front]);
    write_via_parameters(out, via, source.port(), keep);
    let (ip, end) = (source.ip().to_canonical(), out.len());
    out.extend_from_slice(b";received=");
    let start = out.len();
    address(out, ip);
    let is_host = |host: &[u8], out: &[u8]| {
        out[start..] == *host || host_ip(host).map(|host| host.to_canonical()) == Some(ip)
    };
    if !via.wants_rport && is_host(via.host, out) {
        out.truncate(end);
    }
}

/// The parameters of the topmost Via, with `port` as the value of a requested `rport`, and without
/// `received`.
fn write_via_parameters(out: &mut Vec<u8>, via: &Via<'_>, port: u16, keep: Option<u64>) {
    if via.is_tight {
        // Nearly all parameters are short already, and are copied unchanged.
        let end = via.rport_end.filter(|_| via.wants_rport);
        let (front, behind) = via.parameters.0.split_at(end.unwrap_or_default());
        out.extend_from_slice(front);
        if end.is_some() {
            out.push(b'=');
            decimal(out, u64::from(port));
        }
        return out.extend_from_slice(behind);
    }
    for (name, value) in via.parameters.iter() {
        if name.eq_ignore_ascii_case(b"received") {
            continue;
        }
        out.push(b';');
        out.extend_from_slice(name);
        if via.wants_rport && name.eq_ignore_ascii_case(b"rport") {
            out.push(b'=');
            decimal(out, u64::from(port));
        } else if let Some(keep) = keep.filter(|_| name.eq_ignore_ascii_case(b"keep")) {
            out.push(b'=');
            decimal(out, keep);
        } else if !value.is_empty() {
            out.push(b'=');
            unfolded(out, value);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::collection::vec;
    use proptest::proptest;
    use proptest::sample::select;

    use super::*;
    use crate::sip::message::Framing;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// The response to a request with these Via lines and this To value, from `source`.
    fn response(vias: &str, to: &str, source: &str) -> String {
        let text = format!(
            "OPTIONS sip:a@b SIP/2.0\r\n{vias}\r\nf: \"A\"\r\n <sip:a@b>;tag=1\r\nTo: {to}\r\ni: 1@x\r\nCSeq:\t 7\r\n OPTIONS\r\n\r\n"
        );
        let request = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
        assert_eq!(request.fault(), None);
        written(|out| {
            let head = ResponseHead {
                status: Status::OK,
                reason: None,
                to_tag: b"ours",
                source: source.parse().unwrap(),
            };
            response_head(out, &request, &head);
        })
    }

    #[test]
    fn the_whole_head() {
        assert_eq!(
            response(
                "Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK1\r\nv: SIP/2.0/TCP p.example.com",
                "<sip:b@c>",
                "192.0.2.1:40000",
            ),
            "SIP/2.0 200 OK\r\n\
             Via: SIP/2.0/UDP 192.0.2.1:5062;rport=40000;branch=z9hG4bK1;received=192.0.2.1\r\n\
             Via: SIP/2.0/TCP p.example.com\r\n\
             From: \"A\" <sip:a@b>;tag=1\r\n\
             To: <sip:b@c>;tag=ours\r\n\
             Call-ID: 1@x\r\n\
             CSeq: 7 OPTIONS\r\n"
        );
    }

    #[track_caller]
    fn topmost(via: &str, source: &str, expected: &str) {
        let head = response(&format!("Via: {via}"), "<sip:b@c>", source);
        let line = head.lines().nth(1).unwrap();
        assert_eq!(line.strip_prefix("Via: "), Some(expected));
    }

    #[test]
    fn received_and_rport_are_written() {
        topmost(
            "SIP/2.0/UDP 192.0.2.1;branch=b",
            "192.0.2.1:5060",
            "SIP/2.0/UDP 192.0.2.1;branch=b",
        );
        topmost(
            "SIP/2.0/UDP 192.0.2.1",
            "[::ffff:192.0.2.1]:5060",
            "SIP/2.0/UDP 192.0.2.1",
        );
        topmost(
            "SIP/2.0/UDP 192.0.2.1;branch=b",
            "192.0.2.2:9",
            "SIP/2.0/UDP 192.0.2.1;branch=b;received=192.0.2.2",
        );
        topmost(
            "SIP/2.0/UDP example.com",
            "192.0.2.2:9",
            "SIP/2.0/UDP example.com;received=192.0.2.2",
        );
        topmost(
            "SIP/2.0/UDP [2001:DB8::1]:5060",
            "[2001:db8::1]:9",
            "SIP/2.0/UDP [2001:DB8::1]:5060",
        );
        topmost(
            "SIP/2.0/UDP [2001:db8::1];rport",
            "[2001:db8::2]:9",
            "SIP/2.0/UDP [2001:db8::1];rport=9;received=2001:db8::2",
        );
    }

    #[test]
    fn keep_gets_its_interval_in_a_2xx_to_a_subscribe_or_register() {
        let via = |method: &str, transport: &str, status| {
            let text = format!(
                "{method} sip:a@b SIP/2.0\r\nVia: SIP/2.0/{transport} 192.0.2.1;keep;branch=b\r\n\
                 From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 {method}\r\n\
                 Content-Length: 0\r\n\r\n"
            );
            let request = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
            let head = ResponseHead {
                status,
                reason: None,
                to_tag: b"ours",
                source: "192.0.2.1:5060".parse().unwrap(),
            };
            let head = written(|out| response_head(out, &request, &head));
            head.lines()
                .nth(1)
                .unwrap()
                .split_once("192.0.2.1;")
                .unwrap()
                .1
                .to_owned()
        };
        assert_eq!(via("SUBSCRIBE", "UDP", Status::OK), "keep=29;branch=b");
        assert_eq!(via("REGISTER", "TCP", Status::OK), "keep=120;branch=b");
        assert_eq!(via("SUBSCRIBE", "TLS", Status::OK), "keep=120;branch=b");
        assert_eq!(via("PUBLISH", "UDP", Status::OK), "keep;branch=b");
        assert_eq!(via("SUBSCRIBE", "UDP", Status::FORBIDDEN), "keep;branch=b");
    }

    #[test]
    fn only_the_topmost_via_changes_and_forged_parameters_are_dropped() {
        topmost(
            "SIP/2.0/UDP a;received=192.0.2.9;RPORT ;x=\"1,2\" , SIP/2.0/UDP b;rport",
            "192.0.2.2:9",
            "SIP/2.0/UDP a;RPORT=9;x=\"1,2\";received=192.0.2.2 , SIP/2.0/UDP b;rport",
        );
        topmost(
            "SIP/2.0/UDP 192.0.2.1;rport=1",
            "192.0.2.1:9",
            "SIP/2.0/UDP 192.0.2.1;rport=1",
        );
    }

    proptest! {
        /// Copying the parameters unchanged gives the same octets as writing them one by one.
        #[test]
        fn tight_parameters_are_copied(parameters in vec(select(std::vec![
            "rport", "RPort", "rport=1", "branch=z9hG4bK1", "x", "x=", "x=\"1;2\"", "received=h", " y = 1 ", "a=b=c",
        ]), 0..5)) {
            let parameters: String = parameters.iter().map(|one| format!(";{one}")).collect();
            let value = format!("SIP/2.0/UDP 192.0.2.1{parameters}");
            // With two branches it is malformed.
            let Some(via) = Via::parse(value.as_bytes()) else { return Ok(()) };
            let loose = Via { is_tight: false, ..via };
            let [one, other] = [via, loose]
                .map(|via| written(|out| write_via_parameters(out, &via, 9, None)));
            assert_eq!(one, other);
        }
    }

    #[test]
    fn a_tag_is_added_only_where_none_is() {
        let to = |value: &str| {
            let head = response("Via: SIP/2.0/UDP 192.0.2.1", value, "192.0.2.1:5060");
            head.lines().nth(3).unwrap().to_owned()
        };
        assert_eq!(to("sip:b@c"), "To: sip:b@c;tag=ours");
        assert_eq!(to("<sip:b@c;tag=uri>"), "To: <sip:b@c;tag=uri>;tag=ours");
        assert_eq!(
            to("<sip:b@c> ; TAG = theirs"),
            "To: <sip:b@c> ; TAG = theirs"
        );
    }

    #[test]
    fn no_value_breaks_its_line() {
        assert_eq!(
            written(|out| header(out, "X", b"a\r\nY: b\0")),
            "X: a  Y: b \r\n"
        );
        assert_eq!(
            written(|out| unfolded(out, b"a\r\n\t b\n c\rd\ne\r\nf\\\0")),
            "a b cdef\\ "
        );
        assert_eq!(written(|out| unfolded(out, b"\r\n\r\n \r x")), "  x");
    }

    #[test]
    fn bodies_and_numbers() {
        assert_eq!(
            written(|out| body(out, "a/b", b"")),
            "Content-Length: 0\r\n\r\n"
        );
        assert_eq!(
            written(|out| body(out, "a/b", b"hi")),
            "Content-Type: a/b\r\nContent-Length: 2\r\n\r\nhi"
        );
        assert_eq!(written(|out| decimal(out, 0)), "0");
        assert_eq!(written(|out| decimal(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(
            written(|out| header_number(out, "Expires", 60)),
            "Expires: 60\r\n"
        );
    }
}
