//! The daemon under churn: phones of all transports watch users and a list, reboot, move and reconnect,
//! answers get lost, calls come and go, by HTTPS too, and the configuration is reloaded. After each round of churn it is left alone, and then it holds what
//! the phones hold, every lamp shows the state of its user, and nothing else is left: no timer, no
//! NOTIFY, no connection. At the end, when the phones have unsubscribed, nothing is left at all.
//!
//! `LAMPLIGHTER_SOAK` is how many minutes it lasts (default: one short round). From
//! [`ROUNDS_OF_MEMORY`] rounds on, its memory, without the cached pages of the history file, must not
//! grow after the first third of them.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "transports/authority.rs"]
mod authority;
#[path = "operator/daemon.rs"]
mod daemon;
#[path = "restart/link.rs"]
mod link;
#[path = "restart/phone.rs"]
mod phone;
#[path = "soak/phones.rs"]
mod phones;
#[path = "restart/random.rs"]
mod random;
#[path = "restart/site.rs"]
mod site;
#[path = "soak/states.rs"]
mod states;
#[path = "soak/usage.rs"]
mod usage;
#[path = "transports/websocket.rs"]
mod websocket;

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::authority::{Authority, Client};
use crate::daemon::{Daemon, Folder, free_address};
use crate::phones::{Phones, Servers};
use crate::random::Random;
use crate::states::States;
use crate::usage::Usage;

/// How long a round of churn is; the only one of a plain run is shorter.
const CHURN: Duration = Duration::from_secs(20);
const CHURN_PLAIN: Duration = Duration::from_secs(4);
/// Between two reloads.
const RELOADS: Duration = Duration::from_secs(3);
/// A NOTIFY to a phone that is gone is retransmitted for 32 seconds, and the last one begins when its
/// subscription expires.
const REST_MAX: Duration = Duration::from_secs(90);
/// Fewer rounds say nothing about memory.
const ROUNDS_OF_MEMORY: usize = 9;
/// Growth of memory from the second third of the rounds to the last, in percent.
const GROWTH_MAX: u64 = 2;

/// Addresses and files of a server with all transports.
struct Server {
    folder: Folder,
    authority: Authority,
    sip: Servers,
    http: SocketAddr,
    https: SocketAddr,
}

impl Server {
    fn new() -> Self {
        let server = Self {
            folder: Folder::new("soak", ""),
            authority: Authority::new("root"),
            sip: Servers {
                plain: free_address(),
                tls: free_address(),
                ws: free_address(),
                wss: free_address(),
            },
            http: free_address(),
            https: free_address(),
        };
        server.configure(0);
        server
    }

    /// Writes the configuration of the nth reload: another certificate and another account.
    fn configure(&self, reload: usize) {
        let host = self.authority.issue(&["sip.a.example"]);
        host.write(&self.folder.0, "host");
        let Servers {
            plain,
            tls,
            ws,
            wss,
        } = self.sip;
        let (http, https) = (self.http, self.https);
        let certificate = "certificate = \"host.pem\"\nkey = \"host.key\"\n";
        let members: Vec<String> = states::members().collect();
        let mut text = format!(
            "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"{http}\"]\n\
             [[https]]\naddress = \"{https}\"\n{certificate}\
             [store]\ndirectory = \"state\"\n[limits]\nresponse_ring = \"1 MiB\"\n\
             [[sip.listen]]\ntransport = \"udp\"\naddress = \"{plain}\"\n\
             [[sip.listen]]\ntransport = \"tcp\"\naddress = \"{plain}\"\n\
             [[sip.listen]]\ntransport = \"tls\"\naddress = \"{tls}\"\n{certificate}\
             [[sip.listen]]\ntransport = \"ws\"\naddress = \"{ws}\"\n\
             [[sip.listen]]\ntransport = \"wss\"\naddress = \"{wss}\"\n{certificate}\
             [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\nmin_expires = 1\n\
             [[list]]\nuser = \"{list}\"\ndomain = \"a.example\"\nmembers = {members:?}\n\
             [[account]]\nuser = \"reload-{reload}\"\ndomain = \"a.example\"\npassword = \"x\"\n",
            list = states::LIST,
        );
        for user in states::users() {
            text.push_str(&format!(
                "[[account]]\nuser = \"{user}\"\ndomain = \"a.example\"\npassword = \"x\"\n"
            ));
        }
        self.folder.configure(&text);
    }

    /// Octets of the history. The server's writer keeps all pages that it wrote in SQLite's cache, up to
    /// 32 MiB, so its memory grows with the file.
    fn history_octets(&self) -> u64 {
        let file = self.folder.0.join("state/history.sqlite");
        let history = rusqlite::Connection::open(file).unwrap();
        let size = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size";
        let octets: i64 = history.query_row(size, [], |row| row.get(0)).unwrap();
        octets as u64
    }

    fn reload(&self, daemon: &Daemon<'_>, reload: usize) {
        self.configure(reload);
        self.folder.says("reload");
        daemon.wait_for("reloaded: ");
    }
}

#[test]
fn nothing_leaks_while_phones_come_and_go() {
    let minutes = std::env::var("LAMPLIGHTER_SOAK").ok();
    let minutes: Option<u64> = minutes.map(|minutes| minutes.parse().unwrap());
    let duration = minutes.map_or(Duration::ZERO, |minutes| Duration::from_secs(60 * minutes));
    let churn = minutes.map_or(CHURN_PLAIN, |_| CHURN);
    let server = Server::new();
    let daemon = Daemon::start(&server.folder);
    let before = Usage::read(server.http, &daemon);
    let mut random = Random::new();
    let client = server.authority.client(&Client::default());
    let mut phones = Phones::new(server.sip, &client, &mut random);
    let mut states = States::new(&server, client, &mut random);
    let start = Instant::now();
    let mut memory = Vec::new();
    let mut reloads = 0;
    while memory.is_empty() || start.elapsed() < duration {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            phones.churn(scope, &is_over);
            states.churn(scope, &is_over);
            let end = Instant::now() + churn;
            while Instant::now() < end {
                thread::sleep(RELOADS.min(end - Instant::now()));
                reloads += 1;
                server.reload(&daemon, reloads);
            }
            is_over.store(true, Ordering::SeqCst);
        });
        let usage = rest(&mut phones, &states, server.http, &daemon);
        let history = server.history_octets();
        memory.push(usage.memory.saturating_sub(history));
        println!(
            "round {}: {}; {usage}, {history} of them history",
            memory.len(),
            phones.summary()
        );
    }
    let summary = format!(
        "{}, {}, {reloads} reloads",
        phones.summary(),
        states.summary()
    );
    phones.end();
    states.end();
    let after = settle(server.http, &daemon, &before, |usage| {
        usage.is_as_before(&before)
    });
    println!("{summary}\nbefore: {before}\nafter:  {after}");
    phones.assert_all_happened();
    check_memory(&memory);
    daemon.stop();
}

/// Leaves the server alone until it holds what the phones hold.
fn rest(phones: &mut Phones, states: &States, http: SocketAddr, daemon: &Daemon<'_>) -> Usage {
    let is_over = AtomicBool::new(false);
    let held = phones.held();
    let usage = thread::scope(|scope| {
        phones.rest(scope, &is_over);
        let _over = OnDrop(&is_over);
        settle(http, daemon, &held, |usage| usage.is_of(held))
    });
    phones.check(states);
    usage
}

/// Waits until what the server uses is as it should be, which `wanted` describes.
fn settle(
    http: SocketAddr,
    daemon: &Daemon<'_>,
    wanted: &impl fmt::Display,
    is_settled: impl Fn(&Usage) -> bool,
) -> Usage {
    let start = Instant::now();
    loop {
        let usage = Usage::read(http, daemon);
        if is_settled(&usage) {
            return usage;
        }
        assert!(start.elapsed() < REST_MAX, "{usage}, instead of {wanted}");
        thread::sleep(Duration::from_millis(100));
    }
}

fn check_memory(memory: &[u64]) {
    if memory.len() < ROUNDS_OF_MEMORY {
        return;
    }
    let third = memory.len() / 3;
    let highest = |rounds: &[u64]| *rounds.iter().max().unwrap();
    let earlier = highest(&memory[third..2 * third]);
    let later = highest(&memory[2 * third..]);
    let most = earlier + earlier * GROWTH_MAX / 100;
    println!("memory after warm-up: at most {earlier}, then at most {later} octets");
    assert!(later <= most, "memory grows: {memory:?}");
}

/// Sets the flag, even after a panic: the workers wait for it.
struct OnDrop<'f>(&'f AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
