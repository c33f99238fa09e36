//! The daemon with a store is killed and started again: nothing that it acknowledged is lost.
//!
//! `LAMPLIGHTER_KILLS` is the number of kills under load (default: 20).

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "restart/link.rs"]
mod link;
#[path = "restart/load.rs"]
mod load;
#[path = "restart/phone.rs"]
mod phone;
#[path = "restart/random.rs"]
mod random;
#[path = "restart/site.rs"]
mod site;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::daemon::Folder;
use crate::link::Link;
use crate::load::Load;
use crate::phone::Endpoint;
use crate::site::{Site, call_state};

/// Kills under load in a plain run.
const KILLS: usize = 20;
#[test]
fn a_killed_server_goes_on_with_its_subscriptions_and_states() {
    let site = Site::new("restart");
    let daemon = site.start(2);
    let alive = Arc::new(AtomicBool::new(false));
    let mut phone = Endpoint::new("phone", Link::udp(site.sip), Arc::clone(&alive));
    let mut pbx = Endpoint::new("pbx", Link::udp(site.sip), alive);
    let mut dialogs: Vec<_> = ["0", "5"].map(|user| phone.dialog(user)).into();
    for dialog in &mut dialogs {
        assert_eq!(phone.subscribe(dialog, 600), Some(200));
    }
    assert!(call_state(site.http, "0", true));
    let (status, etag) = pbx.publish("5", None, Some("early"), 600).unwrap();
    assert_eq!(status, 200);
    let states = [(&dialogs[0], "confirmed"), (&dialogs[1], "early")];
    let states = states.map(|(dialog, state)| (dialog.clone(), format!("<state>{state}</state>")));
    let is_notified = phone.listen(|phone| {
        states
            .iter()
            .all(|(dialog, state)| phone.shows(dialog, state))
    });
    assert!(
        is_notified,
        "a NOTIFY for each reported call: {:#?}",
        phone.notified
    );
    let before = phone.notified.clone();
    daemon.kill();

    let daemon = site.start(1);
    let status = site.folder.says("status");
    assert!(status.contains("2 subscriptions"), "{status}");
    for dialog in &mut dialogs {
        assert_eq!(phone.subscribe(dialog, 600), Some(200), "in the dialog");
    }
    let is_notified = phone.listen(|phone| {
        let is_new = |(dialog, state): &(phone::Dialog, String)| {
            let (old, new) = (&before[&dialog.call_id], &phone.notified[&dialog.call_id]);
            new.cseq > old.cseq && new.version > old.version && new.last.contains(state)
        };
        states.iter().all(is_new)
    });
    assert!(
        is_notified,
        "a NOTIFY for each refresh: {:#?}",
        phone.notified
    );
    let (status, etag) = pbx.publish("5", etag.as_deref(), None, 600).unwrap();
    assert_eq!(status, 200, "the entity tag is still valid");
    let (status, _) = pbx
        .publish("5", etag.as_deref(), Some("confirmed"), 600)
        .unwrap();
    assert_eq!(status, 200);
    assert!(call_state(site.http, "0", false));
    let is_notified = phone.listen(|phone| {
        !phone.shows(&dialogs[0], "<state>confirmed")
            && phone.shows(&dialogs[1], "<state>confirmed")
    });
    assert!(
        is_notified,
        "changes after the restart: {:#?}",
        phone.notified
    );
    let mut ended = dialogs.remove(0);
    assert_eq!(phone.subscribe(&mut ended, 0), Some(200));
    daemon.kill();

    let daemon = site.start(2);
    assert_eq!(phone.subscribe(&mut ended, 600), Some(481));
    assert_eq!(phone.subscribe(&mut dialogs[0], 600), Some(200));
    let count = phone.notified[&dialogs[0].call_id].cseq;
    // With a store, SIGTERM ends no subscription either.
    daemon.stop();
    let daemon = site.start(1);
    assert_eq!(phone.subscribe(&mut dialogs[0], 600), Some(200));
    let is_notified = phone.listen(|phone| phone.notified[&dialogs[0].call_id].cseq > count);
    assert!(is_notified, "a NOTIFY after SIGTERM: {:#?}", phone.notified);
    assert!(phone.shows(&dialogs[0], "Subscription-State: active"));
    assert_eq!(phone.faults, [] as [String; 0]);
    daemon.stop();
}

#[test]
fn a_store_is_used_by_one_server_at_a_time() {
    let site = Site::new("one-store");
    let _daemon = site.start(1);
    let other = Folder::new("one-store-other", "");
    let state = site.folder.0.join("state");
    other.configure(&format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = []\n[store]\ndirectory = {state:?}\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n"
    ));
    let complaint = other.complains("serve");
    assert!(
        complaint.contains("in use by another process"),
        "{complaint}"
    );
    let checked = other.says("check");
    assert!(
        checked.contains(&format!("store in {}", state.display())),
        "{checked}"
    );
    assert!(fs::read_dir(state).unwrap().count() > 1);
}

#[test]
fn nothing_acknowledged_is_lost_by_a_kill_under_load() {
    let kills = std::env::var("LAMPLIGHTER_KILLS").ok();
    let kills = kills.and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let site = Site::new("kill");
    let mut load = Load::new(site.sip, site.http);
    let mut daemon = site.start(2);
    for kill in 0..kills {
        let duration = Duration::from_millis(load.random.below(300));
        load.run(duration, || daemon.kill());
        daemon = site.start(1 + kill % 2);
        load.check();
    }
    println!("{kills} kills: {}", load.summary());
    daemon.stop();
}
