//! `lamplighter trace` as an operator uses it: a ladder, a capture that tshark reads, HEP for Homer.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::daemon::{Daemon, Folder, PATIENCE};
use crate::tshark::tshark;
use crate::{address, call_state};

/// A server for UDP and TCP by IPv4, UDP by IPv6, without passwords.
const TEXT: &str = "[node]\ndata_dir = \"data\"\n\
    [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
    [[sip.listen]]\ntransport = \"udp\"\naddress = \"[::1]:0\"\n\
    [[sip.listen]]\ntransport = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
    [http]\nlisten = [\"127.0.0.1:0\"]\n[limits]\nresponse_ring = \"1 MiB\"\n\
    [[domain]]\nname = \"a.example\"\naliases = [\"voice.a.example\"]\nauth = \"none\"\nopen = true\n\
    [[list]]\nuser = \"team\"\ndomain = \"a.example\"\nmembers = [\"0\", \"1\"]\n\
    [[account]]\nuser = \"0\"\ndomain = \"a.example\"\npassword = \"x\"\n\
    [[account]]\nuser = \"1\"\ndomain = \"a.example\"\npassword = \"x\"\n";
/// A secret that no trace may show.
const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Where a server listens.
struct Places {
    udp: SocketAddr,
    udp6: SocketAddr,
    tcp: SocketAddr,
    http: String,
}

impl Places {
    fn of(ready: &str) -> Self {
        let at = |before: &str, host: &str| {
            let port = address(ready, &format!("{before}{host}:"));
            format!("{host}:{port}").parse().unwrap()
        };
        Self {
            udp: at("SIP on udp ", "127.0.0.1"),
            udp6: at("SIP on udp ", "[::1]"),
            tcp: at("SIP on tcp ", "127.0.0.1"),
            http: address(ready, "HTTP on ").to_owned(),
        }
    }
}

/// A command that traces.
struct Trace(Child);

impl Trace {
    /// Begins one; the server traces when this returns.
    fn begin(folder: &Folder, line: &str) -> Self {
        let mut command = folder.lamplighter(&format!("trace {line}"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut trace = Self(command.spawn().unwrap());
        let mut first = String::new();
        let errors = trace.0.stderr.as_mut().unwrap();
        BufReader::with_capacity(1, errors)
            .read_line(&mut first)
            .unwrap();
        assert!(first.starts_with("tracing "), "{first}");
        trace
    }

    fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        let status = Command::new("kill").args([name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Ends it as Ctrl-C does.
    fn interrupt(self) -> Output {
        self.signal("-INT");
        self.finish()
    }

    /// Waits until it has ended by itself.
    fn finish(self) -> Output {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

/// A request of a phone that is reached at `own`.
fn request(method: &str, (own, via): (SocketAddr, &str), (from, to): (&str, &str)) -> String {
    let call_id = format!("{via}-{from}-{to}");
    format!(
        "{method} sip:{to}@a.example SIP/2.0\r\nVia: SIP/2.0/{via} {own};branch=z9hG4bK-{call_id};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:{from}@a.example>;tag=1\r\nTo: <sip:{to}@a.example>\r\n\
         Call-ID: {call_id}\r\nCSeq: 7 {method}\r\nContact: <sip:{from}@{own}>\r\nEvent: dialog\r\n\
         Authorization: Digest username=\"{from}\", realm=\"a.example\", nonce=\"n\", uri=\"sip:a\", response=\"{SECRET}\"\r\n\
         Expires: 600\r\n"
    )
}

const EMPTY: &str = "Content-Length: 0\r\n\r\n";

/// A 200 to a request.
fn ok(request: &str) -> String {
    let head = request.split("\r\n\r\n").next().unwrap();
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
    let is_copied = |line: &&str| {
        let name = line.split(": ").next().unwrap();
        copied.contains(&name)
    };
    let lines = head.lines().filter(is_copied);
    let lines: String = lines.map(|line| format!("{line}\r\n")).collect();
    format!("SIP/2.0 200 OK\r\n{lines}{EMPTY}")
}

/// A phone on UDP.
struct Phone {
    socket: UdpSocket,
    own: SocketAddr,
}

impl Phone {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
        socket.connect(server).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let own = socket.local_addr().unwrap();
        Self { socket, own }
    }

    fn receive(&self) -> String {
        let mut octets = [0; 4096];
        let length = self.socket.recv(&mut octets).unwrap();
        text(&octets[..length])
    }

    /// Answers the next message, which is a NOTIFY.
    fn answer(&self) {
        let notify = self.receive();
        assert!(notify.starts_with("NOTIFY "), "{notify}");
        self.socket.send(ok(&notify).as_bytes()).unwrap();
    }

    /// Watches a user, and answers the first NOTIFY.
    fn watch(&self, from: &str, to: &str) {
        let request = request("SUBSCRIBE", (self.own, "UDP"), (from, to)) + EMPTY;
        self.socket.send(request.as_bytes()).unwrap();
        assert!(self.receive().starts_with("SIP/2.0 200 "));
        self.answer();
    }

    /// Watches a list, and answers the first NOTIFY.
    fn watch_list(&self, from: &str, list: &str) {
        let request = request("SUBSCRIBE", (self.own, "UDP"), (from, list))
            + "Supported: eventlist\r\nAccept: application/rlmi+xml, multipart/related, \
               application/dialog-info+xml\r\n"
            + EMPTY;
        self.socket.send(request.as_bytes()).unwrap();
        assert!(self.receive().starts_with("SIP/2.0 200 "));
        self.answer();
    }

    /// Publishes a call of a user.
    fn publish(&self, user: &str) {
        let body = format!(
            "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
             entity=\"sip:{user}@a.example\"><dialog id=\"d\"><state>early</state></dialog></dialog-info>"
        );
        let head = request("PUBLISH", (self.own, "UDP"), (user, user));
        let length = body.len();
        let kind = "Content-Type: application/dialog-info+xml";
        let text = format!("{head}{kind}\r\nContent-Length: {length}\r\n\r\n{body}");
        self.socket.send(text.as_bytes()).unwrap();
        assert!(self.receive().starts_with("SIP/2.0 200 "));
    }
}

/// Watches a user over TCP, and answers the first NOTIFY. Returns the address of the phone.
fn watch_over_tcp(server: SocketAddr, (from, to): (&str, &str)) -> (TcpStream, SocketAddr) {
    let mut stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let own = stream.local_addr().unwrap();
    let request = request("SUBSCRIBE", (own, "TCP"), (from, to)) + EMPTY;
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = String::new();
    // The 200 has no body; the NOTIFY has one.
    while !received.contains("</dialog-info>") && !received.ends_with("/>\n") {
        let mut octets = [0; 4096];
        let length = stream.read(&mut octets).unwrap();
        assert_ne!(length, 0, "{received}");
        received.push_str(&text(&octets[..length]));
    }
    let notify = received.split_once("NOTIFY ").unwrap().1;
    let notify = ok(&format!("NOTIFY {notify}"));
    stream.write_all(notify.as_bytes()).unwrap();
    (stream, own)
}

/// The chunks of a packet of HEP3, each of which is there once.
fn chunks(packet: &[u8]) -> BTreeMap<u16, Vec<u8>> {
    let number = |octets: &[u8]| u16::from_be_bytes(octets.try_into().unwrap());
    assert_eq!(&packet[..4], b"HEP3");
    assert_eq!(usize::from(number(&packet[4..6])), packet.len());
    let mut rest = &packet[6..];
    let mut chunks = BTreeMap::new();
    while !rest.is_empty() {
        assert_eq!(number(&rest[..2]), 0, "the vendor");
        let length = usize::from(number(&rest[4..6]));
        let earlier = chunks.insert(number(&rest[2..4]), rest[6..length].to_vec());
        assert_eq!(earlier, None);
        rest = &rest[length..];
    }
    chunks
}

#[test]
fn a_person_is_traced_on_all_transports() {
    // Two shards, if there is a CPU for each: the watchers of one user are then on both.
    let processors = thread::available_parallelism().unwrap().get();
    let shards: Vec<usize> = (0..processors.min(2)).collect();
    let more = format!("[cores]\nshards = {shards:?}\n[store]\ndirectory = \"state\"\n");
    let folder = Folder::new("trace-person", &format!("{TEXT}{more}"));
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let places = Places::of(&ready);
    let early = Phone::new(places.udp);
    early.watch("8", "0");
    let team = Phone::new(places.udp);
    team.watch_list("6", "team");
    let capture = folder.0.join("trace.pcap");
    let line = format!(
        "0@voice.a.example --pcap {} --columns 80",
        capture.display()
    );
    let trace = Trace::begin(&folder, &line);
    let (watcher, other, pbx) = (
        Phone::new(places.udp),
        Phone::new(places.udp),
        Phone::new(places.udp6),
    );
    watcher.watch("9", "0");
    other.watch("9", "1");
    let (stream, tcp) = watch_over_tcp(places.tcp, ("7", "0"));
    pbx.publish("0");
    watcher.answer();
    // Its dialog is older than the trace.
    early.answer();
    team.answer();
    folder.says("set 1@a.example lamp early");
    // Of another member.
    team.answer();
    call_state(&places.http, "a.example", "5551");
    thread::sleep(Duration::from_millis(500));
    let output = trace.interrupt();
    drop(stream);

    let shown = text(&output.stdout);
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    assert!(!shown.contains(&other.own.to_string()), "{shown}");
    for words in [
        "UTC          Lamplighter      127.0.0.1:",
        "|<- SUBSCRIBE ---",
        "--- 200 OK ---->|",
        "--- NOTIFY ---->|",
        "|<-- PUBLISH ----",
        " 7 dialog 600s 0@a.example\n",
        " dialog active 600s\n",
        " * call reported by HTTP: confirmed\n",
        " * state: ringing, lamp early: an incoming call is unanswered\n",
    ] {
        assert!(shown.contains(words), "no {words:?} in\n{shown}");
    }
    let told = text(&output.stderr);
    assert!(told.starts_with("the trace is over: "), "{told}");
    let times: Vec<&str> = shown
        .lines()
        .filter(|line| line.starts_with(char::is_numeric))
        .map(|line| &line[..12])
        .collect();
    // But for a trace that lasts over midnight.
    assert!(
        times.is_sorted() || times[0] > times[times.len() - 1],
        "{shown}"
    );

    let fields = [
        "sip.Method",
        "sip.Status-Code",
        "ip.src",
        "ipv6.src",
        "udp.srcport",
        "tcp.srcport",
    ];
    let rows = tshark(&capture, &fields);
    let count = |wanted: [&str; 6]| rows.iter().filter(|row| **row == wanted).count();
    let port = |address: SocketAddr| address.port().to_string();
    let (v4, v6) = ("127.0.0.1", "::1");
    let (udp, udp6) = (port(places.udp), port(places.udp6));
    let (server_tcp, phone_tcp) = (port(places.tcp), port(tcp));
    assert_eq!(
        count(["SUBSCRIBE", "", v4, "", &port(watcher.own), ""]),
        1,
        "{rows:?}"
    );
    assert_eq!(count(["", "200", v4, "", &udp, ""]), 1, "to the SUBSCRIBE");
    assert_eq!(count(["", "200", v4, "", &port(watcher.own), ""]), 2);
    for watcher in [&early, &team] {
        assert_eq!(count(["", "200", v4, "", &port(watcher.own), ""]), 1);
    }
    assert!(count(["NOTIFY", "", v4, "", &udp, ""]) >= 3, "{rows:?}");
    assert_eq!(
        count(["SUBSCRIBE", "", v4, "", "", &phone_tcp]),
        1,
        "{rows:?}"
    );
    assert_eq!(count(["", "200", v4, "", "", &server_tcp]), 1, "{rows:?}");
    assert!(
        count(["NOTIFY", "", v4, "", "", &server_tcp]) >= 1,
        "{rows:?}"
    );
    assert_eq!(
        count(["PUBLISH", "", "", v6, &port(pbx.own), ""]),
        1,
        "{rows:?}"
    );
    assert_eq!(count(["", "200", "", v6, &udp6, ""]), 1, "{rows:?}");
    let is_sip = |row: &Vec<String>| !row[0].is_empty() || !row[1].is_empty();
    assert!(rows.iter().all(is_sip), "{rows:?}");
    assert!(
        told.contains(&format!(": {} messages", rows.len())),
        "{told} {rows:?}"
    );
    let sums = [
        "ip.checksum.status",
        "udp.checksum.status",
        "tcp.checksum.status",
        "_ws.malformed",
        "tcp.analysis.flags",
    ];
    for row in tshark(&capture, &sums) {
        assert_eq!(row[3..], ["", ""], "{row:?}");
        assert!(
            row[..3].iter().all(|sum| ["", "1"].contains(&&**sum)),
            "{row:?}"
        );
    }
    let octets = String::from_utf8_lossy(&std::fs::read(&capture).unwrap()).into_owned();
    assert!(octets.contains(&format!("response=\"{}\"", "*".repeat(SECRET.len()))));
    assert!(!octets.contains(SECRET) && !shown.contains(SECRET));
    daemon.stop();
}

#[test]
fn a_trace_goes_to_homer_and_ends_by_itself() {
    let folder = Folder::new("trace-hep", TEXT);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let places = Places::of(&ready);
    let homer = UdpSocket::bind("127.0.0.1:0").unwrap();
    homer.set_read_timeout(Some(PATIENCE)).unwrap();
    let phone = Phone::new(places.udp);
    let line = format!(
        "{} --hep {} --hep-id 2001 --count 4 --json",
        phone.own,
        homer.local_addr().unwrap()
    );
    let trace = Trace::begin(&folder, &line);
    Phone::new(places.udp).watch("9", "1");
    phone.watch("9", "0");
    let output = trace.finish();

    let lines = text(&output.stdout);
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let starts = [
        "SUBSCRIBE sip:",
        "SIP/2.0 200 OK",
        "NOTIFY sip:",
        "SIP/2.0 200 OK",
    ];
    let methods = ["SUBSCRIBE", "SUBSCRIBE", "NOTIFY", "NOTIFY"];
    assert_eq!(lines.len(), 4);
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    for (at, line) in lines.iter().enumerate() {
        let is_sent = at == 1 || at == 2;
        assert_eq!(
            (&line["is_sent"], &line["method"]),
            (&is_sent.into(), &methods[at].into())
        );
        assert_eq!(line["peer"], phone.own.to_string());
        assert!(!line["message"].as_str().unwrap().contains(SECRET));

        let mut packet = [0; 65_536];
        let length = homer.recv(&mut packet).unwrap();
        let chunks = chunks(&packet[..length]);
        let kinds: Vec<u16> = chunks.keys().copied().collect();
        assert_eq!(kinds, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 15]);
        assert_eq!((&chunks[&1][..], &chunks[&2][..]), (&[2][..], &[17][..]));
        assert_eq!(
            (&chunks[&3][..], &chunks[&4][..]),
            (&[127, 0, 0, 1][..], &[127, 0, 0, 1][..])
        );
        let mut ports = [phone.own.port(), places.udp.port()];
        if is_sent {
            ports.reverse();
        }
        assert_eq!(
            [&chunks[&7][..], &chunks[&8]],
            [&ports[0].to_be_bytes(), &ports[1].to_be_bytes()]
        );
        let seconds = u32::from_be_bytes(chunks[&9][..].try_into().unwrap());
        assert!(now.as_secs().abs_diff(seconds.into()) < 60, "{seconds}");
        let microseconds = u32::from_be_bytes(chunks[&10][..].try_into().unwrap());
        assert!(microseconds < 1_000_000);
        assert_eq!(
            (&chunks[&11][..], &chunks[&12][..]),
            (&[1][..], &2001u32.to_be_bytes()[..])
        );
        let payload = text(&chunks[&15]);
        assert!(payload.starts_with(starts[at]), "{payload}");
        assert_eq!(payload, line["message"].as_str().unwrap());
    }
    daemon.stop();
}

#[test]
fn a_phone_behind_a_proxy_is_traced_by_its_own_address() {
    let folder = Folder::new("trace-proxied", TEXT);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let places = Places::of(&ready);
    // Both are reached at one address, that of the proxy.
    let mut proxied = Phone::new(places.udp);
    proxied.own = "127.0.0.9:5070".parse().unwrap();
    let other = Phone::new(places.udp);
    let trace = Trace::begin(&folder, "127.0.0.9:5070 --json --count 6");
    let others = Trace::begin(&folder, "127.0.0.9:5060 --json --for 2s");
    other.watch("8", "0");
    proxied.watch("9", "0");
    folder.says("set 0@a.example lamp early");
    proxied.answer();
    let lines = text(&trace.finish().stdout);
    let call_id = "\"call_id\":\"UDP-9-0\"";
    assert_eq!(lines.matches(call_id).count(), 6, "{lines}");
    assert_eq!(lines.lines().count(), 6, "{lines}");
    assert_eq!(text(&others.finish().stdout), "", "of another port");
    daemon.stop();
}

/// Without a history and without readers of events, a trace alone has a shard tell how states change.
#[test]
fn calls_that_are_reported_together_are_traced_without_a_history() {
    let folder = Folder::new("trace-updates", TEXT);
    let token = folder.says("token add pbx --role feeder");
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let places = Places::of(&ready);
    let trace = Trace::begin(&folder, "0@a.example --columns 120");
    let body = r#"{"updates": [{"aor": "1@a.example", "state": "confirmed"}, {"aor": "0@a.example", "state": "early"}]}"#;
    let mut stream = TcpStream::connect(&places.http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "POST /api/v1/updates HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        token.trim(),
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    thread::sleep(Duration::from_millis(500));
    let output = trace.interrupt();
    let shown = text(&output.stdout);
    let notes = shown.lines().filter_map(|line| line.split_once(" * "));
    let notes: Vec<&str> = notes.map(|(_, note)| note).collect();
    assert_eq!(
        notes,
        [
            "call reported by HTTP: early",
            "state: ringing, lamp early: an incoming call is unanswered"
        ],
        "{shown}"
    );
    daemon.stop();
}

#[test]
fn a_reader_that_is_slow_is_told_how_much_it_misses() {
    let folder = Folder::new("trace-slow", TEXT);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let phone = Phone::new(Places::of(&ready).udp);
    let trace = Trace::begin(&folder, &phone.own.to_string());
    trace.signal("-STOP");
    // Each is answered, and what is kept for a reader is about a thousand messages.
    let request = request("OPTIONS", (phone.own, "UDP"), ("9", "0")) + EMPTY;
    for _ in 0..800 {
        phone.socket.send(request.as_bytes()).unwrap();
        phone.receive();
    }
    trace.signal("-CONT");
    thread::sleep(Duration::from_millis(500));
    let output = trace.interrupt();
    let (shown, told) = (text(&output.stdout), text(&output.stderr));
    assert!(shown.ends_with(" messages were not kept\n"), "{shown}");
    let missed = shown.lines().last().unwrap().trim().split(' ').nth(1);
    let missed: usize = missed.unwrap().parse().unwrap();
    let arrows = shown
        .lines()
        .filter(|line| line.contains(" OPTIONS"))
        .count();
    assert_eq!(arrows + missed, 1600, "{told}");
    assert!(
        told.ends_with(&format!(
            ": {arrows} messages, {missed} more were not kept\n"
        )),
        "{told}"
    );
    daemon.stop();
}

#[test]
fn traces_are_few_and_end_with_their_readers() {
    let folder = Folder::new("trace-many", TEXT);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let places = Places::of(&ready);
    let mut traces: Vec<Trace> = (0..4)
        .map(|_| Trace::begin(&folder, "127.0.0.1 --full --columns 120"))
        .collect();
    let complaint = folder.complains("trace 0@a.example");
    assert!(complaint.starts_with("4 traces are running"), "{complaint}");
    for wrong in ["person", "10.0.0.256", "@a.example"] {
        let complaint = folder.complains(&format!("trace {wrong}"));
        assert!(complaint.starts_with("write a person like "), "{complaint}");
    }
    // One is killed: the server notices that it is no longer read.
    let mut killed = traces.pop().unwrap();
    killed.0.kill().unwrap();
    killed.0.wait().unwrap();
    Phone::new(places.udp).watch("9", "0");
    // One is interrupted.
    let shown = text(&traces.pop().unwrap().interrupt().stdout);
    for line in [
        "    SUBSCRIBE sip:0@a.example SIP/2.0",
        "    Expires: 600",
        "    Event: dialog",
    ] {
        assert!(shown.contains(&format!("\n{line}\n")), "{line}\n{shown}");
    }
    let begun = Trace::begin(&folder, "0@a.example --for 1s");
    let deadline = Instant::now() + PATIENCE;
    let again = loop {
        let output = folder.run("trace 0@a.example --for 0s");
        if output.status.success() || Instant::now() > deadline {
            break output;
        }
        thread::sleep(Duration::from_millis(200));
    };
    assert!(again.status.success(), "{again:?}");
    let told = text(&begun.finish().stderr);
    assert_eq!(told, "the trace is over: 0 messages\n");
    let stranger = folder.run("trace 0@b.example --for 0s");
    assert!(stranger.status.success());
    assert!(text(&stranger.stderr).contains("\nthe domain of 0@b.example is not served here\n"));
    // The server goes away.
    daemon.stop();
    for trace in traces {
        let output = trace.0.wait_with_output().unwrap();
        assert!(!output.status.success());
        assert!(
            text(&output.stderr).contains("is the server running?"),
            "{output:?}"
        );
    }
}
