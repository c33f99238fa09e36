#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;

use super::*;
use crate::sip::message::Framing;
use crate::sip::random::{Random, rounds};

const KEY: [u64; 2] = [0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908];

fn transactions() -> ServerTransactions {
    ServerTransactions::new(64 * 1024, KEY)
}

/// A request of that method whose topmost Via is `via`, without a To-tag.
fn request_by(method: &str, via: &str) -> String {
    format!(
        "{method} sip:123@abc.com SIP/2.0\r\nVia: {via}\r\nVia: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKfirst\r\n\
         Max-Forwards: 70\r\nFrom: <sip:200@abc.com>;tag=q1\r\nTo: <sip:123@abc.com>\r\nCall-ID: c1@10.0.0.7\r\n\
         CSeq: 4 {method}\r\nContent-Length: 0\r\n\r\n"
    )
}

fn subscribe(branch: &str) -> String {
    request_by(
        "SUBSCRIBE",
        &format!("SIP/2.0/UDP 10.0.0.7:5060;branch={branch}"),
    )
}

/// A different request for each number.
fn numbered(number: u32) -> String {
    subscribe(&format!("z9hG4bK{number:06}")).replace("Call-ID: c1", &format!("Call-ID: c{number}"))
}

fn parse(text: &str) -> Message<'_> {
    let message = Message::parse(text.as_bytes(), Framing::Datagram).unwrap();
    assert_eq!(message.fault(), None, "{text}");
    message
}

/// The result of `begin`, by value.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    New,
    UnderWay,
    Answered(Vec<u8>),
    Merged,
}

fn begin(
    transactions: &mut ServerTransactions,
    text: &str,
    now: Instant,
) -> (TransactionKey, Seen) {
    let (key, arrival) = transactions.begin(&parse(text), now);
    let seen = match arrival {
        Arrival::New => Seen::New,
        Arrival::UnderWay => Seen::UnderWay,
        Arrival::Answered(octets) => Seen::Answered(octets.to_vec()),
        Arrival::Merged => Seen::Merged,
    };
    (key, seen)
}

fn respond(transactions: &mut ServerTransactions, text: &str, response: &[u8], now: Instant) {
    let (key, seen) = begin(transactions, text, now);
    assert_eq!(seen, Seen::New);
    transactions.complete(key, response, false, now);
}

fn seen(transactions: &mut ServerTransactions, text: &str, now: Instant) -> Seen {
    begin(transactions, text, now).1
}

#[test]
fn a_thousand_copies_get_one_response() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = subscribe("z9hG4bK1");
    let (key, first) = begin(&mut transactions, &text, now);
    assert_eq!(first, Seen::New);
    assert_eq!(seen(&mut transactions, &text, now), Seen::UnderWay);
    transactions.complete(key, b"SIP/2.0 200 OK", false, now);
    for _ in 0..1000 {
        assert_eq!(
            seen(&mut transactions, &text, now),
            Seen::Answered(b"SIP/2.0 200 OK".to_vec())
        );
    }
    assert_eq!(
        (transactions.entries(), transactions.evicted_early()),
        (1, 0)
    );
}

#[test]
fn branch_and_host_compare_without_case_and_the_default_port_is_filled_in() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = request_by("SUBSCRIBE", "SIP/2.0/UDP Phone.abc.com;branch=z9hG4bKaBc");
    respond(&mut transactions, &text, b"yes", now);
    for via in [
        "SIP/2.0/UDP phone.ABC.com:5060;branch=Z9HG4BKABC",
        "SIP / 2.0 / UDP  phone.abc.com : 5060 ;rport; branch=z9hG4bKabc",
    ] {
        assert_eq!(
            seen(&mut transactions, &request_by("SUBSCRIBE", via), now),
            Seen::Answered(b"yes".to_vec()),
            "{via}"
        );
    }
}

#[test]
fn another_branch_host_port_or_method_is_another_transaction() {
    let (mut transactions, now) = (transactions(), Instant::now());
    respond(&mut transactions, &subscribe("z9hG4bK1"), b"yes", now);
    for (method, via) in [
        ("SUBSCRIBE", "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK2"),
        ("SUBSCRIBE", "SIP/2.0/UDP 10.0.0.7:5061;branch=z9hG4bK1"),
        ("SUBSCRIBE", "SIP/2.0/UDP 10.0.0.8:5060;branch=z9hG4bK1"),
        ("SUBSCRIBE", "SIP/2.0/TLS 10.0.0.7;branch=z9hG4bK1"),
        ("PUBLISH", "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK1"),
    ] {
        let text = request_by(method, via).replace("Call-ID: c1", "Call-ID: c2");
        let (key, first) = begin(&mut transactions, &text, now);
        assert_eq!(first, Seen::New, "{method} {via}");
        transactions.complete(key, b"", true, now);
    }
}

#[test]
fn the_same_request_by_another_path_is_merged() {
    let (mut transactions, now) = (transactions(), Instant::now());
    respond(&mut transactions, &subscribe("z9hG4bK1"), b"yes", now);
    let (key, other_path) = begin(&mut transactions, &subscribe("z9hG4bK2"), now);
    assert_eq!(other_path, Seen::Merged);
    transactions.complete(key, b"482", false, now);
    assert_eq!(
        seen(&mut transactions, &subscribe("z9hG4bK2"), now),
        Seen::Merged
    );
    assert_eq!(
        seen(&mut transactions, &subscribe("z9hG4bK1"), now),
        Seen::Answered(b"yes".to_vec())
    );
    assert_eq!(transactions.entries(), 1);

    let differs = |from: &str, to: &str| subscribe("z9hG4bK3").replace(from, to);
    for text in [
        differs("CSeq: 4", "CSeq: 5"),
        differs("tag=q1", "tag=q2"),
        differs("Call-ID: c1", "Call-ID: c2"),
        differs("To: <sip:123@abc.com>", "To: <sip:123@abc.com>;tag=ours"),
        differs("SUBSCRIBE", "PUBLISH"),
    ] {
        let mut transactions = transactions_with(&subscribe("z9hG4bK1"), now);
        assert_eq!(seen(&mut transactions, &text, now), Seen::New, "{text}");
    }
    let later = now + TIMER_J;
    assert_eq!(
        seen(&mut transactions, &subscribe("z9hG4bK2"), later),
        Seen::New,
        "the first one is past its time"
    );
}

fn transactions_with(text: &str, now: Instant) -> ServerTransactions {
    let mut transactions = transactions();
    respond(&mut transactions, text, b"yes", now);
    transactions
}

/// W:A4.5
#[test]
fn a_client_may_use_one_branch_for_all_its_requests() {
    let (mut transactions, now) = (transactions(), Instant::now());
    respond(&mut transactions, &subscribe("z9hG4bK1"), b"yes", now);
    for (from, to) in [("Call-ID: c1", "Call-ID: c2"), ("CSeq: 4", "CSeq: 5")] {
        let other = subscribe("z9hG4bK1").replace(from, to);
        assert_eq!(seen(&mut transactions, &other, now), Seen::New, "{to}");
    }
}

#[test]
fn requests_within_a_dialog_are_never_merged() {
    let (mut transactions, now) = (transactions(), Instant::now());
    for branch in ["z9hG4bK1", "z9hG4bK2", "z9hG4bK3"] {
        let text =
            subscribe(branch).replace("To: <sip:123@abc.com>", "To: <sip:123@abc.com>;tag=ours");
        respond(&mut transactions, &text, b"yes", now);
    }
}

#[test]
fn timer_j_counts_from_the_response() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = subscribe("z9hG4bK1");
    let (key, _) = begin(&mut transactions, &text, now);
    let answered = now + Duration::from_secs(20);
    transactions.complete(key, b"yes", false, answered);
    let end = answered + TIMER_J;
    assert_eq!(
        seen(&mut transactions, &text, end - Duration::from_nanos(1)),
        Seen::Answered(b"yes".to_vec())
    );
    assert_eq!(seen(&mut transactions, &text, end), Seen::New);
    assert_eq!(
        (transactions.entries(), transactions.evicted_early()),
        (1, 0)
    );
}

#[test]
fn a_response_after_32_seconds_is_not_remembered() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = subscribe("z9hG4bK1");
    let (key, _) = begin(&mut transactions, &text, now);
    let late = now + TIMER_J;
    transactions.complete(key, b"late", false, late);
    assert_eq!(transactions.entries(), 0);
    assert_eq!(seen(&mut transactions, &text, late), Seen::New);
}

#[test]
fn a_reliable_transport_keeps_nothing() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = subscribe("z9hG4bK1").replace("UDP 10.0.0.7", "TCP 10.0.0.7");
    let (key, _) = begin(&mut transactions, &text, now);
    transactions.complete(key, b"yes", true, now);
    assert_eq!(transactions.entries(), 0);
    assert_eq!(seen(&mut transactions, &text, now), Seen::New);
}

#[test]
fn a_held_response_is_not_given_before_it_is_released() {
    let text = subscribe("z9hG4bK1");
    for is_reliable in [true, false] {
        let (mut transactions, now) = (transactions(), Instant::now());
        let (key, _) = begin(&mut transactions, &text, now);
        assert!(transactions.hold(key, b"yes", now));
        respond(&mut transactions, &numbered(7), b"other", now);
        // Longer than Timer J.
        let later = now + Duration::from_secs(100);
        assert_eq!(seen(&mut transactions, &text, later), Seen::UnderWay);
        let other_path = subscribe("z9hG4bK2");
        assert_eq!(seen(&mut transactions, &other_path, later), Seen::Merged);
        transactions.forget(key);
        transactions.complete(key, b"no", false, later);
        let released = transactions.release(key, is_reliable, later);
        assert_eq!(released, Some(&b"yes"[..]));
        assert_eq!(transactions.release(key, is_reliable, later), None);
        let last = later + TIMER_J - Duration::from_nanos(1);
        let wanted = match is_reliable {
            true => Seen::New,
            false => Seen::Answered(b"yes".to_vec()),
        };
        assert_eq!(seen(&mut transactions, &text, last), wanted);
        assert_eq!(transactions.evicted_early(), 0);
    }
}

#[test]
fn only_the_newest_holds_its_response() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let (key, _) = begin(&mut transactions, &numbered(1), now);
    respond(&mut transactions, &numbered(2), b"other", now);
    assert!(!transactions.hold(key, b"yes", now));
    assert!(!transactions.hold(TransactionKey::NONE, b"yes", now));
    assert_eq!(seen(&mut transactions, &numbered(1), now), Seen::UnderWay);
    assert_eq!(transactions.release(key, false, now), None);
    transactions.complete(key, b"yes", false, now);
    assert_eq!(
        seen(&mut transactions, &numbered(1), now),
        Seen::Answered(b"yes".to_vec())
    );
}

/// What is held is never evicted, and half of the ring is left for others.
#[test]
fn held_responses_take_half_of_the_ring() {
    let now = Instant::now();
    let mut transactions = ServerTransactions::new(16 * 1024, KEY);
    let mut held = Vec::new();
    for number in 0..100 {
        let (key, arrival) = begin(&mut transactions, &numbered(number), now);
        assert_eq!(arrival, Seen::New);
        if transactions.hold(key, &[b'x'; 700], now) {
            held.push((number, key));
        } else {
            transactions.complete(key, &[b'x'; 700], false, now);
        }
    }
    assert_eq!(held.len(), 8 * 1024 / 700);
    for (number, key) in held {
        let arrival = seen(&mut transactions, &numbered(number), now);
        assert_eq!(arrival, Seen::UnderWay);
        let released = transactions.release(key, false, now);
        assert_eq!(released, Some(&[b'x'; 700][..]));
    }
    let again = (200..210).filter(|number| {
        let (key, _) = begin(&mut transactions, &numbered(*number), now);
        transactions.hold(key, &[b'x'; 700], now)
    });
    assert!(again.count() > 0, "there is room for others again");
}

#[test]
fn a_forgotten_transaction_is_new_again() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = subscribe("z9hG4bK1");
    let (key, _) = begin(&mut transactions, &text, now);
    transactions.forget(key);
    transactions.complete(key, b"late", false, now);
    assert_eq!(transactions.entries(), 0);
    respond(&mut transactions, &text, b"yes", now);
    transactions.forget(key);
    assert_eq!(
        seen(&mut transactions, &text, now),
        Seen::Answered(b"yes".to_vec())
    );
}

#[test]
fn completing_a_transaction_twice_does_nothing() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let text = subscribe("z9hG4bK1");
    let (key, _) = begin(&mut transactions, &text, now);
    transactions.complete(key, b"first", false, now);
    transactions.complete(key, b"second", false, now);
    transactions.complete(key, b"", true, now);
    assert_eq!(
        seen(&mut transactions, &text, now),
        Seen::Answered(b"first".to_vec())
    );
    let later = now + TIMER_J;
    let (again, _) = begin(&mut transactions, &text, later);
    transactions.complete(key, b"of the old one", false, later);
    assert_eq!(seen(&mut transactions, &text, later), Seen::UnderWay);
    transactions.complete(again, b"of the new one", false, later);
    assert_eq!(
        seen(&mut transactions, &text, later),
        Seen::Answered(b"of the new one".to_vec())
    );
}

#[test]
fn an_ack_belongs_to_its_invite_and_is_never_remembered() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let via = "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK1";
    assert_eq!(
        seen(&mut transactions, &request_by("ACK", via), now),
        Seen::New
    );
    assert_eq!(transactions.entries(), 0);
    respond(&mut transactions, &request_by("INVITE", via), b"405", now);
    assert_eq!(
        seen(&mut transactions, &request_by("INVITE", via), now),
        Seen::Answered(b"405".to_vec())
    );
    let ack =
        request_by("ACK", via).replace("To: <sip:123@abc.com>", "To: <sip:123@abc.com>;tag=ours");
    assert_eq!(seen(&mut transactions, &ack, now), Seen::UnderWay);
}

#[test]
fn a_cancel_is_its_own_transaction() {
    let (mut transactions, now) = (transactions(), Instant::now());
    let cancel = request_by("CANCEL", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK1");
    assert!(!transactions.knows_cancelled(&parse(&cancel), now));
    respond(&mut transactions, &subscribe("z9hG4bK1"), b"yes", now);
    assert!(transactions.knows_cancelled(&parse(&cancel), now));
    assert!(!transactions.knows_cancelled(&parse(&cancel), now + TIMER_J));
    respond(&mut transactions, &cancel, b"200", now);
    assert_eq!(
        seen(&mut transactions, &cancel, now),
        Seen::Answered(b"200".to_vec())
    );
}

#[test]
fn rfc_2543_requests_match_by_everything() {
    let now = Instant::now();
    for parameters in ["", ";branch=1", ";branch=z9hG4bK", ";branch=Z9HG4BK;rport"] {
        let text = request_by(
            "SUBSCRIBE",
            &format!("SIP/2.0/UDP 10.0.0.7:5060{parameters}"),
        );
        let mut transactions = transactions_with(&text, now);
        assert_eq!(
            seen(&mut transactions, &text, now),
            Seen::Answered(b"yes".to_vec()),
            "{text}"
        );
        for (from, to, seen_as) in [
            ("10.0.0.7:5060", "10.0.0.7:5061", Seen::Merged),
            ("SUBSCRIBE sip:123@", "SUBSCRIBE sip:124@", Seen::Merged),
            ("CSeq: 4", "CSeq: 5", Seen::New),
            ("tag=q1", "tag=q2", Seen::New),
            ("Call-ID: c1", "Call-ID: C1", Seen::New),
            (
                "To: <sip:123@abc.com>",
                "To: <sip:123@abc.com>;tag=x",
                Seen::New,
            ),
        ] {
            let mut transactions = transactions_with(&text, now);
            assert_eq!(
                seen(&mut transactions, &text.replacen(from, to, 1), now),
                seen_as,
                "{parameters} {from}"
            );
        }
    }
    let invite = request_by("INVITE", "SIP/2.0/UDP 10.0.0.7:5060");
    let mut transactions = transactions_with(&invite, now);
    let ack = request_by("ACK", "SIP/2.0/UDP 10.0.0.7:5060")
        .replace("To: <sip:123@abc.com>", "To: <sip:123@abc.com>;tag=x");
    assert_eq!(seen(&mut transactions, &ack, now), Seen::UnderWay);
}

/// Identities cannot be made to collide on purpose, so the index is manipulated directly.
#[test]
fn a_hash_collision_never_returns_another_response() {
    let (mut transactions, now) = (transactions(), Instant::now());
    respond(&mut transactions, &numbered(1), b"one", now);
    respond(&mut transactions, &numbered(2), b"two", now);
    let one = transactions.identify(&parse(&numbered(1))).unwrap();
    let two = transactions.identify(&parse(&numbered(2))).unwrap();
    let number = |hash| transactions.indexed(hash).next().unwrap().0;
    let (own, others) = (number(one.hash), number(two.hash));
    transactions.index.insert(one.hash, others);
    transactions.index.remove(one.hash, own);
    assert_eq!(seen(&mut transactions, &numbered(1), now), Seen::New);
    assert_eq!(
        seen(&mut transactions, &numbered(2), now),
        Seen::Answered(b"two".to_vec())
    );
}

#[test]
fn a_response_larger_than_the_ring_is_not_stored() {
    let now = Instant::now();
    let mut transactions = ServerTransactions::new(1024, KEY);
    respond(&mut transactions, &numbered(1), b"one", now);
    respond(&mut transactions, &numbered(2), &[b'x'; 1024], now);
    assert_eq!(
        seen(&mut transactions, &numbered(1), now),
        Seen::Answered(b"one".to_vec()),
        "no response was evicted without need"
    );
    assert_eq!(
        (transactions.entries(), transactions.evicted_early()),
        (1, 1)
    );
    let (key, second) = begin(&mut transactions, &numbered(2), now);
    assert_eq!(second, Seen::New);
    transactions.complete(key, b"two", false, now);
    assert_eq!(
        seen(&mut transactions, &numbered(2), now),
        Seen::Answered(b"two".to_vec())
    );

    let mut nothing = ServerTransactions::new(0, KEY);
    respond(&mut nothing, &numbered(1), b"one", now);
    assert_eq!(seen(&mut nothing, &numbered(1), now), Seen::New);
    assert_eq!(nothing.entries(), 0);
}

#[test]
fn the_oldest_goes_first_and_is_counted() {
    let now = Instant::now();
    let mut transactions = ServerTransactions::new(4096, KEY);
    for number in 0..100 {
        respond(&mut transactions, &numbered(number), &[b'x'; 500], now);
    }
    let kept = transactions.entries();
    assert!((5..=8).contains(&kept), "{kept}");
    assert_eq!(transactions.evicted_early(), 100 - kept as u64);
    assert_eq!(
        seen(&mut transactions, &numbered(99), now),
        Seen::Answered(vec![b'x'; 500])
    );
}

#[test]
fn expired_responses_are_evicted_without_being_counted() {
    let mut now = Instant::now();
    let mut transactions = ServerTransactions::new(4096, KEY);
    for number in 0..100 {
        respond(&mut transactions, &numbered(number), &[b'x'; 500], now);
        now += Duration::from_secs(8);
    }
    assert_eq!(transactions.evicted_early(), 0);
    assert!(transactions.entries() <= 5);
}

#[test]
fn a_pending_transaction_survives_a_storm() {
    let now = Instant::now();
    let mut transactions = ServerTransactions::new(8192, KEY);
    let publish = numbered(1).replace("SUBSCRIBE", "PUBLISH");
    let (key, _) = begin(&mut transactions, &publish, now);
    for number in 100..1100 {
        respond(&mut transactions, &numbered(number), &[b'x'; 700], now);
        assert_eq!(seen(&mut transactions, &publish, now), Seen::UnderWay);
        let other_path = publish.replace("z9hG4bK000001", "z9hG4bKother");
        assert_eq!(seen(&mut transactions, &other_path, now), Seen::Merged);
    }
    transactions.complete(key, b"done", false, now);
    assert_eq!(
        seen(&mut transactions, &publish, now),
        Seen::Answered(b"done".to_vec())
    );
}

#[test]
fn a_ring_full_of_pending_transactions_refuses_the_next() {
    let now = Instant::now();
    let mut transactions = ServerTransactions::new(2048, KEY);
    let mut keys = Vec::new();
    for number in 0..50 {
        let (key, first) = begin(&mut transactions, &numbered(number), now);
        assert_eq!(first, Seen::New);
        keys.push(key);
    }
    let remembered = transactions.entries();
    assert_eq!(transactions.evicted_early(), 50 - remembered as u64);
    for number in 0..remembered as u32 {
        assert_eq!(
            seen(&mut transactions, &numbered(number), now),
            Seen::UnderWay
        );
    }
    for (number, key) in keys.into_iter().enumerate() {
        transactions.complete(key, b"yes", false, now);
        let wanted = if number < remembered {
            Seen::Answered(b"yes".to_vec())
        } else {
            Seen::New
        };
        let (key, arrival) = begin(&mut transactions, &numbered(number as u32), now);
        assert_eq!(arrival, wanted, "{number}");
        transactions.complete(key, b"", true, now);
    }
}

/// What the naive model stores of a request.
struct Known {
    key: TransactionKey,
    since: Instant,
    /// None until it is sent.
    response: Option<Vec<u8>>,
    held: Option<Vec<u8>>,
}

impl Known {
    fn is_live(&self, now: Instant) -> bool {
        self.held.is_some() || now - self.since < TIMER_J
    }
}

/// Random load compared with a map that never forgets. Sound at any size: no response but the right
/// one is returned, no entry without a response is lost during its lifetime, no expired entry is
/// found. Complete if the ring is large enough: no entry is evicted.
fn compare_with_model(octets: usize, seed: u8) -> ServerTransactions {
    let mut random = Random::new([seed; 32]);
    let mut transactions = ServerTransactions::new(octets, KEY);
    let mut known: HashMap<u32, Known> = HashMap::new();
    let (mut now, mut forgotten) = (Instant::now(), 0);
    for step in 0..rounds(8_000) {
        now += Duration::from_millis(u64::from(random.below(60)));
        let number = random.below(400);
        let (key, arrival) = begin(&mut transactions, &numbered(number), now);
        let entry = known.get(&number).filter(|entry| entry.is_live(now));
        match (arrival, entry) {
            (Seen::UnderWay, Some(Known { response: None, .. })) => {}
            (
                Seen::Answered(octets),
                Some(Known {
                    response: Some(response),
                    ..
                }),
            ) => assert_eq!(&octets, response),
            (Seen::New, entry) => {
                let is_under_way = entry.is_some_and(|entry| entry.response.is_none());
                assert!(!is_under_way, "step {step}: lost what was under way");
                forgotten += u64::from(entry.is_some());
                if key == TransactionKey::NONE {
                    known.remove(&number);
                } else {
                    known.insert(
                        number,
                        Known {
                            key,
                            since: now,
                            response: None,
                            held: None,
                        },
                    );
                }
            }
            (seen, entry) => panic!("step {step}: {seen:?}, known: {}", entry.is_some()),
        }
        // Most get a response at once, some later, some never; some are held until later.
        let answered = if random.below(4) < 3 {
            number
        } else {
            random.below(400)
        };
        if let Some(entry) = known
            .get_mut(&answered)
            .filter(|entry| entry.response.is_none())
        {
            let is_live = entry.is_live(now);
            let response = vec![random.below(256) as u8; random.below(900) as usize];
            if let Some(held) = entry.held.take() {
                let released = transactions.release(entry.key, false, now);
                assert_eq!(released, Some(&held[..]), "step {step}");
                (entry.since, entry.response) = (now, Some(held));
            } else if random.below(4) == 0 && transactions.hold(entry.key, &response, now) {
                (entry.since, entry.held) = (now, Some(response));
            } else if is_live {
                transactions.complete(entry.key, &response, false, now);
                (entry.since, entry.response) = (now, Some(response));
            } else {
                transactions.complete(entry.key, &response, false, now);
                known.remove(&answered);
            }
        }
    }
    assert!(transactions.evicted_early() >= forgotten);
    transactions
}

#[test]
fn random_load_in_a_large_ring_forgets_nothing() {
    assert_eq!(compare_with_model(1 << 20, 1).evicted_early(), 0);
}

#[test]
fn random_load_in_a_small_ring_is_sound() {
    for seed in 0..4 {
        assert!(compare_with_model(48 * 1024, seed).evicted_early() > rounds(100) as u64);
    }
}
