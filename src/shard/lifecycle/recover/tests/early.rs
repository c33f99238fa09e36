//! Requests that wait until all presentities are recovered.

use super::*;

const SHORT: Duration = Duration::from_millis(100);

fn publish(branch: &str) -> String {
    let document = "<?xml version=\"1.0\"?>\
        <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
        entity=\"sip:123@abc.com\"><dialog id=\"1\"><state>confirmed</state></dialog></dialog-info>";
    format!(
        "PUBLISH sip:123@abc.com SIP/2.0\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK{branch};rport\r\n\
        From: <sip:123@abc.com>;tag={branch}\r\nTo: <sip:123@abc.com>\r\n\
        Call-ID: {branch}\r\nCSeq: 1 PUBLISH\r\nMax-Forwards: 70\r\nEvent: dialog\r\n\
        Expires: 600\r\nContent-Type: application/dialog-info+xml\r\n\
        Content-Length: {}\r\n\r\n{document}",
        document.len()
    )
}

/// A retransmission that were refused would tell the publisher that nothing changed, although the
/// first copy is served later.
#[test]
fn a_retransmission_of_a_request_that_waits_is_absorbed() {
    let mut node = Node::new(1, Durability::Synced);
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    phone.begin(&mut node, 1800);
    node.call(true);
    node.wait(SHORT);
    node.options.acknowledgements_held_max = 1;
    node.begin_restart(1, SHORT);
    let (first, second) = (publish("first"), publish("second"));
    for _ in 0..3 {
        node.receive(udp(5070), &first);
        node.wait(SHORT);
        assert!(node.take_sent().is_empty(), "it waits");
    }
    node.receive(udp(5071), &second);
    node.wait(SHORT);
    let sent = node.take_sent();
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
    node.finish_restart();
    node.wait(SHORT);
    let sent = node.take_sent();
    let answered = sent
        .iter()
        .filter(|text| header(text, "Call-ID") == "first");
    let answered: Vec<_> = answered.collect();
    assert_eq!(answered.len(), 1, "{sent:?}");
    assert!(answered[0].starts_with("SIP/2.0 200 "), "{answered:?}");
}

/// A new subscription does not wait: it is told the state when that is there.
#[test]
fn a_new_subscription_is_notified_again_when_its_presentity_is_back() {
    let mut node = Node::new(1, Durability::Synced);
    node.call(true);
    node.wait(SHORT);
    node.begin_restart(1, SHORT);
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    phone.begin(&mut node, 1800);
    node.finish_restart();
    node.wait(SHORT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 1, "{sent:?}");
    assert!(sent[0].contains("<state>confirmed</state>"), "{sent:?}");
}

/// Commands that change a presentity wait like requests; more than the limit are refused and counted.
#[test]
fn commands_wait_up_to_the_limit() {
    let mut node = Node::new(1, Durability::Synced);
    node.call(true);
    node.wait(SHORT);
    node.options.acknowledgements_held_max = 1;
    node.begin_restart(1, SHORT);
    node.call(false);
    assert!(node.replies.is_empty(), "it waits");
    node.call(false);
    assert!(matches!(node.replies[..], [(_, Reply::OverLimit)]));
    assert_eq!(node.counter("requests_shed_by_store"), 1);
    node.finish_restart();
    node.wait(SHORT);
    assert!(matches!(node.replies[..], [_, (_, Reply::Done)]));
}
