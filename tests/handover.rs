//! A server is restarted again and again while phones send a request every millisecond: the next process
//! takes the sockets of the last one over, by the service manager's descriptor store or by
//! `lamplighter serve --take-over`. No request is unanswered beyond one retransmission, no connection is
//! reset, and subscriptions go on.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "operator/daemon.rs"]
mod daemon;
#[path = "handover/manager.rs"]
mod manager;
#[path = "handover/peer.rs"]
mod peer;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use std::{fs, thread};

use crate::daemon::{Daemon, Folder, free_address};
use crate::manager::Manager;
use crate::peer::Peer;

/// Restarts of each way.
const RESTARTS: usize = 10;
/// Peers; each sends a request in as many milliseconds.
const PEERS: usize = 20;
/// Those over TCP.
const TCP_PEERS: usize = 5;
/// The time from one restart to the next.
const BETWEEN: Duration = Duration::from_millis(700);
/// What a server logs when it stops reading.
const STOPPED: &str = "sockets are not read any more";
/// How long a response to a peer that has just connected may take.
const CALLER_PATIENCE: Duration = Duration::from_secs(20);

/// The tests run one after the other: each needs the machine.
static TURN: Mutex<()> = Mutex::new(());

/// A server whose addresses and store stay.
struct Site {
    folder: Folder,
    sip: SocketAddr,
    http: SocketAddr,
}

impl Site {
    fn new(name: &str) -> Self {
        Self {
            folder: Folder::new(name, ""),
            sip: free_address(),
            http: free_address(),
        }
    }

    /// Configures that many shards, as far as there are CPUs. The command that starts the server.
    fn command(&self, line: &str, shards: usize) -> Command {
        let cpus = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let shards: Vec<usize> = (0..shards.min(cpus)).collect();
        self.folder.configure(&format!(
            "[node]\ndata_dir = \"data\"\n[cores]\nshards = {shards:?}\n\
             [[sip.listen]]\ntransport = \"udp\"\naddress = \"{}\"\n\
             [[sip.listen]]\ntransport = \"tcp\"\naddress = \"{0}\"\n[http]\nlisten = [\"{}\"]\n\
             [store]\ndirectory = \"state\"\n[notify]\nrate = 0\n[limits]\nresponse_ring = \"1 MiB\"\n\
             [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\n",
            self.sip, self.http
        ));
        let mut command = self.folder.daemon(line);
        command.env("LAMPLIGHTER_LOG", "info,lamplighter::runtime=debug");
        command
    }
}

/// When a line was logged, in seconds of the day.
fn time_of(line: &str) -> f64 {
    let (_, time) = line.split_once('T').unwrap();
    let (time, _) = time.split_once('Z').unwrap();
    let parts = time.split(':').map(|part| part.parse::<f64>().unwrap());
    parts.fold(0.0, |seconds, part| seconds * 60.0 + part)
}

/// Connects again and again, asks one thing and hangs up. How often it was answered.
fn call_again_and_again(server: SocketAddr, is_over: &AtomicBool, answered: &AtomicUsize) {
    while !is_over.load(Ordering::SeqCst) {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(CALLER_PATIENCE)).unwrap();
        let number = answered.load(Ordering::SeqCst);
        let request = options("TCP", stream.local_addr().unwrap(), number);
        stream.write_all(request.as_bytes()).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        assert_eq!(&status, b"SIP/2.0 200 ");
        answered.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(20));
    }
}

/// An OPTIONS.
fn options(transport: &str, local: SocketAddr, number: usize) -> String {
    format!(
        "OPTIONS sip:a.example SIP/2.0\r\nVia: SIP/2.0/{transport} {local};branch=z9hG4bK-c{number}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:c@a.example>;tag=c\r\nTo: <sip:a.example>\r\n\
         Call-ID: c{number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

/// Asks one thing on a connection that stays; it is answered.
fn ask(stream: &mut TcpStream, number: usize) {
    stream.set_read_timeout(Some(CALLER_PATIENCE)).unwrap();
    let request = options("TCP", stream.local_addr().unwrap(), number);
    stream.write_all(request.as_bytes()).unwrap();
    let (mut response, mut buffer) = (Vec::new(), [0; 4096]);
    while !response.ends_with(b"\r\n\r\n") {
        let octets = stream.read(&mut buffer).unwrap();
        assert!(octets > 0, "the connection was closed");
        response.extend_from_slice(&buffer[..octets]);
    }
    assert!(response.starts_with(b"SIP/2.0 200 "));
}

/// Peers send, each in its thread, while `restarts` runs; then all accounts are checked.
fn under_load(name: &str, sip: SocketAddr, restarts: impl FnOnce() -> Vec<f64>) {
    let over = |number| match number < TCP_PEERS {
        true => Peer::tcp(number, sip),
        false => Peer::udp(number, sip),
    };
    let mut peers: Vec<Peer> = (0..PEERS).map(over).collect();
    let (is_over, callers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pace = Duration::from_millis(PEERS as u64);
    let gaps = thread::scope(|scope| {
        for peer in &mut peers {
            scope.spawn(|| peer.run(pace, &is_over));
        }
        scope.spawn(|| call_again_and_again(sip, &is_over, &callers));
        thread::sleep(BETWEEN);
        // The peers end even if a restart fails.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(restarts));
        is_over.store(true, Ordering::SeqCst);
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let faults: Vec<_> = peers.iter().flat_map(|peer| &peer.account.faults).collect();
    let sum = |of: fn(&peer::Account) -> usize| -> usize {
        peers.iter().map(|peer| of(&peer.account)).sum()
    };
    let longest = peers.iter().map(|peer| peer.account.longest).max();
    println!(
        "{name}: {} restarts, {} requests answered, {} of them repeated, the longest after {longest:?}; \
         {} NOTIFYs, {} further connections; nothing was read for {gaps:.3?} s",
        gaps.len(),
        sum(|account| account.answered),
        sum(|account| account.repeated),
        sum(|account| account.notified),
        callers.into_inner(),
    );
    let first: Vec<_> = faults.iter().take(5).collect();
    assert!(faults.is_empty(), "{} faults: {first:#?}", faults.len());
    assert!(sum(|account| account.notified) > PEERS * 2);
}

#[test]
fn the_service_manager_keeps_the_sockets_from_one_process_to_the_next() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new("handover-manager");
    let manager = Manager::new(&site.folder.0);
    let start = |shards| {
        let command = manager.command(&site.command("serve", shards));
        Daemon::start_by(&site.folder, command).0
    };
    let mut daemon = start(2);
    under_load("service manager", site.sip, || {
        let restart = |number: usize| {
            daemon.signal("-TERM");
            let stopped = time_of(&daemon.wait_for(STOPPED));
            daemon.wait_for("sockets are handed over");
            assert!(manager.was_told("READY=1") && manager.was_told("STOPPING=1"));
            daemon.wait_for("stopped");
            let next = start(1 + number % 2);
            std::mem::replace(&mut daemon, next).wait();
            let begun = time_of(&daemon.first_line("serving"));
            thread::sleep(BETWEEN);
            (begun - stopped).rem_euclid(86_400.0)
        };
        (0..RESTARTS).map(restart).collect()
    });
    let has = |name: &str| manager.names().iter().any(|known| known == name);
    assert!(has("udp-0-0") && has("tcp-1-0") && has("http-0"));
    let is_connection = |name: &String| name.starts_with("connection-");
    assert!(
        !manager.names().iter().any(is_connection),
        "they are taken back"
    );
    daemon.stop();
}

#[test]
fn another_process_takes_the_place_of_the_running_one() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new("handover-process");
    let start = |line, shards| Daemon::start_by(&site.folder, site.command(line, shards)).0;
    let mut daemon = start("serve", 2);
    under_load("take-over", site.sip, || {
        let restart = |number: usize| {
            let next = start("serve --take-over", 1 + number % 2);
            let last = std::mem::replace(&mut daemon, next);
            let stopped = time_of(&last.wait_for(STOPPED));
            last.wait();
            let begun = time_of(&daemon.first_line("serving"));
            thread::sleep(BETWEEN);
            (begun - stopped).rem_euclid(86_400.0)
        };
        (0..RESTARTS).map(restart).collect()
    });
    daemon.stop();
}

/// Whether a server answers a request over UDP.
fn is_served(server: SocketAddr) -> bool {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(CALLER_PATIENCE)).unwrap();
    let request = options("UDP", socket.local_addr().unwrap(), 1);
    socket.send(request.as_bytes()).unwrap();
    let mut response = [0; 2048];
    let octets = socket.recv(&mut response).unwrap();
    response[..octets].starts_with(b"SIP/2.0 200 ")
}

/// The next process cannot listen on all its addresses, after it has got the sockets. The last one
/// serves again, with its own configuration and on the same connections; then another takes over.
#[test]
fn a_process_that_takes_over_and_fails_leaves_the_running_one() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new("handover-fails");
    let daemon = Daemon::start_by(&site.folder, site.command("serve", 2)).0;
    let mut stream = TcpStream::connect(site.sip).unwrap();
    ask(&mut stream, 1);
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(site.folder.file()).unwrap();
    let of_next = format!("http]\nlisten = [\"{}\", ", busy.local_addr().unwrap());
    site.folder
        .configure(&text.replace("http]\nlisten = [", &of_next));
    let complaint = site.folder.complains("serve --take-over");
    assert!(
        complaint.contains(&busy.local_addr().unwrap().to_string()),
        "{complaint}"
    );
    daemon.wait_for("this one serves again");
    assert!(is_served(site.sip), "it serves again");
    ask(&mut stream, 2);
    assert!(
        daemon.tenants().contains("1 domain"),
        "{}",
        daemon.tenants()
    );
    site.folder.configure(&text);
    let next = Daemon::start_by(&site.folder, site.command("serve --take-over", 1)).0;
    daemon.wait();
    assert!(is_served(site.sip));
    ask(&mut stream, 3);
    next.stop();
}

/// The running process does not respond: the next one does not start, and the running one serves when
/// it can.
#[test]
fn a_running_process_that_is_silent_goes_on() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let site = Site::new("handover-silent");
    let daemon = Daemon::start_by(&site.folder, site.command("serve", 1)).0;
    daemon.signal("-STOP");
    let complaint = site.folder.complains("serve --take-over");
    daemon.signal("-CONT");
    assert!(complaint.contains("cannot take over"), "{complaint}");
    daemon.wait_for("cannot hand over");
    assert!(is_served(site.sip));
    daemon.stop();
}

/// A server of another version knows no take-over, and goes on.
#[test]
fn a_server_that_cannot_be_taken_over_is_left_alone() {
    let site = Site::new("handover-version");
    site.command("serve", 1);
    fs::create_dir_all(site.folder.0.join("data")).unwrap();
    let control = UnixListener::bind(site.folder.0.join("data/control.sock")).unwrap();
    let asked = thread::spawn(move || {
        let (mut stream, _) = control.accept().unwrap();
        let mut request = [0; 4096];
        let octets = stream.read(&mut request).unwrap();
        let response =
            "HTTP/1.1 404 Not Found\r\nContent-Length: 8\r\nConnection: close\r\n\r\nno page\n";
        stream.write_all(response.as_bytes()).unwrap();
        String::from_utf8_lossy(&request[..octets]).into_owned()
    });
    let complaint = site.folder.complains("serve --take-over");
    assert!(asked.join().unwrap().starts_with("POST /hand-over "));
    assert!(
        complaint.contains("perhaps an older version"),
        "{complaint}"
    );
}

/// What an operator is told when there is nothing to take over.
#[test]
fn a_take_over_without_a_running_server_says_so() {
    let site = Site::new("handover-none");
    site.command("serve", 1);
    let start = Instant::now();
    let complaint = site.folder.complains("serve --take-over");
    assert!(
        complaint.contains("start without --take-over"),
        "{complaint}"
    );
    assert!(start.elapsed() < Duration::from_secs(20));
}
