//! The content of valid messages, and the faults of malformed ones.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const PLAIN: &str = "SUBSCRIBE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK1\r\n\
    Max-Forwards: 70\r\n\
    From: \"Alice\" <sip:alice@example.com>;tag=from-1\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: call-1@192.0.2.1\r\n\
    CSeq: 1 SUBSCRIBE\r\n\
    Contact: <sip:alice@192.0.2.1:5062>\r\n\
    Event: dialog\r\n\
    Expires: 3600\r\n\
    Supported:\r\n\
    X-Odd: one\r\n\
    x-odd : two\r\n\
    Content-Length: 4\r\n\
    \r\n\
    body";

/// The plain request with one text replaced.
fn changed(from: &str, to: &str) -> String {
    assert!(PLAIN.contains(from), "{from}");
    PLAIN.replace(from, to)
}

fn datagram(text: &str) -> Message<'_> {
    Message::parse(text.as_bytes(), Framing::Datagram).unwrap()
}

#[track_caller]
fn faults(from: &str, to: &str, fault: Fault) {
    assert_eq!(datagram(&changed(from, to)).fault(), Some(fault), "{to}");
}

#[track_caller]
fn passes(from: &str, to: &str) {
    assert_eq!(datagram(&changed(from, to)).fault(), None, "{to}");
}

#[test]
fn a_plain_request() {
    let message = datagram(PLAIN);
    assert_eq!(message.fault(), None);
    assert!(message.is_answerable());
    assert_eq!(message.method(), Method::Subscribe);
    assert_eq!(
        message.start_line(),
        StartLine::Request {
            method: Method::Subscribe,
            uri: b"sip:bob@example.com"
        }
    );
    assert_eq!(message.via().unwrap().branch, Some(&b"z9hG4bK1"[..]));
    assert_eq!(message.from().unwrap().tag(), Some(&b"from-1"[..]));
    assert_eq!(message.to().unwrap().tag(), None);
    assert_eq!(message.to().unwrap().uri, b"sip:bob@example.com");
    assert_eq!(message.call_id(), b"call-1@192.0.2.1");
    assert_eq!(
        message.cseq(),
        Some(CSeq {
            number: 1,
            method: Method::Subscribe
        })
    );
    assert_eq!(message.header(HeaderName::Event), Some(&b"dialog"[..]));
    assert_eq!(message.header(HeaderName::Supported), Some(&b""[..]));
    assert_eq!(message.header(HeaderName::Accept), None);
    assert_eq!(message.headers(HeaderName::Accept).count(), 0);
    assert_eq!(
        message.other_headers("X-ODD").collect::<Vec<_>>(),
        [&b"one"[..], b"two"]
    );
    assert_eq!(message.other_headers("Event").count(), 0);
    assert_eq!(message.body(), b"body");
    assert_eq!(message.bytes(), PLAIN.as_bytes());
}

#[test]
fn a_response() {
    let text = changed(
        "SUBSCRIBE sip:bob@example.com SIP/2.0",
        "SIP/2.0 200 Gut so",
    );
    let message = datagram(&text);
    assert_eq!(message.fault(), None);
    assert_eq!(
        message.start_line(),
        StartLine::Response {
            code: 200,
            reason: b"Gut so"
        }
    );
    assert_eq!(message.method(), Method::Subscribe);
}

#[test]
fn line_ends_and_folds() {
    let message_of = |text: &str| datagram(text).fault();
    assert_eq!(message_of(&PLAIN.replace("\r\n", "\n")), None);
    assert_eq!(message_of(&format!("\r\n\r\n{PLAIN}")), None);
    let text = changed("Event: dialog", "Event\t:\r\n\tdialog\r\n ;\n id=7\r\n \t");
    let message = datagram(&text);
    assert_eq!(message.fault(), None);
    assert_eq!(
        message.header(HeaderName::Event),
        Some(&b"dialog\r\n ;\n id=7"[..])
    );
    faults("Event: dialog", "Event: dia\rlog", Fault::HeaderLine);
    faults("Event: dialog", "Event: dialog\r\r\n", Fault::HeaderLine);
    faults("Event: dialog", "Event: dia\0log", Fault::HeaderLine);
    faults("Event: dialog", "Event dialog", Fault::HeaderLine);
    faults("Event: dialog", ": dialog", Fault::HeaderLine);
    faults("Event: dialog", "Ev\"ent: dialog", Fault::HeaderLine);
    faults("Via:", " folded\r\nVia:", Fault::HeaderLine);
    passes("\"Alice\"", "\"A\\\0lice\"");
    // Nowhere else: it could not be echoed in a response.
    let invalid = Fault::Invalid;
    faults("call-1", "call\\\0-1", invalid(HeaderName::CallId));
    faults("from-1", "from\\\0-1", invalid(HeaderName::From));
    faults("z9hG4bK1", "z9hG4bK\\\x001", invalid(HeaderName::Via));
    // Without the blank line it is unknown whether the head is complete.
    assert_eq!(
        message_of(PLAIN.trim_end_matches("\r\nbody")),
        Some(Fault::HeaderLine)
    );
}

#[test]
fn names_in_every_spelling() {
    passes("Via:", "v:");
    passes("Call-ID:", "cAlL-iD  :");
    passes("Content-Length:", "L:");
    faults(
        "To:",
        "t: <sip:x@y>\r\nTo:",
        Fault::Repeated(HeaderName::To),
    );
}

#[test]
fn missing_and_repeated_headers() {
    for (line, name) in [
        ("Via", HeaderName::Via),
        ("From", HeaderName::From),
        ("To", HeaderName::To),
        ("Call-ID", HeaderName::CallId),
        ("CSeq", HeaderName::CSeq),
    ] {
        let text = changed(&format!("\r\n{line}:"), "\r\nX-Gone:");
        let message = datagram(&text);
        assert_eq!(message.fault(), Some(Fault::Missing(name)));
        assert!(!message.is_answerable(), "{line}");
    }
    passes("Max-Forwards: 70\r\n", "");
    for (line, name) in [
        ("Event: dialog", HeaderName::Event),
        ("Expires: 3600", HeaderName::Expires),
        ("Content-Length: 4", HeaderName::ContentLength),
        ("Max-Forwards: 70", HeaderName::MaxForwards),
        ("CSeq: 1 SUBSCRIBE", HeaderName::CSeq),
    ] {
        faults(line, &format!("{line}\r\n{line}"), Fault::Repeated(name));
    }
    let text = changed("CSeq: 1", "CSeq: 2 SUBSCRIBE\r\nCSeq: 1");
    assert!(datagram(&text).is_answerable());
    assert!(datagram(&changed("Event: dialog", "Event: a\r\nEvent: b")).is_answerable());
}

#[test]
fn sound_values() {
    faults(
        "To: <sip:bob@example.com>",
        "To: <sip:bob@example.com>;tag=a;TAG=b",
        Fault::Invalid(HeaderName::To),
    );
    faults(
        "To: <sip:bob@example.com>",
        "To: <sip:bob@example.com>;tag=",
        Fault::Invalid(HeaderName::To),
    );
    faults(
        "To: <sip:bob@example.com>",
        "To: <sip:bob@example.com>;x=\"y",
        Fault::Invalid(HeaderName::To),
    );
    faults(
        "CSeq: 1 S",
        "CSeq: 2147483648 S",
        Fault::Invalid(HeaderName::CSeq),
    );
    faults("CSeq: 1 SUBSCRIBE", "CSeq: 1 NOTIFY", Fault::MethodMismatch);
    faults(
        "Max-Forwards: 70",
        "Max-Forwards: 256",
        Fault::Invalid(HeaderName::MaxForwards),
    );
    faults(
        "Max-Forwards: 70",
        "Max-Forwards:",
        Fault::Invalid(HeaderName::MaxForwards),
    );
    passes("Max-Forwards: 70", "Max-Forwards: 255");
    faults(
        "192.0.2.1:5062;rport",
        "192.0.2.1:65536;rport",
        Fault::Invalid(HeaderName::Via),
    );
    faults("call-1@", "call 1@", Fault::Invalid(HeaderName::CallId));
    passes("<sip:alice@192.0.2.1:5062>", "*");
    passes(
        "<sip:alice@192.0.2.1:5062>",
        "<sip:a@b>, \"c,d\" <sip:e@f>;q=0.1",
    );
    faults(
        "<sip:alice@192.0.2.1:5062>",
        "sip:a@b?Route=%3Csip:c%3E",
        Fault::Invalid(HeaderName::Contact),
    );
}

#[test]
fn lengths_of_datagrams() {
    let with = |value: &str| changed("Content-Length: 4", value);
    for (header, fault, body) in [
        ("Content-Length: 5", Some(Fault::ContentLength), "body"),
        (
            "Content-Length: 18446744073709551616",
            Some(Fault::ContentLength),
            "body",
        ),
        ("Content-Length: 3", None, "bod"),
        ("Content-Length: 0000", None, ""),
        ("X: y", None, "body"),
        (
            "Content-Length: -4",
            Some(Fault::Invalid(HeaderName::ContentLength)),
            "body",
        ),
        (
            "Content-Length: +4",
            Some(Fault::Invalid(HeaderName::ContentLength)),
            "body",
        ),
        (
            "Content-Length: 4,4",
            Some(Fault::Invalid(HeaderName::ContentLength)),
            "body",
        ),
        (
            "Content-Length:",
            Some(Fault::Invalid(HeaderName::ContentLength)),
            "body",
        ),
    ] {
        let text = with(header);
        let message = datagram(&text);
        assert_eq!(message.fault(), fault, "{header}");
        assert_eq!(message.body(), body.as_bytes(), "{header}");
    }
}

#[test]
fn lengths_of_frames() {
    let fault = |text: &str| {
        Message::parse(text.as_bytes(), Framing::Stream)
            .unwrap()
            .fault()
    };
    assert_eq!(fault(PLAIN), None);
    assert_eq!(
        fault(&changed("Content-Length: 4\r\n", "")),
        Some(Fault::ContentLength)
    );
    assert_eq!(
        fault(&changed("Content-Length: 4", "Content-Length: 3")),
        Some(Fault::ContentLength)
    );
    assert_eq!(
        fault(&changed("Content-Length: 4", "Content-Length: 5")),
        Some(Fault::ContentLength)
    );
}

#[test]
fn limits() {
    let repeated =
        |line: &str, count: usize| changed("Event:", &format!("{}Event:", line.repeat(count)));
    let fault = |text: &str| datagram(text).fault();
    // There are already 13 fields.
    assert_eq!(fault(&repeated("X: y\r\n", HEADERS_MAX - 13)), None);
    assert_eq!(
        fault(&repeated("X: y\r\n", HEADERS_MAX - 12)),
        Some(Fault::TooManyHeaders)
    );
    assert_eq!(datagram(&repeated("X: y\r\n", 10_000)).body(), b"body");
    assert_eq!(
        fault(&repeated("Via: SIP/2.0/UDP h\r\n", VIAS_MAX - 1)),
        None
    );
    assert_eq!(
        fault(&repeated("Via: SIP/2.0/UDP h\r\n", VIAS_MAX)),
        Some(Fault::TooManyHeaders)
    );
    assert_eq!(
        fault(&repeated(
            "v: SIP/2.0/UDP h, SIP/2.0/UDP i\r\n",
            VIAS_MAX / 2
        )),
        Some(Fault::TooManyHeaders)
    );
    assert_eq!(
        fault(&repeated("Record-Route: <sip:a;lr>\r\n", RECORD_ROUTES_MAX)),
        None
    );
    assert_eq!(
        fault(&repeated(
            "Record-Route: <sip:a;lr>\r\n",
            RECORD_ROUTES_MAX + 1
        )),
        Some(Fault::TooManyHeaders)
    );
}

#[test]
fn invalid_messages() {
    for bytes in [
        &b""[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"jaK",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42",
        b"SUBSCRIBE sip:a@b SIP/2.0",
        b"SIP/2.0 4294967301 better\r\n\r\n",
    ] {
        assert_eq!(
            Message::parse(bytes, Framing::Datagram).err(),
            Some(Fault::StartLine),
            "{bytes:?}"
        );
    }
    let bare = Message::parse(b"SUBSCRIBE sip:a@b SIP/2.0\r\n\r\n", Framing::Datagram).unwrap();
    assert_eq!(bare.fault(), Some(Fault::Missing(HeaderName::Via)));
}
