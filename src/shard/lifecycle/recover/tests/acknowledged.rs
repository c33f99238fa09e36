//! A 2xx waits until its record is durable, and the NOTIFY waits for the 2xx.

use super::*;

const MOMENT: Duration = Duration::from_millis(200);

/// A node whose store does not commit by itself, and a phone.
fn slow_store() -> (Node, Phone) {
    let mut node = Node::new(1, Durability::Synced);
    node.commits_at_once = false;
    (node, Phone::new(udp(5062), "123", "dialog"))
}

/// RFC 6665 §4.2.1.2: the NOTIFY follows the 2xx, and both the record.
#[test]
fn nothing_leaves_before_the_record_is_durable() {
    let (mut node, mut phone) = slow_store();
    let request = phone.subscribe(1800);
    assert!(node.exchange(&phone, &request).is_empty());
    // Retransmissions are absorbed, and a change of state waits too.
    node.receive(phone.flow, &request);
    node.call(true);
    node.wait(MOMENT);
    assert!(node.take_sent().is_empty());
    assert_eq!(node.counter("requests_retransmitted"), 1);
    node.commit();
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].contains("confirmed"), "{sent:?}");
    let sent = node.exchange(&phone, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "stored: {sent:?}");
}
