//! The blocks of README, and then those of the guide, pasted one after another into one shell, as a newcomer
//! would.
//!
//! | block | what happens |
//! |---|---|
//! | `sh` | it is run; every command must succeed |
//! | `console` | the lines after `$` are run, the other lines are output |
//! | `output` | every line must be in the output since the last block that was run, or in the messages that the phone received |
//!
//! Times, identifiers and white space may differ. Three things are replaced because a test cannot
//! wait for them or use them: `cargo` is a script for which everything is already built, the ports
//! are different, and a phone on UDP subscribes as soon as the server runs.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};
use std::{fs, thread};

/// The pages, with their names.
const PAGES: [(&str, &str); 2] = [
    ("README.md", include_str!("../README.md")),
    ("systemd/README.md", include_str!("../systemd/README.md")),
];
/// Maximum duration of a block: the demonstration makes several calls.
const PATIENCE: Duration = Duration::from_secs(120);
/// Maximum time until a NOTIFY arrives.
const NOTIFY_PATIENCE: Duration = Duration::from_secs(5);

const SERVER: &str = "127.0.0.1:26060";
const PHONE: &str = "127.0.0.1:26009";
/// A text of the pages, and its replacement in this test.
const HERE: [(&str, &str); 4] = [
    ("10.0.0.9:5060", PHONE),
    ("10.0.0.0/8", "127.0.0.0/8"),
    (":5060", ":26060"),
    (":8080", ":26080"),
];

/// A block of a page: its place, its kind, its text.
struct Block {
    place: String,
    kind: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    let lines = PAGES.iter().flat_map(|(page, text)| {
        let lines = (1..).zip(text.lines());
        lines.map(move |(number, line)| (format!("{page}:{number}"), line))
    });
    for (place, text) in lines {
        match text.strip_prefix("```") {
            Some(_) if is_open => is_open = false,
            Some(kind) => {
                is_open = true;
                let kind = kind.to_owned();
                let text = String::new();
                blocks.push(Block { place, kind, text });
            }
            None if is_open => blocks.last_mut().unwrap().text.extend([text, "\n"]),
            None => {}
        }
    }
    for block in &mut blocks {
        for (said, here) in HERE {
            block.text = block.text.replace(said, here);
        }
    }
    blocks
}

/// A folder like a checkout in which everything is built.
struct Checkout(PathBuf);

impl Checkout {
    fn new() -> Self {
        let name = format!("lamplighter-readme-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("target/release")).unwrap();
        fs::create_dir_all(folder.join("bin")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_lamplighter"));
        symlink(binary, folder.join("target/release/lamplighter")).unwrap();
        let cargo = folder.join("bin/cargo");
        let script = "#!/bin/sh\n\
            case $1 in\n\
            build) exit 0 ;;\n\
            run) while [ \"$1\" != -- ]; do shift; done; shift; exec target/release/lamplighter \"$@\" ;;\n\
            *) echo \"cargo $1: not here\" >&2; exit 1 ;;\n\
            esac\n";
        fs::write(&cargo, script).unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A shell to which the blocks are given one after another.
struct Shell {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Shell {
    fn start(checkout: &Checkout) -> Self {
        let path = std::env::var("PATH").unwrap();
        let mut child = Command::new("bash")
            .args(["--noprofile", "--norc"])
            .current_dir(&checkout.0)
            .env(
                "PATH",
                format!("{}:{path}", checkout.0.join("bin").display()),
            )
            .env_remove("LAMPLIGHTER_CONFIG")
            .env_remove("LAMPLIGHTER_LOG")
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output: Box<dyn Read + Send> = Box::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// Runs commands. Returns their output.
    fn run(&mut self, block: &Block, commands: &str) -> Vec<String> {
        const MARK: &str = "-- the block ends with ";
        let place = &block.place;
        // If any command fails, the block fails.
        let script = format!(
            "status=0; trap 'status=$?' ERR\n{commands}\ntrap - ERR; echo; echo \"{MARK}$status\"\n"
        );
        let stdin = self.child.stdin.as_mut().unwrap();
        stdin.write_all(script.as_bytes()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut printed = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("{place} does not end: {printed:#?}"));
            if let Some(status) = line.strip_prefix(MARK) {
                assert_eq!(status, "0", "{place} fails: {printed:#?}");
                return printed;
            }
            printed.push(line);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // Also ends the server, which the shell started.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-TERM", "--", &group]).status();
        let _ = self.child.wait();
    }
}

/// The phone of user 124, with a key for 123: responds to every NOTIFY, and keeps its lines.
fn start_phone() -> Arc<Mutex<Vec<String>>> {
    let socket = UdpSocket::bind(PHONE).unwrap();
    let request = format!(
        "SUBSCRIBE sip:123@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP {PHONE};rport;branch=z9hG4bK-1\r\n\
         Max-Forwards: 70\r\nFrom: <sip:124@abc.com>;tag=f\r\nTo: <sip:123@abc.com>\r\nCall-ID: readme\r\n\
         CSeq: 1 SUBSCRIBE\r\nContact: <sip:124@{PHONE}>\r\nEvent: dialog\r\n\
         User-Agent: Yealink SIP-T46U 108.86.0.20\r\nExpires: 3600\r\nContent-Length: 0\r\n\r\n"
    );
    socket.send_to(request.as_bytes(), SERVER).unwrap();
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&got);
    thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, server)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.starts_with("NOTIFY ") {
                let copied = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"].map(|name| {
                    let line = text.lines().find(|line| line.starts_with(name));
                    format!("{}\r\n", line.unwrap())
                });
                let ok = format!(
                    "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
                    copied.concat()
                );
                socket.send_to(ok.as_bytes(), server).unwrap();
            }
            kept.lock().unwrap().extend(text.lines().map(str::to_owned));
        }
    });
    got
}

/// A line without the parts that may differ: times, identifiers.
fn normal(line: &str) -> String {
    let words = line.split_whitespace().map(|word| {
        let units = ["ms", "s", "m", "h"];
        let is_number = |text: &str| text.parse::<f64>().is_ok();
        let is_time = units
            .iter()
            .any(|unit| word.strip_suffix(unit).is_some_and(is_number));
        let hex: String = word.chars().filter(char::is_ascii_hexdigit).collect();
        match word {
            _ if is_time || is_number(word) && word.contains('.') => "#".to_owned(),
            _ if word.starts_with("id=\"") && hex.len() > 8 => "id".to_owned(),
            _ if word.contains("expires=") => word.split("expires=").next().unwrap().to_owned(),
            _ => word.to_owned(),
        }
    });
    // "1h 59m" and "2h" are equivalent.
    let mut words: Vec<String> = words.collect();
    words.dedup_by(|next, before| next == "#" && before == "#");
    words.join(" ")
}

/// Checks that every line of an output block was printed.
fn compare(block: &Block, expected: &str, printed: &dyn Fn() -> Vec<String>) {
    let deadline = Instant::now() + NOTIFY_PATIENCE;
    let wanted = expected.lines().map(normal);
    let wanted: Vec<String> = wanted
        .filter(|line| !line.is_empty() && line != "...")
        .collect();
    assert!(!wanted.is_empty(), "{} shows nothing", block.place);
    loop {
        let there: Vec<String> = printed().iter().map(|line| normal(line)).collect();
        let missing: Vec<&String> = wanted.iter().filter(|line| !there.contains(line)).collect();
        if missing.is_empty() {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{} shows what is not printed: {missing:#?}\n{there:#?}",
            block.place
        );
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn every_block_works_when_pasted_after_the_one_before() {
    let checkout = Checkout::new();
    let mut shell = Shell::start(&checkout);
    let mut printed: Vec<String> = Vec::new();
    let mut phone: Option<Arc<Mutex<Vec<String>>>> = None;
    let (mut run, mut compared) = (0, 0);
    for block in &blocks() {
        let is_console = block.kind == "console";
        let (commands, output): (String, String) = match block.kind.as_str() {
            "sh" => (block.text.clone(), String::new()),
            "output" => (String::new(), block.text.clone()),
            "console" => {
                let commands = block
                    .text
                    .lines()
                    .filter_map(|line| line.strip_prefix("$ "));
                let output = block.text.lines().filter(|line| !line.starts_with("$ "));
                let join = |lines: Vec<&str>| lines.join("\n");
                (join(commands.collect()), join(output.collect()))
            }
            _ => continue,
        };
        if commands.contains("call_state.htm?") && phone.is_none() {
            phone = Some(start_phone());
        }
        if !commands.is_empty() {
            printed = shell.run(block, &commands);
            run += 1;
        }
        if block.kind == "output" || is_console && !output.trim().is_empty() {
            let all = || {
                let got = phone.as_ref().map(|got| got.lock().unwrap().clone());
                printed
                    .iter()
                    .cloned()
                    .chain(got.into_iter().flatten())
                    .collect()
            };
            compare(block, &output, &all);
            compared += 1;
        }
    }
    assert!(
        run >= 8 && compared >= 5,
        "{run} blocks run, {compared} compared"
    );
}

/// A page has at most so many lines that a newcomer reads it.
#[test]
fn readme_is_short_and_links_lead_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(PAGES[0].1.lines().count() <= 150);
    for (page, text) in PAGES {
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.starts_with("http")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match path {
                "" => root.join(page),
                path => root.join(page).parent().unwrap().join(path),
            };
            assert!(file.exists(), "{page}: {target}");
            if !anchor.is_empty() {
                let found = fs::read_to_string(&file).unwrap();
                let heads = found.lines().filter(|line| line.starts_with('#'));
                let is_there = heads.map(anchor_of).any(|known| known == anchor);
                assert!(is_there, "{page}: {target}");
            }
        }
    }
}

/// `## Limits, and what it is not` is linked as `limits-and-what-it-is-not`.
fn anchor_of(heading: &str) -> String {
    let name = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = name
        .chars()
        .filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter })
        .collect()
}
