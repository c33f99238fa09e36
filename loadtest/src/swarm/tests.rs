//! A swarm without a network: prepared messages in, messages out.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::swarm::key::{Key, UserKey};
use crate::wire::dialog_info::{Lamp, PublishedCall};
use crate::wire::{dialog_info, message};

/// The headers of a 200 besides those copied from its request.
const ANSWERED: &str = "Contact: <sip:s@127.0.0.1:5060>\r\nExpires: 3600\r\nContent-Length";

/// One phone that watches a list of three users.
fn list_swarm(now: Instant) -> Swarm {
    let scenario = Scenario {
        phones: 1,
        keys: 1,
        presentities: 3,
        list_size: 3,
        ..Scenario::default()
    };
    swarm(scenario, now)
}

/// A swarm behind one address.
fn swarm(scenario: Scenario, now: Instant) -> Swarm {
    let target = Target {
        server: "127.0.0.1:5060".parse().unwrap(),
        domain: "abc.com".to_owned(),
        user_prefix: "1".to_owned(),
        username: None,
        password: None,
        http: None,
    };
    let ports = LocalPorts {
        addresses: vec!["127.0.0.1:40001".to_owned()],
        links: Vec::new(),
    };
    Swarm::new(scenario, target, ports, 0xfeed, now)
}

fn only(outbox: &mut Outbox) -> String {
    let messages: Vec<String> = outbox
        .messages()
        .map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .collect();
    outbox.clear();
    assert_eq!(messages.len(), 1, "{messages:?}");
    messages.into_iter().next().unwrap()
}

fn respond(request: &str) -> String {
    let mut out = Vec::new();
    let request = message::scan(request.as_bytes()).unwrap();
    request.respond("SIP/2.0 200 OK", &mut out);
    let text = String::from_utf8(out).unwrap();
    let tagged = |line: &str| match line.starts_with("To:") {
        true => format!("{line};tag=s"),
        false => line.to_owned(),
    };
    let lines: Vec<String> = text.split("\r\n").map(tagged).collect();
    lines.join("\r\n").replace("Content-Length", ANSWERED)
}

/// A list's NOTIFY: users with the version of their document and a lamp.
fn notify(sequence: u32, version: u32, full: bool, users: &[(u32, u32, Lamp)]) -> String {
    let mut resources = String::new();
    let mut parts = String::new();
    for (user, document, lamp) in users {
        resources.push_str(&format!(
            "<resource uri=\"sip:100{user}@abc.com\"><name>100{user}</name>\
             <instance id=\"i\" state=\"active\" cid=\"c{user}@h\"/></resource>"
        ));
        let body = dialog_info::write(&PublishedCall {
            address: &format!("100{user}@abc.com"),
            number: 1,
            run: "0000feed",
            version: *document,
            lamp: *lamp,
        });
        let body = String::from_utf8(body).unwrap();
        parts.push_str(&format!(
            "\r\n--b\r\nContent-ID: <c{user}@h>\r\n\
             Content-Type: application/dialog-info+xml\r\n\r\n{body}"
        ));
    }
    let body = format!(
        "--b\r\nContent-ID: <r@h>\r\nContent-Type: application/rlmi+xml\r\n\r\n\
         <list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:rls@abc.com\" \
         version=\"{version}\" fullState=\"{full}\">{resources}</list>{parts}\r\n--b--\r\n"
    );
    format!(
        "NOTIFY sip:1000-0@127.0.0.1:40001 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{sequence}\r\nMax-Forwards: 70\r\n\
         From: <sip:rls@abc.com>;tag=s\r\nTo: <sip:1000@abc.com>;tag=0.0-0000feed\r\n\
         Call-ID: 0.0-0000feed@load\r\nCSeq: {sequence} NOTIFY\r\n\
         Contact: <sip:s@127.0.0.1:5060>\r\nEvent: dialog\r\nRequire: eventlist\r\n\
         Subscription-State: active;expires=3600\r\n\
         Content-Type: multipart/related;type=\"application/rlmi+xml\";start=\"<r@h>\";boundary=b\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The swarm after the response to its SUBSCRIBE.
fn subscribed(now: Instant) -> (Swarm, Outbox) {
    let mut swarm = list_swarm(now);
    let mut outbox = Outbox::default();
    swarm.handle_timeout(now, &mut outbox);
    let subscribe = only(&mut outbox);
    assert!(subscribe.starts_with("SUBSCRIBE sip:rls@abc.com SIP/2.0\r\n"));
    for line in [
        "Supported: eventlist\r\n",
        "Require: recipient-list-subscribe\r\n",
        "<entry uri=\"sip:1001@abc.com\"/>",
        "application/rlmi+xml",
    ] {
        assert!(subscribe.contains(line), "{line}: {subscribe}");
    }
    swarm.handle(0, respond(&subscribe).as_bytes(), now, &mut outbox);
    (swarm, outbox)
}

const ALL: [(u32, u32, Lamp); 3] = [(0, 0, Lamp::Off), (1, 0, Lamp::Off), (2, 0, Lamp::Off)];

#[test]
fn a_list_is_checked_in_full_and_in_part() {
    let now = Instant::now();
    let (mut swarm, mut outbox) = subscribed(now);
    swarm.handle(0, notify(7, 0, true, &ALL).as_bytes(), now, &mut outbox);
    assert!(only(&mut outbox).starts_with("SIP/2.0 200 OK"));
    assert!(swarm.tally().is_clean(), "{:?}", swarm.tally());
    assert_eq!(swarm.tally().notifies, 1);
    assert!(swarm.endpoints.is_idle());
    // One user rings: a partial list with only that user.
    let (parts, mut turn) = swarm.turn(now, &mut outbox);
    let user = UserKey::from_number(2);
    parts.endpoints.change(user, Lamp::Ringing, now, &mut turn);
    assert!(only(&mut outbox).starts_with("PUBLISH sip:1002@abc.com"));
    let partial = notify(8, 1, false, &[(2, 1, Lamp::Ringing)]);
    swarm.handle(0, partial.as_bytes(), now, &mut outbox);
    assert!(swarm.tally().is_clean(), "{:?}", swarm.tally());
    assert_eq!(swarm.tally().lamps, 1);
}

#[test]
fn each_fault_of_a_list_is_found() {
    let now = Instant::now();
    let first = |text: String| {
        let (mut swarm, mut outbox) = subscribed(now);
        swarm.handle(0, text.as_bytes(), now, &mut outbox);
        swarm.tally().clone()
    };
    assert_eq!(first(notify(7, 0, true, &ALL)).wrong, 0);
    assert_eq!(
        first(notify(7, 3, true, &ALL)).wrong,
        1,
        "the first version"
    );
    assert_eq!(
        first(notify(7, 0, false, &ALL)).wrong,
        1,
        "partial at first"
    );
    assert_eq!(first(notify(7, 0, true, &ALL[1..])).wrong, 1, "not all");
    let strange = [(0, 0, Lamp::Off), (1, 0, Lamp::Off), (7, 0, Lamp::Off)];
    assert_eq!(first(notify(7, 0, true, &strange)).wrong, 1, "no member");
    let lit = [(0, 0, Lamp::Busy), ALL[1], ALL[2]];
    assert_eq!(
        first(notify(7, 0, true, &lit)).wrong,
        1,
        "a lamp never reported"
    );
    let other = notify(7, 0, true, &ALL).replace("uri=\"sip:rls@", "uri=\"sip:rlt@");
    assert_eq!(first(other).wrong, 1, "another list");

    let second = |text: String| {
        let (mut swarm, mut outbox) = subscribed(now);
        swarm.handle(0, notify(7, 0, true, &ALL).as_bytes(), now, &mut outbox);
        swarm.handle(0, text.as_bytes(), now, &mut outbox);
        swarm.tally().clone()
    };
    assert_eq!(second(notify(8, 0, false, &[])).duplicate, 1);
    assert_eq!(second(notify(8, 3, false, &[])).lost, 2);
    assert_eq!(second(notify(9, 1, false, &[])).out_of_order, 1);
}
