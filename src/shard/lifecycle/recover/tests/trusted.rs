//! Watchers whose peer is trusted for its certificate: after a restart the stream is gone, and rules about
//! trusted peers go on to apply.

use super::*;
use crate::presence::policy::{Handling, People, Policy, WatcherCondition};
use crate::shard::CertificateNames;

/// A domain that handles watchers of trusted peers so, and blocks others.
fn directory(names: &[&str], handling: Handling) -> Directory {
    let mut directory = Directory::default();
    let domain = Domain {
        open: true,
        trusted_certificates: names.iter().map(|name| Arc::from(*name)).collect(),
        ..Domain::new("abc.com")
    };
    directory.add_domain(domain, &[]).unwrap();
    let policies = [
        (WatcherCondition::Trusted, handling),
        (WatcherCondition::People(People::Everyone), Handling::Block),
    ];
    for (number, (watcher, handling)) in (1..).zip(policies) {
        let policy = Policy {
            number,
            text: watcher.text().into(),
            watcher,
            presentity: People::Everyone,
            package: None,
            handling,
            privacy: None,
        };
        directory.add_policy("abc.com", policy);
    }
    directory
}

fn tls(number: u32) -> Flow {
    Flow {
        transport: Transport::Tls,
        ..tcp(40001, number)
    }
}

/// A node with that directory, and a phone on a stream whose certificate is for sbc.example.com.
fn certified(directory: Directory) -> (Node, Phone) {
    let mut node = Node::with_directory(1, Durability::Synced, directory);
    certify(&mut node, tls(7), &["b.example", "sbc.example.com"]);
    let phone = Phone::new(tls(7), "123", "dialog");
    (node, phone)
}

fn certify(node: &mut Node, flow: Flow, domains: &[&str]) {
    let names = CertificateNames {
        domains: domains.iter().map(|name| (*name).into()).collect(),
        ..CertificateNames::default()
    };
    node.handle(0, Input::Certified(flow.connection, names.into()));
}

const SHORT: Duration = Duration::from_secs(5);

#[test]
fn a_watcher_of_a_trusted_peer_goes_on() {
    let allowing = |names: &[&str]| directory(names, Handling::Allow);
    let (mut node, mut phone) = certified(allowing(&["sbc.example.com"]));
    phone.begin(&mut node, 1800);
    for _ in 0..2 {
        node.restart(1, SHORT);
        node.wait(SHORT);
        assert_eq!(node.counter("subscriptions_recovered"), 1);
        assert_eq!(node.dialogs_stored(), 1);
    }
    // It comes back on another stream.
    phone.flow = tls(1);
    certify(&mut node, phone.flow, &["sbc.example.com"]);
    let sent = phone.refresh(&mut node, 1800);
    assert!(
        sent[1].contains("Subscription-State: active"),
        "{}",
        sent[1]
    );
    // The stream ends, and a rule is read again.
    node.handle(0, Input::Closed(phone.flow.connection));
    node.reload(Arc::new(allowing(&["c.example", "sbc.example.com"])));
    node.wait(SHORT);
    assert_eq!(node.dialogs_stored(), 1);
    node.reload(Arc::new(allowing(&["c.example"])));
    node.wait(SHORT);
    assert_eq!(node.dialogs_stored(), 0, "its name is trusted no more");
}

#[test]
fn a_name_that_is_trusted_no_more_after_a_restart_ends_its_subscriptions() {
    let (mut node, mut phone) = certified(directory(&["sbc.example.com"], Handling::Allow));
    phone.begin(&mut node, 1800);
    node.directory = Arc::new(directory(&["b.example"], Handling::Allow));
    node.restart(1, SHORT);
    node.wait(SHORT);
    assert_eq!(node.dialogs_stored(), 0);
}

#[test]
fn a_refresh_on_a_stream_with_another_certificate_is_decided_about_anew() {
    let names = ["sbc.example.com", "b.example"];
    let (mut node, mut phone) = certified(directory(&names, Handling::Allow));
    phone.begin(&mut node, 1800);
    phone.flow = tls(8);
    certify(&mut node, phone.flow, &["b.example"]);
    phone.refresh(&mut node, 1800);
    node.directory = Arc::new(directory(&["b.example"], Handling::Allow));
    node.restart(1, SHORT);
    node.wait(SHORT);
    assert_eq!(node.dialogs_stored(), 1, "the newer name counts");
}

#[test]
fn a_waiting_watcher_of_a_trusted_peer_waits_on() {
    let confirming = |names: &[&str]| directory(names, Handling::Confirm);
    let (mut node, mut phone) = certified(confirming(&["sbc.example.com"]));
    phone.begin(&mut node, 60);
    node.wait(Duration::from_secs(300));
    let waiting = |node: &Node| {
        let mut keys = node.store.keys();
        keys.any(|key| matches!(key, RecordKey::Waiting(_)))
    };
    assert!(waiting(&node));
    node.restart(1, SHORT);
    assert!(waiting(&node));
    node.directory = Arc::new(confirming(&["b.example"]));
    node.restart(1, SHORT);
    assert!(!waiting(&node), "it is blocked");
}
