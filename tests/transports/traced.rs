//! A trace shows what is encrypted, and its capture is read by tshark, whatever the transport.

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::*;
use crate::tshark::tshark;

#[test]
fn messages_of_every_transport_are_captured_as_sip() {
    let authority = Authority::new("root");
    let folder = every_transport("traced", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let capture = folder.0.join("trace.pcap");
    // Of each phone: SUBSCRIBE, 200, NOTIFY, 200.
    let line = format!("trace 0@a.example --count 32 --pcap {}", capture.display());
    let mut command = folder.lamplighter(&line);
    let trace = command.stdout(Stdio::null()).spawn().unwrap();
    // The trace is begun before its capture.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !capture.exists() {
        assert!(Instant::now() < deadline);
        thread::sleep(Duration::from_millis(10));
    }
    let config = authority.client(&Client::default());
    for ip in ["127.0.0.1", "[::1]"] {
        let at = |transport| at(&ready, (transport, ip));
        let tls = |transport| connect(&at(transport), "sip.a.example", &config).unwrap();
        Phone::new(tcp(&at("tcp")), "TCP").subscribe();
        Phone::new(tls("tls"), "TLS").subscribe();
        Phone::new(Link::open(tcp(&at("ws")), None).unwrap(), "WS").subscribe();
        Phone::new(Link::open(tls("wss"), None).unwrap(), "WSS").subscribe();
    }
    assert!(trace.wait_with_output().unwrap().status.success());
    let fields = [
        "sip.Method",
        "sip.Status-Code",
        "sip.Call-ID",
        "_ws.malformed",
    ];
    let rows = tshark(&capture, &fields);
    assert_eq!(rows.len(), 32, "{rows:?}");
    for via in ["TCP", "TLS", "WS", "WSS"] {
        for (method, status, count) in [("SUBSCRIBE", "", 2), ("NOTIFY", "", 2), ("", "200", 4)] {
            let row = [method, status, &format!("c-{via}"), ""];
            let found = rows.iter().filter(|found| **found == row).count();
            assert_eq!(found, count, "{row:?} in {rows:?}");
        }
    }
    daemon.stop();
}
