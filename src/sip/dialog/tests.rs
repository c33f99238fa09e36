#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::sip::message::Framing;
use crate::sip::random::{Random, rounds};

const ORIGIN: Origin<'static> = Origin {
    via: b"SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK",
    branch: b"0badcafe",
    contact: b"<sip:192.0.2.10:5060>",
};

/// A SUBSCRIBE with these lines added.
fn subscribe(lines: &str) -> String {
    subscribe_to("<sip:123@abc.com>", lines)
}

fn subscribe_to(to: &str, lines: &str) -> String {
    format!(
        "SUBSCRIBE sip:123@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: \"Ann \\\"A\\\" Bell\" <sip:200@abc.com;x=y>;tag=q1w2;foo=bar\r\nTo: {to}\r\n\
         Call-ID: a84b\"<c76>e66710@10.0.0.7\r\nCSeq: 4 SUBSCRIBE\r\nEvent: dialog\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}

fn accept(request: &str) -> Result<Dialog, Fault> {
    let message = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
    assert_eq!(message.fault(), None, "{request}");
    accept_message(&message)
}

fn accept_message(message: &Message<'_>) -> Result<Dialog, Fault> {
    Dialog::accept(message, &Contact::of(message)?, b"5f00d1e", 1000)
}

fn refresh(dialog: &mut Dialog, lines: &str) -> Result<bool, Fault> {
    let request = subscribe_to("<sip:123@abc.com>;tag=5f00d1e", lines);
    let message = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
    dialog.refresh_target(Contact::of(&message))
}

fn write(dialog: &mut Dialog, origin: &Origin<'_>) -> String {
    let mut out = b"before|".to_vec();
    dialog.write_notify(&mut out, origin);
    String::from_utf8(out)
        .unwrap()
        .strip_prefix("before|")
        .unwrap()
        .to_owned()
}

/// The request line and the Route of the next request.
fn line_and_route(dialog: &mut Dialog) -> (String, Option<String>) {
    let written = write(dialog, &ORIGIN);
    let mut lines = written.lines();
    let line = lines.next().unwrap().to_owned();
    (
        line,
        lines
            .find_map(|line| line.strip_prefix("Route: "))
            .map(str::to_owned),
    )
}

#[test]
fn identifiers_are_kept_verbatim() {
    let dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    assert_eq!(dialog.call_id(), b"a84b\"<c76>e66710@10.0.0.7");
    assert_eq!(dialog.local_tag(), b"5f00d1e");
    assert_eq!(dialog.remote_tag(), b"q1w2");
    assert_eq!(dialog.local_uri(), b"sip:123@abc.com");
    assert_eq!(dialog.remote_uri(), b"sip:200@abc.com;x=y");
    assert_eq!(dialog.remote_target(), b"sip:200@10.0.0.7:5062");
    assert_eq!(dialog.first_route(), None);
    assert_eq!(dialog.local_sequence(), 1000);
    assert!(dialog.text.len() < 200);
}

#[test]
fn a_request_without_routes() {
    let mut dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    assert_eq!(
        write(&mut dialog, &ORIGIN),
        "NOTIFY sip:200@10.0.0.7:5062 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK0badcafe;rport\r\n\
         Max-Forwards: 70\r\n\
         From: <sip:123@abc.com>;tag=5f00d1e\r\n\
         To: \"Ann \\\"A\\\" Bell\" <sip:200@abc.com;x=y>;tag=q1w2;foo=bar\r\n\
         Call-ID: a84b\"<c76>e66710@10.0.0.7\r\n\
         CSeq: 1001 NOTIFY\r\n\
         Contact: <sip:192.0.2.10:5060>\r\n"
    );
    assert_eq!(dialog.local_sequence(), 1001);
    assert!(write(&mut dialog, &ORIGIN).contains("\r\nCSeq: 1002 NOTIFY\r\n"));
}

#[test]
fn what_is_written_reads_back_into_the_same_dialog() {
    let routes = "Record-Route: <sip:p1.abc.com;lr>\r\nContact: <sip:200@10.0.0.7:5062>\r\n";
    let mut dialog = accept(&subscribe(routes)).unwrap();
    let written = write(&mut dialog, &ORIGIN) + "Content-Length: 0\r\n\r\n";
    let notify = Message::parse(written.as_bytes(), Framing::Datagram).unwrap();
    assert_eq!(notify.fault(), None);
    let (from, to) = (notify.from().unwrap(), notify.to().unwrap());
    assert!(dialog.matches(notify.call_id(), from.tag().unwrap(), to.tag().unwrap()));
    assert_eq!(notify.cseq().unwrap().number, dialog.local_sequence());
}

#[test]
fn loose_routes_in_the_order_of_the_record_routes() {
    let mut dialog = accept(&subscribe(
        "Record-Route: <sip:p1.abc.com;lr>, \"P, two\" <sips:p2.abc.com:5061;x=a,b;lr>;foo=\"a,b\"\r\n\
         Record-Route: <sip:[2001:db8::9]:5070;lr=on>\r\nContact: <sip:200@10.0.0.7:5062>\r\n",
    ))
    .unwrap();
    assert_eq!(dialog.first_route().unwrap(), b"sip:p1.abc.com;lr");
    let (line, route) = line_and_route(&mut dialog);
    assert_eq!(line, "NOTIFY sip:200@10.0.0.7:5062 SIP/2.0");
    let wanted = "<sip:p1.abc.com;lr>,\"P, two\" <sips:p2.abc.com:5061;x=a,b;lr>;foo=\"a,b\",<sip:[2001:db8::9]:5070;lr=on>";
    assert_eq!(route.unwrap(), wanted);
}

#[test]
fn a_strict_first_route_swaps_places_with_the_target() {
    let mut dialog = accept(&subscribe(
        "Record-Route: <sip:p1.abc.com;foo=1?Subject=x>;bar,<sip:p2.abc.com;lr>, <sip:p3.abc.com>\r\n\
         Contact: <sip:200@10.0.0.7:5062>\r\n",
    ))
    .unwrap();
    assert_eq!(dialog.first_route().unwrap(), b"sip:p1.abc.com;foo=1");
    let (line, route) = line_and_route(&mut dialog);
    assert_eq!(line, "NOTIFY sip:p1.abc.com;foo=1 SIP/2.0");
    assert_eq!(
        route.unwrap(),
        "<sip:p2.abc.com;lr>,<sip:p3.abc.com>,<sip:200@10.0.0.7:5062>"
    );
}

#[test]
fn a_single_strict_route_leaves_the_target_alone_in_route() {
    let lines = "Record-Route: <sip:p1.abc.com>\r\nContact: <sip:200@10.0.0.7:5062>\r\n";
    let mut dialog = accept(&subscribe(lines)).unwrap();
    let (line, route) = line_and_route(&mut dialog);
    assert_eq!(line, "NOTIFY sip:p1.abc.com SIP/2.0");
    assert_eq!(route.unwrap(), "<sip:200@10.0.0.7:5062>");
}

#[test]
fn a_target_refresh_moves_the_target_and_keeps_the_routes() {
    let lines = "Record-Route: <sip:p1.abc.com;lr>\r\nContact: <sip:200@10.0.0.7:5062>\r\n";
    let mut dialog = accept(&subscribe(lines)).unwrap();
    let other = "Record-Route: <sip:evil.abc.com;lr>\r\nm: \"x\" <sips:200@[2001:db8::7]:5063;ob>;expires=60\r\n";
    assert_eq!(refresh(&mut dialog, other), Ok(true));
    assert_eq!(dialog.remote_target(), b"sips:200@[2001:db8::7]:5063;ob");
    let (line, route) = line_and_route(&mut dialog);
    assert_eq!(line, "NOTIFY sips:200@[2001:db8::7]:5063;ob SIP/2.0");
    assert_eq!(route.unwrap(), "<sip:p1.abc.com;lr>");
    assert_eq!(refresh(&mut dialog, "Contact: <sip:2@h>\r\n"), Ok(true));
    assert_eq!(dialog.remote_target(), b"sip:2@h");
}

#[test]
fn a_refresh_to_the_same_target_or_none_allocates_nothing() {
    let mut dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    let text = dialog.text.as_ptr();
    for lines in [
        "Contact: sip:200@10.0.0.7:5062;expires=5\r\n",
        "Contact: \"A\" <sip:200@10.0.0.7:5062>\r\n",
        "",
    ] {
        assert_eq!(refresh(&mut dialog, lines), Ok(false));
        assert_eq!(dialog.text.as_ptr(), text, "{lines}");
    }
}

#[test]
fn a_2xx_refreshes_too_and_an_unusable_contact_changes_nothing() {
    let mut dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    let response = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 192.0.2.10;branch=z9hG4bK1\r\nFrom: <sip:123@abc.com>;tag=5f00d1e\r\n\
                  To: <sip:200@abc.com>;tag=q1w2\r\nCall-ID: x\r\nCSeq: 1001 NOTIFY\r\nContact: <sip:200@10.0.0.8>\r\n\
                  Content-Length: 0\r\n\r\n";
    let message = Message::parse(response.as_bytes(), Framing::Datagram).unwrap();
    assert_eq!(dialog.refresh_target(Contact::of(&message)), Ok(true));
    assert_eq!(dialog.remote_target(), b"sip:200@10.0.0.8");
    for lines in [
        "Contact: *\r\n",
        "Contact: <tel:123>\r\n",
        "Contact: <sip:a@b>, <sip:c@d>\r\n",
    ] {
        assert_eq!(
            refresh(&mut dialog, lines),
            Err(Fault::Invalid(HeaderName::Contact)),
            "{lines}"
        );
        assert_eq!(dialog.remote_target(), b"sip:200@10.0.0.8");
    }
}

#[test]
fn a_gruu_is_used_untouched() {
    let gruu = "sip:200@abc.com;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6;Foo=%41";
    let mut dialog = accept(&subscribe(&format!(
        "Contact: <{gruu}>;+sip.instance=\"<urn:uuid:f81d4fae>\"\r\n"
    )))
    .unwrap();
    assert_eq!(
        line_and_route(&mut dialog).0,
        format!("NOTIFY {gruu} SIP/2.0")
    );
}

#[test]
fn headers_of_a_contact_do_not_get_into_the_request_line() {
    let mut dialog = accept(&subscribe(
        "Contact: <sip:200@10.0.0.7;ob?Route=%3Csip:evil%3E&X=y>\r\n",
    ))
    .unwrap();
    assert_eq!(
        line_and_route(&mut dialog).0,
        "NOTIFY sip:200@10.0.0.7;ob SIP/2.0"
    );
}

#[test]
fn contacts_that_create_no_dialog() {
    assert_eq!(
        accept(&subscribe("")).unwrap_err(),
        Fault::Missing(HeaderName::Contact)
    );
    for contact in [
        "*",
        "",
        ",",
        "<sip:a@b>,<sip:a@b>",
        "<sip:a@b>\r\nContact: <sip:c@d>",
        "<tel:+4912345>",
        "<mailto:a@b>",
        "<nobodyKnowsThisScheme:x>",
        "<>",
        "<sip:>",
        "<sip:a@>",
        "<sip:a@b c>",
        "<sip:a@b",
        "<http://a@b>",
    ] {
        let request = subscribe(&format!("Contact: {contact}\r\n"));
        // The message may have the fault already; the dialog detects it independently.
        let message = Message::parse(request.as_bytes(), Framing::Datagram).unwrap();
        let result = accept_message(&message);
        assert!(
            matches!(
                result,
                Err(Fault::Invalid(HeaderName::Contact) | Fault::Missing(HeaderName::Contact))
            ),
            "{contact}: {result:?}"
        );
    }
}

#[test]
fn record_routes_that_cannot_be_read() {
    for route in ["<sip:p1", "<tel:1>", "nonsense", "<sip:p1;lr>, <>"] {
        let lines = format!("Record-Route: {route}\r\nContact: <sip:200@10.0.0.7>\r\n");
        assert_eq!(
            accept(&subscribe(&lines)).unwrap_err(),
            Fault::Invalid(HeaderName::RecordRoute),
            "{route}"
        );
    }
}

#[test]
fn folds_are_written_as_spaces() {
    let request = subscribe(
        "Record-Route: <sip:p1.abc.com;lr>\r\n ;x=y\r\nContact:\r\n <sip:200@10.0.0.7>\r\n",
    )
    .replace("To: <sip", "To: \"A\r\n\tB\"\r\n <sip")
    .replace("Bell\" <", "Bell\"\r\n   <");
    let mut dialog = accept(&request).unwrap();
    assert_eq!(dialog.local_uri(), b"sip:123@abc.com");
    assert_eq!(dialog.remote_uri(), b"sip:200@abc.com;x=y");
    let written = write(&mut dialog, &ORIGIN);
    assert!(
        written.contains("\r\nFrom: \"A B\" <sip:123@abc.com>;tag=5f00d1e\r\n"),
        "{written}"
    );
    assert!(
        written.contains("Bell\" <sip:200@abc.com;x=y>;tag=q1w2;foo=bar\r\n"),
        "{written}"
    );
    assert!(
        written.contains("\r\nRoute: <sip:p1.abc.com;lr> ;x=y\r\n"),
        "{written}"
    );
}

#[test]
fn addresses_without_brackets_and_without_a_tag() {
    let request = subscribe_to(
        "sip:123@abc.com",
        "Contact: sip:200@[2001:db8::7]:5062;transport=udp\r\n",
    )
    .replace(
        "\"Ann \\\"A\\\" Bell\" <sip:200@abc.com;x=y>;tag=q1w2;foo=bar",
        "sip:200@abc.com",
    );
    let mut dialog = accept(&request).unwrap();
    assert_eq!(dialog.remote_tag(), b"");
    assert_eq!(dialog.remote_target(), b"sip:200@[2001:db8::7]:5062");
    assert!(dialog.matches(b"a84b\"<c76>e66710@10.0.0.7", b"5f00d1e", b""));
    let written = write(&mut dialog, &ORIGIN);
    assert!(
        written.contains("\r\nFrom: sip:123@abc.com;tag=5f00d1e\r\nTo: sip:200@abc.com\r\n"),
        "{written}"
    );
}

#[test]
fn a_request_with_a_to_tag_creates_no_dialog() {
    let request = subscribe_to(
        "<sip:123@abc.com>;tag=old",
        "Contact: <sip:200@10.0.0.7>\r\n",
    );
    assert_eq!(
        accept(&request).unwrap_err(),
        Fault::Invalid(HeaderName::To)
    );
}

#[test]
fn only_all_three_identifiers_match() {
    let dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    let call_id = b"a84b\"<c76>e66710@10.0.0.7";
    assert!(dialog.matches(call_id, b"5f00d1e", b"q1w2"));
    assert!(!dialog.matches(call_id, b"5f00d1f", b"q1w2"));
    assert!(!dialog.matches(call_id, b"5f00d1e", b"Q1w2"));
    assert!(!dialog.matches(call_id, b"q1w2", b"5f00d1e"));
    assert!(!dialog.matches(call_id, b"5f00d1e", b""));
    assert!(!dialog.matches(b"A84b\"<c76>e66710@10.0.0.7", b"5f00d1e", b"q1w2"));
}

#[test]
fn remote_sequence_only_goes_up_and_may_have_gaps() {
    let mut dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    assert_eq!(dialog.take_sequence(4), Sequence::OutOfOrder);
    assert_eq!(dialog.take_sequence(5), Sequence::Next);
    assert_eq!(dialog.take_sequence(5), Sequence::OutOfOrder);
    assert_eq!(dialog.take_sequence(900), Sequence::Next);
    assert_eq!(dialog.take_sequence(899), Sequence::OutOfOrder);
}

#[test]
fn writing_into_a_large_enough_buffer_does_not_move_it() {
    let mut dialog = accept(&subscribe("Contact: <sip:200@10.0.0.7:5062>\r\n")).unwrap();
    let mut out = Vec::with_capacity(4096);
    let start = out.as_ptr();
    dialog.write_notify(&mut out, &ORIGIN);
    assert_eq!((out.as_ptr(), out.capacity()), (start, 4096));
}

#[test]
fn what_a_dialog_holds_is_bounded() {
    let contact = "Contact: <sip:200@10.0.0.7:5062>\r\n";
    let plain = subscribe(contact);
    let long = |octets| "x".repeat(octets);
    let call_id = |octets| plain.replace("Call-ID: a84b", &format!("Call-ID: {}", long(octets)));
    let from = |octets| plain.replace("foo=bar", &format!("foo={}", long(octets)));
    let target = |octets| subscribe(&format!("Contact: <sip:{}@10.0.0.7>\r\n", long(octets)));
    let route = |octets| {
        let route = format!("Record-Route: <sip:p;x={};lr>\r\n", long(octets));
        subscribe(&format!("{route}{contact}"))
    };
    for (request, fault) in [
        (call_id(600), Fault::Invalid(HeaderName::CallId)),
        (from(1100), Fault::Invalid(HeaderName::From)),
        (target(1100), Fault::Invalid(HeaderName::Contact)),
        (route(2100), Fault::Invalid(HeaderName::RecordRoute)),
    ] {
        assert_eq!(accept(&request).unwrap_err(), fault);
    }
    for request in [call_id(400), from(800), target(900), route(1900)] {
        assert!(accept(&request).unwrap().octets() <= DIALOG_OCTETS_MAX);
    }
    let all = from(900);
    let all = all.replace(
        contact,
        &format!(
            "Record-Route: <sip:p;x={};lr>\r\nContact: <sip:{}@10.0.0.7>\r\n",
            long(2000),
            long(1000)
        ),
    );
    let all = all.replace("Call-ID: a84b", &format!("Call-ID: {}", long(480)));
    assert_eq!(accept(&all).unwrap_err(), Fault::TooLarge);
}

/// Whatever the peer sends, our request has exactly the lines that we wrote.
#[test]
fn mutated_requests_never_add_a_line() {
    let original = subscribe(
        "Record-Route: <sip:p1.abc.com;lr>, \"P, two\"\r\n <sips:p2.abc.com:5061;x=a>;foo\r\n\
         Contact: \"A\" <sip:200@[2001:db8::7]:5062;ob?a=b>;expires=5\r\n",
    );
    let mut random = Random::new([5; 32]);
    let mut accepted = 0;
    for _ in 0..rounds(20_000) {
        let mut octets = original.clone().into_bytes();
        for _ in 0..=random.below(3) {
            let position = random.below(octets.len() as u32) as usize;
            let replacement = b"\r\n\0 <>\"\\;,:?@=%*a1\xff"[random.below(19) as usize];
            match random.below(3) {
                0 => octets[position] = replacement,
                1 => octets.insert(position, replacement),
                _ => drop(octets.remove(position)),
            }
        }
        let Ok(message) = Message::parse(&octets, Framing::Datagram) else {
            continue;
        };
        let Ok(mut dialog) = accept_message(&message) else {
            continue;
        };
        accepted += 1;
        let mut out = Vec::new();
        dialog.write_notify(&mut out, &ORIGIN);
        let lines = 8 + usize::from(dialog.first_route().is_some());
        let ends = |octet| out.iter().filter(|found| **found == octet).count();
        assert_eq!((ends(b'\r'), ends(b'\n'), ends(0)), (lines, lines, 0));
        assert_eq!(out.windows(2).filter(|pair| pair == b"\r\n").count(), lines);
    }
    assert!(accepted > rounds(5_000), "{accepted}");
}

/// A NOTIFY to us with these lines added.
fn notify(to: &str, lines: &str) -> String {
    format!(
        "NOTIFY sip:192.0.2.10:5060 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n\
         From: <sip:123@abc.com>;tag=theirs\r\nTo: {to}\r\nCall-ID: x@192.0.2.10\r\nCSeq: 4 NOTIFY\r\n\
         Event: dialog\r\n{lines}Content-Length: 0\r\n\r\n"
    )
}

#[test]
fn a_subscribers_dialog_is_taken_from_the_notify() {
    let text = notify(
        "<sip:9@abc.com>;tag=ours",
        "Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\nContact: <sip:123@10.0.0.7:5070>\r\n",
    );
    let message = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
    let mut dialog = Dialog::of_notify(&message, &Contact::of(&message).unwrap(), 2).unwrap();
    assert!(dialog.matches(b"x@192.0.2.10", b"ours", b"theirs"));
    assert_eq!(dialog.take_sequence(4), Sequence::OutOfOrder);
    assert_eq!(dialog.take_sequence(5), Sequence::Next);
    let mut out = Vec::new();
    dialog.write_subscribe(&mut out, &ORIGIN);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "SUBSCRIBE sip:123@10.0.0.7:5070 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK0badcafe;rport\r\n\
         Route: <sip:p1;lr>,<sip:p2;lr>\r\nMax-Forwards: 70\r\nFrom: <sip:9@abc.com>;tag=ours\r\n\
         To: <sip:123@abc.com>;tag=theirs\r\nCall-ID: x@192.0.2.10\r\nCSeq: 3 SUBSCRIBE\r\n\
         Contact: <sip:192.0.2.10:5060>\r\n"
    );
    let without_contact = notify("<sip:9@abc.com>;tag=ours", "");
    let message = Message::parse(without_contact.as_bytes(), Framing::Datagram).unwrap();
    assert_eq!(
        Contact::of(&message).err(),
        Some(Fault::Missing(HeaderName::Contact))
    );
}
