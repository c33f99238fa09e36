//! The daemon as used by an operator: the real binary, its files, its commands, its log.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "operator/dialed_phone.rs"]
mod dialed_phone;
#[path = "operator/journal.rs"]
mod journal;
#[path = "operator/metrics.rs"]
mod metrics;
#[path = "operator/prometheus.rs"]
mod prometheus;
#[path = "operator/trace.rs"]
mod trace;
#[path = "operator/tshark.rs"]
mod tshark;

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::daemon::{Daemon, Folder, PATIENCE};

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

#[test]
fn what_is_logged_can_be_changed_while_it_runs() {
    let folder = Folder::new("log-level", &tenants(&[("a.example", 1)]));
    let mut command = folder.daemon("serve");
    command.env("LAMPLIGHTER_LOG_FORMAT", "json");
    let (daemon, ready) = Daemon::start_by(&folder, command);
    let line: serde_json::Value = serde_json::from_str(ready.trim()).unwrap();
    assert_eq!(line["level"], "INFO");
    assert!(line["message"].as_str().unwrap().starts_with("ready: "));
    let before = folder.says("log");
    assert_eq!(before, "logging glommio=error,info\n");

    let more = "lamplighter::http=debug,glommio=error,warn";
    let said = folder.says(&format!("log level {more}"));
    assert_eq!(said, format!("logging {more}\n"));
    daemon.wait_for("the operator changed what is logged");
    assert_eq!(folder.says("log"), said);
    let wrong = folder.complains("log level lamplighter=loudly");
    assert!(wrong.contains("not a filter: "), "{wrong}");
    assert_eq!(folder.says("log level default"), before);
    let counters = folder.says("counters");
    assert!(counters.contains("subscriptions "), "{counters}");
    daemon.stop();
}

#[test]
fn manual_pages_and_completions_are_made_of_the_command_line() {
    let folder = Folder::new("documents", HEAD);
    let pages = folder.0.join("man");
    fs::create_dir(&pages).unwrap();
    folder.says(&format!("manual {}", pages.display()));
    let page = fs::read_to_string(pages.join("lamplighter-log-level.1")).unwrap();
    assert!(page.contains(".TH lamplighter-log-level 1"), "{page}");
    assert!(fs::read_dir(&pages).unwrap().count() > 40);
    let missing = folder.complains("manual /nowhere");
    assert!(missing.contains("cannot write to /nowhere"), "{missing}");
    let script = folder.0.join("completions");
    fs::write(&script, folder.says("completions bash")).unwrap();
    let is_read = Command::new("bash").arg("-n").arg(&script).status();
    assert!(is_read.unwrap().success());
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

/// `| head` ends before the command that it reads.
#[test]
fn output_without_a_reader_is_no_fault() {
    let folder = Folder::new("no-reader", &tenants(&[("a.example", 1)]));
    let code = |line: &str| {
        let mut command = folder.lamplighter(line);
        for end in [Command::stdout, Command::stderr] {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            end(&mut command, writer);
        }
        let status = command.stdin(Stdio::null()).status().unwrap();
        status.code()
    };
    let certificate = format!(
        "certificate self-signed b.example --directory {}",
        folder.0.display()
    );
    for line in [
        "--help",
        "check",
        "config",
        "completions bash",
        "token add crm --role feeder --domain a.example",
        "token list",
        &certificate,
    ] {
        assert_eq!(code(line), Some(0), "{line}");
    }
    let daemon = Daemon::start(&folder);
    assert_eq!(code("counters"), Some(0));
    daemon.stop();
    folder.configure("nonsense = 1\n");
    for line in [
        "check",
        "serve",
        "token list",
        "status",
        "trace 0@a.example",
    ] {
        assert_eq!(code(line), Some(1), "{line}");
    }
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
    let (_there, text) = Daemon::start_and_tell(&there);
    let (_, address) = text.split_once("SIP on udp ").unwrap();
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
        let text = here.says(&format!(
            "probe publish {rest} --user 0 --state busy --for 2s"
        ));
        for words in ["401 Unauthorized", "200 OK, for", "user status: Published"] {
            assert!(text.contains(words), "{words}\n{text}");
        }
        assert!(text.ends_with("the probe is over\n"), "{text}");
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

/// What a page of call_state.htm says, by HTTP.
fn call_state(http: &str, domain: &str, number: &str) {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET /call_state.htm?domain={domain}&user=0&password=x&number={number} HTTP/1.1\r\n\
         Host: {domain}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Publishes that user 1 is out to lunch.
fn publish(sip: &str) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = socket.local_addr().unwrap();
    let body = "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:1@a.example\">\
        <tuple id=\"t\"><status><basic>closed</basic></status><note>lunch, \"long\"</note></tuple>\
        </presence>";
    let request = format!(
        "PUBLISH sip:1@a.example SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch=z9hG4bK-history\r\n\
         Max-Forwards: 70\r\nFrom: <sip:1@a.example>;tag=1\r\nTo: <sip:1@a.example>\r\n\
         Call-ID: history\r\nCSeq: 1 PUBLISH\r\nEvent: presence\r\nExpires: 600\r\n\
         Content-Type: application/pidf+xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.send_to(request.as_bytes(), sip).unwrap();
    let mut response = [0; 2048];
    let length = socket.recv(&mut response).unwrap();
    assert!(response[..length].starts_with(b"SIP/2.0 200"));
}

/// The output of a command once it contains a text: the history is written a moment later.
fn says_soon(folder: &Folder, line: &str, text: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let said = folder.says(line);
        if said.contains(text) {
            return said;
        }
        assert!(Instant::now() < deadline, "no {text:?} in {said}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// An address in the line of a start.
fn address<'l>(ready: &'l str, before: &str) -> &'l str {
    let (_, rest) = ready.split_once(before).unwrap();
    rest.split([',', ' ', ';', '\n']).next().unwrap()
}

#[test]
fn the_history_is_shown_outlives_the_server_and_forgets() {
    let mut text = tenants(&[("a.example", 2), ("b.example", 1)]);
    text.push_str("[store]\ndirectory = \"state\"\n");
    text = text.replace(
        "name = \"a.example\"\n",
        "name = \"a.example\"\nauth = \"none\"\n",
    );
    text = text.replace(
        "name = \"b.example\"\n",
        "name = \"b.example\"\nreveal_number = true\n",
    );
    let folder = Folder::new("history", &text);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let http = address(&ready, "HTTP on ");
    call_state(http, "a.example", "5551");
    call_state(http, "b.example", "5552");
    folder.says("set 0@a.example note out");
    publish(address(&ready, "SIP on udp "));

    let table = says_soon(&folder, "history 0@a.example --since 2h", " out");
    for words in [
        "STATUS",
        "busy",
        "http:call_state",
        "a call is confirmed",
        "anonymous",
    ] {
        assert!(table.contains(words), "{words}\n{table}");
    }
    assert!(!table.contains("5551"), "{table}");
    let json = says_soon(&folder, "history b.example --json", "\"next\":null");
    assert!(json.contains("\"party\":\"sip:5552@b.example\""), "{json}");
    let csv = says_soon(&folder, "history a.example --csv", "lunch");
    assert!(
        csv.starts_with("time,address,status,lamp,source,reason,party,note,basic\r\n"),
        "{csv}"
    );
    assert!(csv.contains("\"lunch, \"\"long\"\"\",closed\r\n"), "{csv}");
    assert!(csv.contains(",1@a.example,"), "{csv}");
    let never = folder.says("history 0@a.example --until 1h");
    assert_eq!(never, "0@a.example has no history in that time.\n");
    let counters = folder.says("status --json");
    assert!(counters.contains("\"ready\":true"), "{counters}");

    daemon.kill();
    let daemon = Daemon::start(&folder);
    let after = folder.says("history 0@a.example --since 2h");
    assert_eq!(after, table, "a crash loses nothing of it");

    let told = folder.says("forget 0@a.example");
    for words in ["reported calls: 1", "notes: 1", "changes in the history: "] {
        assert!(told.contains(words), "{words}\n{told}");
    }
    daemon.kill();
    let daemon = Daemon::start(&folder);
    let why = folder.says("why 0@a.example");
    assert!(why.contains("No source has reported anything."), "{why}");
    let gone = folder.says("history 0@a.example");
    assert_eq!(gone, "0@a.example has no history in that time.\n");
    assert_eq!(
        folder.says("forget 0@a.example"),
        "nothing was known of 0@a.example\n"
    );
    let others = folder.says("history a.example");
    assert!(
        others.contains("lunch") && !others.contains("0@a.example"),
        "{others}"
    );
    daemon.stop();
    for entry in fs::read_dir(folder.0.join("state")).unwrap() {
        let path = entry.unwrap().path();
        let octets = fs::read(&path).unwrap();
        let mut windows = octets.windows(4);
        assert!(!windows.any(|window| window == b"5551"), "{path:?}");
    }
}

#[test]
fn without_a_history_the_command_says_why() {
    let folder = Folder::new("no-history", &tenants(&[("a.example", 1)]));
    let daemon = Daemon::start(&folder);
    let complaint = folder.complains("history 0@a.example");
    assert!(complaint.contains("no history is kept"), "{complaint}");
    folder.says("set 0@a.example note out");
    let told = folder.says("forget 0@a.example");
    assert_eq!(told, "erased of 0@a.example:\n  notes: 1\n");
    daemon.stop();
}
