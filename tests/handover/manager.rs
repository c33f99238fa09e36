//! A double of the service manager, as systemd documents itself (sd_notify(3), sd_listen_fds(3)): it
//! keeps the sockets that the daemon stores with it, and starts the next daemon with them.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use lamplighter::net::descriptor_passing::receive;
use socket2::SockRef;

/// Where sockets are put before they get the numbers from 3 on: beyond all that are in use.
const HIGH: usize = 400;

pub(crate) struct Manager {
    place: PathBuf,
    store: Arc<Mutex<Store>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The descriptor store, and what was told.
#[derive(Default)]
struct Store {
    sockets: Vec<(String, OwnedFd)>,
    told: Vec<String>,
}

impl Manager {
    pub(crate) fn new(folder: &std::path::Path) -> Self {
        let place = folder.join("notify.sock");
        let socket = UnixDatagram::bind(&place).unwrap();
        let glance = Some(Duration::from_millis(100));
        socket.set_read_timeout(glance).unwrap();
        let store = Arc::new(Mutex::new(Store::default()));
        let is_over = Arc::new(AtomicBool::new(false));
        let thread = {
            let (store, is_over) = (Arc::clone(&store), Arc::clone(&is_over));
            std::thread::spawn(move || {
                while !is_over.load(Ordering::SeqCst) {
                    let mut text = [0; 4096];
                    match receive(&socket, &mut text) {
                        Ok((length, sockets)) => {
                            let text = String::from_utf8_lossy(&text[..length]);
                            store.lock().unwrap().take(&text, sockets);
                        }
                        Err(error) => assert!(
                            [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()),
                            "{error}"
                        ),
                    }
                }
            })
        };
        Self {
            place,
            store,
            is_over,
            thread: Some(thread),
        }
    }

    /// The names of the sockets in the store, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let store = self.store.lock().unwrap();
        let mut names: Vec<_> = store.sockets.iter().map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    }

    /// Whether the daemon told that.
    pub(crate) fn was_told(&self, text: &str) -> bool {
        let store = self.store.lock().unwrap();
        store.told.iter().any(|told| told == text)
    }

    /// Has a command start with the sockets in the store.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let store = self.store.lock().unwrap();
        let names: Vec<_> = store
            .sockets
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        let mut script = String::new();
        for (index, (_, socket)) in store.sockets.iter().enumerate() {
            SockRef::from(socket).set_cloexec(false).unwrap();
            let (number, high) = (socket.as_raw_fd(), HIGH + index);
            script.push_str(&format!("exec {high}<&{number} {number}<&-\n"));
        }
        for index in 0..store.sockets.len() {
            let (high, number) = (HIGH + index, 3 + index);
            script.push_str(&format!("exec {number}<&{high} {high}<&-\n"));
        }
        script.push_str("LISTEN_PID=$$ exec \"$@\"");
        let mut shell = Command::new("bash");
        shell
            .args(["-c", &script, "bash"])
            .arg(command.get_program());
        shell.args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("NOTIFY_SOCKET", &self.place);
        shell.env("LISTEN_FDS", names.len().to_string());
        shell.env("LISTEN_FDNAMES", names.join(":"));
        shell
    }
}

impl Store {
    fn take(&mut self, text: &str, sockets: Vec<OwnedFd>) {
        let has = |line| text.lines().any(|found| found == line);
        let name = text.lines().find_map(|line| line.strip_prefix("FDNAME="));
        let name = name.unwrap_or("stored");
        if has("FDSTORE=1") {
            for socket in sockets {
                let is_new = self
                    .sockets
                    .iter()
                    .all(|(_, known)| inode(known) != inode(&socket));
                if is_new {
                    self.sockets.push((name.to_owned(), socket));
                }
            }
        } else if has("FDSTOREREMOVE=1") {
            self.sockets.retain(|(known, _)| known != name);
        } else {
            self.told.push(text.to_owned());
        }
    }
}

fn inode(socket: &OwnedFd) -> PathBuf {
    fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap()
}

impl Drop for Manager {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking());
    }
}
