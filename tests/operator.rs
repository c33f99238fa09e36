//! The daemon as used by an operator: the real binary, its files, its commands, its log.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, thread};

const PATIENCE: Duration = Duration::from_secs(20);

/// All addresses are loopback, with ports chosen by the system; the control socket is next to the
/// file.
const HEAD: &str = "[node]\ndata_dir = \"data\"\n\
    [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
    [http]\nlisten = [\"127.0.0.1:0\"]\n\
    [limits]\nresponse_ring = \"1 MiB\"\n";

/// Domains, each with accounts.
fn tenants(domains: &[(&str, usize)]) -> String {
    let mut text = HEAD.to_owned();
    for (domain, accounts) in domains {
        text.push_str(&format!("[[domain]]\nname = \"{domain}\"\n"));
        for user in 0..*accounts {
            text.push_str(&format!(
                "[[account]]\nuser = \"{user}\"\ndomain = \"{domain}\"\npassword = \"x\"\n"
            ));
        }
    }
    text
}

/// A separate folder with a configuration.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, configuration: &str) -> Self {
        let name = format!("lamplighter-{name}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        let _ = fs::remove_dir_all(&folder.0);
        fs::create_dir_all(&folder.0).unwrap();
        folder.configure(configuration);
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.join("lamplighter.toml")
    }

    fn configure(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    /// The binary, with the configuration given only by the environment, run from another folder.
    fn lamplighter(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lamplighter"));
        command.args(line.split_whitespace());
        command.env("LAMPLIGHTER_CONFIG", self.file());
        command.env_remove("LAMPLIGHTER_LOG").current_dir("/");
        command
    }

    fn run(&self, line: &str) -> Output {
        self.lamplighter(line).output().unwrap()
    }

    /// The output of a command, which must succeed.
    fn says(&self, line: &str) -> String {
        let output = self.run(line);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{line}: {text}{:?}", output.stderr);
        text
    }

    /// The error message of a command, which must fail.
    fn complains(&self, line: &str) -> String {
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
struct Daemon<'f> {
    folder: &'f Folder,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl<'f> Daemon<'f> {
    fn start(folder: &'f Folder) -> Self {
        Self::start_and_tell(folder).0
    }

    /// Includes the last line of its start.
    fn start_and_tell(folder: &'f Folder) -> (Self, String) {
        let mut command = folder.lamplighter("serve");
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
        let daemon = Self { folder, child, log };
        let ready = daemon.wait_for("ready: ");
        (daemon, ready)
    }

    /// The first line of the log that contains a text. Removes it, and all lines before it.
    fn wait_for(&self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut log = self.log.lock().unwrap();
            if let Some(at) = log.iter().position(|line| line.contains(text)) {
                return log.drain(..=at).next_back().unwrap();
            }
            assert!(Instant::now() < deadline, "no {text:?} in {log:#?}");
            drop(log);
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Runs a command that reaches the daemon whatever is in its file now.
    fn command(&self, line: &str) -> String {
        let socket = self.folder.0.join("data/control.sock");
        format!("{line} --socket {}", socket.display())
    }

    /// The domains that it reports as served.
    fn tenants(&self) -> String {
        let status = self.folder.says(&self.command("status"));
        status.lines().nth(2).unwrap().to_owned()
    }

    fn stop(mut self) {
        self.signal("-TERM");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_start_ends_with_one_line_of_listeners_and_tenants() {
    let folder = Folder::new("ready", &tenants(&[("a.example", 2)]));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    for part in [
        "SIP on udp 127.0.0.1:",
        "HTTP on 127.0.0.1:",
        "; 1 domain, 2 accounts",
    ] {
        assert!(ready.contains(part), "{ready}");
    }
    let status = folder.says("status");
    let lines: Vec<&str> = status.lines().collect();
    assert!(
        lines[0].starts_with("Lamplighter ") && lines[0].contains(" is ready, up "),
        "{status}"
    );
    assert!(ready.contains(lines[1]), "{ready}\n{status}");
    assert!(lines[2] == "1 domain, 2 accounts", "{status}");
    assert!(
        lines[3].ends_with(", 0 subscriptions, 0 NOTIFYs sent"),
        "{status}"
    );
    daemon.stop();
    assert!(
        folder
            .complains("status")
            .contains("is the server running?")
    );
}

/// An editor that truncates before it writes, a full disk, a file that was moved away.
#[test]
fn a_reload_that_would_remove_most_tenants_changes_nothing() {
    let full = tenants(&[("a.example", 4), ("b.example", 4)]);
    let folder = Folder::new("removal", &full);
    let daemon = Daemon::start(&folder);
    assert_eq!(daemon.tenants(), "2 domains, 8 accounts");
    let cut = full.find("b.example").unwrap();
    let broken = [
        ("", "would remove 2 of 2 domains and 8 of 8 accounts"),
        (HEAD, "would remove 2 of 2 domains and 8 of 8 accounts"),
        (&full[..full.len() / 2], ""),
        (&full[..cut - 1], ""),
        (
            &tenants(&[("a.example", 3), ("b.example", 0)]),
            "would remove 0 of 2 domains and 5 of 8",
        ),
        (
            &tenants(&[("c.example", 9), ("d.example", 9)]),
            "would remove 2 of 2 domains and 8 of 8",
        ),
    ];
    for (text, why) in broken {
        folder.configure(text);
        daemon.signal("-HUP");
        daemon.wait_for(why);
        daemon.wait_for("the configuration was not reloaded; the old one stays in force");
        assert_eq!(daemon.tenants(), "2 domains, 8 accounts", "{text}");
        let complaint = folder.complains(&daemon.command("reload"));
        assert!(complaint.contains(why), "{complaint}");
        assert!(
            complaint.ends_with("the old one stays in force\n"),
            "{complaint}"
        );
    }
    fs::remove_file(folder.file()).unwrap();
    daemon.signal("-HUP");
    daemon.wait_for("cannot be read");
    // Up to half can be removed without confirmation.
    folder.configure(&tenants(&[("a.example", 4)]));
    daemon.signal("-HUP");
    daemon.wait_for("reloaded: 1 domain, 4 accounts");
    assert_eq!(daemon.tenants(), "1 domain, 4 accounts");
    // All of them, if confirmed.
    folder.configure(HEAD);
    let complaint = folder.complains("reload");
    assert!(
        complaint.contains("lamplighter reload --accept-removal"),
        "{complaint}"
    );
    let done = folder.says("reload --accept-removal");
    assert!(
        done.ends_with("reloaded: 0 domains, 0 accounts\n"),
        "{done}"
    );
    assert!(done.contains("there is no [[domain]]"), "{done}");
    daemon.stop();
}

/// A file that never ends must not block anything: neither a start, nor a reload, nor the daemon's
/// other work.
#[test]
fn a_configuration_that_is_not_a_regular_file_blocks_nothing() {
    let folder = Folder::new("fifo", &tenants(&[("a.example", 1)]));
    let daemon = Daemon::start(&folder);
    for (make, why) in [
        ("mkfifo", "not a regular file"),
        ("mkdir", "not a regular file"),
    ] {
        let _ = fs::remove_file(folder.file());
        let made = Command::new(make).arg(folder.file()).status().unwrap();
        assert!(made.success());
        daemon.signal("-HUP");
        daemon.wait_for(why);
        let started = Instant::now();
        assert!(folder.complains("check").contains(why));
        assert!(folder.complains("serve").contains(why));
        assert!(folder.complains("status").contains(why));
        let status = folder.says(&daemon.command("status"));
        assert!(status.contains("1 domain, 1 account"), "{status}");
        assert!(started.elapsed() < PATIENCE / 2);
    }
    fs::remove_dir(folder.file()).unwrap();
    folder.configure(&tenants(&[("a.example", 3)]));
    assert!(
        folder
            .says("reload")
            .ends_with("reloaded: 1 domain, 3 accounts\n")
    );
    daemon.stop();
}

#[test]
fn the_default_configuration_is_printed_and_valid() {
    let folder = Folder::new("default", "");
    let text = folder.says("config");
    assert!(text.starts_with("# Lamplighter's configuration: every key with its default"));
    folder.configure(&text);
    let checked = folder.says("check");
    assert!(checked.contains(": no errors"), "{checked}");
}

/// `--config` takes precedence over the environment, `--socket` over both.
#[test]
fn the_environment_names_the_configuration() {
    let folder = Folder::new("environment", "nonsense = 1\n");
    assert!(
        folder
            .complains("check")
            .contains("unknown key \"nonsense\"")
    );
    let other = Folder::new("given", &tenants(&[("a.example", 1)]));
    let given = folder.says(&format!("check --config {}", other.file().display()));
    let socket = other.0.join("data/control.sock");
    assert!(
        given.contains(&format!("control socket {}", socket.display())),
        "{given}"
    );
}

#[test]
fn one_server_probes_another() {
    let here = Folder::new("probe-here", &tenants(&[("here.test", 1)]));
    let there = Folder::new("probe-there", &tenants(&[("there.test", 2)]));
    let _here = Daemon::start(&here);
    let (_there, told) = Daemon::start_and_tell(&there);
    let (_, address) = told.split_once("SIP on udp ").unwrap();
    let address = address.split([',', ' ', '\n']).next().unwrap();
    let password = here.0.join("password");
    fs::write(&password, "x\n").unwrap();
    let rest = format!(
        "sip:0@there.test --server {address} --password-file {}",
        password.display()
    );
    let line = format!("probe subscribe {rest} --user 1 --for 5s");
    let watched = thread::scope(|scope| {
        let watch = scope.spawn(|| here.says(&line));
        thread::sleep(Duration::from_secs(1));
        let told = here.says(&format!(
            "probe publish {rest} --user 0 --state busy --for 2s"
        ));
        for words in ["401 Unauthorized", "200 OK, for", "user status: Published"] {
            assert!(told.contains(words), "{words}\n{told}");
        }
        assert!(told.ends_with("the probe is over\n"), "{told}");
        watch.join().unwrap()
    });
    for words in [
        "server status: UpAndRunning",
        "user status: Available",
        ": confirmed",
        "user status: Busy",
        "SUBSCRIBE sent, to remove the state",
        "NOTIFY terminated;reason=timeout",
        "the probe is over",
    ] {
        assert!(watched.contains(words), "{words}\n{watched}");
    }
    let json = here.run(&format!("probe subscribe {rest} --user 7 --for 5s --json"));
    assert!(!json.status.success());
    let json = String::from_utf8(json.stdout).unwrap();
    assert!(json.contains("\"user_status\":\"Access denied\""), "{json}");
    let complaint = here.complains("probe subscribe sip:0@there.test;transport=tcp");
    assert_eq!(
        complaint,
        "a probe can use UDP only; TCP and TLS are not supported yet\n"
    );
}
