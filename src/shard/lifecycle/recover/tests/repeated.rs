//! A SUBSCRIBE whose 200 was lost with the process: its retransmission begins no second dialog.

use super::*;

const SHORT: Duration = Duration::from_secs(2);

/// A phone whose SUBSCRIBE is recorded, by a process that ended before the 200.
fn unanswered(node: &mut Node) -> (Phone, String) {
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    let request = phone.subscribe(1800);
    node.commits_at_once = false;
    let sent = node.exchange(&phone, &request);
    assert_eq!(sent, [] as [String; 0], "it waits for its record");
    for (_, key, octets) in node.unwritten.iter_mut().flat_map(|it| it.drain(..)) {
        node.store.insert(key, octets.unwrap());
    }
    node.commits_at_once = true;
    (phone, request)
}

#[test]
fn a_repeated_subscribe_is_answered_in_its_dialog() {
    for shards in [1, 2, 3] {
        let mut node = Node::new(1, Durability::Synced);
        let (mut phone, request) = unanswered(&mut node);
        node.restart(shards, SHORT);
        let sent = node.exchange(&phone, &request);
        let response = sent.iter().find(|text| text.starts_with("SIP/2.0 200 "));
        phone.to = header(response.unwrap(), "To");
        let notify = sent.iter().find(|text| text.starts_with("NOTIFY "));
        assert_eq!(header(notify.unwrap(), "From"), phone.to);
        assert!(phone.take_notifies(&sent) > 0);
        assert_eq!(node.dialogs_stored(), 1);
        phone.refresh(&mut node, 1800);
    }
}

/// The phone knows the dialog of the 200 that it got, and no other.
#[test]
fn a_subscribe_that_is_repeated_before_its_record_comes_replaces_it() {
    let mut node = Node::new(1, Durability::Synced);
    let (mut phone, request) = unanswered(&mut node);
    node.begin_restart(1, SHORT);
    let sent = node.exchange(&phone, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    phone.to = header(&sent[0], "To");
    phone.take_notifies(&sent);
    node.finish_restart();
    node.wait(SHORT);
    assert_eq!(node.counter("records_obsolete"), 1);
    assert_eq!(node.dialogs_stored(), 1);
    phone.refresh(&mut node, 1800);
    node.restart(1, SHORT);
    phone.refresh(&mut node, 1800);
}

/// The phone had the first 200, and its retransmission was on its way: it knows the dialog of the record.
#[test]
fn a_dialog_that_the_phone_refuses_replaces_none() {
    let mut node = Node::new(1, Durability::Synced);
    let (mut phone, request) = unanswered(&mut node);
    node.begin_restart(1, SHORT);
    node.phones_respond = false;
    let sent = node.exchange(&phone, &request);
    node.phones_respond = true;
    let notify = sent.iter().find(|text| text.starts_with("NOTIFY "));
    let notify = notify.unwrap().clone();
    let accepted = response_to(&notify);
    let refused = accepted.replace("200 OK", "481 Subscription Does Not Exist");
    node.receive(phone.flow, &refused);
    node.finish_restart();
    node.wait(SHORT);
    assert_eq!(node.counter("records_obsolete"), 0);
    assert_eq!(node.dialogs_stored(), 1);
    let sent = node.take_sent();
    let of_record = sent.iter().find(|text| text.starts_with("NOTIFY "));
    phone.to = header(of_record.unwrap(), "From");
    assert_ne!(phone.to, header(&notify, "From"));
    phone.refresh(&mut node, 1800);
}

/// After Timer F nothing is repeated any more: another dialog begins, as for any SUBSCRIBE.
#[test]
fn an_old_subscribe_is_no_repetition() {
    let mut node = Node::new(1, Durability::Synced);
    let (phone, request) = unanswered(&mut node);
    node.restart(1, SHORT);
    node.wait(Duration::from_secs(33));
    let sent = node.exchange(&phone, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert_eq!(node.dialogs_stored(), 2);
}

/// Another phone can copy the headers of a SUBSCRIBE, but not its watcher or its source.
#[test]
fn a_copy_by_another_phone_removes_no_record() {
    let other_watcher =
        |request: &str| request.replace("sip:200@abc.com>;tag", "sip:300@abc.com>;tag");
    let copies = [
        (udp(5062), other_watcher as fn(&str) -> String),
        (udp(5063), str::to_owned),
        (tcp(5062, 7), str::to_owned),
    ];
    for (flow, copy) in copies {
        let mut node = Node::new(1, Durability::Synced);
        let (phone, request) = unanswered(&mut node);
        node.begin_restart(1, SHORT);
        let other = Phone {
            flow,
            ..phone.clone()
        };
        let sent = node.exchange(&other, &copy(&request));
        assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
        node.finish_restart();
        assert_eq!(node.counter("records_obsolete"), 0);
        assert_eq!(node.dialogs_stored(), 2);
    }
}

/// Nor does such a copy reach the dialog, once that is back.
#[test]
fn a_copy_from_another_address_begins_a_dialog_of_its_own() {
    let mut node = Node::new(1, Durability::Synced);
    let (phone, request) = unanswered(&mut node);
    node.restart(1, SHORT);
    let peer = "203.0.113.9:5062".parse().unwrap();
    let other = Phone {
        flow: Flow { peer, ..udp(5062) },
        ..phone
    };
    let sent = node.exchange(&other, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert_eq!(node.dialogs_stored(), 2);
}
