//! Streams that an earlier process handed over are read while records are still to come.

use super::*;

const SHORT: Duration = Duration::from_secs(1);

/// Two phones on one stream, a proxy's, whose dialogs are still to come; the stream has been handed
/// over.
fn handed_over() -> (Node, [Phone; 2], Flow) {
    let mut node = Node::new(1, Durability::Synced);
    let mut phones = ["dialog", "presence"].map(|it| Phone::new(tcp(40001, 7), "123", it));
    for phone in &mut phones {
        phone.begin(&mut node, 1800);
    }
    node.begin_restart(1, SHORT);
    // Another name of the same stream.
    let flow = tcp(40001, 9);
    node.recover_on_all(Recovered::Stream(flow));
    phones.iter_mut().for_each(|phone| phone.flow = flow);
    (node, phones, flow)
}

#[test]
fn a_request_on_the_stream_waits_for_its_dialog_and_the_others_go_on_there() {
    let (mut node, mut phones, flow) = handed_over();
    let refresh = phones[0].subscribe(1800);
    assert!(node.exchange(&phones[0], &refresh).is_empty());
    node.bring_wanted();
    node.wait(SHORT);
    let sent = node.take_sent();
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert_eq!(phones[0].take_notifies(&sent), 1);
    node.finish_restart();
    node.call(true);
    node.wait(SHORT);
    assert!(node.sent.iter().all(|(on, _)| *on == flow));
    let sent = node.take_sent();
    for phone in &mut phones {
        assert!(phone.take_notifies(&sent) > 0, "{sent:?}");
    }
}

#[test]
fn a_new_dialog_begins_on_the_stream_meanwhile() {
    let (mut node, mut phones, flow) = handed_over();
    let mut third = Phone::new(flow, "124", "dialog");
    third.begin(&mut node, 1800);
    node.finish_restart();
    assert_eq!(node.counter("subscriptions_recovered"), 2);
    third.refresh(&mut node, 1800);
    for phone in &mut phones {
        phone.refresh(&mut node, 1800);
    }
}

#[test]
fn dialogs_on_a_stream_that_ended_meanwhile_wait_for_the_phone() {
    let (mut node, mut phones, flow) = handed_over();
    node.handle(0, Input::Closed(flow.connection));
    node.finish_restart();
    node.call(true);
    node.wait(SHORT);
    let sent = node.take_sent();
    assert!(
        !sent.iter().any(|text| text.starts_with("NOTIFY ")),
        "{sent:?}"
    );
    for (phone, number) in phones.iter_mut().zip(10..) {
        phone.flow = tcp(40002, number);
        phone.refresh(&mut node, 1800);
    }
}
