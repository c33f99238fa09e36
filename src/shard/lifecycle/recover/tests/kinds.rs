//! What a subscription is to, and what else its SUBSCRIBE asked for, goes on after a restart.

use super::*;
use crate::directory::lists::StoredList;
use crate::directory::profiles::AgentPattern;
use crate::presence::profile::Profile;

const MOMENT: Duration = Duration::from_secs(1);

fn with_list(members: &[&str]) -> Directory {
    let directory = directory();
    let members = members
        .iter()
        .map(|member| directory.member(member, "abc.com").unwrap())
        .collect();
    let list = StoredList {
        members,
        ..StoredList::default()
    };
    let aor = Aor::new("team", "abc.com");
    directory.with_list(&aor, list).unwrap()
}

fn of_list(port: u16) -> Phone {
    let mut phone = Phone::new(udp(port), "team", "dialog");
    phone.rest = format!("Supported: eventlist\r\n{}", phone.rest);
    phone
}

/// Restarts with another number of shards; the NOTIFYs that follow.
fn restart(node: &mut Node, phone: &mut Phone) -> String {
    let shards = 4 - node.options.shards;
    node.restart(shards, MOMENT);
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert!(phone.take_notifies(&sent) > 0, "{sent:?}");
    sent.concat()
}

fn instance_versions(text: &str) -> Vec<u32> {
    let documents = text.split("<dialog-info").skip(1);
    let versions = documents.map(|document| {
        let version = document.split("version=\"").nth(1).unwrap();
        version.split('"').next().unwrap().parse().unwrap()
    });
    versions.collect()
}

/// RFC 4662: full state, with all versions beyond those that were sent.
#[test]
fn a_list_goes_on_with_the_members_it_has_now() {
    let mut node = Node::with_directory(1, Durability::Synced, with_list(&["123", "124"]));
    let mut phone = of_list(5062);
    phone.begin(&mut node, 1800);
    node.call(true);
    node.wait(MOMENT);
    let before = instance_versions(&node.take_sent().concat());
    node.directory = Arc::new(with_list(&["123", "125", "124"]));
    let text = restart(&mut node, &mut phone);
    assert!(text.contains("fullState=\"true\""), "{text}");
    let order = ["sip:123@", "sip:125@", "sip:124@"].map(|uri| text.find(&format!("uri=\"{uri}")));
    assert!(order.is_sorted() && order[0].is_some(), "{text}");
    let after = instance_versions(&text);
    assert_eq!(after.len(), 3);
    assert!(
        after.iter().min() > before.iter().max(),
        "{before:?} {after:?}"
    );
    node.call(false);
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 1);
    phone.refresh(&mut node, 1800);
    phone.refresh(&mut node, 0);
    assert_eq!(node.dialogs_stored(), 0);
}

/// RFC 5367: the list of the body is in the record.
#[test]
fn a_list_of_the_body_goes_on_as_it_is() {
    let body = "<?xml version=\"1.0\"?><resource-lists xmlns=\"urn:ietf:params:xml:ns:resource-lists\">\
        <list><entry uri=\"sip:124@abc.com\"/><entry uri=\"sip:9@elsewhere.org\"/>\
        <entry uri=\"sip:123@abc.com\"><display-name>Ann</display-name></entry></list></resource-lists>";
    let mut node = Node::new(1, Durability::Synced);
    let mut phone = Phone::new(udp(5062), "me", "dialog");
    let bodiless = phone.rest.clone();
    phone.rest = format!(
        "Require: recipient-list-subscribe\r\nSupported: eventlist\r\n\
         Content-Type: application/resource-lists+xml\r\n\
         Content-Disposition: recipient-list\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    phone.begin(&mut node, 1800);
    phone.rest = bodiless;
    for _ in 0..2 {
        let text = restart(&mut node, &mut phone);
        let members = ["sip:124@", "sip:9@elsewhere", "sip:123@"];
        let order = members.map(|uri| text.find(&format!("uri=\"{uri}")));
        assert!(order.is_sorted() && order[0].is_some(), "{text}");
        assert!(
            text.contains("Ann") && text.contains("reason=\"noresource\""),
            "{text}"
        );
    }
    node.call(true);
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert_eq!(phone.take_notifies(&sent), 1);
    assert!(sent[0].contains("confirmed"), "{sent:?}");
}

/// RFC 3857: watchers on all shards are reported, and the end of one too.
#[test]
fn watchers_are_watched_again() {
    let mut node = Node::new(1, Durability::Synced);
    let mut watchers = [5062, 5063, 5064].map(|port| Phone::new(udp(port), "123", "dialog"));
    for watcher in &mut watchers {
        watcher.begin(&mut node, 1800);
    }
    let mut winfo = Phone::new(udp(5070), "123", "dialog.winfo");
    winfo.watcher = "123";
    winfo.begin(&mut node, 1800);
    let text = restart(&mut node, &mut winfo);
    let document = text.rsplit("<watcherinfo").next().unwrap();
    assert_eq!(document.matches("status=\"active\"").count(), 3, "{text}");
    let request = watchers[1].subscribe(0);
    node.receive(watchers[1].flow, &request);
    // RFC 3857 §4.4: one NOTIFY in five seconds.
    node.wait(MOMENT * 5);
    let sent = node.take_sent();
    assert!(winfo.take_notifies(&sent) > 0);
    let text = sent.concat();
    assert!(text.contains("status=\"terminated\""), "{text}");
    winfo.refresh(&mut node, 0);
}

/// What is gone from the configuration ends, as after a reload.
#[test]
fn a_subscription_to_what_is_gone_ends() {
    let mut node = Node::with_directory(1, Durability::Synced, with_list(&["123"]));
    let (mut of_list, mut of_user) = (of_list(5062), Phone::new(udp(5063), "123", "dialog"));
    of_list.begin(&mut node, 1800);
    of_user.begin(&mut node, 1800);
    let mut directory = Directory::default();
    let closed = Domain {
        auth: AuthMode::None,
        ..Domain::new("abc.com")
    };
    directory.add_domain(closed, &[]).unwrap();
    node.directory = Arc::new(directory);
    node.restart(2, MOMENT);
    node.wait(MOMENT);
    let sent = node.take_sent();
    for phone in [&mut of_list, &mut of_user] {
        assert_eq!(phone.take_notifies(&sent), 1);
    }
    let ended = sent
        .iter()
        .filter(|text| text.contains("terminated;reason=noresource"));
    assert_eq!(ended.count(), 2, "{sent:?}");
    assert_eq!(node.dialogs_stored(), 0);
}

/// Rates (RFC 6446) and the one dialog that is watched (RFC 4235 §3.2).
#[test]
fn what_the_subscribe_asked_for_goes_on() {
    let mut node = Node::new(1, Durability::Synced);
    let mut rated = Phone::new(udp(5062), "123", "dialog;min-rate=0.1;max-rate=0.5");
    let mut other = Phone::new(udp(5063), "123", "dialog;call-id=\"x\";to-tag=1;from-tag=2");
    rated.begin(&mut node, 1800);
    other.begin(&mut node, 1800);
    node.call(true);
    let text = restart(&mut node, &mut rated);
    assert!(text.contains(";max-rate=0.5;min-rate=0.1"), "{text}");
    node.call(true);
    node.wait(Duration::from_secs(35));
    let sent = node.take_sent();
    assert!((3..=5).contains(&rated.take_notifies(&sent)), "{sent:?}");
    let of_other = sent
        .iter()
        .filter(|text| header(text, "Call-ID") == other.call_id);
    assert_eq!(of_other.count(), 0, "not its dialog");
}

/// The profile of a phone is known by its name; a removed one is the generic one.
#[test]
fn the_profile_goes_on() {
    let mut node = Node::new(1, Durability::Synced);
    let mut with_profile = directory();
    let partial = Profile {
        name: "partial".into(),
        partial_dialog_info: true,
        ..Profile::default()
    };
    with_profile.set_profiles(vec![(vec![AgentPattern::new("Partial")], partial)]);
    node.directory = Arc::new(with_profile);
    node.restart(1, MOMENT);
    let mut phone = Phone::new(udp(5062), "123", "dialog");
    phone.rest = format!("User-Agent: Partial/1.0\r\n{}", phone.rest);
    phone.begin(&mut node, 1800);
    let text = restart(&mut node, &mut phone);
    assert!(text.contains("state=\"full\""), "{text}");
    node.call(true);
    node.wait(MOMENT);
    let sent = node.take_sent();
    assert!(sent[0].contains("state=\"partial\""), "{sent:?}");
    phone.take_notifies(&sent);
    node.directory = Arc::new(directory());
    restart(&mut node, &mut phone);
    for is_busy in [true, false] {
        node.call(is_busy);
        node.wait(MOMENT);
    }
    let sent = node.take_sent().concat();
    assert!(sent.contains("state=\"full\""), "{sent}");
    assert!(!sent.contains("state=\"partial\""), "{sent}");
}
