//! Whole nodes on loopback: real sockets, real cores, the real engine.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::directory::lists::StoredList;
use crate::directory::{AuthMode, Directory, Domain};
use crate::dns;
use crate::http::Engine;
use crate::net::Limits;
use crate::net::connection_limits::ConnectionLimits;
use crate::net::listener::Service;
use crate::presence::call::{CallParts, CallState, Direction};
use crate::presence::policy::{Handling, People, Policy, WatcherCondition};
use crate::presence::{Aor, CallDialog};
use crate::runtime::{BootError, ListenerPlan, Node, NodePlan, OutboundPlan};
use crate::shard::{Command, Options, Reply, ShardId};
use crate::sip::Transport;
use crate::telemetry::CoreCounters;
use crate::tls::TlsClient;

const PATIENCE: Duration = Duration::from_secs(10);
const HTTP_CONNECTIONS: ConnectionLimits = ConnectionLimits {
    connections_max: 64,
    per_address_max: 64,
};

fn directory() -> Arc<Directory> {
    let mut directory = Directory::default();
    let domain = Domain {
        auth: AuthMode::None,
        max_call_duration: Duration::from_secs(3600),
        min_expires: Duration::from_secs(10),
        max_expires: Duration::from_secs(3600),
        open: true,
        ..Domain::new("example.com")
    };
    directory.add_domain(domain, &[]).unwrap();
    Arc::new(directory)
}

fn plan(shards: u16, address: &str) -> NodePlan {
    let address: SocketAddr = address.parse().unwrap();
    let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let listener = |service| ListenerPlan {
        service,
        address,
        advertise: None,
        proxies: Vec::new(),
    };
    NodePlan {
        shards: (0..usize::from(shards)).map(|shard| shard % cpus).collect(),
        http_cpu: None,
        listeners: vec![listener(Service::Udp), listener(Service::Tcp)],
        http_listeners: Vec::new(),
        control_socket: None,
        store: None,
        options: Options::new(ShardId(0), shards, Instant::now(), [0; 32]),
        limits: Limits::default(),
        outbound: OutboundPlan {
            tls: TlsClient::new(None, None).unwrap(),
            dns: dns::Options::default(),
        },
        http_connections: HTTP_CONNECTIONS,
        directory: directory(),
        relays: Vec::new(),
    }
}

fn start(shards: u16) -> (Node, SocketAddr, SocketAddr) {
    let node = Node::start(plan(shards, "127.0.0.1:0")).unwrap();
    let address = |wanted| {
        node.sip_addresses()
            .iter()
            .find(|(transport, _)| *transport == wanted)
            .unwrap()
            .1
    };
    let (udp, tcp) = (address(Transport::Udp), address(Transport::Tcp));
    (node, udp, tcp)
}

fn subscribe(user: &str, transport: Transport, local: SocketAddr, number: usize) -> String {
    let via = transport.via_token();
    format!(
        "SUBSCRIBE sip:{user}@example.com SIP/2.0\r\nVia: SIP/2.0/{via} {local};rport;branch=z9hG4bK-{number}-{port}\r\nMax-Forwards: 70\r\n\
         From: <sip:phone{number}@example.com>;tag=f{number}\r\nTo: <sip:{user}@example.com>\r\nCall-ID: call-{number}-{port}\r\nCSeq: 1 SUBSCRIBE\r\n\
         Contact: <sip:phone{number}@{local};transport={parameter}>\r\nEvent: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: 600\r\n\
         Content-Length: 0\r\n\r\n",
        port = local.port(),
        parameter = transport.uri_parameter(),
    )
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let find = |line: &'m str| {
        line.split_once(':')
            .filter(|(known, _)| known.trim().eq_ignore_ascii_case(name))
    };
    message
        .lines()
        .find_map(find)
        .unwrap_or_else(|| panic!("no {name} in {message}"))
        .1
        .trim()
}

fn ok(notify: &str) -> String {
    let copied = ["Via", "From", "To", "Call-ID", "CSeq"]
        .map(|name| format!("{name}: {}\r\n", header(notify, name)))
        .concat();
    format!("SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n")
}

/// A phone on UDP.
struct Phone {
    socket: UdpSocket,
    server: SocketAddr,
    last_sequence: RefCell<Option<String>>,
}

impl Phone {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind((server.ip(), 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            server,
            last_sequence: RefCell::default(),
        }
    }

    fn send(&self, text: &str) {
        self.socket.send_to(text.as_bytes(), self.server).unwrap();
    }

    /// The next message; a NOTIFY is answered, and passed over when it is a retransmission (a busy
    /// machine may be late with the response).
    fn receive(&self) -> String {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).unwrap();
            assert_eq!(
                from, self.server,
                "responses leave from the address that the request was sent to"
            );
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            if !text.starts_with("NOTIFY") {
                return text;
            }
            self.send(&ok(&text));
            let sequence = header(&text, "CSeq").to_owned();
            if self.last_sequence.replace(Some(sequence.clone())) != Some(sequence) {
                return text;
            }
        }
    }

    fn subscribed(server: SocketAddr, user: &str, number: usize) -> Self {
        let phone = Self::new(server);
        phone.send(&subscribe(
            user,
            Transport::Udp,
            phone.socket.local_addr().unwrap(),
            number,
        ));
        let (response, notify) = (phone.receive(), phone.receive());
        assert!(
            response.starts_with("SIP/2.0 200 ") && notify.starts_with("NOTIFY "),
            "{response}{notify}"
        );
        phone
    }
}

/// Reads one message with a body of known length from a stream.
fn receive_from(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut octet = [0];
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut octet).unwrap();
        text.push(octet[0]);
    }
    let head = String::from_utf8(text).unwrap();
    let mut body = vec![0; header(&head, "Content-Length").parse().unwrap()];
    stream.read_exact(&mut body).unwrap();
    head + &String::from_utf8(body).unwrap()
}

fn connect(server: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(server).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn has_ended(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 1024]) {
        Ok(0) => true,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
        Ok(_) => false,
    }
}

fn counter(node: &Node, name: &str) -> u64 {
    // What a core counted before it answered is seen after.
    let replies = node
        .commander()
        .ask_all_blocking(PATIENCE, || Command::Counters);
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    let value = |core: &Arc<CoreCounters>| core.values().find(|(known, _)| *known == name);
    let values = node.counters().iter().map(|core| value(core).unwrap().1);
    values.sum()
}

fn call(state: CallState) -> CallDialog {
    CallDialog::from(CallParts {
        direction: Some(Direction::Recipient),
        remote_is_private: true,
        ..CallParts::new("leg", state)
    })
}

fn set_call(node: &Node, user: &str, call: Option<CallDialog>) {
    let aor = Aor::new(user, "example.com");
    let owner = ShardId::owner_of(&aor, node.commander().shards());
    let command = Command::call_state(aor, call.map(Arc::new), Duration::from_secs(600));
    let reply = node.commander().ask_blocking(owner, command, PATIENCE);
    assert!(matches!(reply, Ok(Reply::Done)), "{reply:?}");
}

#[test]
fn a_change_reaches_phones_on_every_shard() {
    let (node, udp, _) = start(2);
    // With this many ports the kernel deals some to each shard.
    let phones: Vec<Phone> = (0..24)
        .map(|number| Phone::subscribed(udp, "busy", number))
        .collect();
    assert!(
        counter(&node, "mail_sent") > 0,
        "the shard that does not own the presentity asks the other"
    );
    for state in [CallState::Confirmed, CallState::Terminated] {
        set_call(
            &node,
            "busy",
            Some(call(state)).filter(|_| state == CallState::Confirmed),
        );
        for phone in &phones {
            let notify = phone.receive();
            assert!(notify.starts_with("NOTIFY "), "{notify}");
            assert!(
                notify.contains("<state>confirmed</state>") == (state == CallState::Confirmed),
                "{notify}"
            );
        }
    }
    let stopping = thread::spawn(move || node.stop(PATIENCE));
    for phone in &phones {
        assert!(
            header(&phone.receive(), "Subscription-State").contains("deactivated"),
            "they are sent elsewhere before the node ends"
        );
    }
    assert_eq!(stopping.join().unwrap(), 0, "every NOTIFY was answered");
}

#[test]
fn a_wildcard_listener_answers_from_the_address_that_was_asked() {
    let node = Node::start(plan(1, "0.0.0.0:0")).unwrap();
    let port = node.sip_addresses()[0].1.port();
    let phone = Phone::subscribed(
        SocketAddr::new("127.0.0.2".parse().unwrap(), port),
        "caller",
        1,
    );
    // Via and Contact of what follows name that address too.
    set_call(&node, "caller", Some(call(CallState::Confirmed)));
    let notify = phone.receive();
    assert!(
        header(&notify, "Contact").contains(&format!("127.0.0.2:{port}")),
        "{notify}"
    );
}

#[test]
fn keepalives_never_reach_the_engine() {
    let (node, udp, tcp) = start(1);
    let phone = Phone::new(udp);
    for filler in ["\r\n\r\n", "\0\0\0\0", "jaK", ""] {
        phone.send(filler);
    }
    let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    request.extend(*b"transaction!");
    phone.socket.send_to(&request, udp).unwrap();
    let mut response = [0; 64];
    let length = phone.socket.recv(&mut response).unwrap();
    assert_eq!(
        (length, &response[..2], &response[4..20]),
        (32, &[1, 1][..], &request[4..20])
    );
    let port = u16::from_be_bytes([response[26] ^ 0x21, response[27] ^ 0x12]);
    assert_eq!(port, phone.socket.local_addr().unwrap().port());
    assert_eq!(
        (
            counter(&node, "datagrams_junk"),
            counter(&node, "stun_answered")
        ),
        (4, 1)
    );
    assert_eq!(counter(&node, "datagrams_received"), 5);
    let mut stream = connect(tcp);
    stream.write_all(&request[..7]).unwrap();
    stream.write_all(&request[7..]).unwrap();
    stream.write_all(b"\r\n\r\n").unwrap();
    let mut response = [0; 34];
    stream.read_exact(&mut response).unwrap();
    assert_eq!(response[..2], [1, 1]);
    let port = u16::from_be_bytes([response[26] ^ 0x21, response[27] ^ 0x12]);
    assert_eq!(port, stream.local_addr().unwrap().port());
    assert_eq!(response[32..], *b"\r\n", "the stream is in step");
    assert_eq!(counter(&node, "stun_answered"), 2);
}

#[test]
fn a_stream_split_octet_by_octet_is_served() {
    let (node, _, tcp) = start(2);
    let mut stream = connect(tcp);
    let local = stream.local_addr().unwrap();
    let request = format!("\r\n\r\n{}", subscribe("split", Transport::Tcp, local, 1));
    for octet in request.as_bytes() {
        stream.write_all(&[*octet]).unwrap();
    }
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    assert!(receive_from(&mut stream).starts_with("SIP/2.0 200 "));
    let notify = receive_from(&mut stream);
    assert!(notify.starts_with("NOTIFY "), "{notify}");
    stream.write_all(ok(&notify).as_bytes()).unwrap();
    set_call(&node, "split", Some(call(CallState::Confirmed)));
    let notify = receive_from(&mut stream);
    assert!(notify.contains("<state>confirmed</state>"), "{notify}");
    assert_eq!(
        (
            counter(&node, "stream_pings"),
            counter(&node, "connections_open")
        ),
        (1, 1)
    );
    assert_eq!(counter(&node, "stream_messages_received"), 2);
}

/// What a session border controller with many phones behind it is sent in one turn leaves in GSO batches
/// of equally long datagrams, and each of them is a NOTIFY as it would be alone.
#[test]
fn many_phones_at_one_address_are_notified_in_one_batch() {
    const QUIET: usize = 240;
    const WATCHERS: usize = 60;
    let (node, udp, _) = start(1);
    let border = Phone::new(udp);
    let local = border.socket.local_addr().unwrap();
    for number in 0..QUIET + WATCHERS {
        let user = if number < QUIET { "quiet" } else { "crowd" };
        border.send(&subscribe(user, Transport::Udp, local, number));
        let (response, notify) = (border.receive(), border.receive());
        assert!(response.starts_with("SIP/2.0 200 "), "{response}");
        assert!(notify.starts_with("NOTIFY "), "{notify}");
    }
    set_call(&node, "crowd", Some(call(CallState::Confirmed)));
    let mut lengths_by_call = HashMap::new();
    while lengths_by_call.len() < WATCHERS {
        let text = border.receive();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("NOTIFY "), "{head}");
        assert_eq!(header(head, "Content-Length"), body.len().to_string());
        assert_eq!(header(head, "User-Agent"), "Lamplighter");
        assert!(
            body.contains("confirmed") && body.ends_with("</dialog-info>\n"),
            "{body}"
        );
        lengths_by_call.insert(header(head, "Call-ID").to_owned(), text.len());
    }
    let mut lengths: Vec<usize> = lengths_by_call.into_values().collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert!(
        lengths.len() <= 5,
        "the first few as they are, the rest alike: {lengths:?}"
    );
    assert_eq!(counter(&node, "segmentation_refused"), 0);
    let segmented = counter(&node, "datagrams_segmented");
    assert!(segmented >= WATCHERS as u64 - 5, "{segmented}");
}

#[test]
fn many_subscriptions_of_one_stream_are_written_in_order() {
    let (node, _, tcp) = start(1);
    let mut stream = connect(tcp);
    let local = stream.local_addr().unwrap();
    let requests: String = (0..300)
        .map(|number| subscribe("crowd", Transport::Tcp, local, number))
        .collect();
    let mut writer = stream.try_clone().unwrap();
    let writer = thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    let (mut answered, mut notified) = (0, 0);
    while answered + notified < 600 {
        let text = receive_from(&mut stream);
        if text.starts_with("SIP/2.0 200 ") {
            assert!(header(&text, "Call-ID").starts_with(&format!("call-{answered}-")));
            answered += 1;
        } else {
            stream.write_all(ok(&text).as_bytes()).unwrap();
            notified += 1;
        }
    }
    writer.join().unwrap();
    assert_eq!((answered, notified), (300, 300));
    assert_eq!(counter(&node, "stream_messages_sent"), 600);
}

#[test]
fn a_stream_out_of_step_is_closed_and_the_others_are_not() {
    let (node, _, tcp) = start(1);
    let mut good = connect(tcp);
    let mut bad = connect(tcp);
    bad.write_all(b"<html></html>\r\n\r\n").unwrap();
    assert!(has_ended(&mut bad));
    good.write_all(b"\r\n\r\n").unwrap();
    good.read_exact(&mut [0; 2]).unwrap();
    assert_eq!(
        (
            counter(&node, "connections_out_of_step"),
            counter(&node, "connections_open")
        ),
        (1, 1)
    );
    drop(good);
    let deadline = Instant::now() + PATIENCE;
    while counter(&node, "connections_open") > 0 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

/// A node of one shard with room for `connections` streams, eight of each address.
fn start_crowded(connections: usize, directory: Arc<Directory>) -> (Node, SocketAddr) {
    let mut plan = plan(1, "127.0.0.1:0");
    plan.directory = directory;
    plan.limits = Limits {
        connections: ConnectionLimits {
            connections_max: connections,
            per_address_max: 8,
        },
        idle_timeout: Duration::from_secs(3),
        idle_timeout_short: Duration::from_secs(1),
        message_timeout: Duration::from_secs(2),
        ..Limits::default()
    };
    let node = Node::start(plan).unwrap();
    let addresses = node.sip_addresses().iter();
    let mut tcp = addresses.filter(|(transport, _)| *transport == Transport::Tcp);
    let tcp = tcp.next().unwrap().1;
    (node, tcp)
}

fn subscribe_on(stream: &mut TcpStream, user: &str, number: usize) {
    let local = stream.local_addr().unwrap();
    let request = subscribe(user, Transport::Tcp, local, number);
    stream.write_all(request.as_bytes()).unwrap();
    assert!(receive_from(stream).starts_with("SIP/2.0 200 "));
    let notify = receive_from(stream);
    stream.write_all(ok(&notify).as_bytes()).unwrap();
}

#[test]
fn streams_of_an_untrusted_address_are_limited_and_idle_ones_close_when_full() {
    let (node, tcp) = start_crowded(100, directory());
    let mut phone = connect(tcp);
    subscribe_on(&mut phone, "alice", 1);
    let mut idle: Vec<_> = (0..7).map(|_| connect(tcp)).collect();
    idle[0].write_all(b"SUBSCRIBE sip:half@exam").unwrap();
    assert!(has_ended(&mut connect(tcp)), "the ninth");
    let begin = Instant::now();
    assert!(idle.iter_mut().all(has_ended));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(counter(&node, "connections_refused"), 1);
    assert!(counter(&node, "connections_idle") >= 1);
    subscribe_on(&mut connect(tcp), "bob", 2);
    // The phone's subscription lives: its stream is there, idle as it is.
    thread::sleep(Duration::from_secs(4));
    set_call(&node, "alice", Some(call(CallState::Early)));
    assert!(receive_from(&mut phone).starts_with("NOTIFY "));
}

#[test]
fn a_trusted_peer_may_use_all_streams() {
    let mut trusting = Directory::default();
    let domain = Domain {
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
        open: true,
        ..Domain::new("example.com")
    };
    trusting.add_domain(domain, &[]).unwrap();
    let (node, tcp) = start_crowded(20, Arc::new(trusting));
    let mut streams: Vec<_> = (0..20).map(|_| connect(tcp)).collect();
    for (number, stream) in streams.iter_mut().enumerate() {
        subscribe_on(stream, "alice", number);
    }
    assert!(has_ended(&mut connect(tcp)), "the limit for all holds");
    assert_eq!(counter(&node, "connections_idle"), 0);
}

#[test]
fn a_message_that_comes_too_slowly_closes_its_stream() {
    let (node, tcp) = start_crowded(100, directory());
    let mut slow = connect(tcp);
    subscribe_on(&mut slow, "alice", 1);
    let begin = Instant::now();
    slow.write_all(b"OPTIONS sip:half@exam").unwrap();
    while slow.write_all(b"x").is_ok() {
        assert!(begin.elapsed() < PATIENCE, "it goes on");
        thread::sleep(Duration::from_millis(50));
    }
    assert!(begin.elapsed() >= Duration::from_secs(2), "its time");
    assert_eq!(counter(&node, "connections_timed_out"), 1);
    // The phone comes back, and its lamp is right.
    set_call(&node, "alice", Some(call(CallState::Early)));
    let mut back = connect(tcp);
    let local = back.local_addr().unwrap();
    let request = subscribe("alice", Transport::Tcp, local, 2);
    back.write_all(request.as_bytes()).unwrap();
    assert!(receive_from(&mut back).starts_with("SIP/2.0 200 "));
    assert!(receive_from(&mut back).contains("<state>early</state>"));
}

#[test]
fn an_idle_stream_is_closed_even_while_there_is_room() {
    let (node, tcp) = start_crowded(100, directory());
    let begin = Instant::now();
    let mut pinging = connect(tcp);
    let mut silent = connect(tcp);
    while begin.elapsed() < Duration::from_millis(1500) {
        pinging.write_all(b"\r\n\r\n").unwrap();
        pinging.read_exact(&mut [0; 2]).unwrap();
        thread::sleep(Duration::from_millis(100));
    }
    assert!(has_ended(&mut silent));
    assert!(has_ended(&mut pinging));
    assert_eq!(counter(&node, "connections_idle"), 2);
}

#[test]
fn a_peer_that_does_not_read_loses_only_its_connection() {
    let (node, udp, tcp) = start(1);
    let mut lazy = connect(tcp);
    lazy.set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let local = lazy.local_addr().unwrap();
    // Every request is answered twice, nothing is read; sooner or later either side's patience
    // ends. What the server does not read in time is sent again, so that the stream stays in step.
    let deadline = Instant::now() + PATIENCE;
    let (mut number, mut unsent) = (0, Vec::new());
    while counter(&node, "connections_overflowed") == 0 {
        assert!(
            Instant::now() < deadline,
            "the queue of a peer that reads nothing is bounded"
        );
        if unsent.is_empty() {
            let requests: String = (0..200)
                .map(|offset| subscribe("lazy", Transport::Tcp, local, number + offset))
                .collect();
            unsent = requests.into_bytes();
            number += 200;
        }
        match lazy.write(&unsent) {
            Ok(sent) => drop(unsent.drain(..sent)),
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
    Phone::subscribed(udp, "lazy", 1_000_000);
    let deadline = Instant::now() + PATIENCE;
    while counter(&node, "connections_open") > 0 {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_second_node_on_the_same_address_is_refused() {
    let (node, udp, _) = start(2);
    let mut again = plan(2, &udp.to_string());
    again.listeners.truncate(1);
    let refused = Node::start(again.clone()).unwrap_err();
    assert!(
        matches!(&refused, BootError::Bind(error) if error.reason.kind() == ErrorKind::AddrInUse),
        "{refused}"
    );
    assert_eq!(node.stop(PATIENCE), 0);
    let node = Node::start(again).unwrap();
    Phone::subscribed(node.sip_addresses()[0].1, "again", 1);
}

#[test]
fn a_node_needs_a_shard_and_an_existing_cpu() {
    assert!(matches!(
        Node::start(plan(0, "127.0.0.1:0")).unwrap_err(),
        BootError::Shards(0)
    ));
    let mut nowhere = plan(1, "127.0.0.1:0");
    nowhere.shards = vec![4095];
    let refused = Node::start(nowhere).unwrap_err();
    assert!(
        matches!(refused, BootError::Core { cpu: 4095, .. }),
        "{refused}"
    );
}

#[test]
fn the_control_socket_is_private_and_removed_at_the_end() {
    let path = std::env::temp_dir().join(format!("lamplighter-control-{}", std::process::id()));
    // One that a dead process left behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let plan = NodePlan {
        control_socket: Some(path.clone()),
        ..plan(1, "127.0.0.1:0")
    };
    let node = Node::start(plan.clone()).unwrap();
    let listening = UnixStream::connect(&path);
    if listening.is_ok() {
        assert!(matches!(
            Node::start(plan).unwrap_err(),
            BootError::Control { .. }
        ));
        assert!(
            path.exists(),
            "the refused node leaves the other's socket alone"
        );
    }
    drop(node);
    assert!(!path.exists());
}

#[test]
fn a_reload_of_domains_keeps_subscriptions() {
    let (node, udp, _) = start(2);
    let phone = Phone::subscribed(udp, "kept", 1);
    let other = Phone::new(udp);
    let request = subscribe("new", Transport::Udp, other.socket.local_addr().unwrap(), 2)
        .replace("example.com", "example.org");
    other.send(&request);
    assert!(!other.receive().starts_with("SIP/2.0 200"));
    let mut directory = (*directory()).clone();
    let domain = Domain {
        name: "example.org".to_owned(),
        ..directory.domains()[0].clone()
    };
    directory.add_domain(domain, &[]).unwrap();
    node.reload(&directory).unwrap();
    other.send(&request.replace("call-2", "call-3").replace("bK-2", "bK-3"));
    assert!(other.receive().starts_with("SIP/2.0 200"));
    set_call(&node, "kept", Some(call(CallState::Confirmed)));
    assert!(phone.receive().contains("<state>confirmed</state>"));
}

/// How soon live subscriptions follow a change (RFC 5025 §3).
const AT_ONCE: Duration = Duration::from_secs(1);

/// A node of two shards with a control socket of its own.
fn start_with_control(name: &str, directory: Directory) -> (Node, SocketAddr, std::path::PathBuf) {
    let file = format!("lamplighter-{name}-{}", std::process::id());
    let path = std::env::temp_dir().join(file);
    let plan = NodePlan {
        control_socket: Some(path.clone()),
        directory: Arc::new(directory),
        ..plan(2, "127.0.0.1:0")
    };
    let node = Node::start(plan).unwrap();
    let udp = node.sip_addresses()[0].1;
    (node, udp, path)
}

/// Gives a command on a control socket; it must succeed.
fn command(socket: &Path, page: &str, form: &str) {
    let mut stream = UnixStream::connect(socket).unwrap();
    let length = form.len();
    let request = format!("POST {page} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{form}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.0 200"), "{response}");
}

/// The first NOTIFY of which something is true.
fn notify_with(phone: &Phone, since: Instant, is_it: impl Fn(&str) -> bool) -> String {
    loop {
        let notify = phone.receive();
        if is_it(&notify) {
            assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
            return notify;
        }
    }
}

fn with_list(members: &[&str]) -> Directory {
    let directory = directory();
    let members = members
        .iter()
        .map(|member| directory.member(member, "example.com"));
    let list = StoredList {
        members: members.collect::<Result<_, _>>().unwrap(),
        ..StoredList::default()
    };
    let team = Aor::new("team", "example.com");
    directory.with_list(&team, list).unwrap()
}

/// W:C1.3: keys follow the list, whichever shard their phone is on.
#[test]
fn an_edited_list_reaches_its_subscribers_at_once() {
    let (node, udp, socket) = start_with_control("lists", with_list(&["1", "2"]));
    let accept = "Supported: eventlist\r\nAccept: multipart/related, application/rlmi+xml, ";
    let phones: Vec<Phone> = (0..8)
        .map(|number| {
            let phone = Phone::new(udp);
            let local = phone.socket.local_addr().unwrap();
            let request = subscribe("team", Transport::Udp, local, number);
            phone.send(&request.replace("Accept: ", accept));
            assert!(phone.receive().starts_with("SIP/2.0 200"));
            notify_with(&phone, Instant::now(), |notify| {
                notify.contains("\"sip:1@example.com\"") && notify.contains("\"sip:2@example.com\"")
            });
            phone
        })
        .collect();
    let edits: [(&dyn Fn(), &str); 3] = [
        (
            &|| command(&socket, "/list/add", "list=team@example.com&member=3&at=1"),
            "\"sip:3@example.com\"",
        ),
        (
            &|| node.reload(&with_list(&["1", "4"])).unwrap(),
            "\"sip:4@example.com\"",
        ),
        (
            &|| command(&socket, "/list/delete", "list=team@example.com"),
            "terminated;reason=noresource",
        ),
    ];
    for (edit, seen) in edits {
        let since = Instant::now();
        edit();
        for phone in &phones {
            let notify = notify_with(phone, since, |notify| notify.contains(seen));
            let is_over = header(&notify, "Subscription-State").starts_with("terminated");
            assert_eq!(is_over, seen.starts_with("terminated"), "{notify}");
        }
    }
}

/// RFC 4745, RFC 5025, §3: from pending to active to rejected, and a rule of the file that ends
/// them all.
#[test]
fn rules_act_on_live_subscriptions_at_once() {
    let ruled = |handling| {
        let mut directory = (*directory()).clone();
        let policy = Policy {
            number: 1,
            watcher: WatcherCondition::People(People::Everyone),
            presentity: People::Everyone,
            package: None,
            handling,
            privacy: None,
            text: "a rule".into(),
        };
        directory.add_policy("example.com", policy);
        directory
    };
    let (node, udp, socket) = start_with_control("rules", ruled(Handling::Confirm));
    let phones: Vec<Phone> = (0..8)
        .map(|number| {
            let phone = Phone::new(udp);
            let local = phone.socket.local_addr().unwrap();
            phone.send(&subscribe("shy", Transport::Udp, local, number));
            assert!(phone.receive().starts_with("SIP/2.0 20"));
            let notify = phone.receive();
            let state = header(&notify, "Subscription-State");
            assert!(state.starts_with("pending"), "{state}");
            phone
        })
        .collect();
    let expect = |phones: &[Phone], since, state: &str| {
        for phone in phones {
            notify_with(phone, since, |notify| {
                header(notify, "Subscription-State").starts_with(state)
            });
        }
    };
    let since = Instant::now();
    for number in 0..8 {
        let form = format!("watcher=phone{number}@example.com&aor=shy@example.com");
        command(&socket, "/rules/approve", &form);
    }
    expect(&phones, since, "active");
    // What was approved stands when the file is read again.
    node.reload(&ruled(Handling::Confirm)).unwrap();
    set_call(&node, "shy", Some(call(CallState::Confirmed)));
    expect(&phones, Instant::now(), "active");
    let since = Instant::now();
    let form = "watcher=phone0@example.com&aor=shy@example.com";
    command(&socket, "/rules/deny", form);
    expect(&phones[..1], since, "terminated;reason=rejected");
    let since = Instant::now();
    node.reload(&ruled(Handling::Block)).unwrap();
    expect(&phones[1..], since, "terminated;reason=rejected");
}

/// Where datagrams come one after the other, the thread of a core waits for them itself: mail,
/// commands and streams must get through all the same.
#[test]
fn a_flood_of_datagrams_does_not_delay_mail_commands_and_streams() {
    let (node, udp, tcp) = start(2);
    let is_over = Arc::new(AtomicBool::new(false));
    let flood = {
        let is_over = Arc::clone(&is_over);
        // Enough ports that both shards have some.
        let sockets: Vec<_> = (0..16)
            .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
            .collect();
        thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                for socket in &sockets {
                    socket.send_to(b"\r\n\r\n", udp).unwrap();
                }
            }
        })
    };
    while counter(&node, "datagrams_junk") < 10_000 {
        thread::sleep(Duration::from_millis(1));
    }
    // Enough connections that both shards have some.
    let mut streams: Vec<_> = (0..8)
        .map(|number| {
            let mut stream = connect(tcp);
            let local = stream.local_addr().unwrap();
            let request = subscribe("busy", Transport::Tcp, local, number);
            stream.write_all(request.as_bytes()).unwrap();
            assert!(receive_from(&mut stream).starts_with("SIP/2.0 200 "));
            stream
        })
        .collect();
    for state in [CallState::Early, CallState::Confirmed] {
        let since = Instant::now();
        set_call(&node, "busy", Some(call(state)));
        let wanted = format!("<state>{}<", state.as_str());
        for stream in &mut streams {
            loop {
                let notify = receive_from(stream);
                stream.write_all(ok(&notify).as_bytes()).unwrap();
                if notify.contains(&wanted) {
                    break;
                }
            }
            assert!(since.elapsed() < AT_ONCE, "{:?}", since.elapsed());
        }
    }
    let datagrams = counter(&node, "datagrams_received");
    let batches = counter(&node, "receive_batches");
    assert!(batches * 2 < datagrams, "{batches} for {datagrams}");
    is_over.store(true, Ordering::Relaxed);
    flood.join().unwrap();
    node.stop(Duration::ZERO);
}
