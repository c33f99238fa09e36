//! A server that keeps its addresses and its store from run to run.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Folder, PATIENCE, free_address};

/// Users whose calls are reported by HTTP, then users whose calls are published.
pub(crate) const USERS: usize = 10;

/// A server that keeps its addresses and its store from run to run.
pub(crate) struct Site {
    pub(crate) folder: Folder,
    pub(crate) sip: SocketAddr,
    pub(crate) http: SocketAddr,
    /// More lines of `[store]`.
    pub(crate) store: &'static str,
}

impl Site {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            folder: Folder::new(name, ""),
            sip: free_address(),
            http: free_address(),
            store: "",
        }
    }

    /// Starts the server with that many shards, as far as there are CPUs.
    pub(crate) fn start(&self, shards: usize) -> Daemon<'_> {
        let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shards: Vec<usize> = (0..shards.min(cpus)).collect();
        let mut text = format!(
            "[node]\ndata_dir = \"data\"\n[cores]\nshards = {shards:?}\n\
             [[sip.listen]]\ntransport = \"udp\"\naddress = \"{}\"\n\
             [[sip.listen]]\ntransport = \"tcp\"\naddress = \"{0}\"\n[http]\nlisten = [\"{}\"]\n\
             [store]\ndirectory = \"state\"\n{}\n[notify]\nrate = 0\n\
             [limits]\nresponse_ring = \"1 MiB\"\n\
             [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\norbits = [\"700-709\"]\nmin_expires = 1\n",
            self.sip, self.http, self.store
        );
        for user in 0..USERS {
            text.push_str(&format!(
                "[[account]]\nuser = \"{user}\"\ndomain = \"a.example\"\npassword = \"x\"\n"
            ));
        }
        self.folder.configure(&text);
        Daemon::start(&self.folder)
    }

    /// A value of `/metrics`, by its name without `lamplighter_`.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.value(&format!("lamplighter_{name} "))
    }

    /// Octets of the daemon in memory.
    pub(crate) fn resident_memory(&self) -> u64 {
        self.value("process_resident_memory_bytes ")
    }

    fn value(&self, name: &str) -> u64 {
        let metrics = get(self.http, "/metrics").unwrap();
        let value = metrics.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap().trim().parse().unwrap()
    }

    /// Waits until the store fails, or no longer does.
    pub(crate) fn wait_for_failure(&self, is_failing: bool) {
        self.wait_for("store_failing", |failing| (failing == 1) == is_failing);
    }

    /// Waits until a value of `/metrics` is as it should be.
    pub(crate) fn wait_for(&self, name: &str, is_so: impl Fn(u64) -> bool) {
        let start = Instant::now();
        while !is_so(self.metric(name)) {
            let why = || self.folder.says("status");
            assert!(start.elapsed() < PATIENCE, "{}", why());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What `/readyz` says.
    pub(crate) fn readiness(&self) -> String {
        get(self.http, "/readyz").unwrap()
    }
}

/// Reports a call of a user, or its end, by HTTP. Whether it was acknowledged.
pub(crate) fn call_state(http: SocketAddr, user: &str, is_in_call: bool) -> bool {
    let number = if is_in_call { "&number=5551" } else { "" };
    let path = format!("/call_state.htm?domain=a.example&user={user}&password=x{number}");
    get(http, &path).is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The response to a GET.
pub(crate) fn get(http: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(http)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
