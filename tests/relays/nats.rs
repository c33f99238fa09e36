//! NATS, with its own server: each change arrives on the subject of its user, and what stands after any of the two was
//! killed. A stream of JetStream keeps the last message of each subject.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::daemon::{Daemon, PATIENCE, free_address};
use crate::site::Site;

/// Ends when it is dropped.
struct Server {
    child: Child,
    port: u16,
    /// Of its monitoring, by HTTP.
    monitor: u16,
}

impl Server {
    /// A server with JetStream in the folder of a site; `more` says who may log in.
    fn start(site: &Site, port: u16, more: &str) -> Self {
        let (root, monitor) = (site.folder.0.display(), free_address().port());
        let text = format!(
            "listen: \"127.0.0.1:{port}\"\nhttp: \"127.0.0.1:{monitor}\"\n\
             jetstream {{ store_dir: \"{root}/nats-{port}\" }}\n{more}\n"
        );
        let path = site.folder.0.join(format!("nats-{port}.conf"));
        fs::write(&path, text).unwrap();
        let mut command = Command::new("nats-server");
        let command = command.arg("-c").arg(path).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        let server = Self {
            child,
            port,
            monitor,
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "nats-server does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        server
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(status.success());
    }

    /// Its connections of that name.
    fn connections(&self, name: &str) -> Vec<Value> {
        let url = format!("http://127.0.0.1:{}/connz", self.monitor);
        let output = Command::new("curl").args(["-sS", "-f", &url]).output();
        let all: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        let all = all["connections"].as_array().unwrap().iter();
        all.filter(|one| one["name"] == name).cloned().collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A client that speaks as the protocol says.
struct Client(BufReader<TcpStream>);

impl Client {
    /// Logs in with these members of CONNECT, and subscribes.
    fn start(server: &Server, login: &Value, subject: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut client = Self(BufReader::new(stream));
        client.write(&format!("CONNECT {login}\r\nSUB {subject} 1\r\nPING\r\n"));
        let deadline = Instant::now() + PATIENCE;
        while client.line().is_none_or(|line| line != "PONG") {
            assert!(Instant::now() < deadline, "no PONG");
        }
        client
    }

    fn write(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The next line; None if none comes for a moment.
    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(_) if line.ends_with('\n') => {}
            _ => return None,
        }
        let line = line.trim_end().to_owned();
        assert!(!line.starts_with("-ERR"), "{line}");
        if line == "PING" {
            self.write("PONG\r\n");
        }
        Some(line)
    }

    /// The next message: its subject and its JSON; None if none comes for a moment.
    fn message(&mut self) -> Option<(String, Value)> {
        let line = self.line()?;
        let words: Vec<&str> = line.split(' ').collect();
        if words[0] != "MSG" {
            return self.message();
        }
        let octets: usize = words.last().unwrap().parse().unwrap();
        let mut payload = vec![0; octets + 2];
        self.0.read_exact(&mut payload).unwrap();
        let json = serde_json::from_slice(&payload).unwrap();
        Some((words[1].to_owned(), json))
    }

    /// The next message of a subject with that lamp; those before it are skipped.
    fn wait_for(&mut self, subject: &str, lamp: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut others = Vec::new();
        while Instant::now() < deadline {
            match self.message() {
                Some((of, state)) if of == subject && state["lamp"] == lamp => return state,
                other => others.extend(other),
            }
        }
        panic!("{subject} is not {lamp}: {others:#?}");
    }

    /// Waits until the last message of each user is so.
    fn wait_for_last(&mut self, users: &[(&str, &str)]) {
        let deadline = Instant::now() + PATIENCE;
        let mut last = HashMap::new();
        let is_last = |last: &HashMap<String, Value>, user: &str, lamp: &str| {
            let subject = format!("lamplighter.abc.com.{user}.state");
            last.get(&subject)
                .is_some_and(|state| state["lamp"] == lamp)
        };
        while !users.iter().all(|(user, lamp)| is_last(&last, user, lamp)) {
            assert!(Instant::now() < deadline, "{last:#?}");
            last.extend(self.message());
        }
    }

    /// What is answered to a request; this client subscribes to `answers`.
    fn ask(&mut self, subject: &str, body: &Value) -> Value {
        let body = body.to_string();
        self.write(&format!(
            "PUB {subject} answers {}\r\n{body}\r\n",
            body.len()
        ));
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some((_, answer)) = self.message() {
                return answer;
            }
            assert!(Instant::now() < deadline, "{subject} is not answered");
        }
    }
}

const LOGIN: &str = "auth_id = \"lamps\"\nsecret = \"hidden word\"\n";
const USERS: &str = "authorization { user: lamps, password: \"hidden word\" }";

fn login() -> Value {
    json!({"verbose": false, "user": "lamps", "pass": "hidden word"})
}

/// The table of a relay to a server of this machine.
fn table(name: &str, port: u16, more: &str) -> String {
    format!(
        "[[relay]]\nname = \"{name}\"\nkind = \"nats\"\nurl = \"nats://127.0.0.1:{port}\"\n{more}\n"
    )
}

/// The table of the guide, with that server.
fn of_the_guide(url: &str) -> String {
    let guide = include_str!("../../systemd/README.md");
    let mut blocks = guide.split("```text\n").skip(1);
    let table = blocks.find_map(|block| {
        let (table, _) = block.split_once("```")?;
        table.contains("kind = \"nats\"").then_some(table)
    });
    let lines = table.unwrap().lines();
    let lines = lines.filter(|line| !line.starts_with("url = "));
    lines.chain([url]).collect::<Vec<_>>().join("\n") + "\n"
}

/// Makes the stream of the guide.
fn keep_last_messages(server: &Server) {
    let stream = json!({"name": "LAMPS", "subjects": ["lamplighter.>"], "max_msgs_per_subject": 1});
    let mut client = Client::start(server, &login(), "answers");
    let made = client.ask("$JS.API.STREAM.CREATE.LAMPS", &stream);
    assert_eq!(made["error"], json!(null), "{made:#}");
}

/// Waits until the last message of a user that the stream has is so.
fn wait_for_last(server: &Server, user: &str, lamp: &str) {
    let mut client = Client::start(server, &login(), "answers");
    let subject = format!("lamplighter.abc.com.{user}.state");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = client.ask(
            "$JS.API.STREAM.MSG.GET.LAMPS",
            &json!({"last_by_subj": subject}),
        );
        let data = found["message"]["data"].as_str().unwrap_or_default();
        let data = BASE64_STANDARD.decode(data).unwrap();
        let state: Value = serde_json::from_slice(&data).unwrap_or_default();
        if state["lamp"] == lamp {
            return;
        }
        assert!(Instant::now() < deadline, "{subject}: {found:#}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_subject_tells_each_change() {
    let port = free_address().port();
    let account = "[[account]]\nuser = \"ann.lee\"\ndomain = \"abc.com\"\npassword = \"x\"\n";
    let site = Site::new("nats", &(table("bus", port, LOGIN) + account));
    let server = Server::start(&site, port, USERS);
    let daemon = Daemon::start(&site.folder);
    site.wait_until("relays", |text| text.contains("bus"));
    let mut client = Client::start(&server, &login(), "lamplighter.>");
    site.call_state("100", "&number=5551");
    let state = client.wait_for("lamplighter.abc.com.100.state", "confirmed");
    assert_eq!(
        (&state["user"], &state["domain"]),
        (&json!("100"), &json!("abc.com"))
    );
    assert!(state["party"].as_str().unwrap().contains("5551"), "{state}");
    site.call_state("ann.lee", "&number=5552");
    client.wait_for("lamplighter.abc.com.ann%2Elee.state", "confirmed");
    site.call_state("100", "");
    client.wait_for("lamplighter.abc.com.100.state", "terminated");
    site.wait_until("relays", |text| text.contains("working"));
    assert_eq!(server.connections("lamplighter bus").len(), 1);
    // A server that begins anew tells what stands, also who is no longer in a call.
    daemon.kill();
    let daemon = Daemon::start(&site.folder);
    client.wait_for("lamplighter.abc.com.ann%2Elee.state", "confirmed");
    daemon.stop();
}

#[test]
fn a_server_that_was_killed_learns_what_stands() {
    let port = free_address().port();
    let site = Site::new("nats-killed", &table("bus", port, LOGIN));
    let server = Server::start(&site, port, USERS);
    keep_last_messages(&server);
    let daemon = Daemon::start(&site.folder);
    for user in ["100", "101"] {
        site.call_state(user, "&number=5551");
        wait_for_last(&server, user, "confirmed");
    }
    drop(server);
    site.call_state("100", "");
    site.call_state("102", "&number=5552");
    daemon.first_line("the relay fails");
    // Long enough for a queue that waits ever longer after each failure.
    thread::sleep(Duration::from_secs(8));
    let server = Server::start(&site, port, USERS);
    for (user, lamp) in [
        ("100", "terminated"),
        ("101", "confirmed"),
        ("102", "confirmed"),
    ] {
        wait_for_last(&server, user, lamp);
    }
    let shown = site.wait_until("relays", |text| text.contains("working"));
    assert!(shown.contains(" 0             0 "), "{shown}");
    daemon.stop();
}

/// Of a cluster, the servers are tried in turn.
#[test]
fn a_token_and_another_server_of_the_cluster() {
    let (away, port) = (free_address().port(), free_address().port());
    let site = Site::new("nats-token", "");
    let url = format!("url = \"nats://127.0.0.1:{away},nats://127.0.0.1:{port}\"");
    fs::write(site.folder.0.join("nats.token"), "a token\n").unwrap();
    site.run("chmod 600 nats.token");
    site.configure(&format!(
        "[[relay]]\nname = \"bus\"\nkind = \"nats\"\n{url}\nsecret_file = \"nats.token\"\nsubject = \"lamps.v1\"\n"
    ));
    let server = Server::start(&site, port, "authorization { token: \"a token\" }");
    let login = json!({"verbose": false, "auth_token": "a token"});
    let mut client = Client::start(&server, &login, "lamps.v1.abc.com.*.state");
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    client.wait_for("lamps.v1.abc.com.100.state", "confirmed");
    daemon.stop();
}

#[test]
fn a_wrong_password_is_shown() {
    let port = free_address().port();
    let wrong = LOGIN.replace("hidden", "wrong");
    let site = Site::new("nats-refused", &table("bus", port, &wrong));
    let server = Server::start(&site, port, USERS);
    let mut client = Client::start(&server, &login(), ">");
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let shown = site.wait_until("relays", |text| {
        text.contains("refused: Authorization Violation")
    });
    assert!(shown.contains("failing"), "{shown}");
    assert_eq!(client.message(), None);
    // A reload with the right one is enough.
    site.configure(&table("bus", port, LOGIN));
    site.lamplighter("reload");
    client.wait_for("lamplighter.abc.com.100.state", "confirmed");
    site.wait_until("relays", |text| text.contains("working"));
    daemon.stop();
}

#[test]
fn a_subject_that_is_forbidden_holds_up_no_other() {
    let port = free_address().port();
    let site = Site::new("nats-forbidden", &table("bus", port, LOGIN));
    let users = "authorization { users: [\n\
                 { user: lamps, password: \"hidden word\", permissions: { publish: { deny: \"*.*.*.100.>\" } } }\n] }";
    let server = Server::start(&site, port, users);
    let mut client = Client::start(&server, &login(), "lamplighter.>");
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    let shown = site.wait_until("relays", |text| text.contains("Permissions Violation"));
    assert!(!shown.contains("100"), "{shown}");
    for lamp in ["confirmed", "terminated"] {
        site.call_state("101", if lamp == "confirmed" { "&number=1" } else { "" });
        client.wait_for("lamplighter.abc.com.101.state", lamp);
    }
    daemon.stop();
}

/// Verified by an authority of one's own. A relay without TLS is not let in where the server wants TLS.
#[test]
fn a_server_is_told_by_tls() {
    let port = free_address().port();
    let site = Site::new("nats-tls", "");
    site.certify();
    let safe = of_the_guide(&format!("url = \"tls://localhost:{port}\""));
    fs::write(site.folder.0.join("nats.secret"), "hidden word\n").unwrap();
    site.configure(&(safe + "[dial]\nca = \"ca.pem\"\n"));
    let tls = |more: &str| {
        let root = site.folder.0.display();
        let files = format!("cert_file: \"{root}/server.crt\", key_file: \"{root}/server.key\"");
        format!("{USERS}\ntls {{ {files} }}\n{more}")
    };
    let server = Server::start(&site, port, &tls("allow_non_tls: true"));
    let mut client = Client::start(&server, &login(), "lamplighter.>");
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=5551");
    client.wait_for("lamplighter.abc.com.100.state", "confirmed");
    let connections = server.connections("lamplighter bus");
    assert_eq!(connections[0]["tls_version"], "1.3", "{connections:#?}");
    drop(server);
    let _server = Server::start(&site, port, &tls(""));
    site.configure(&table("bare", port, LOGIN));
    site.lamplighter("reload");
    site.wait_until("relays", |text| text.contains("the server wants TLS"));
    daemon.stop();
}

/// One server is stopped; the other is told every state, and the one that goes on is told the last.
#[test]
fn a_server_that_hangs_holds_up_nothing_else() {
    let (good, bad) = (free_address().port(), free_address().port());
    let tables = [
        table("good", good, LOGIN),
        table("bad", bad, &format!("{LOGIN}timeout = \"1s\"\nqueue = 2")),
    ];
    let site = Site::new("nats-hanging", &tables.concat());
    let good = Server::start(&site, good, USERS);
    let bad = Server::start(&site, bad, USERS);
    let mut told = Client::start(&good, &login(), "lamplighter.>");
    let mut late = Client::start(&bad, &login(), "lamplighter.>");
    let daemon = Daemon::start(&site.folder);
    site.call_state("100", "&number=1");
    late.wait_for("lamplighter.abc.com.100.state", "confirmed");
    bad.signal("-STOP");
    for round in 0..20 {
        for user in ["100", "101", "102"] {
            let subject = format!("lamplighter.abc.com.{user}.state");
            site.call_state(user, &format!("&number={round}"));
            told.wait_for(&subject, "confirmed");
            site.call_state(user, "");
            told.wait_for(&subject, "terminated");
        }
    }
    site.call_state("102", "&number=5551");
    told.wait_for("lamplighter.abc.com.102.state", "confirmed");
    site.wait_until("relays", |text| text.contains("no response in time"));
    bad.signal("-CONT");
    late.wait_for_last(&[("100", "terminated"), ("102", "confirmed")]);
    daemon.stop();
}
