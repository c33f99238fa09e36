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

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{fs, thread};

use crate::daemon::{Daemon, Folder};
use crate::link::Link;
use crate::load::Load;
use crate::phone::Endpoint;

/// Kills under load in a plain run.
const KILLS: usize = 20;
/// Users: one half whose calls are reported by HTTP, and one whose calls are published.
const USERS: usize = 10;

/// A server that keeps its addresses and its store from run to run.
struct Site {
    folder: Folder,
    sip: SocketAddr,
    http: SocketAddr,
}

impl Site {
    fn new(name: &str) -> Self {
        let sip = UdpSocket::bind("127.0.0.1:0").unwrap();
        let http = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            folder: Folder::new(name, ""),
            sip: sip.local_addr().unwrap(),
            http: http.local_addr().unwrap(),
        }
    }

    /// Starts the server with this number of shards, or one for each CPU if there are fewer.
    fn start(&self, shards: usize) -> Daemon<'_> {
        let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shards: Vec<usize> = (0..shards.min(cpus)).collect();
        let mut text = format!(
            "[node]\ndata_dir = \"data\"\n[cores]\nshards = {shards:?}\n\
             [[sip.listen]]\ntransport = \"udp\"\naddress = \"{}\"\n\
             [[sip.listen]]\ntransport = \"tcp\"\naddress = \"{0}\"\n[http]\nlisten = [\"{}\"]\n\
             [store]\ndirectory = \"state\"\n[notify]\nrate = 0\n\
             [limits]\nresponse_ring = \"1 MiB\"\n\
             [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\n",
            self.sip, self.http
        );
        for user in 0..USERS {
            text.push_str(&format!(
                "[[account]]\nuser = \"{user}\"\ndomain = \"a.example\"\npassword = \"x\"\n"
            ));
        }
        self.folder.configure(&text);
        Daemon::start(&self.folder)
    }
}

/// Reports a call of a user, or its end, by HTTP. Returns whether the report was acknowledged.
fn call_state(http: SocketAddr, user: &str, is_in_call: bool) -> bool {
    let number = if is_in_call { "&number=5551" } else { "" };
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(http)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        write!(
            stream,
            "GET /call_state.htm?domain=a.example&user={user}&password=x{number} HTTP/1.1\r\n\
             Host: a.example\r\nConnection: close\r\n\r\n"
        )?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    };
    ask().is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
}

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
