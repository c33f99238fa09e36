//! The keys of a phone come back: what is found out once for all of them is not taken for more than they
//! have in common.

use super::*;
use crate::presence::policy::Privacy;

/// Longer than a phone may take to learn of a change.
const LONG: Duration = Duration::from_secs(200);

/// Two keys of one phone are of its user 200; between them, by order of their SUBSCRIBEs, is one of 123,
/// who sees all of its own calls by any configuration.
fn keys(node: &mut Node) -> Vec<Phone> {
    let key = |(number, watcher)| Phone {
        watcher,
        call_id: format!("key-{number}"),
        ..Phone::new(udp(5062), "123", "dialog")
    };
    let mut keys: Vec<Phone> = ["200", "123", "200"]
        .into_iter()
        .enumerate()
        .map(key)
        .collect();
    keys.iter_mut().for_each(|key| key.begin(node, 3600));
    node.wait(LONG);
    node.take_sent();
    node.committed_at = Some(node.now);
    keys
}

/// How often each was notified in ten seconds.
fn notified(node: &mut Node, keys: &mut [Phone]) -> Vec<usize> {
    node.wait(Duration::from_secs(10));
    let sent = node.take_sent();
    let notifies = keys.iter_mut().map(|key| key.take_notifies(&sent));
    notifies.collect()
}

#[test]
fn keys_come_back_each_to_its_own_watcher() {
    let mut node = Node::new(1, Durability::Synced);
    let mut keys = keys(&mut node);
    node.restart(1, Duration::from_secs(60));
    assert_eq!(notified(&mut node, &mut keys), [0, 0, 0], "nothing changed");
    assert_eq!(node.counter("subscriptions_known"), 3);
    node.committed_at = Some(node.now);
    let mut changed = Directory::default();
    let domain = Domain {
        auth: AuthMode::None,
        open: true,
        privacy: Privacy::StateOnly,
        ..Domain::new("abc.com")
    };
    changed.add_domain(domain, &[]).unwrap();
    node.directory = Arc::new(changed);
    node.restart(1, Duration::from_secs(60));
    assert_eq!(notified(&mut node, &mut keys), [1, 0, 1]);
}

/// The first key comes back, ends, and so frees the path and the phone that it brought.
#[test]
fn a_key_comes_back_after_the_one_before_has_ended() {
    let mut node = Node::new(1, Durability::Synced);
    let mut keys = keys(&mut node);
    let places: Vec<RecordKey> = node.store.keys().copied().collect();
    node.begin_restart(1, Duration::from_secs(60));
    let RecordKey::Dialog(first) = places[0] else {
        panic!("{places:?}")
    };
    node.bring(first);
    let end = keys[0].subscribe(0);
    let sent = node.exchange(&keys[0], &end);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    let mut other = Phone::new(udp(7000), "123", "dialog");
    other.begin(&mut node, 3600);
    node.finish_restart();
    for key in &mut keys[1..] {
        key.refresh(&mut node, 3600);
    }
    other.refresh(&mut node, 3600);
    assert_eq!(node.dialogs_stored(), 3);
    node.call(true);
    assert_eq!(notified(&mut node, &mut keys)[1..], [1, 1]);
}
