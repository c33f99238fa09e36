//! The torture messages of RFC 4475 and RFC 5118 are parsed as required (W:E1). How an element
//! handles a valid message (405, 416, 420 ...) is decided elsewhere; these tests check the values
//! on which the decision depends.

use crate::corpus::{Outcome, TORTURES, Torture};
use lamplighter::sip::framing::{Frame, Limits, next_frame};
use lamplighter::sip::header::{MediaRange, list_items};
use lamplighter::sip::message::Framing;
use lamplighter::sip::uri::Scheme;
use lamplighter::sip::{Fault, HeaderName, Message, Method, StartLine, Uri};

fn by_name(name: &str) -> &'static Torture {
    TORTURES
        .iter()
        .find(|torture| torture.name == name)
        .unwrap()
}

/// Parses a torture message as a datagram and checks it.
fn with<R>(name: &str, look: impl FnOnce(&Message<'_>) -> R) -> R {
    let octets = by_name(name).octets();
    look(&Message::parse(&octets, Framing::Datagram).unwrap())
}

fn outcome(octets: &[u8]) -> Outcome {
    match Message::parse(octets, Framing::Datagram) {
        Ok(message) => message.fault().map_or(Outcome::Sound, Outcome::Faulty),
        Err(_) => Outcome::Refused,
    }
}

fn request_uri(message: &Message<'_>) -> Vec<u8> {
    match message.start_line() {
        StartLine::Request { uri, .. } => uri.to_vec(),
        StartLine::Response { .. } => Vec::new(),
    }
}

#[test]
fn every_torture_message_is_read_as_listed() {
    for torture in TORTURES {
        assert_eq!(
            outcome(&torture.octets()),
            torture.outcome,
            "{}",
            torture.name
        );
    }
}

#[test]
fn the_defects_are_found_in_our_own_methods_too() {
    for torture in TORTURES {
        let Outcome::Faulty(_) = torture.outcome else {
            continue;
        };
        let text = String::from_utf8(torture.octets()).unwrap();
        for ours in ["SUBSCRIBE", "PUBLISH", "NOTIFY"] {
            let Some(theirs) = ["INVITE", "OPTIONS", "REGISTER"]
                .into_iter()
                .find(|theirs| text.starts_with(theirs))
            else {
                continue;
            };
            // The methods do not match: only the request line changes there.
            let count = if torture.outcome == Outcome::Faulty(Fault::MethodMismatch) {
                1
            } else {
                usize::MAX
            };
            let ported = text.replacen(theirs, ours, count);
            assert_eq!(
                outcome(ported.as_bytes()),
                torture.outcome,
                "{} as {ours}",
                torture.name
            );
        }
    }
}

#[test]
fn messages_that_can_get_a_response_are_known() {
    for torture in TORTURES {
        let octets = torture.octets();
        let Ok(message) = Message::parse(&octets, Framing::Datagram) else {
            continue;
        };
        // Without From, To and Call-ID no response can be sent.
        let is_answerable = torture.name != "insuf";
        assert_eq!(message.is_answerable(), is_answerable, "{}", torture.name);
    }
}

#[test]
fn folds_and_odd_white_space_are_accepted() {
    with("wsinv", |message| {
        assert_eq!(message.method(), Method::Invite);
        assert_eq!(message.to().unwrap().tag(), Some(&b"1918181833n"[..]));
        assert_eq!(message.from().unwrap().tag(), Some(&b"98asjd8"[..]));
        assert_eq!(message.from().unwrap().display, br#""J Rosenberg \\\"""#);
        assert_eq!(message.cseq().unwrap().number, 9);
        assert_eq!(message.via().unwrap().branch, Some(&b"390skdjuw"[..]));
        assert_eq!(
            message
                .headers(HeaderName::Via)
                .flat_map(list_items)
                .count(),
            3
        );
        assert_eq!(message.other_headers("s").next(), Some(&b""[..]));
        assert_eq!(
            message
                .header(HeaderName::Contact)
                .map(|value| list_items(value).count()),
            Some(1)
        );
        assert!(message.body().starts_with(b"v=0\r\n") && message.body().ends_with(b"LPC\r\n"));
    });
}

#[test]
fn unusual_characters_are_kept() {
    with("intmeth", |message| {
        assert_eq!(
            message.method(),
            Method::Other(b"!interesting-Method0123456789_*+`.%indeed'~")
        );
        assert_eq!(
            message.from().unwrap().tag(),
            Some(&b"_token~1'+`*%!-."[..])
        );
        assert_eq!(
            message.call_id(),
            b"intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
        );
        let uri = request_uri(message);
        let uri = Uri::parse(&uri).unwrap();
        assert_eq!(
            uri.user,
            Some(&b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"[..])
        );
        assert_eq!(uri.host, b"example.com");
    });
}

#[test]
fn escapes_are_kept_and_cut_nothing_short() {
    with("esc01", |message| {
        let uri = request_uri(message);
        let mut user = String::new();
        assert!(Uri::parse(&uri).unwrap().write_user(&mut user));
        assert_eq!(user, "sips:user@example.com");
    });
    with("escnull", |message| {
        assert_eq!(message.to().unwrap().uri, b"sip:null-%00-null@example.com");
        assert_eq!(message.headers(HeaderName::Contact).count(), 2);
    });
    with("esc02", |message| {
        assert_eq!(message.method(), Method::Other(b"RE%47IST%45R"));
        assert_eq!(message.headers(HeaderName::Contact).count(), 2);
        assert_eq!(message.other_headers("c%6fntact").count(), 1);
    });
}

#[test]
fn long_values_and_many_vias() {
    with("longreq", |message| {
        assert_eq!(
            message
                .headers(HeaderName::Via)
                .flat_map(list_items)
                .count(),
            34
        );
        assert_eq!(message.via().unwrap().host, b"sip33.example.com");
        assert!(message.call_id().len() > 100);
        let tag = message.from().unwrap().tag().unwrap();
        assert!(tag.len() > 100 && tag.starts_with(b"12982") && tag.ends_with(b"424"));
    });
    with("transports", |message| {
        assert_eq!(message.headers(HeaderName::Via).count(), 5)
    });
}

#[test]
fn only_the_first_message_of_a_datagram_counts() {
    with("dblreq", |message| {
        assert_eq!(message.method(), Method::Register);
        assert_eq!(message.body(), b"");
        assert!(message.bytes().ends_with(b"Content-Length: 0\r\n\r\n"));
    });
}

#[test]
fn semicolons_before_the_at_belong_to_the_user_part() {
    with("semiuri", |message| {
        let uri = request_uri(message);
        let uri = Uri::parse(&uri).unwrap();
        assert_eq!(uri.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(uri.parameters, b"");
        let accept = message.header(HeaderName::Accept).unwrap();
        assert_eq!(list_items(accept).filter_map(MediaRange::parse).count(), 6);
    });
}

#[test]
fn binary_bodies_are_opaque() {
    with("mpart01", |message| {
        assert!(message.body().contains(&0));
        assert_eq!(message.method(), Method::Message);
    });
}

#[test]
fn reason_phrases_are_free() {
    with("unreason", |message| match message.start_line() {
        StartLine::Response { code: 200, reason } => {
            assert!(String::from_utf8_lossy(reason).starts_with("= 2**3 * 5**2 \u{43d}\u{43e}"));
        }
        other => unreachable!("{other:?}"),
    });
    with("noreason", |message| {
        assert_eq!(
            message.start_line(),
            StartLine::Response {
                code: 100,
                reason: b""
            }
        );
    });
}

#[test]
fn unknown_schemes_and_extensions_reach_the_engine() {
    for (name, scheme) in [
        ("unkscm", Scheme::Other),
        ("novelsc", Scheme::Other),
        ("zeromf", Scheme::Sip),
    ] {
        let uri = with(name, request_uri);
        assert_eq!(Uri::parse(&uri).unwrap().scheme, scheme, "{name}");
    }
    with("bext01", |message| {
        let required: Vec<&[u8]> = message
            .headers(HeaderName::Require)
            .flat_map(list_items)
            .collect();
        assert_eq!(
            required,
            [&b"nothingSupportsThis"[..], b"nothingSupportsThisEither"]
        );
    });
    with("badbranch", |message| {
        assert_eq!(message.via().unwrap().branch, Some(&b"z9hG4bK"[..]))
    });
    with("inv2543", |message| {
        assert_eq!(message.via().unwrap().branch, None);
        assert_eq!(message.from().unwrap().tag(), None);
        assert!(!message.body().is_empty());
    });
    with("unksm2", |message| {
        assert_eq!(message.to().unwrap().uri, b"isbn:2983792873")
    });
    with("zeromf", |message| {
        assert_eq!(message.header(HeaderName::MaxForwards), Some(&b"0"[..]))
    });
    with("baddn", |message| {
        assert_eq!(message.from().unwrap().display, b"Bell, Alexander");
        assert_eq!(message.to().unwrap().uri, b"sip:t.watson@example.org");
    });
    with("badvers", |message| {
        assert_eq!(Fault::Version.status(), message.fault().unwrap().status())
    });
}

#[test]
fn ipv6_addresses() {
    with("ipv6-good", |message| {
        assert_eq!(message.via().unwrap().host, b"[2001:db8::9:1]")
    });
    let port = |name| Uri::parse(&with(name, request_uri)).unwrap().port;
    assert_eq!(port("port-ambiguous"), None);
    assert_eq!(port("port-unambiguous"), Some(5070));
    for (name, received) in [
        ("via-received-param-with-delim", &b"[2001:db8::9:255]"[..]),
        ("via-received-param-no-delim", b"2001:db8::9:255"),
    ] {
        with(name, |message| {
            assert_eq!(
                message.via().unwrap().parameters.get("received"),
                Some(received)
            );
        });
    }
    with("ipv4-mapped-ipv6", |message| {
        assert_eq!(message.via().unwrap().port, Some(19823))
    });
}

#[test]
fn an_incomplete_stream_waits_and_a_broken_one_closes() {
    let limits = Limits {
        head_octets_max: 65_536,
        message_octets_max: 262_144,
    };
    let frame = |name: &str| match next_frame(&by_name(name).octets(), &limits)? {
        Frame::Message(octets) => Ok(Some(octets)),
        _ => Ok(None),
    };
    let length = |name: &str| by_name(name).octets().len();
    assert_eq!(frame("wsinv"), Ok(Some(length("wsinv"))));
    let cut_off = by_name("clerr").octets();
    assert_eq!(next_frame(&cut_off, &limits), Ok(Frame::Incomplete));
    assert_eq!(frame("ncl"), Err(Fault::Invalid(HeaderName::ContentLength)));
    assert_eq!(
        frame("mcl01"),
        Err(Fault::Repeated(HeaderName::ContentLength))
    );
    assert_eq!(frame("inv2543"), Err(Fault::ContentLength));
    assert_eq!(frame("bigcode"), Err(Fault::StartLine));
    // The first of two messages; a blank line; the second.
    let octets = by_name("dblreq").octets();
    let Ok(Frame::Message(first)) = next_frame(&octets, &limits) else {
        unreachable!()
    };
    assert_eq!(next_frame(&octets[first..], &limits), Ok(Frame::Filler(2)));
    let second = &octets[first + 2..];
    assert!(second.starts_with(b"INVITE"));
    assert!(matches!(
        next_frame(second, &limits),
        Ok(Frame::Message(_) | Frame::Incomplete)
    ));
}
