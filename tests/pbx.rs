//! Connectors without SIP: the daemon beside a PBX that speaks Asterisk's manager interface or FreeSWITCH's event
//! socket, as their sources do (Asterisk 23 at f0c1c1a7, FreeSWITCH 1.10 at cc93a683). The lamps are those of a
//! phone that subscribed.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "pbx/asterisk.rs"]
mod asterisk;
#[path = "operator/daemon.rs"]
mod daemon;
#[path = "pbx/encrypted.rs"]
mod encrypted;
#[path = "pbx/freeswitch.rs"]
mod freeswitch;
#[path = "pbx/lamps.rs"]
mod lamps;
#[path = "pbx/server.rs"]
mod server;

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Folder, PATIENCE};

/// A domain whose users a connector reports on.
fn configuration(connector: &str, address: SocketAddr) -> String {
    let accounts = ["101", "102", "103"].map(|user| {
        format!("[[account]]\nuser = \"{user}\"\ndomain = \"a.example\"\npassword = \"x\"\n")
    });
    format!(
        "[node]\ndata_dir = \"data\"\n[[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [http]\nlisten = [\"127.0.0.1:0\"]\n[limits]\nresponse_ring = \"1 MiB\"\n\
         [[domain]]\nname = \"a.example\"\ntrusted = [\"127.0.0.0/8\"]\norbits = [\"700-709\"]\n{}\
         [[connector]]\nname = \"pbx\"\ndomain = \"a.example\"\naddress = \"{address}\"\n{connector}",
        accounts.concat()
    )
}

/// Waits until a command says a text.
fn await_words(folder: &Folder, command: &str, words: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = folder.says(command);
        if said.contains(words) {
            return said;
        }
        assert!(Instant::now() < deadline, "no {words:?}: {said}");
        thread::sleep(Duration::from_millis(50));
    }
}
