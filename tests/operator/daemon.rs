//! The real binary with a configuration of its own, started and asked as an operator does.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

#[path = "sandbox.rs"]
pub(crate) mod sandbox;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The first port that is tried, and how many more are. They lie below those that the kernel gives to
/// clients and to listeners that ask for any: it could give one of ours away while the server is down.
const PORTS: (u16, u16) = (20_000, 12_000);

/// An address that is free for UDP and TCP, and that no other server of this process gets.
pub(crate) fn free_address() -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let (first, count) = PORTS;
    let begin = (std::process::id() % u32::from(count)) as u16;
    loop {
        let taken = TAKEN.fetch_add(1, Ordering::Relaxed);
        assert!(taken < count, "no port is free");
        let port = first + (begin + taken) % count;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A separate folder with a configuration.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str, configuration: &str) -> Self {
        let name = format!("lamplighter-{name}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir_all(&folder.0).unwrap();
        folder.configure(configuration);
        folder
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("lamplighter.toml")
    }

    pub(crate) fn configure(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// The binary, with the configuration given only by the environment, run from another folder.
    pub(crate) fn lamplighter(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
        command.args(line.split_whitespace());
        command.env("LAMPLIGHTER_CONFIG", self.file());
        // As of systemd; a killed daemon leaves notes there.
        command.env("RUNTIME_DIRECTORY", &self.0);
        command.env_remove("LAMPLIGHTER_LOG").current_dir("/");
        command
    }

    /// The same for a daemon, which runs with the filter of its unit.
    pub(crate) fn daemon(&self, line: &str) -> Command {
        let mut command = self.lamplighter(line);
        sandbox::confine(&mut command);
        command
    }

    pub(crate) fn run(&self, line: &str) -> Output {
        self.lamplighter(line).output().unwrap()
    }

    /// The output of a command, which must succeed.
    pub(crate) fn says(&self, line: &str) -> String {
        let output = self.run(line);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{line}: {text}{:?}", output.stderr);
        text
    }

    /// The error message of a command, which must fail.
    pub(crate) fn complains(&self, line: &str) -> String {
        let output = self.run(line);
        assert!(!output.status.success(), "{line} succeeds");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running daemon.
pub(crate) struct Daemon<'f> {
    folder: &'f Folder,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    /// The log of its start.
    start: Vec<String>,
}

impl<'f> Daemon<'f> {
    pub(crate) fn start(folder: &'f Folder) -> Self {
        Self::start_and_tell(folder).0
    }

    /// Includes the last line of its start.
    pub(crate) fn start_and_tell(folder: &'f Folder) -> (Self, String) {
        Self::start_by(folder, folder.daemon("serve"))
    }

    /// Starts it by a command of one's own.
    pub(crate) fn start_by(folder: &'f Folder, mut command: Command) -> (Self, String) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, kept) = (
            BufReader::new(child.stderr.take().unwrap()),
            Arc::clone(&log),
        );
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let mut daemon = Self {
            folder,
            child,
            log,
            start: Vec::new(),
        };
        daemon.start = daemon.wait_through("ready: ");
        let ready = daemon.start.last().unwrap().clone();
        (daemon, ready)
    }

    /// The first line of the log that contains a text. Removes it, and all lines before it.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_through(text).pop().unwrap()
    }

    /// All lines up to that one.
    fn wait_through(&self, text: &str) -> Vec<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut log = self.log.lock().unwrap();
            if let Some(at) = log.iter().position(|line| line.contains(text)) {
                return log.drain(..=at).collect();
            }
            assert!(Instant::now() < deadline, "no {text:?} in {log:#?}");
            drop(log);
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The first line of the log that contains a text, also one from before it was ready.
    pub(crate) fn first_line(&self, text: &str) -> String {
        let mut lines = self.start.iter();
        let early = lines.find(|line| line.contains(text)).cloned();
        early.unwrap_or_else(|| self.wait_for(text))
    }

    /// How many files it has open, sockets included, but not those of a store in `state`: some of these
    /// are opened when they are first needed.
    pub(crate) fn open_files(&self) -> u64 {
        let files = fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap();
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let is_of_store = |target: &PathBuf| target.iter().any(|part| part == "state");
        targets.filter(|target| !is_of_store(target)).count() as u64
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Runs a command that reaches the daemon whatever is in its file now.
    pub(crate) fn command(&self, line: &str) -> String {
        let socket = self.folder.0.join("data/control.sock");
        format!("{line} --socket {}", socket.display())
    }

    /// The domains that it reports as served.
    pub(crate) fn tenants(&self) -> String {
        let status = self.folder.says(&self.command("status"));
        status.lines().nth(2).unwrap().to_owned()
    }

    /// Kills it at once, as a crash would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn stop(self) {
        self.signal("-TERM");
        self.wait();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{:#?}", self.log.lock().unwrap());
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // What the server said may be why.
            for line in self
                .log
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
            {
                println!("server: {line}");
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
