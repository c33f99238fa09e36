//! A lamp is stale while its phone lacks the current state for more than 10 s, whatever the reason.

use super::*;

/// Until a NOTIFY without a response makes its lamp stale, and a moment more.
const LONG: Duration = Duration::from_secs(12);

fn subscribed(flow: Flow, rest: Option<&str>) -> (Node, Phone) {
    let mut node = Node::new(1, Durability::None);
    let mut phone = Phone::new(flow, "123", "dialog");
    if let Some(rest) = rest {
        phone.rest = format!("{rest}\r\n{}", phone.rest);
    }
    phone.begin(&mut node, 1800);
    node.wait(LONG);
    assert_eq!(node.counter("lamps_stale"), 0);
    (node, phone)
}

fn stale_after(node: &mut Node, time: Duration) -> u64 {
    node.wait(time);
    node.counter("lamps_stale")
}

#[test]
fn a_phone_that_does_not_respond_has_a_stale_lamp() {
    let (mut node, mut phone) = subscribed(udp(5062), None);
    node.phones_respond = false;
    node.call(true);
    assert_eq!(stale_after(&mut node, Duration::from_secs(9)), 0);
    // Until Timer F, and in the pause after it.
    for _ in 0..5 {
        assert_eq!(stale_after(&mut node, LONG), 1);
    }
    // It responds to the next NOTIFY.
    node.phones_respond = true;
    assert_eq!(stale_after(&mut node, 5 * LONG), 0);

    // It lacks only what changed after the NOTIFY that it confirms now.
    node.phones_respond = false;
    node.call(false);
    node.wait(Duration::from_secs(6));
    let first = node.take_sent().pop().unwrap();
    node.call(true);
    assert_eq!(stale_after(&mut node, Duration::from_secs(2)), 0);
    node.receive(phone.flow, &response_to(&first));
    assert_eq!(
        stale_after(&mut node, Duration::from_secs(4)),
        1,
        "12 s after the first"
    );
    assert_eq!(node.counter("changes_coalesced"), 0);
    node.call(false);
    node.call(true);
    assert_eq!(node.counter("changes_coalesced"), 1);
    // The phone gives up its subscription: no lamp, no stale lamp.
    let end = phone.subscribe(0);
    node.receive(phone.flow, &end);
    assert_eq!(node.counter("lamps_stale"), 0);
    assert_eq!(stale_after(&mut node, 5 * LONG), 0);
}

#[test]
fn a_phone_that_refuses_has_a_stale_lamp_until_it_accepts() {
    let (mut node, phone) = subscribed(udp(5062), None);
    node.phones_respond = false;
    node.call(true);
    node.wait(Duration::from_millis(100));
    let notify = node.take_sent().pop().unwrap();
    let refusal = response_to(&notify).replace("200 OK", "500 No");
    node.receive(phone.flow, &refusal);
    node.phones_respond = true;
    assert_eq!(stale_after(&mut node, LONG), 1);
    assert_eq!(node.counter("notifies_refused"), 1);
    node.call(false);
    assert_eq!(stale_after(&mut node, Duration::from_secs(1)), 0);
}

#[test]
fn a_phone_whose_stream_ended_has_a_stale_lamp_until_it_returns() {
    let (mut node, mut phone) = subscribed(tcp(40_000, 1), None);
    node.handle(0, Input::Closed(phone.flow.connection));
    assert_eq!(stale_after(&mut node, LONG), 0, "it has the state");
    node.call(true);
    assert_eq!(stale_after(&mut node, LONG), 1);
    phone.flow = tcp(40_001, 2);
    phone.refresh(&mut node, 1800);
    assert_eq!(node.counter("lamps_stale"), 0);
}

/// RFC 6446 §5: a state that the phone does not want yet makes nothing stale.
#[test]
fn a_phone_that_asked_for_few_notifies_has_no_stale_lamp() {
    let (mut node, _) = subscribed(udp(5062), None);
    let mut slow = Phone::new(udp(5063), "123", "dialog;max-rate=0.02");
    slow.begin(&mut node, 1800);
    node.call(true);
    node.wait(Duration::from_secs(1));
    assert_eq!(node.take_sent().len(), 1, "to the other phone");
    assert_eq!(stale_after(&mut node, 2 * LONG), 0);
    node.phones_respond = false;
    assert_eq!(stale_after(&mut node, 2 * LONG), 0, "it is about due");
    assert_eq!(
        stale_after(&mut node, 2 * LONG),
        1,
        "it was due, and got no response"
    );
}
