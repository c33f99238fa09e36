//! A request brings its dialog back before the others.

use super::*;

const SHORT: Duration = Duration::from_secs(1);

/// A node of two shards with these phones, which begins again with one shard and has no dialog yet.
fn restarted(flows: &[Flow]) -> (Node, Vec<Phone>) {
    let mut node = Node::new(2, Durability::Synced);
    let phone = |flow: &Flow| Phone::new(*flow, "123", "dialog");
    let mut phones: Vec<Phone> = flows.iter().map(phone).collect();
    for phone in &mut phones {
        phone.begin(&mut node, 1800);
    }
    node.begin_restart(1, SHORT);
    (node, phones)
}

/// The status codes that a phone got since the last call.
fn statuses(node: &mut Node, phone: &mut Phone) -> Vec<String> {
    node.wait(Duration::from_millis(200));
    let mut sent = node.take_sent();
    sent.retain(|text| header(text, "Call-ID") == phone.call_id);
    phone.take_notifies(&sent);
    let status = |text: &String| Some(text.strip_prefix("SIP/2.0 ")?.get(..3)?.to_owned());
    sent.iter().filter_map(status).collect()
}

#[test]
fn a_refresh_is_answered_while_all_other_dialogs_are_missing() {
    let (mut node, mut phones) = restarted(&[5062, 5063, 5064].map(udp));
    let refresh = phones[1].subscribe(1800);
    assert!(node.exchange(&phones[1], &refresh).is_empty());
    assert_eq!(node.wanted.len(), 1);
    node.bring_wanted();
    assert_eq!(statuses(&mut node, &mut phones[1]), ["200"]);
    assert_eq!(node.counter("subscriptions_recovered"), 1);
    // It is back: the next one does not wait.
    phones[1].refresh(&mut node, 1800);
    node.finish_restart();
    assert_eq!(node.counter("subscriptions_recovered"), 3, "none twice");
    assert_eq!(node.counter("requests_awaiting_dialog"), 1);
    for phone in &mut phones {
        phone.refresh(&mut node, 1800);
    }
    assert_eq!(node.dialogs_stored(), 3);
}

#[test]
fn a_dialog_that_was_brought_and_ended_stays_away() {
    let (mut node, mut phones) = restarted(&[5062, 5063].map(udp));
    let stored = node.store.clone();
    let end = phones[0].subscribe(0);
    node.exchange(&phones[0], &end);
    node.bring_wanted();
    assert_eq!(statuses(&mut node, &mut phones[0]), ["200"]);
    assert_eq!(node.dialogs_stored(), 1);
    // The reader of the store had read all rows before.
    node.store = stored;
    node.finish_restart();
    assert_eq!(node.counter("subscriptions_recovered"), 2, "none twice");
    let stale = phones[0].subscribe(1800);
    let sent = node.exchange(&phones[0], &stale);
    assert!(sent[0].starts_with("SIP/2.0 481 "), "{sent:?}");
    phones[1].refresh(&mut node, 1800);
}

#[test]
fn a_dialog_without_a_record_is_denied_at_once_and_its_place_is_free() {
    let (mut node, mut phones) = restarted(&[5062, 5063, 5064].map(udp));
    node.store.remove(&RecordKey::Dialog(1));
    let refreshes: Vec<_> = phones.iter_mut().map(|it| it.subscribe(1800)).collect();
    for (phone, refresh) in phones.iter().zip(&refreshes) {
        assert!(node.exchange(phone, refresh).is_empty());
    }
    let mut wanted = std::mem::take(&mut node.wanted);
    wanted.sort_unstable();
    assert_eq!(wanted, [0, 1, 2]);
    node.bring(1);
    node.wait(SHORT);
    let sent = node.take_sent();
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].starts_with("SIP/2.0 481 "), "{sent:?}");
    let mut other = Phone::new(udp(5070), "123", "dialog");
    other.begin(&mut node, 1800);
    assert!(node.store.contains_key(&RecordKey::Dialog(1)), "it is free");
    // The record of the new dialog may be read with the others.
    node.finish_restart();
    assert_eq!(node.counter("subscriptions_recovered"), 2);
    other.refresh(&mut node, 1800);
    assert_eq!(node.dialogs_stored(), 3);
}

#[test]
fn copies_of_a_request_are_answered_once_and_further_ones_in_order() {
    let (mut node, mut phones) = restarted(&[udp(5062)]);
    let requests = [1800, 1700].map(|expires| phones[0].subscribe(expires));
    for request in [&requests[0], &requests[0], &requests[1], &requests[0]] {
        assert!(node.exchange(&phones[0], request).is_empty());
    }
    assert_eq!(node.wanted.len(), 1, "{:?}", node.wanted);
    node.bring_wanted();
    assert_eq!(statuses(&mut node, &mut phones[0]), ["200", "200"]);
}

/// Over UDP the phone repeats it, over a stream it is told to come again.
#[test]
fn too_many_requests_do_not_wait() {
    let (mut node, mut phones) = restarted(&[udp(5062), udp(5063), tcp(40001, 7)]);
    node.options.acknowledgements_held_max = 1;
    node.begin_restart(1, SHORT);
    let refreshes: Vec<_> = phones.iter_mut().map(|it| it.subscribe(1800)).collect();
    let sent: Vec<_> = phones
        .iter()
        .zip(&refreshes)
        .map(|(phone, refresh)| node.exchange(phone, refresh))
        .collect();
    assert!(sent[0].is_empty() && sent[1].is_empty(), "{sent:?}");
    assert!(sent[2][0].starts_with("SIP/2.0 503 "), "{sent:?}");
    assert!(sent[2][0].contains("Retry-After: "), "{sent:?}");
    assert_eq!(node.wanted.len(), 1);
    assert_eq!(node.counter("requests_before_recovery"), 2);
    node.bring_wanted();
    assert_eq!(statuses(&mut node, &mut phones[0]), ["200"]);
    assert!(node.exchange(&phones[1], &refreshes[1]).is_empty());
    node.bring_wanted();
    assert_eq!(statuses(&mut node, &mut phones[1]), ["200"]);
}

#[test]
fn what_waits_ends_with_its_stream() {
    let (mut node, mut phones) = restarted(&[tcp(40001, 7)]);
    let refresh = phones[0].subscribe(1800);
    assert!(node.exchange(&phones[0], &refresh).is_empty());
    node.handle(0, Input::Closed(phones[0].flow.connection));
    node.bring_wanted();
    node.finish_restart();
    assert_eq!(statuses(&mut node, &mut phones[0]), [""; 0]);
    assert_eq!(node.counter("subscriptions_recovered"), 1);
    phones[0].flow = tcp(40002, 8);
    phones[0].refresh(&mut node, 1800);
}
