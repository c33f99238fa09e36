//! What goes on after a restart, and how.

use super::*;
use crate::record::dialog::DialogRecord;
use crate::shard::contract::report::WatcherReport;

const SHORT: Duration = Duration::from_secs(5);

/// Refresh, change and un-SUBSCRIBE go on, whatever the number of shards was and is.
#[test]
fn a_dialog_goes_on_with_another_number_of_shards() {
    for (before, after) in [(1, 1), (1, 3), (3, 1), (3, 2), (2, 5)] {
        let mut node = Node::new(before, Durability::Synced);
        let mut phones: Vec<Phone> = (0..8)
            .map(|number| Phone::new(udp(5062 + number), "123", "dialog"))
            .collect();
        for phone in &mut phones {
            phone.begin(&mut node, 1800);
        }
        assert_eq!(node.dialogs_stored(), 8);
        for (shards, pause) in [(after, 5), (before, 1)] {
            node.restart(shards, Duration::from_secs(pause));
            node.wait(Duration::from_secs(2));
            let sent = node.take_sent();
            for phone in &mut phones {
                assert_eq!(phone.take_notifies(&sent), 1, "{before} {after}");
            }
            node.call(true);
            node.wait(Duration::from_secs(1));
            let sent = node.take_sent();
            for phone in &mut phones {
                assert_eq!(phone.take_notifies(&sent), 1, "{before} {after}");
                phone.refresh(&mut node, 1800);
            }
            node.call(false);
        }
        for phone in &mut phones {
            let sent = phone.refresh(&mut node, 0);
            assert!(sent[1].contains("terminated;reason=timeout"), "{sent:?}");
        }
        assert_eq!(node.dialogs_stored(), 0);
        let stale = phones[0].subscribe(600);
        let sent = node.exchange(&phones[0], &stale);
        assert!(sent[0].starts_with("SIP/2.0 481 "), "{sent:?}");
    }
}

/// CSeq and version never come twice, however many NOTIFYs a block of the record sees.
#[test]
fn numbers_only_rise_over_many_notifies_and_restarts() {
    for durability in [Durability::Synced, Durability::Relaxed] {
        let mut node = Node::new(1, durability);
        let mut phone = Phone::new(udp(5062), "123", "dialog");
        phone.begin(&mut node, 3600);
        for round in 0..5 {
            for change in 0..(100 * round) {
                node.call(change % 2 == 0);
                node.wait(Duration::from_millis(200));
            }
            let sent = node.take_sent();
            assert_eq!(phone.take_notifies(&sent), 100 * round);
            node.restart(1, Duration::from_millis(10));
            node.wait(Duration::from_secs(1));
            let sent = node.take_sent();
            assert_eq!(phone.take_notifies(&sent), 1);
        }
    }
}

#[test]
fn expiry_goes_by_the_wall_clock() {
    let mut node = Node::new(2, Durability::Synced);
    let mut long = Phone::new(udp(5062), "123", "dialog");
    let mut short = Phone::new(udp(5063), "123", "dialog");
    long.begin(&mut node, 900);
    short.begin(&mut node, 120);
    node.restart(1, Duration::from_secs(300));
    node.wait(Duration::from_secs(1));
    let sent = node.take_sent();
    assert_eq!(long.take_notifies(&sent), 1);
    assert_eq!(short.take_notifies(&sent), 1);
    let of = |phone: &Phone| {
        let mut texts = sent.iter();
        let text = texts.find(|text| header(text, "Call-ID") == phone.call_id);
        header(text.unwrap(), "Subscription-State")
    };
    assert_eq!(of(&short), "terminated;reason=timeout");
    let left = of(&long);
    let left = left.strip_prefix("active;expires=").unwrap();
    let left: u32 = left.parse().unwrap();
    assert!((598..=600).contains(&left), "{left}");
    assert_eq!(node.counter("subscriptions_expired"), 1);
    assert_eq!(node.dialogs_stored(), 1);
    node.wait(Duration::from_secs(640));
    let sent = node.take_sent();
    assert!(sent[0].contains("terminated;reason=timeout"), "{sent:?}");
    assert_eq!(node.dialogs_stored(), 0);
}

#[test]
fn a_fetch_and_a_seized_line_leave_no_record() {
    let mut node = Node::new(1, Durability::Synced);
    let mut fetch = Phone::new(udp(5062), "123", "dialog");
    let request = fetch.subscribe(0);
    let sent = node.exchange(&fetch, &request);
    assert!(sent[1].contains("terminated;reason=timeout"), "{sent:?}");
    let mut seize = Phone::new(udp(5063), "123", "line-seize");
    seize.rest = format!(
        "Call-Info: <sip:abc.com>;appearance-index=1\r\n{}",
        seize.rest
    );
    let request = seize.subscribe(15);
    let sent = node.exchange(&seize, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].starts_with("NOTIFY "), "{sent:?}");
    assert_eq!(node.dialogs_stored(), 0);
}

/// RFC 5626: what went over a stream waits for the phone to come again.
#[test]
fn dialogs_of_streams_wait_for_the_phone() {
    let mut node = Node::new(2, Durability::Synced);
    let mut phone = Phone::new(tcp(40001, 7), "123", "dialog");
    phone.begin(&mut node, 1800);
    node.restart(1, SHORT);
    node.call(true);
    node.wait(Duration::from_secs(60));
    assert!(node.take_sent().is_empty(), "there is no stream");
    // The numbers of streams begin again, and the phone may have the same port.
    node.handle(0, Input::Closed(phone.flow.connection));
    let sent = phone.refresh(&mut node, 1800);
    assert!(sent[1].contains("confirmed"), "{sent:?}");
    node.call(false);
    node.wait(SHORT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 1);
    node.handle(0, Input::Closed(phone.flow.connection));
    node.call(true);
    node.wait(SHORT);
    assert!(node.take_sent().is_empty(), "the stream is known");
}

/// A stream that was handed over has another name and perhaps another shard; the dialogs on it go on at
/// once, unless it ends before they are back.
#[test]
fn dialogs_of_a_stream_that_was_handed_over_go_on() {
    for ends in [false, true] {
        let mut node = Node::new(2, Durability::Synced);
        let mut phone = Phone::new(tcp(40001, 7), "123", "dialog");
        phone.begin(&mut node, 1800);
        let mut flow = tcp(40001, 3);
        flow.connection.shard = ShardId(1);
        node.begin_restart(2, SHORT);
        node.recover_on_all(Recovered::Stream(flow));
        if ends {
            node.handle(1, Input::Closed(flow.connection));
        }
        node.finish_restart();
        node.call(true);
        node.wait(SHORT);
        let streams: Vec<_> = node.sent.iter().map(|(flow, _)| flow.connection).collect();
        let sent = node.take_sent();
        if ends {
            assert!(sent.is_empty(), "{sent:?}");
        } else {
            assert!(sent[0].contains("confirmed"), "{sent:?}");
            assert!(streams.iter().all(|stream| *stream == flow.connection));
            assert!(phone.take_notifies(&sent) > 0, "CSeq and version rise");
            node.handle(1, Input::Closed(flow.connection));
            node.call(false);
            node.wait(SHORT);
            assert!(node.take_sent().is_empty(), "it has ended");
        }
    }
}

/// A listener is found by its address; its number may be another.
#[test]
fn a_listener_is_found_by_its_address() {
    let other: SocketAddr = "192.0.2.9:5060".parse().unwrap();
    let wildcard = (Transport::Udp, "0.0.0.0:5060".parse().unwrap());
    let mut node = Node::new(1, Durability::Synced);
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    phone.begin(&mut node, 1800);
    let ours = (Transport::Udp, phone.flow.local);
    let tables = [
        (vec![(Transport::Udp, other), ours], vec![], Some(1)),
        (vec![(Transport::Tcp, ours.1), ours], vec![], Some(1)),
        (vec![wildcard], vec![ours.1], Some(0)),
        (vec![wildcard, ours], vec![ours.1], Some(1)),
        (vec![wildcard], vec![other], None),
        (vec![(Transport::Udp, other)], vec![], None),
    ];
    for (listeners, local_addresses, expected) in tables {
        node.options.listeners = listeners;
        node.options.local_addresses = local_addresses;
        node.restart(1, SHORT);
        node.wait(Duration::from_secs(1));
        let listener = node.sent.first().map(|(flow, _)| flow.listener);
        assert_eq!(listener, expected);
    }
    let sent = phone.refresh(&mut node, 1800);
    assert!(sent[1].starts_with("NOTIFY "), "it came to a listener");
}

/// A SUBSCRIBE in a dialog that is not back yet is not denied.
#[test]
fn a_place_that_may_come_back_is_not_denied() {
    let mut node = Node::new(2, Durability::Synced);
    let mut phones = [
        Phone::new(udp(5062), "123", "dialog"),
        Phone::new(tcp(40001, 7), "123", "dialog"),
    ];
    for phone in &mut phones {
        phone.begin(&mut node, 1800);
    }
    node.begin_restart(1, SHORT);
    let refreshes = phones.each_mut().map(|phone| phone.subscribe(1800));
    for (phone, refresh) in phones.iter().zip(&refreshes) {
        assert!(node.exchange(phone, refresh).is_empty());
    }
    assert_eq!(node.counter("requests_awaiting_dialog"), 2);
    // A new dialog gets no place that is to come back.
    let mut other = Phone::new(udp(5070), "123", "dialog");
    other.begin(&mut node, 1800);
    node.finish_restart();
    node.wait(SHORT);
    let sent = node.take_sent();
    let accepted = sent.iter().filter(|text| text.starts_with("SIP/2.0 200 "));
    assert_eq!(accepted.count(), 2, "{sent:?}");
    assert_eq!(node.counter("requests_before_recovery"), 0);
    for phone in &mut phones {
        phone.take_notifies(&sent);
        phone.refresh(&mut node, 1800);
    }
    other.refresh(&mut node, 1800);
    assert_eq!(node.dialogs_stored(), 3);
}

#[test]
fn a_record_that_cannot_be_read_is_removed() {
    let mut node = Node::new(1, Durability::Synced);
    let mut phones = [5062, 5063, 5064].map(|port| Phone::new(udp(port), "123", "dialog"));
    for phone in &mut phones {
        phone.begin(&mut node, 1800);
    }
    let octets = node.store.get_mut(&RecordKey::Dialog(1)).unwrap();
    octets[20] ^= 1;
    node.restart(1, SHORT);
    assert_eq!(node.counter("records_unreadable"), 1);
    assert_eq!(node.counter("subscriptions_recovered"), 2);
    assert_eq!(node.dialogs_stored(), 2);
    let stale = phones[1].subscribe(1800);
    let sent = node.exchange(&phones[1], &stale);
    assert!(sent[0].starts_with("SIP/2.0 481 "), "{sent:?}");
    phones[2].refresh(&mut node, 1800);
    let mut again = Phone::new(udp(5065), "123", "dialog");
    again.begin(&mut node, 1800);
    assert!(node.store.contains_key(&RecordKey::Dialog(1)), "it is free");
}

/// The response to the last request may be lost with the process. What is older is out of order.
#[test]
fn a_phone_may_repeat_its_last_request() {
    let mut node = Node::new(1, Durability::Synced);
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    phone.begin(&mut node, 1800);
    let older = phone.subscribe(1800);
    let last = phone.subscribe(1800);
    for refresh in [&older, &last] {
        let sent = node.exchange(&phone, refresh);
        assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
        phone.take_notifies(&sent);
    }
    node.restart(2, SHORT);
    node.wait(SHORT);
    let sent = node.exchange(&phone, &older);
    assert!(sent[0].starts_with("SIP/2.0 500 "), "{sent:?}");
    let sent = node.exchange(&phone, &last);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    phone.refresh(&mut node, 1800);
}

fn ages(node: &mut Node) -> Vec<Option<u64>> {
    let command = Command::Subscriptions { from: 0 };
    node.handle(0, Input::Command(CommandId(4), command));
    let Some((_, Reply::Subscriptions(reports, None))) = node.replies.pop() else {
        panic!("no subscriptions")
    };
    let age = |report: &WatcherReport| report.age.map(|age| age.as_secs());
    reports.iter().map(age).collect()
}

#[test]
fn a_subscription_has_the_age_of_its_dialog() {
    let mut node = Node::new(1, Durability::Synced);
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    node.wait(SHORT);
    phone.begin(&mut node, 1800);
    node.wait(Duration::from_secs(100));
    phone.refresh(&mut node, 1800);
    assert_eq!(ages(&mut node), [Some(100)]);
    node.restart(1, SHORT);
    node.wait(SHORT);
    assert_eq!(ages(&mut node), [Some(110)], "the pause counts");

    // As an earlier version of the server recorded it.
    let clock = node.options.record_clock;
    for octets in node.store.values_mut() {
        let mut record = DialogRecord::decode(octets, clock).unwrap();
        record.began = None;
        let mut older = Vec::new();
        record.encode(clock, &mut older);
        *octets = older;
    }
    node.restart(1, SHORT);
    assert_eq!(ages(&mut node), [None]);
    phone.refresh(&mut node, 1800);
    assert_eq!(ages(&mut node), [None]);
}
