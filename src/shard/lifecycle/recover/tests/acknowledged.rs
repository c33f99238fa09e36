//! A 2xx waits until its record is durable, and the NOTIFY waits for the 2xx.

use super::*;

const MOMENT: Duration = Duration::from_millis(200);

/// A node whose store commits when the test calls for it, and a phone.
fn slow_store() -> (Node, Phone) {
    let mut node = Node::new(1, Durability::Synced);
    node.commits_at_once = false;
    (node, Phone::new(udp(5062), "123", "dialog"))
}

/// As [`slow_store`], and the phone has a subscription.
fn subscribed() -> (Node, Phone) {
    let (mut node, mut phone) = slow_store();
    node.commits_at_once = true;
    phone.begin(&mut node, 1800);
    node.commits_at_once = false;
    (node, phone)
}

/// What is sent once the first `count` records are durable.
fn after_commit_of(node: &mut Node, count: usize) -> Vec<String> {
    node.commit_first(0, count);
    node.wait(MOMENT);
    node.take_sent()
}

fn after_commit(node: &mut Node) -> Vec<String> {
    node.commit();
    node.wait(MOMENT);
    node.take_sent()
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
    let sent = after_commit(&mut node);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].contains("confirmed"), "{sent:?}");
    let sent = node.exchange(&phone, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "stored: {sent:?}");
}

/// The time that a request takes ends when its record is durable, also if that is another shard's.
#[test]
fn a_request_takes_until_its_record_is_durable() {
    let (mut node, mut phone) = slow_store();
    let request = phone.subscribe(1800);
    node.exchange(&phone, &request);
    assert_eq!(node.answered, []);
    after_commit(&mut node);
    assert_eq!(node.answered, [(AnsweredRequest::Subscribe, MOMENT)]);

    for port in [5062, 5063] {
        let mut node = Node::new(2, Durability::Synced);
        node.commits_at_once = false;
        node.receive(udp(port), &publish(port));
        node.wait(MOMENT);
        assert_eq!(node.answered, [], "{port}");
        node.commit();
        assert_eq!(node.answered, [(AnsweredRequest::Publish, MOMENT)]);
        // A refusal does not count.
        node.receive(
            udp(port),
            &publish(port)
                .replace("bKp", "bKq")
                .replace("abc.com", "def.com"),
        );
        assert_eq!(
            (node.answered.len(), node.counter("requests_refused")),
            (1, 1)
        );
    }
}

fn publish(port: u16) -> String {
    format!(
        "PUBLISH sip:123@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:{port};branch=z9hG4bKp\r\n\
         Max-Forwards: 70\r\nFrom: <sip:123@abc.com>;tag=1\r\nTo: <sip:123@abc.com>\r\nCall-ID: p\r\n\
         CSeq: 1 PUBLISH\r\nEvent: message-summary\r\nExpires: 600\r\n\
         Content-Type: application/simple-message-summary\r\nContent-Length: 23\r\n\r\n\
         Messages-Waiting: yes\r\n"
    )
}

/// A flow becomes crowded while a 2xx waits: then new subscriptions live where their Call-ID says, but
/// a retransmission meets its transaction.
#[test]
fn a_retransmission_on_a_crowded_flow_begins_nothing() {
    for durability in [Durability::Synced, Durability::None] {
        for number in 0..8 {
            let mut node = Node::new(2, durability);
            node.options.subscriptions_per_flow_home = 1;
            node.start(2);
            node.commits_at_once = false;
            let mut phone = Phone::new(udp(5062), "123", "dialog");
            phone.call_id = format!("c{number}");
            let request = phone.subscribe(1800);
            node.receive(phone.flow, &request);
            node.receive(phone.flow, &request);
            assert_eq!(node.counter("requests_retransmitted"), 1, "{number}");
            assert_eq!(node.counter("subscriptions"), 1, "{number}");
        }
    }
}

/// What was never acknowledged is not there after a restart, and the phone tries again.
#[test]
fn what_was_not_durable_was_not_acknowledged() {
    let (mut node, mut phone) = slow_store();
    let request = phone.subscribe(1800);
    assert!(node.exchange(&phone, &request).is_empty());
    node.restart(1, MOMENT);
    assert_eq!(node.counter("subscriptions_recovered"), 0);
    assert!(node.exchange(&phone, &request).is_empty());
    assert_eq!(after_commit(&mut node).len(), 2);
}

#[test]
fn the_end_waits_and_a_refresh_does_not() {
    let (mut node, mut phone) = subscribed();
    phone.refresh(&mut node, 1800);
    let request = phone.subscribe(0);
    assert!(node.exchange(&phone, &request).is_empty());
    // The end is not durable: the subscription is still there, and ends by the repeated request.
    node.restart(1, MOMENT);
    node.commits_at_once = true;
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 1);
    let sent = node.exchange(&phone, &request);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].contains("terminated;reason=timeout"), "{sent:?}");
    assert_eq!(phone.take_notifies(&sent), 1);
    assert_eq!(node.dialogs_stored(), 0);
}

/// A subscription that the phone ended and renews before its last NOTIFY begins again.
#[test]
fn a_renewal_after_the_end_waits_too() {
    let (mut node, mut phone) = subscribed();
    let (end, again) = (phone.subscribe(0), phone.subscribe(1800));
    assert!(node.exchange(&phone, &end).is_empty());
    assert!(node.exchange(&phone, &again).is_empty());
    let sent = after_commit_of(&mut node, 1);
    assert_eq!(sent.len(), 1, "the 200 to the first: {sent:?}");
    assert!(sent[0].contains("\r\nExpires: 0\r\n"), "{sent:?}");
    let sent = after_commit(&mut node);
    assert!(sent[0].contains("\r\nExpires: 1800\r\n"), "{sent:?}");
    assert!(sent[1].contains("Subscription-State: active"), "{sent:?}");
    assert_eq!(node.dialogs_stored(), 1);
}

/// RFC 6665 §4.5.2: the other usage of the dialog goes on meanwhile.
#[test]
fn a_further_usage_waits() {
    let (mut node, mut phone) = subscribed();
    phone.package = "presence";
    let request = phone.subscribe(1800);
    assert!(node.exchange(&phone, &request).is_empty());
    node.call(true);
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 1, "{sent:?}");
    assert!(sent[0].contains("Event: dialog"), "{sent:?}");
    let sent = after_commit(&mut node);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].contains("Event: presence"), "{sent:?}");
    phone.take_notifies(&sent);
    node.restart(3, MOMENT);
    assert_eq!(node.counter("subscriptions_recovered"), 2);
    node.commits_at_once = true;
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 2, "{sent:?}");
}

/// A fetch has nothing to lose.
#[test]
fn a_fetch_does_not_wait() {
    let (mut node, mut phone) = slow_store();
    let request = phone.subscribe(0);
    assert_eq!(node.exchange(&phone, &request).len(), 2);
}

#[test]
fn without_syncing_nothing_waits() {
    for durability in [Durability::None, Durability::Relaxed] {
        let mut node = Node::new(1, durability);
        node.commits_at_once = false;
        let mut phone = Phone::new(udp(5062), "123", "dialog");
        phone.begin(&mut node, 1800);
        phone.refresh(&mut node, 0);
        let is_recording = durability != Durability::None;
        assert_eq!(node.unwritten[0].len(), if is_recording { 2 } else { 0 });
    }
}

#[test]
fn a_store_that_is_behind_sheds_new_subscriptions_only() {
    let (mut node, mut phone) = subscribed();
    node.options.acknowledgements_held_max = 1;
    node.restart(1, MOMENT);
    let mut second = Phone::new(udp(5063), "123", "dialog");
    let mut third = Phone::new(udp(5064), "123", "dialog");
    node.commit();
    node.wait(MOMENT);
    node.commit();
    node.wait(MOMENT);
    phone.take_notifies(&node.take_sent());
    let request = second.subscribe(1800);
    assert!(node.exchange(&second, &request).is_empty());
    let request = third.subscribe(1800);
    let sent = node.exchange(&third, &request);
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
    assert!(sent[0].contains("Retry-After: "), "{sent:?}");
    phone.refresh(&mut node, 1800);
    let first = phone.clone();
    phone.package = "presence";
    let request = phone.subscribe(1800);
    let sent = node.exchange(&phone, &request);
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
    assert_eq!(node.counter("requests_shed_by_store"), 2);
    phone.package = first.package;
    let request = phone.subscribe(0);
    assert!(node.exchange(&phone, &request).is_empty(), "it ends");
    let sent = after_commit(&mut node);
    let oks = sent.iter().filter(|text| text.starts_with("SIP/2.0 200 "));
    assert_eq!(oks.count(), 2, "{sent:?}");
}

/// As many 2xx of a subscription are held as can be counted. Its NOTIFY follows the last of them.
#[test]
fn more_2xx_of_a_subscription_than_can_be_counted_are_refused() {
    let (mut node, mut phone) = subscribed();
    for number in 0..u8::MAX {
        let request = phone.subscribe(if number % 2 == 0 { 0 } else { 1800 });
        node.receive(phone.flow, &request);
    }
    assert!(node.take_sent().is_empty());
    let request = phone.subscribe(1800);
    let sent = node.exchange(&phone, &request);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
    assert!(sent[0].contains("\r\nRetry-After: "), "{sent:?}");
    let held = node.unwritten[0].len();
    let sent = after_commit_of(&mut node, held - 1);
    let is_ok = |text: &String| text.starts_with("SIP/2.0 200 ");
    assert!(!sent.is_empty() && sent.iter().all(is_ok), "{sent:?}");
    let first = sent.len();
    let sent = after_commit(&mut node);
    let oks = sent.iter().filter(|text| is_ok(text)).count();
    assert_eq!(first + oks, usize::from(u8::MAX));
    assert_eq!(sent.len(), oks + 1, "{sent:?}");
    let last = sent.last().unwrap();
    assert!(last.contains("terminated;reason=timeout"), "{sent:?}");
    node.commits_at_once = true;
    let mut other = Phone::new(udp(5064), "123", "dialog");
    other.begin(&mut node, 1800);
}

/// What waits when the disk fails is acknowledged when it is back; what comes meanwhile is refused.
#[test]
fn what_waits_while_the_disk_fails_is_acknowledged_when_it_is_back() {
    let (mut node, mut phone) = slow_store();
    let request = phone.subscribe(1800);
    assert!(node.exchange(&phone, &request).is_empty());
    node.shards[0].handle_store_failure(true);
    let mut other = Phone::new(udp(5064), "123", "dialog");
    let refused = other.subscribe(1800);
    let sent = node.exchange(&other, &refused);
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{sent:?}");
    assert!(node.exchange(&phone, &request).is_empty(), "absorbed");
    node.shards[0].handle_store_failure(false);
    let sent = after_commit(&mut node);
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].starts_with("NOTIFY "), "{sent:?}");
    node.commits_at_once = true;
    other.begin(&mut node, 1800);
    assert_eq!(node.dialogs_stored(), 2);
}

/// A reload removes what is watched while the 2xx is held: the last NOTIFY still follows it.
#[test]
fn a_subscription_may_end_while_its_2xx_is_held() {
    let (mut node, mut phone) = slow_store();
    let request = phone.subscribe(1800);
    assert!(node.exchange(&phone, &request).is_empty());
    let mut directory = Directory::default();
    let closed = Domain {
        auth: AuthMode::None,
        ..Domain::new("abc.com")
    };
    directory.add_domain(closed, &[]).unwrap();
    let reload = Command::Reload(Arc::new(directory));
    node.handle(0, Input::Command(CommandId(3), reload));
    node.wait(MOMENT);
    assert!(node.take_sent().is_empty());
    let sent = after_commit(&mut node);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].contains("terminated;reason=noresource"), "{sent:?}");
    node.commit();
    assert_eq!(node.dialogs_stored(), 0);
}

/// The 2xx of a subscription that is gone is not taken for that of the next one with its key.
#[test]
fn a_key_that_is_used_again_is_not_confused() {
    let (mut node, _) = slow_store();
    let mut gone = Phone::new(tcp(40001, 7), "123", "dialog");
    node.commits_at_once = true;
    gone.begin(&mut node, 1800);
    node.commits_at_once = false;
    let request = gone.subscribe(0);
    assert!(node.exchange(&gone, &request).is_empty());
    // Its last NOTIFY is held; without its stream it can never be sent.
    node.handle(0, Input::Closed(gone.flow.connection));
    let mut next = Phone::new(udp(5062), "123", "dialog");
    let request = next.subscribe(1800);
    assert!(node.exchange(&next, &request).is_empty());
    assert_eq!(node.unwritten[0].len(), 2, "a removal and a record");
    let sent = after_commit_of(&mut node, 1);
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert!(sent[0].contains("\r\nExpires: 0\r\n"), "{sent:?}");
    let sent = after_commit(&mut node);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert!(sent[1].starts_with("NOTIFY "), "{sent:?}");
    assert_eq!(node.dialogs_stored(), 1);
}

/// After a restart the first NOTIFY waits for a record that reserves its CSeq, even if acknowledgements
/// wait for nothing: another restart before would give the same CSeq again.
#[test]
fn a_number_is_not_taken_before_its_record_is_durable() {
    for durability in [Durability::Relaxed, Durability::Synced] {
        let mut node = Node::new(1, durability);
        let mut phone = Phone::new(udp(5062), "123", "dialog");
        phone.begin(&mut node, 1800);
        node.commits_at_once = false;
        for _ in 0..3 {
            node.restart(1, MOMENT);
            node.wait(MOMENT);
            assert!(node.take_sent().is_empty());
        }
        for _ in 0..3 {
            let sent = after_commit(&mut node);
            assert_eq!(phone.take_notifies(&sent), 1);
            node.restart(1, MOMENT);
            node.wait(MOMENT);
        }
    }
}

/// A NOTIFY that crosses the end of a block does not wait, as the next block is recorded half a block
/// before.
#[test]
fn a_notify_waits_for_its_number_only_after_a_restart() {
    let (mut node, mut phone) = subscribed();
    node.restart(1, MOMENT);
    node.wait(MOMENT);
    assert!(node.take_sent().is_empty());
    assert_eq!(node.counter("notifies_unrecorded"), 1);
    let sent = after_commit(&mut node);
    assert_eq!(phone.take_notifies(&sent), 1);
    for change in 0..600 {
        node.call(change % 2 == 0);
        node.wait(MOMENT);
        if change % 100 == 99 {
            node.commit();
        }
    }
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 600);
    assert_eq!(node.counter("notifies_unrecorded"), 1);
    // A store that commits nothing for a whole block stops them.
    for change in 0..600 {
        node.call(change % 2 == 0);
        node.wait(MOMENT);
    }
    let sent = node.take_sent();
    assert!((128..=256).contains(&phone.take_notifies(&sent)));
    assert_eq!(node.counter("notifies_unrecorded"), 2);
    let sent = after_commit(&mut node);
    assert_eq!(phone.take_notifies(&sent), 1, "the newest state");
}

/// A phone switches do-not-disturb by SUBSCRIBE (`as-feature-event`): the 2xx waits for the record of
/// the feature, whichever shard owns the user.
#[test]
fn the_2xx_to_a_switch_waits_for_the_record_of_the_feature() {
    for (shards, holder) in [(1, 0), (2, 0), (2, 1)] {
        let mut node = Node::new(shards, Durability::Synced);
        node.commits_at_once = false;
        let owner = ShardId::owner_of(&Aor::new("123", "abc.com"), shards);
        let mut phone = Phone::new(udp(5062), "123", "as-feature-event");
        phone.watcher = "123";
        let switch = "<SetDoNotDisturb xmlns=\"http://www.ecma-international.org/standards/ecma-323/csta/\
                      ed3\"><device/><doNotDisturbOn>true</doNotDisturbOn></SetDoNotDisturb>";
        phone.rest = format!(
            "Content-Type: application/x-as-feature-event+xml\r\nContent-Length: {}\r\n\r\n{switch}",
            switch.len()
        );
        let (flow, request) = (phone.flow, phone.subscribe(1800));
        let bytes = request.as_bytes();
        node.handle(holder, Input::Message { flow, bytes });
        assert!(node.take_sent().is_empty());
        if holder != usize::from(owner.0) {
            node.commit_first(holder, node.unwritten[holder].len());
            node.wait(MOMENT);
            assert!(node.take_sent().is_empty(), "the feature is not recorded");
        }
        node.commit();
        node.wait(MOMENT);
        let sent = node.take_sent();
        assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
        assert!(sent[1].contains("doNotDisturbOn>true"), "{sent:?}");
    }
}
