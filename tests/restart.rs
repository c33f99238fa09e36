//! The daemon with a store is killed and started again: nothing that it acknowledged is lost.
//!
//! `LAMPLIGHTER_KILLS` is the number of kills under load (default: 20).

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "restart/lamps.rs"]
mod lamps;
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

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::daemon::Folder;
use crate::lamps::Lamps;
use crate::link::Link;
use crate::load::Load;
use crate::phone::Endpoint;
use crate::site::{Site, USERS, call_state};

/// Kills under load in a plain run.
const KILLS: usize = 20;
/// Lamps of each user.
const LAMPS_EACH: usize = 200;
/// How long after a refresh a phone certainly knows everything: then a restart need not tell it.
const KNOWN_WITHIN: Duration = Duration::from_secs(37);
/// How long lamps may take to be right again after a restart.
const RIGHT_WITHIN: Duration = Duration::from_secs(10);
/// How long a lamp that is right must stay quiet.
const QUIET: Duration = Duration::from_millis(500);

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

/// Two thousand lamps know everything. Then the disk takes no record any more, and the server is killed while
/// it shows changes: after the restart the watchers of these users are notified of what is left, by themselves,
/// and no others are.
#[test]
fn lamps_that_showed_a_lost_change_are_notified_after_a_kill() {
    let site = Site::new("shown");
    let daemon = site.start(2);
    let mut lamps = Lamps::new(site.sip, USERS, LAMPS_EACH);
    lamps.subscribe();
    // Now the paths to the phones are proven.
    lamps.subscribe();
    lamps.listen(KNOWN_WITHIN, |_| false);
    // Commits once more: what is certain at the time of the last commit counts.
    let mut other = Endpoint::new("other", Link::udp(site.sip), Arc::default());
    let mut dialog = other.dialog("9");
    assert_eq!(other.subscribe(&mut dialog, 600), Some(200));
    let file = site.folder.0.join("state/state.sqlite");
    let disk = rusqlite::Connection::open(file).unwrap();
    disk.execute_batch("BEGIN IMMEDIATE").unwrap();
    let users = ["0", "3", "7"].map(str::to_owned);
    let reports = users.clone().map(|user| {
        let http = site.http;
        thread::spawn(move || call_state(http, &user, true))
    });
    // All that watch the first, and some that watch the others.
    let is_shown = lamps.listen(RIGHT_WITHIN, |lamps| {
        let mut of_first = lamps.of(&users[..1]);
        let is_lit = |user| lamps.of(std::slice::from_ref(user)).any(|lamp| lamp.is_lit);
        of_first.all(|lamp| lamp.is_lit) && users.iter().all(is_lit)
    });
    assert!(is_shown, "a NOTIFY waits for no disk");
    daemon.kill();
    drop(disk);
    // What was sent before is still in the sockets.
    lamps.listen(QUIET, |_| false);
    for report in reports {
        assert!(!report.join().unwrap(), "it was acknowledged, not recorded");
    }
    let lit = lamps.lamps.iter().filter(|lamp| lamp.is_lit).count();
    let before: Vec<_> = lamps.lamps.iter().map(|lamp| lamp.notifies).collect();

    let daemon = site.start(2);
    let start = Instant::now();
    let is_right = lamps.listen(RIGHT_WITHIN, |lamps| {
        let mut all = lamps.lamps.iter().zip(&before);
        all.all(|(lamp, before)| {
            let is_notified = lamp.notifies > *before && !lamp.is_lit;
            is_notified || !users.contains(&lamp.user)
        })
    });
    println!(
        "{lit} lamps showed calls; right after {:?}",
        start.elapsed()
    );
    let wrong = lamps.lamps.iter().filter(|lamp| lamp.is_lit).count();
    assert!(is_right, "{wrong} lamps still show a call that was lost");
    lamps.listen(QUIET, |_| false);
    let mut others = lamps.lamps.iter().zip(&before);
    let is_told = |lamp: &lamps::Lamp, before| lamp.notifies > before;
    let told = others.find(|(lamp, before)| !users.contains(&lamp.user) && is_told(lamp, **before));
    assert!(told.is_none(), "it knew everything");
    let notified = lamps.lamps.iter().map(|lamp| lamp.notifies).sum::<u32>();
    let expected = before.iter().sum::<u32>() + (users.len() * LAMPS_EACH) as u32;
    assert_eq!(notified, expected, "each once");
    daemon.stop();
}
