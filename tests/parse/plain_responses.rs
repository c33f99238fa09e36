//! The fast reader of plain 200s gives the same result as the full parser, whatever damage is done
//! to the message. The converse is not required: a response that is not plain is left to the full
//! parser.

use crate::mutator::{XorShift, damage};
use crate::wild::MUTATIONS;
use lamplighter::sip::header::list_items;
use lamplighter::sip::message::{Framing, PlainResponse};
use lamplighter::sip::{HeaderName, Message, Method, StartLine};

/// Responses of phones, SBCs and proxies, with their different orders and spellings.
const SEEDS: &[&str] = &[
    "SIP/2.0 200 OK\r\n\
     Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK0000000000ed6c384e90e2a71bd5;rport=5060;received=10.0.0.1\r\n\
     From: <sip:101@abc.com>;tag=000000000000f28a70a922cdd6e3\r\nTo: \"Desk\" <sip:102@abc.com>;tag=y\r\n\
     Call-ID: c@p\r\nCSeq: 7 NOTIFY\r\nUser-Agent: Yealink SIP-T46S 66.86.0.15\r\nContent-Length: 0\r\n\r\n",
    "SIP/2.0 200 Okay then\r\nContent-Length: 0\r\nCSeq: 2147483647 NOTIFY\r\nCall-ID: c\r\nTo: sip:a@b\r\nFrom: sip:a@b;tag=1\r\n\
     Via: SIP/2.0/TCP sbc.abc.com;received=10.0.0.1;rport=5060;branch=z9hG4bK77\r\nServer: x\r\nSupported: replaces\r\n\r\n",
    "SIP/2.0 200 OK\r\nv: SIP/2.0/UDP a;branch=z9hG4bK1\r\nf: <sip:a@b>\r\nt: <sip:a@b>\r\ni: c\r\nCSeq: 1 NOTIFY\r\nl: 0\r\n\r\n",
    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK1\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: c\r\n\
     CSeq: 1 NOTIFY\r\nContact: <sip:102@10.0.0.2>\r\nAllow: NOTIFY\r\nContent-Length: 0\r\n\r\nSIP/2.0 200 OK\r\n",
];

/// Sent-by and branch of the plain ones.
const SENT: [(&[u8], &[u8]); 2] = [
    (b"10.0.0.1:5060", b"z9hG4bK0000000000ed6c384e90e2a71bd5"),
    (b"sbc.abc.com", b"z9hG4bK77"),
];

#[test]
fn the_plain_response_reader_agrees_with_the_parser() {
    let rounds =
        std::env::var("LAMPLIGHTER_FUZZ").map_or(MUTATIONS, |rounds| rounds.parse().unwrap());
    let seeds: Vec<Vec<u8>> = SEEDS.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    let mut random = XorShift(0x5eed);
    let mut plain = 0;
    for _ in 0..rounds {
        let mut octets = seeds[random.below(seeds.len())].clone();
        for _ in 0..random.below(4) {
            damage(&mut octets, &seeds, &mut random);
        }
        if let Some(response) = PlainResponse::read(&octets) {
            agree(&octets, Framing::Datagram, &response);
            plain += 1;
        }
        if let Some((response, length)) = PlainResponse::cut(&octets) {
            let message = agree(&octets[..length], Framing::Stream, &response);
            assert_eq!(message.bytes().len(), length);
        }
    }
    assert!(plain > rounds / 8, "{plain} of {rounds}");
}

/// The complete message, which has the same result as the plain response, and nothing else that the
/// engine uses of a 200.
fn agree<'a>(octets: &'a [u8], framing: Framing, response: &PlainResponse<'_>) -> Message<'a> {
    let text = octets.escape_ascii();
    let message = Message::parse(octets, framing).unwrap();
    let StartLine::Response { code: 200, .. } = message.start_line() else {
        panic!("no 200: {text}");
    };
    let one = |name| {
        let mut items = message.headers(name).flat_map(list_items);
        items.next().filter(|_| items.next().is_none())
    };
    assert!(one(HeaderName::Via).is_some(), "{text}");
    assert_eq!(message.headers(HeaderName::Contact).count(), 0, "{text}");
    assert_eq!(message.headers(HeaderName::RetryAfter).count(), 0, "{text}");
    let cseq = message.cseq().unwrap();
    assert_eq!(
        (cseq.number, cseq.method),
        (response.sequence, Method::Notify)
    );
    // A response matches only if branch and sent-by equal the sent ones, octet by octet; how other
    // values are read does not matter.
    if let Some(via) = message.via()
        && SENT.contains(&(response.sent_by, response.branch))
    {
        assert_eq!(via.branch, Some(response.branch), "{text}");
        let port = via.port.map(|port| format!(":{port}")).unwrap_or_default();
        assert_eq!(
            [via.host, port.as_bytes()].concat(),
            response.sent_by,
            "{text}"
        );
    }
    message
}
