//! Overload control as requests meet it.

mod amplification;
mod refusals;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::directory::{AuthMode, Directory, Domain};
use crate::shard::contract::report::{LoopReport, RefusalReport};
use crate::shard::{
    Answered, AnsweredRequest, Command, CommandId, ConnectionId, Flow, Input, Options, Outbox,
    Reply, Shard, ShardId,
};
use crate::sip::Transport;

const SBC: &str = "10.0.0.9:5060";
const STRANGER: &str = "203.0.113.5:5060";

/// One shard, to which every request is new.
struct Lab {
    shard: Shard,
    now: Instant,
    out: Outbox,
    requests: u32,
}

fn directory(auth: AuthMode) -> Directory {
    let mut directory = Directory::default();
    let domain = Domain {
        auth,
        trusted: vec!["10.0.0.0/8".parse().unwrap()],
        open: true,
        ..Domain::new("abc.com")
    };
    directory.add_domain(domain, &[]).unwrap();
    directory
        .add_account("pbx", "abc.com", "secret")
        .unwrap()
        .is_feeder = true;
    directory
}

impl Lab {
    fn new(auth: AuthMode, overload: OverloadOptions) -> Self {
        let now = Instant::now();
        let options = Options {
            overload,
            notifies_per_turn: 1,
            ..Options::new(ShardId(0), 1, now, [1; 32])
        };
        Self {
            shard: Shard::new(options, Arc::new(directory(auth)), [2; 32]),
            now,
            out: Outbox::default(),
            requests: 0,
        }
    }

    /// Sends a request outside a dialog with new tags, Call-ID and branch. `more` is added to its
    /// headers.
    fn asked(&self, peer: &str, method: &str, from: &str, to: &str, more: &str) -> String {
        let number = self.requests;
        format!(
            "{method} sip:{to} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {peer};rport;branch=z9hG4bK{number}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:{from}>;tag=f{number}\r\nTo: <sip:{to}>\r\n\
             Call-ID: c{number}\r\nCSeq: {number} {method}\r\nContact: <sip:{peer}>\r\n\
             User-Agent: baresip v1.0.0\r\n{more}\r\n"
        )
    }

    /// The response to a message.
    fn ask(&mut self, peer: &str, method: &str, from: &str, to: &str, more: &str) -> String {
        self.requests += 1;
        let text = self.asked(peer, method, from, to, more);
        self.send(peer, &text)
    }

    fn subscribe(&mut self, peer: &str, from: &str, to: &str) -> String {
        let more = "Event: dialog\r\nExpires: 3600\r\n";
        self.ask(peer, "SUBSCRIBE", from, to, more)
    }

    fn send(&mut self, peer: &str, text: &str) -> String {
        let sent = self.out.transmits.len();
        let flow = Flow {
            transport: Transport::Udp,
            listener: 0,
            connection: ConnectionId::default(),
            local: "192.0.2.1:5060".parse().unwrap(),
            peer: peer.parse::<SocketAddr>().unwrap(),
        };
        let bytes = text.as_bytes();
        let input = Input::Message { flow, bytes };
        self.shard.handle(input, self.now, &mut self.out);
        let response = self.out.transmits[sent..].first();
        let response = response.map(|transmit| self.out.pieces(transmit).concat());
        String::from_utf8(response.unwrap_or_default()).unwrap()
    }

    /// The driver applies the outbox, and time passes.
    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.out.clear();
        while self.shard.poll_timeout().is_some_and(|due| due <= self.now) {
            self.shard.handle_timeout(self.now, &mut self.out);
            self.out.clear();
        }
    }

    fn refusals(&mut self) -> Vec<RefusalReport> {
        match self.command(Command::Refusals) {
            Reply::Refusals(refusals) => refusals,
            other => panic!("{other:?}"),
        }
    }

    fn loops(&mut self) -> Vec<LoopReport> {
        match self.command(Command::Loops) {
            Reply::Loops(loops) => loops,
            other => panic!("{other:?}"),
        }
    }

    /// A counter or the size of a table, as the operator sees it; None before its first count.
    fn gauge(&mut self, name: &str) -> Option<u64> {
        let Reply::Counters(counters) = self.command(Command::Counters) else {
            panic!("not the counters")
        };
        let mut counters = counters.values.into_iter();
        counters.find_map(|(known, value)| (known == name).then_some(value))
    }

    fn command(&mut self, command: Command) -> Reply {
        let input = Input::Command(CommandId(1), command);
        self.shard.handle(input, self.now, &mut self.out);
        let (_, reply) = self.out.replies.pop().unwrap();
        reply
    }

    fn counter(&mut self, name: &str) -> u64 {
        let counters = self.shard.counters.snapshot();
        counters.iter().find(|(known, _)| *known == name).unwrap().1
    }

    fn reload(&mut self, directory: Directory) {
        let command = Command::Reload(Arc::new(directory));
        let input = Input::Command(CommandId(1), command);
        self.shard.handle(input, self.now, &mut self.out);
    }
}

fn status(response: &str) -> &str {
    response.get(8..11).unwrap_or_default()
}

fn header<'a>(response: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = response.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate { per_second, burst }
}

/// W:A1.24, A1.21, G5
#[test]
fn only_the_looping_phone_is_limited() {
    let overload = OverloadOptions {
        phone: rate(10, 20),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    let first = lab.subscribe(SBC, "1@abc.com", "9@abc.com");
    let tag = header(&first, "To")
        .unwrap()
        .split_once(";tag=")
        .unwrap()
        .1
        .to_owned();
    let mut retries = BTreeSet::new();
    for request in 1..200 {
        let response = lab.subscribe(SBC, "1@abc.com", "9@abc.com");
        if request < 20 {
            assert_eq!(status(&response), "200", "{request}");
            continue;
        }
        assert_eq!(status(&response), "503", "{request}");
        retries.insert(
            header(&response, "Retry-After")
                .unwrap()
                .parse::<u64>()
                .unwrap(),
        );
    }
    assert!(retries.iter().all(|seconds| (10..=60).contains(seconds)));
    assert!(retries.len() > 20, "{retries:?}");
    assert_eq!(lab.counter("requests_shed_by_phone"), 180);
    // Its neighbour behind the same SBC, and its own live subscription.
    assert_eq!(status(&lab.subscribe(SBC, "2@abc.com", "9@abc.com")), "200");
    let refresh = format!(
        "SUBSCRIBE sip:192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {SBC};rport;branch=z9hG4bKr\r\n\
         From: <sip:1@abc.com>;tag=f1\r\nTo: <sip:9@abc.com>;tag={tag}\r\nCall-ID: c1\r\n\
         CSeq: 500 SUBSCRIBE\r\nContact: <sip:{SBC}>\r\nEvent: dialog\r\nExpires: 3600\r\n\r\n"
    );
    assert_eq!(status(&lab.send(SBC, &refresh)), "200");
    lab.pass(Duration::from_secs(1));
    let responses = (0..20).map(|_| lab.subscribe(SBC, "1@abc.com", "9@abc.com"));
    let served = responses
        .filter(|response| status(response) == "200")
        .count();
    assert_eq!(served, 10, "a second gives ten back");
}

/// W:A1.24, E3.12
#[test]
fn copies_of_one_request_are_one_request() {
    let overload = OverloadOptions {
        phone: rate(1, 1),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    let first = lab.subscribe(SBC, "1@abc.com", "9@abc.com");
    for _ in 0..1_000 {
        lab.requests = 0;
        assert_eq!(lab.subscribe(SBC, "1@abc.com", "9@abc.com"), first);
    }
    assert_eq!(lab.counter("subscriptions_created"), 1);
}

/// W:A1.24
#[test]
fn an_address_has_a_bucket_unless_the_domain_trusts_it() {
    let overload = OverloadOptions {
        source: rate(1, 3),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload.clone());
    let ask = |lab: &mut Lab, peer: &str| {
        let asked =
            (0..10).map(|phone| lab.subscribe(peer, &format!("{phone}@abc.com"), "9@abc.com"));
        let statuses: Vec<String> = asked.map(|response| status(&response).to_owned()).collect();
        statuses.join(" ")
    };
    assert_eq!(
        ask(&mut lab, STRANGER),
        "401 401 401 503 503 503 503 503 503 503"
    );
    assert_eq!(lab.counter("requests_shed_by_source"), 7);
    assert!(!ask(&mut lab, SBC).contains("503"), "trusted");
    assert!(!ask(&mut lab, "127.0.0.1:5060").contains("503"), "exempt");
    // All of a /64 is one host.
    let v6 = |host: u32| format!("[2001:db8::{host}]:5060");
    let asked =
        (1..5).map(|host| lab.subscribe(&v6(host), &format!("{host}@abc.com"), "9@abc.com"));
    let statuses: Vec<String> = asked.map(|response| status(&response).to_owned()).collect();
    assert_eq!(statuses, ["401", "401", "401", "503"]);
    // With `auth = "none"` every request is accepted without authentication.
    let mut lab = Lab::new(AuthMode::None, overload);
    assert!(!ask(&mut lab, STRANGER).contains("503"));
}

/// One tenant does not use up the server of the others.
#[test]
fn a_domain_has_a_bucket() {
    let overload = OverloadOptions {
        domain: rate(1, 3),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    for phone in 0..10 {
        let response = lab.subscribe(SBC, &format!("{phone}@abc.com"), "9@abc.com");
        assert_eq!(status(&response), if phone < 3 { "200" } else { "503" });
    }
    assert_eq!(lab.counter("requests_shed_by_domain"), 7);
    let shouted = lab.subscribe(SBC, "1@abc.com", "9@ABC.com");
    assert_eq!(status(&shouted), "503", "the same domain");
    let elsewhere = lab.subscribe(SBC, "1@abc.com", "9@other.net");
    assert_eq!(status(&elsewhere), "404");
    let feeder = lab.ask(
        SBC,
        "PUBLISH",
        "1@abc.com",
        "1@abc.com",
        "Event: dialog\r\n",
    );
    assert_eq!(status(&feeder), "400", "not held back: it has no body");
}

/// A storm of requests about one user does not delay the NOTIFYs of others.
#[test]
fn a_presentity_has_a_bucket() {
    let overload = OverloadOptions {
        presentity: rate(1, 3),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    for phone in 0..10 {
        let response = lab.subscribe(SBC, &format!("{phone}@abc.com"), "9@abc.com");
        assert_eq!(status(&response), if phone < 3 { "200" } else { "503" });
    }
    assert_eq!(lab.counter("requests_shed_by_presentity"), 7);
    let other = lab.subscribe(SBC, "1@abc.com", "8@abc.com");
    assert_eq!(status(&other), "200");
    for _ in 0..10 {
        let keepalive = lab.ask(SBC, "OPTIONS", "1@abc.com", "abc.com", "");
        assert_eq!(status(&keepalive), "200", "about no presentity");
    }
    let feeder = lab.ask(
        SBC,
        "PUBLISH",
        "1@abc.com",
        "9@abc.com",
        "Event: dialog\r\n",
    );
    assert_eq!(status(&feeder), "400", "not held back: it has no body");
}

/// A flood from one address, changing From and without credentials, about one user.
#[test]
fn a_flood_without_credentials_blocks_no_authenticated_phone() {
    let overload = OverloadOptions {
        presentity: rate(10, 40),
        source: rate(100, 400),
        domain: rate(10, 40),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    let mut responses = BTreeSet::new();
    for wave in 0..10 {
        for phone in 0..500 {
            let from = format!("w{wave}p{phone}@abc.com");
            let response = lab.subscribe(STRANGER, &from, "9@abc.com");
            responses.insert(status(&response).to_owned());
        }
        let phone = lab.subscribe(SBC, &format!("{wave}@abc.com"), "9@abc.com");
        assert_eq!(status(&phone), "200", "{wave}");
        let elsewhere = lab.subscribe("203.0.113.6:5060", "1@abc.com", "9@abc.com");
        assert_eq!(status(&elsewhere), "401", "{wave}");
        lab.pass(Duration::from_millis(100));
    }
    assert_eq!(
        responses,
        BTreeSet::from(["401".to_owned(), "503".to_owned()])
    );
    assert_eq!(lab.counter("requests_shed_by_presentity"), 0);
    assert_eq!(lab.counter("requests_shed_by_domain"), 0);
    assert!(lab.counter("requests_shed_by_source") > 4_500);
}

/// The flood comes from, or is forged from, the address of a phone. The phone has a live
/// subscription and keeps its share.
#[test]
fn a_known_phone_keeps_its_share_of_a_flooded_address() {
    let overload = OverloadOptions {
        source: rate(10, 400),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    lab.reload(directory(AuthMode::None));
    let known = |lab: &mut Lab, to: &str| {
        let contact = "Event: dialog\r\nExpires: 3600\r\n";
        let response = lab.ask(STRANGER, "SUBSCRIBE", "1@abc.com", to, contact);
        status(&response).to_owned()
    };
    assert_eq!(known(&mut lab, "9@abc.com"), "200");
    lab.reload(directory(AuthMode::Digest));
    let mut flooded = String::new();
    for phone in 0..1_000 {
        flooded = lab.subscribe("203.0.113.5:9", &format!("{phone}@abc.com"), "9@abc.com");
    }
    assert_eq!(status(&flooded), "503");
    for key in 0..100 {
        assert_eq!(known(&mut lab, &format!("{key}@abc.com")), "401", "{key}");
        let flooded = lab.subscribe("203.0.113.5:9", &format!("{key}@abc.com"), "9@abc.com");
        assert_eq!(status(&flooded), "503", "{key}");
        lab.pass(Duration::from_millis(100));
    }
}

/// RFC 3903 §9
#[test]
fn a_feeder_is_exempt_from_rate_limits_and_a_phone_is_not() {
    let overload = OverloadOptions {
        phone: rate(1, 3),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    let mut publish = |peer, from| {
        let mut responses = (0..10).map(|_| {
            let response = lab.ask(peer, "PUBLISH", from, "9@abc.com", "Event: dialog\r\n");
            status(&response).to_owned()
        });
        responses.any(|status| status == "503")
    };
    assert!(!publish(SBC, "1@abc.com"), "a trusted PBX");
    assert!(!publish(STRANGER, "pbx@abc.com"), "an account that feeds");
    assert!(publish(STRANGER, "1@abc.com"), "a phone");
}

/// RFC 3261 §21.5.4
#[test]
fn new_subscriptions_are_refused_before_options_and_refreshes_never() {
    let overload = OverloadOptions {
        backlog_max: 3,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    let first = lab.subscribe(SBC, "1@abc.com", "9@abc.com");
    let tag = header(&first, "To")
        .unwrap()
        .split_once(";tag=")
        .unwrap()
        .1
        .to_owned();
    let refresh = |number: u32| {
        format!(
            "SUBSCRIBE sip:192.0.2.1 SIP/2.0\r\n\
             Via: SIP/2.0/UDP {SBC};rport;branch=z9hG4bKr{number}\r\n\
             From: <sip:1@abc.com>;tag=f1\r\nTo: <sip:9@abc.com>;tag={tag}\r\nCall-ID: c1\r\n\
             CSeq: {number} SUBSCRIBE\r\nContact: <sip:{SBC}>\r\nEvent: dialog\r\n\r\n"
        )
    };
    // A turn sends the NOTIFYs that the one before queued; until then each request leaves one.
    lab.pass(Duration::ZERO);
    for phone in 2..5 {
        let response = lab.subscribe(SBC, &format!("{phone}@abc.com"), "9@abc.com");
        assert_eq!(status(&response), "200", "{phone}");
    }
    assert_eq!(lab.gauge("notifies_queued"), Some(3));
    let shed = lab.subscribe(SBC, "5@abc.com", "9@abc.com");
    assert_eq!(status(&shed), "503");
    assert!(header(&shed, "Retry-After").is_some());
    assert_eq!(
        status(&lab.ask(SBC, "OPTIONS", "5@abc.com", "abc.com", "")),
        "200"
    );
    assert_eq!(status(&lab.send(SBC, &refresh(700))), "200");
    let publish = lab.ask(
        SBC,
        "PUBLISH",
        "5@abc.com",
        "5@abc.com",
        "Event: dialog\r\n",
    );
    assert_eq!(status(&publish), "400", "not held back: it has no body");
    lab.pass(Duration::ZERO);
    assert_eq!(status(&lab.subscribe(SBC, "6@abc.com", "9@abc.com")), "200");
    // The driver is congested: only new subscriptions are refused.
    lab.shard.handle_congestion(true);
    assert_eq!(status(&lab.subscribe(SBC, "7@abc.com", "9@abc.com")), "503");
    assert_eq!(
        status(&lab.ask(SBC, "OPTIONS", "5@abc.com", "abc.com", "")),
        "200"
    );
    assert_eq!(status(&lab.send(SBC, &refresh(701))), "200");
    lab.shard.handle_congestion(false);
    assert_eq!(status(&lab.subscribe(SBC, "7@abc.com", "9@abc.com")), "200");
    assert_eq!(lab.counter("requests_shed_by_backlog"), 2);
}

#[test]
fn with_a_long_backlog_options_are_refused_too() {
    let overload = OverloadOptions {
        backlog_max: 0,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    assert_eq!(
        status(&lab.ask(SBC, "OPTIONS", "5@abc.com", "abc.com", "")),
        "503"
    );
    let publish = lab.ask(
        SBC,
        "PUBLISH",
        "5@abc.com",
        "5@abc.com",
        "Event: dialog\r\n",
    );
    assert_eq!(status(&publish), "400", "not held back: it has no body");
}

/// A PUBLISH with a call of that user in that state.
fn publish(lab: &mut Lab, user: &str, state: &str) -> String {
    let body = format!(
        "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"1\" state=\"full\" \
         entity=\"sip:{user}\"><dialog id=\"1\" call-id=\"a\"><state>{state}</state></dialog></dialog-info>"
    );
    let more = format!(
        "Event: dialog\r\nContent-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    lab.requests += 1;
    let text = lab.asked(SBC, "PUBLISH", user, user, &more);
    lab.send(SBC, text.trim_end())
}

/// RFC 3261 §21.5.4, RFC 3903 §9; RFC 3903 §4
#[test]
fn publishes_are_queued_in_order_behind_many_notifies() {
    let overload = OverloadOptions {
        postpone_at: 2,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    assert_eq!(status(&publish(&mut lab, "9@abc.com", "early")), "200");
    for phone in 1..4 {
        let peer = format!("10.0.0.{phone}:5060");
        lab.subscribe(&peer, &format!("{phone}@abc.com"), "9@abc.com");
    }
    lab.out.clear();
    assert_eq!(publish(&mut lab, "9@abc.com", "confirmed"), "");
    assert_eq!(publish(&mut lab, "8@abc.com", "confirmed"), "");
    assert_eq!(publish(&mut lab, "9@abc.com", "terminated"), "");
    assert_eq!(lab.counter("requests_postponed"), 3);
    assert_eq!(lab.counter("publications_accepted"), 1);
    let others = lab.ask(SBC, "OPTIONS", "5@abc.com", "abc.com", "");
    assert_eq!(status(&others), "200", "no other phone waits");

    let mut said = Vec::new();
    lab.out.clear();
    while lab.shard.poll_timeout().is_some_and(|due| due <= lab.now) {
        lab.shard.handle_timeout(lab.now, &mut lab.out);
        for transmit in &lab.out.transmits {
            let text = String::from_utf8(lab.out.pieces(transmit).concat()).unwrap();
            said.push(match text.starts_with("NOTIFY") {
                true => "NOTIFY".to_owned(),
                false => header(&text, "Call-ID").unwrap().to_owned(),
            });
        }
        lab.out.clear();
    }
    // One deferred PUBLISH per turn. In one turn only the first phone has a NOTIFY queued, and its
    // response is outstanding. In the last, few are queued, and the third phone gets the end at once.
    assert_eq!(said, ["NOTIFY", "c5", "c6", "NOTIFY", "c7", "NOTIFY"]);
    assert_eq!(lab.counter("publications_accepted"), 4);
    assert_eq!(lab.counter("requests_shed_by_backlog"), 0);
}

/// A storm of other changes does not delay a PUBLISH for ever.
#[test]
fn a_publish_waits_only_for_notifies_queued_before_it() {
    let overload = OverloadOptions {
        postpone_at: 1,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    lab.subscribe(SBC, "1@abc.com", "9@abc.com");
    for user in 0..5 {
        assert_eq!(publish(&mut lab, &format!("{user}@abc.com"), "early"), "");
    }
    let waited = Answered {
        request: AnsweredRequest::Publish,
        arrived: lab.now,
    };
    lab.now += Duration::from_millis(5);
    for turn in 1..=5 {
        lab.subscribe(SBC, &format!("{turn}0@abc.com"), "9@abc.com");
        lab.shard.handle_timeout(lab.now, &mut lab.out);
        assert!(lab.gauge("notifies_queued") > Some(0));
        assert_eq!(lab.out.answered.last(), Some(&waited), "the wait counts");
        assert_eq!(lab.counter("publications_accepted"), turn);
    }
}

/// PUBLISHes of unauthenticated senders do not delay a PUBLISH either.
#[test]
fn a_refused_publish_does_not_delay_the_next() {
    let overload = OverloadOptions {
        postpone_at: 1,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    for phone in 1..4 {
        lab.subscribe(SBC, &format!("{phone}@abc.com"), "9@abc.com");
    }
    for _ in 0..20 {
        let more = "Event: dialog\r\n";
        let strange = lab.ask(STRANGER, "PUBLISH", "9@abc.com", "9@abc.com", more);
        assert_eq!(strange, "");
    }
    assert_eq!(publish(&mut lab, "9@abc.com", "early"), "");
    lab.shard.handle_timeout(lab.now, &mut lab.out);
    assert!(lab.gauge("notifies_queued") > Some(0));
    assert_eq!(lab.counter("requests_challenged"), 20);
    assert_eq!(lab.counter("publications_accepted"), 1);
}

/// RFC 3261 §21.5.4
#[test]
fn when_the_publish_queue_is_full_the_oldest_is_processed() {
    let overload = OverloadOptions {
        postpone_at: 1,
        postponed_octets_max: 700,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    lab.subscribe(SBC, "1@abc.com", "9@abc.com");
    lab.out.clear();
    assert_eq!(publish(&mut lab, "9@abc.com", "early"), "");
    let oldest = publish(&mut lab, "8@abc.com", "early");
    assert_eq!(
        (status(&oldest), header(&oldest, "Call-ID")),
        ("200", Some("c2"))
    );
    assert_eq!(lab.counter("postponements_cut_short"), 1);
    lab.pass(Duration::ZERO);
    assert_eq!(lab.counter("publications_accepted"), 2);
    assert_eq!(lab.counter("requests_shed_by_backlog"), 0);
}

/// W:G5
#[test]
fn a_cached_refusal_is_repeated_until_a_reload() {
    let mut lab = Lab::new(AuthMode::Trusted, OverloadOptions::default());
    let repeated = |lab: &mut Lab| lab.counter("refusals_repeated");
    for (event, to, expected) in [
        ("as-dunno", "9@abc.com", "489"),
        ("dialog", "9@xyz.com", "404"),
    ] {
        let more = format!("Event: {event}\r\n");
        let before = repeated(&mut lab);
        let first = lab.ask(SBC, "SUBSCRIBE", "1@abc.com", to, &more);
        let again = lab.ask(SBC, "SUBSCRIBE", "1@abc.com", to, &more);
        assert_eq!((status(&first), status(&again)), (expected, expected));
        assert_eq!(
            header(&first, "Allow-Events"),
            header(&again, "Allow-Events")
        );
        assert_eq!(repeated(&mut lab), before + 1);
        let other = lab.ask("10.0.0.8:5060", "SUBSCRIBE", "1@abc.com", to, &more);
        assert_eq!((status(&other), repeated(&mut lab)), (expected, before + 1));
    }
    for _ in 0..2 {
        assert_eq!(
            status(&lab.subscribe(STRANGER, "1@abc.com", "9@abc.com")),
            "403"
        );
    }
    assert_eq!(repeated(&mut lab), 3);
    let mut mended = directory(AuthMode::None);
    mended
        .add_domain(
            Domain {
                auth: AuthMode::None,
                open: true,
                ..Domain::new("xyz.com")
            },
            &[],
        )
        .unwrap();
    lab.reload(mended);
    assert_eq!(
        status(&lab.subscribe(STRANGER, "1@abc.com", "9@abc.com")),
        "200"
    );
    let more = "Event: dialog\r\n";
    let response = lab.ask(SBC, "SUBSCRIBE", "1@abc.com", "9@xyz.com", more);
    assert_eq!(status(&response), "200");
}

/// W:A7.6: every challenge has a nonce of its own, or one phone would use up another's.
#[test]
fn a_cached_challenge_has_a_fresh_nonce() {
    let mut lab = Lab::new(AuthMode::Digest, OverloadOptions::default());
    let mut nonces = BTreeSet::new();
    for _ in 0..10 {
        let response = lab.subscribe(STRANGER, "1@abc.com", "9@abc.com");
        assert_eq!(status(&response), "401");
        let challenge = header(&response, "WWW-Authenticate").unwrap();
        nonces.insert(challenge.split("nonce=\"").nth(1).unwrap()[..24].to_owned());
    }
    assert_eq!(nonces.len(), 10);
    assert_eq!(lab.counter("refusals_repeated"), 9);
    lab.pass(Duration::from_secs(3));
    lab.subscribe(STRANGER, "1@abc.com", "9@abc.com");
    assert_eq!(lab.counter("refusals_repeated"), 9, "kept for 3 s");
    // A request whose refusal depends on the body is served every time.
    for _ in 0..2 {
        let publish = "Event: dialog\r\nContent-Length: 4\r\n\r\n<a/>";
        lab.ask(STRANGER, "PUBLISH", "1@abc.com", "1@abc.com", publish);
    }
    assert_eq!(lab.counter("refusals_repeated"), 9);
}

/// W:A1.12-A1.14: at most a tenth shorter, never longer, never too brief, and unchanged for a few.
#[test]
fn expiries_of_a_crowd_are_spread() {
    let overload = OverloadOptions {
        crowd: 10,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    let granted = |lab: &mut Lab, phone: u32, expires: u32| -> u32 {
        let more = format!("Event: dialog\r\nExpires: {expires}\r\n");
        let response = lab.ask(
            SBC,
            "SUBSCRIBE",
            &format!("{phone}@abc.com"),
            "9@abc.com",
            &more,
        );
        header(&response, "Expires").unwrap().parse().unwrap()
    };
    for phone in 0..100 {
        assert_eq!(granted(&mut lab, phone, 3_600), 3_600);
    }
    let spread: BTreeSet<u32> = (100..400)
        .map(|phone| granted(&mut lab, phone, 3_600))
        .collect();
    assert!(
        spread
            .iter()
            .all(|seconds| (3_240..=3_600).contains(seconds))
    );
    assert!(spread.len() > 100, "{spread:?}");
    let brief: BTreeSet<u32> = (400..500)
        .map(|phone| granted(&mut lab, phone, 62))
        .collect();
    assert_eq!(brief, BTreeSet::from([60, 61, 62]));
    assert_eq!(granted(&mut lab, 501, 60), 60);
    assert_eq!(granted(&mut lab, 502, 0), 0, "a fetch");
    lab.pass(Duration::from_secs(60));
    assert_eq!(granted(&mut lab, 503, 3_600), 3_600);
}

/// W:G5
#[test]
fn a_looping_phone_raises_an_alarm_and_is_listed() {
    let overload = OverloadOptions {
        phone: rate(10, 50),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    let mut alarms = Vec::new();
    for tick in 0..3_000 {
        lab.now += Duration::from_millis(10);
        lab.subscribe(SBC, "1@abc.com", "9@abc.com");
        if tick % 100 == 0 {
            // Other phones subscribe as usual.
            let response = lab.subscribe(SBC, &format!("p{tick}@abc.com"), "9@abc.com");
            assert_eq!(status(&response), "200");
        }
        alarms.append(&mut lab.out.alarms);
        lab.out.clear();
    }
    let [alarm] = &alarms[..] else {
        panic!("{alarms:?}")
    };
    assert_eq!(
        (alarm.phone.as_str(), alarm.target.as_str()),
        ("sip:1@abc.com", "sip:9@abc.com")
    );
    assert_eq!(
        (alarm.peer.to_string().as_str(), alarm.method.as_str()),
        (SBC, "SUBSCRIBE")
    );
    assert_eq!(alarm.user_agent, "baresip v1.0.0");
    assert!((5_500..6_500).contains(&alarm.per_minute()), "{alarm:?}");
    let [looping] = &lab.loops()[..] else {
        panic!("one phone loops")
    };
    assert_eq!((looping.status, lab.counter("loops_alarmed")), (503, 1));
    lab.pass(Duration::from_secs(120));
    assert!(lab.loops().is_empty());
}

/// Not a loop: a phone that is refused a few times, an attendant console that subscribes to all its
/// keys.
#[test]
fn a_booting_phone_is_not_looping() {
    let mut lab = Lab::new(AuthMode::Digest, OverloadOptions::default());
    for _ in 0..2 {
        for key in 0..1_000 {
            let response = lab.subscribe(STRANGER, "1@abc.com", &format!("{key}@abc.com"));
            assert_eq!(status(&response), "401");
        }
    }
    assert!(lab.loops().is_empty());
}

/// However many phones are invented, the list does not exceed its limit.
#[test]
fn the_list_of_looping_phones_is_bounded() {
    let overload = OverloadOptions {
        loop_per_minute: 2,
        loops_max: 5,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Trusted, overload);
    for phone in 0..20 {
        for _ in 0..3 {
            lab.subscribe(STRANGER, &format!("{phone}@abc.com"), "9@abc.com");
        }
    }
    assert_eq!(lab.loops().len(), 5);
    assert_eq!(lab.counter("loops_over_limit"), 15);
}

/// W:E3.8: not even the response to the shortest possible request amplifies.
#[test]
fn a_refusal_of_a_short_request_is_no_amplifier() {
    let mut lab = Lab::new(AuthMode::Digest, OverloadOptions::default());
    let via = "v:SIP/2.0/UDP 203.0.113.5;branch=z9hG4bK";
    for (number, method) in ["SUBSCRIBE", "NOTIFY", "PUBLISH", "INVITE", "OPTIONS", "X"]
        .into_iter()
        .enumerate()
    {
        for more in [
            "",
            "o:dialog\r\n",
            "o:x\r\n",
            "m:<sip:1@203.0.113.5>\r\no:dialog\r\n",
        ] {
            let request = format!(
                "{method} sip:9@abc.com SIP/2.0\r\n{via}{number}{}\r\nf:<sip:1@abc.com>;tag=1\r\n\
                 t:<sip:9@abc.com>\r\ni:{number}\r\nCSeq:1 {method}\r\n{more}\r\n",
                more.len()
            );
            let response = lab.send(STRANGER, &request);
            assert!(response.starts_with("SIP/2.0 "), "{request}");
            let (sent, got) = (request.len(), response.len());
            assert!(got * 2 <= sent * 3, "{got} > 1.5 * {sent}\n{response}");
        }
    }
}

/// W:E3.8: an unauthenticated sender gets at most 1.5 times the octets that it sent.
#[test]
fn a_response_to_an_unknown_sender_is_no_amplifier() {
    let mut lab = Lab::new(AuthMode::Digest, OverloadOptions::default());
    for (method, to, more) in [
        (
            "SUBSCRIBE",
            "9@abc.com",
            "Event: dialog\r\nExpires: 3600\r\nAccept: application/dialog-info+xml\r\n",
        ),
        ("SUBSCRIBE", "9@abc.com", "Event: as-dunno\r\n"),
        ("SUBSCRIBE", "9@nowhere", "Event: dialog\r\n"),
        ("PUBLISH", "9@abc.com", "Event: dialog\r\n"),
        ("INVITE", "9@abc.com", ""),
        ("OPTIONS", "9@abc.com", ""),
        ("OPTIONS", "192.0.2.1", ""),
        ("REGISTER", "9@abc.com", ""),
    ] {
        for _ in 0..2 {
            let response = lab.ask(STRANGER, method, "1@abc.com", to, more);
            let request = lab.asked(STRANGER, method, "1@abc.com", to, more).len();
            assert!(
                response.len() * 2 <= request * 3,
                "{} > 1.5 * {request}\n{response}",
                response.len()
            );
        }
    }
}
