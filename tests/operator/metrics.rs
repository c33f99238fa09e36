//! `/metrics` as Prometheus reads it, and the alerts and the dashboard that are made of it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Folder, PATIENCE};
use crate::{HEAD, address, call_state, tenants};

fn metrics(http: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A phone on UDP, which subscribes to sip:0 and publishes for sip:2 of a domain.
struct Phone {
    socket: UdpSocket,
    server: String,
}

impl Phone {
    fn new(server: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let server = server.to_owned();
        Self { socket, server }
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), &self.server).unwrap();
    }

    fn subscribe(&self, domain: &str) {
        let at = self.socket.local_addr().unwrap();
        self.send(&format!(
            "SUBSCRIBE sip:0@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK{domain};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:2@{domain}>;tag=1\r\nTo: <sip:0@{domain}>\r\n\
             Call-ID: {domain}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:2@{at}>\r\nEvent: dialog\r\n\
             User-Agent: Yealink SIP-T46U 108.86.0.20\r\nContent-Length: 0\r\n\r\n"
        ));
    }

    fn publish(&self, domain: &str) {
        let at = self.socket.local_addr().unwrap();
        self.send(&format!(
            "PUBLISH sip:2@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKp;rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:2@{domain}>;tag=1\r\nTo: <sip:2@{domain}>\r\n\
             Call-ID: p\r\nCSeq: 1 PUBLISH\r\nEvent: message-summary\r\nExpires: 600\r\n\
             Content-Type: application/simple-message-summary\r\nContent-Length: 23\r\n\r\n\
             Messages-Waiting: yes\r\n"
        ));
    }

    /// The next message, which begins like that.
    fn read(&self, start: &str) -> String {
        let mut message = [0; 2048];
        let length = self.socket.recv(&mut message).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        assert!(text.starts_with(start), "{text}");
        text
    }

    fn respond(&self, notify: &str, status: &str) {
        let copied = |line: &&str| {
            let name = line.split(':').next().unwrap();
            ["Via", "From", "To", "Call-ID", "CSeq"].contains(&name)
        };
        let headers: Vec<&str> = notify.split("\r\n").filter(copied).collect();
        let headers = headers.join("\r\n");
        self.send(&format!(
            "SIP/2.0 {status}\r\n{headers}\r\nContent-Length: 0\r\n\r\n"
        ));
    }
}

/// One PUBLISH is accepted; one SUBSCRIBE is refused, because its domain is not served; one NOTIFY is
/// refused by its phone.
fn talk(sip: &str) {
    let phone = Phone::new(sip);
    phone.publish("open.example");
    phone.read("SIP/2.0 200 ");
    phone.subscribe("other.example");
    phone.read("SIP/2.0 404 ");
    phone.subscribe("open.example");
    phone.read("SIP/2.0 200 ");
    phone.respond(&phone.read("NOTIFY "), "481 Gone");
}

/// The metrics of a server with everything that is counted: TLS, a store, a refused request.
fn all_metrics() -> String {
    let tls = "[[sip.listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\n\
        certificate = \"sip.example.com.pem\"\nkey = \"sip.example.com.key\"\n\
        [store]\ndirectory = \"state\"\n";
    let text = (tenants(&[("a.example", 1)]) + OPEN).replacen(
        "[node]\n",
        &format!("[cores]\nshards = [0]\n{tls}[node]\n"),
        1,
    );
    let folder = Folder::new("metrics", &text);
    let made = folder.lamplighter("certificate self-signed sip.example.com");
    assert!({ made }.current_dir(&folder.0).status().unwrap().success());
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    talk(address(&ready, "SIP on udp "));
    let http = address(&ready, "HTTP on ");
    call_state(http, "a.example", "1");
    let text = metrics(http);
    daemon.stop();
    text
}

/// A domain in which every watcher is allowed, without a password.
const OPEN: &str = "[[domain]]\nname = \"open.example\"\nauth = \"none\"\nopen = true\n\
    [[account]]\nuser = \"0\"\ndomain = \"open.example\"\npassword = \"x\"\n";

#[test]
fn a_lamp_is_stale_until_its_phone_responds() {
    let folder = Folder::new("stale", &(HEAD.to_owned() + OPEN));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let http = address(&ready, "HTTP on ");
    let wait_for = |line: &str| {
        let start = Instant::now();
        while !metrics(http).lines().any(|found| found == line) {
            assert!(start.elapsed() < PATIENCE, "{}", metrics(http));
            std::thread::sleep(Duration::from_millis(100));
        }
        start.elapsed()
    };
    let phone = Phone::new(address(&ready, "SIP on udp "));
    phone.subscribe("open.example");
    phone.read("SIP/2.0 200 ");
    phone.respond(&phone.read("NOTIFY "), "200 OK");
    wait_for("lamplighter_lamps_stale 0");
    wait_for("lamplighter_subscriptions_by_domain{domain=\"open.example\"} 1");
    call_state(http, "open.example", "1");
    let notify = phone.read("NOTIFY ");
    assert!(notify.contains("confirmed"), "{notify}");
    assert!(wait_for("lamplighter_lamps_stale 1") > Duration::from_secs(9));
    phone.respond(&notify, "200 OK");
    wait_for("lamplighter_lamps_stale 0");
    wait_for("lamplighter_notify_outcomes_total{profile=\"yealink\",status=\"2xx\"} 2");
    daemon.stop();
}

/// Promtool is content with its input, and warns of nothing.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut promtool = Command::new("promtool")
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{said}\n{input}");
    said
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let text = all_metrics();
    assert_eq!(promtool(&["check", "metrics"], &text), "");
    for line in [
        concat!(
            "lamplighter_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        "lamplighter_refusals_total{method=\"SUBSCRIBE\",status=\"404\"} 1",
        "lamplighter_notify_outcomes_total{profile=\"yealink\",status=\"481\"} 1",
        "lamplighter_subscriptions_by_event{event=\"dialog\"} 0",
        "# TYPE lamplighter_subscriptions gauge",
        "# HELP lamplighter_subscriptions Active subscriptions.",
        "# TYPE lamplighter_turn_duration_seconds histogram",
        "lamplighter_subscriptions_by_domain{domain=\"other\"} 0",
        "lamplighter_messages_received_by_transport_total{transport=\"udp\"} 4",
        "lamplighter_notifies_sent_by_transport_total{transport=\"udp\"} 1",
        "lamplighter_notifies_sent_by_transport_total{transport=\"wss\"} 0",
        "lamplighter_requests_shed_total{limit=\"phone\"} 0",
        "lamplighter_requests_shed_total{limit=\"store\"} 0",
        "# TYPE lamplighter_mail_waiting gauge",
        "# TYPE lamplighter_store_batches_waiting gauge",
        "# TYPE lamplighter_acknowledgements_waiting gauge",
        "# TYPE lamplighter_changes_coalesced_total counter",
        "# TYPE lamplighter_request_duration_seconds histogram",
        "lamplighter_request_duration_seconds_count{request=\"PUBLISH\"} 1",
        "lamplighter_request_duration_seconds_count{request=\"SUBSCRIBE\"} 1",
        "lamplighter_request_duration_seconds_count{request=\"REGISTER\"} 0",
        "lamplighter_request_duration_seconds_count{request=\"call_state.htm\"} 1",
        "lamplighter_request_duration_seconds_bucket{request=\"PUBLISH\",le=\"0.0000152587890625\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains(" untyped"));

    // What the alerts and the dashboard ask for is there.
    let known: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    for file in ["alerts.yml", "dashboard.json"] {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/monitoring");
        let asking = fs::read_to_string(Path::new(folder).join(file)).unwrap();
        let asked = names(&asking);
        assert!(asked.len() > 15, "{asked:?}");
        for name in asked {
            // The beginning of several names, or a part of a histogram.
            let is_known = match name.ends_with('_') {
                true => known.iter().any(|known| known.starts_with(name)),
                false => known.contains(name.trim_end_matches("_bucket").trim_end_matches("_sum")),
            };
            assert!(is_known, "{file}: {name}\n{text}");
        }
    }
}

/// The metrics of ours that a text names.
fn names(text: &str) -> BTreeSet<&str> {
    let is_part =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_';
    text.match_indices("lamplighter_")
        .map(|(start, _)| {
            let rest = &text[start..];
            &rest[..rest.find(|letter| !is_part(letter)).unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn alerts_fire_as_they_should() {
    promtool(&["check", "rules", "systemd/monitoring/alerts.yml"], "");
    promtool(&["test", "rules", "tests/operator/alerts_test.yml"], "");
}
