//! Who is notified after a restart: those that may not know the state, and no others.

use super::*;
use crate::presence::policy::Privacy;
use crate::presence::profile::DoNotDisturbLamp;

const LONG: Duration = Duration::from_secs(200);

/// A node with so many phones that watch 123 and have known its state for long.
fn settled(phones: u16, shards: u16) -> (Node, Vec<Phone>) {
    let mut node = Node::new(shards, Durability::Synced);
    let mut phones: Vec<Phone> = (0..phones)
        .map(|number| Phone::new(udp(5062 + number), "123", "dialog"))
        .collect();
    for phone in &mut phones {
        phone.begin(&mut node, 3600);
    }
    node.wait(LONG);
    node.take_sent();
    node.committed_at = Some(node.now);
    (node, phones)
}

/// How many phones were notified since the messages were taken last.
fn notified(node: &mut Node, phones: &mut [Phone]) -> usize {
    node.wait(Duration::from_secs(10));
    let sent = node.take_sent();
    phones
        .iter_mut()
        .map(|phone| phone.take_notifies(&sent))
        .sum()
}

#[test]
fn nothing_changed_and_nobody_is_notified() {
    let (mut node, mut phones) = settled(300, 2);
    for shards in [3, 1, 2] {
        node.restart(shards, Duration::from_secs(3));
        assert_eq!(notified(&mut node, &mut phones), 0);
        assert_eq!(node.counter("subscriptions_known"), 300);
        assert_eq!(node.counter("subscriptions_notified_again"), 0);
        node.committed_at = Some(node.now);
    }
    node.call(true);
    assert_eq!(notified(&mut node, &mut phones), 300, "the first change");
    node.call(true);
    assert_eq!(notified(&mut node, &mut phones), 0, "no change");
}

#[test]
fn what_changed_shortly_before_is_told_once_and_again_after_the_next_crash() {
    let (mut node, mut phones) = settled(20, 2);
    node.call(true);
    assert_eq!(notified(&mut node, &mut phones), 20);
    node.committed_at = Some(node.now);
    for _ in 0..2 {
        node.restart(2, Duration::from_secs(600));
        assert_eq!(notified(&mut node, &mut phones), 20);
        assert_eq!(node.counter("subscriptions_notified_again"), 20);
        node.committed_at = Some(node.now);
    }
    node.restart(2, Duration::ZERO);
    assert_eq!(notified(&mut node, &mut phones), 20);
    node.wait(LONG);
    node.committed_at = Some(node.now);
    node.restart(2, Duration::ZERO);
    assert_eq!(notified(&mut node, &mut phones), 0);
}

/// No NOTIFY waits for the disk: a change is shown whose record is lost. Its source got no response, and
/// may never state it again; the phones are told what is true, also if the next process ends at once.
#[test]
fn a_change_that_was_shown_and_lost_is_taken_back() {
    for has_record in [false, true] {
        let (mut node, mut phones) = settled(20, 2);
        if has_record {
            node.call(true);
            node.call(false);
            node.wait(LONG);
            node.take_sent();
            node.committed_at = Some(node.now);
        }
        node.commits_at_once = false;
        node.call(true);
        assert_eq!(notified(&mut node, &mut phones), 20, "it is shown");
        for _ in 0..2 {
            node.restart(2, Duration::from_secs(3));
            node.commits_at_once = true;
            assert_eq!(notified(&mut node, &mut phones), 20, "{has_record}");
        }
        node.wait(LONG);
        node.committed_at = Some(node.now);
        node.restart(2, Duration::ZERO);
        assert_eq!(notified(&mut node, &mut phones), 0, "{has_record}");
    }
}

#[test]
fn everybody_is_told_if_the_last_commit_is_not_known() {
    let (mut node, mut phones) = settled(20, 2);
    node.committed_at = None;
    node.restart(2, Duration::ZERO);
    assert_eq!(notified(&mut node, &mut phones), 20);
}

#[test]
fn a_subscription_of_a_moment_before_is_told() {
    let (mut node, mut phones) = settled(5, 1);
    let mut new = Phone::new(udp(7000), "123", "dialog");
    new.begin(&mut node, 3600);
    phones[0].refresh(&mut node, 3600);
    node.committed_at = Some(node.now);
    node.restart(1, Duration::from_secs(60));
    node.wait(Duration::from_secs(10));
    let sent = node.take_sent();
    let told = phones.iter_mut().map(|phone| phone.take_notifies(&sent));
    assert_eq!(told.collect::<Vec<_>>(), [1, 0, 0, 0, 0]);
    assert_eq!(new.take_notifies(&sent), 1);
}

#[test]
fn a_view_that_the_configuration_changed_is_told() {
    let changes: [fn(&mut Domain); 2] = [
        |domain| domain.privacy = Privacy::StateOnly,
        |domain| domain.dnd_lamp = DoNotDisturbLamp::Early,
    ];
    for change in changes {
        let (mut node, mut phones) = settled(5, 1);
        let mut domain = Domain {
            auth: AuthMode::None,
            open: true,
            ..Domain::new("abc.com")
        };
        change(&mut domain);
        let mut changed = Directory::default();
        changed.add_domain(domain, &[]).unwrap();
        node.directory = Arc::new(changed);
        node.restart(1, Duration::from_secs(60));
        assert_eq!(notified(&mut node, &mut phones), 5);
    }
}

/// Rules that a reload changes, and the configuration of the next process changes back.
#[test]
fn a_view_that_a_reload_changed_and_a_restart_changes_back_is_told() {
    let (mut node, mut phones) = settled(5, 1);
    let before = Arc::clone(&node.directory);
    let domain = Domain {
        auth: AuthMode::None,
        open: true,
        dnd_lamp: DoNotDisturbLamp::Early,
        ..Domain::new("abc.com")
    };
    let mut changed = Directory::default();
    changed.add_domain(domain, &[]).unwrap();
    node.reload(Arc::new(changed));
    node.wait(LONG);
    notified(&mut node, &mut phones);
    node.committed_at = Some(node.now);
    node.directory = before;
    node.restart(1, Duration::from_secs(60));
    assert_eq!(notified(&mut node, &mut phones), 5);
    node.wait(LONG);
    node.committed_at = Some(node.now);
    node.restart(1, Duration::from_secs(60));
    assert_eq!(notified(&mut node, &mut phones), 0);
}

/// RFC 6446 §6.2: also to a phone that knows everything.
#[test]
fn a_min_rate_goes_on_although_nothing_changed() {
    let (mut node, _) = settled(1, 1);
    let mut rated = Phone::new(udp(5070), "123", "dialog;min-rate=0.05");
    rated.begin(&mut node, 3600);
    node.wait(LONG);
    node.take_sent();
    node.committed_at = Some(node.now);
    node.restart(2, Duration::from_secs(3));
    assert_eq!(notified(&mut node, std::slice::from_mut(&mut rated)), 0);
    assert_eq!(node.counter("subscriptions_known"), 2);
    node.wait(Duration::from_secs(1));
    for _ in 0..3 {
        node.wait(Duration::from_secs(10));
        assert_eq!(notified(&mut node, std::slice::from_mut(&mut rated)), 1);
    }
}
