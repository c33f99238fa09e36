//! What the operator sees of refusals: `lamplighter refusals`, the log, the counters.

use super::*;
use crate::shard::Reply;
use crate::shard::contract::flow::Arrived;
use crate::shard::overload::refusals::REFUSALS_MAX;
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;
use crate::sip::Message;
use crate::sip::message::Framing;
use crate::sip::random::Random;

const WRONG: &str = "Event: dialog\r\nAuthorization: Digest username=\"200\", realm=\"abc.com\", \
                     nonce=\"n\", uri=\"sip:9@abc.com\", response=\"00\", cnonce=\"c\", \
                     nc=00000001, qop=auth, algorithm=MD5\r\n";

#[test]
fn a_403_is_listed_and_counted() {
    let mut lab = Lab::new(AuthMode::Trusted, OverloadOptions::default());
    assert_eq!(lab.gauge("refused_subscribe_403"), None);
    for _ in 0..3 {
        let response = lab.subscribe(STRANGER, "1@abc.com", "9@abc.com");
        assert_eq!(status(&response), "403");
        lab.now += Duration::from_secs(1);
    }
    let input = Input::Command(CommandId(1), Command::Refusals);
    lab.shard.handle(input, lab.now, &mut lab.out);
    let Some((_, Reply::Refusals(reports))) = lab.out.replies.pop() else {
        panic!("a command has its reply")
    };
    let [report] = &reports[..] else {
        panic!("{reports:?}")
    };
    assert_eq!(report.peer.to_string(), STRANGER);
    assert_eq!((report.status, report.reason), (403, "Forbidden"));
    assert_eq!(report.method, "SUBSCRIBE");
    assert_eq!(
        (report.from.as_str(), report.to.as_str()),
        ("sip:1@abc.com", "sip:9@abc.com")
    );
    assert_eq!((report.count, report.age), (3, Duration::from_secs(1)));
    assert_eq!(lab.gauge("refused_subscribe_403"), Some(3));
    assert!(lab.out.failures.is_empty(), "no credentials failed");
}

/// A flood from invented phones fills the table at the limited rate, and not beyond its size.
#[test]
fn the_table_of_refusals_is_bounded() {
    let mut lab = Lab::new(AuthMode::Trusted, OverloadOptions::default());
    for phone in 0..100 {
        lab.subscribe(STRANGER, &format!("{phone}@abc.com"), "9@abc.com");
    }
    assert_eq!(lab.refusals().len(), 20);
    assert_eq!(lab.counter("refusals_unlisted"), 80);
    for phone in 100..500 {
        lab.now += Duration::from_millis(50);
        lab.subscribe(STRANGER, &format!("{phone}@abc.com"), "9@abc.com");
        if phone % 10 == 0 {
            lab.subscribe(STRANGER, "0@abc.com", "9@abc.com");
        }
    }
    let reports = lab.refusals();
    assert_eq!(reports.len(), REFUSALS_MAX);
    let find = |from: &str| reports.iter().find(|report| report.from == from);
    assert_eq!(find("sip:0@abc.com").map(|report| report.count), Some(41));
    assert!(find("sip:1@abc.com").is_none(), "seen least recently");
    assert!(find("sip:499@abc.com").is_some());
}

#[test]
fn an_ordinary_challenge_is_not_listed_and_is_no_failure() {
    let mut lab = Lab::new(AuthMode::Digest, OverloadOptions::default());
    let response = lab.subscribe(STRANGER, "1@abc.com", "9@abc.com");
    assert_eq!(status(&response), "401");
    assert!(lab.refusals().is_empty());
    assert!(lab.out.failures.is_empty());
    assert_eq!(lab.gauge("refused_subscribe_401"), Some(1));
}

/// W:A1.24
#[test]
fn requests_over_a_rate_limit_are_not_listed() {
    let overload = OverloadOptions {
        phone: rate(1, 1),
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::None, overload);
    for _ in 0..5 {
        lab.subscribe(SBC, "1@abc.com", "9@abc.com");
    }
    assert_eq!(lab.gauge("refused_subscribe_503"), Some(4));
    assert!(lab.refusals().is_empty());
}

/// W:E3.9
#[test]
fn wrong_credentials_are_logged_at_a_limited_rate() {
    let overload = OverloadOptions {
        wrong_max: 2,
        ..OverloadOptions::default()
    };
    let mut lab = Lab::new(AuthMode::Digest, overload);
    for _ in 0..30 {
        lab.ask(STRANGER, "SUBSCRIBE", "1@abc.com", "9@abc.com", WRONG);
    }
    let failures: Vec<_> = lab.out.failures.drain(..).collect();
    let reasons: Vec<_> = failures.iter().map(|failure| failure.reason).collect();
    assert_eq!(reasons[..2], ["wrong credentials"; 2]);
    assert_eq!(reasons[2..], ["too many attempts"; 8]);
    assert_eq!(failures[0].address.to_string(), "203.0.113.5");
    assert_eq!(failures[0].user, "200");
    assert_eq!(lab.counter("failures_unlogged"), 20);
    let mut reports = lab.refusals();
    reports.sort_by_key(|report| report.status);
    let shown: Vec<_> = reports
        .iter()
        .map(|report| {
            (
                report.status,
                report.reason,
                report.user.as_deref(),
                report.count,
            )
        })
        .collect();
    let expected = [
        (401, "Unauthorized", Some("200"), 2),
        (403, "Too Many Attempts", Some("200"), 28),
    ];
    assert_eq!(shown, expected);
    lab.now += Duration::from_secs(1);
    for _ in 0..30 {
        lab.ask(STRANGER, "SUBSCRIBE", "1@abc.com", "9@abc.com", WRONG);
    }
    assert_eq!(lab.out.failures.len(), 5);
}

#[test]
fn a_foreign_from_is_reported_to_the_log() {
    let mut lab = Lab::new(AuthMode::Digest, OverloadOptions::default());
    let text = lab.asked(STRANGER, "SUBSCRIBE", "1@abc.com", "9@abc.com", "");
    let message = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
    let flow = Flow {
        transport: Transport::Tcp,
        listener: 0,
        connection: ConnectionId::default(),
        local: "192.0.2.1:5060".parse().unwrap(),
        peer: "[::ffff:203.0.113.5]:5060".parse().unwrap(),
    };
    let request = Request::new(&message, Arrived { flow, at: lab.now }, None);
    let refusal = Refusal::ForeignFrom;
    let (_, mut turn) = lab.shard.turn(lab.now, &mut lab.out);
    let mut uas = Uas::new(turn.options, &mut Random::new([7; 32]));
    uas.refuse(&request, &refusal, &mut turn);
    let [failure] = &lab.out.failures[..] else {
        panic!("{:?}", lab.out.failures)
    };
    assert_eq!(failure.reason, "From of another user");
    assert_eq!(failure.user, "sip:1@abc.com");
    assert_eq!(failure.address.to_string(), "203.0.113.5");
}
