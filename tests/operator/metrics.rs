//! `/metrics` as Prometheus reads it.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::daemon::{Daemon, Folder};
use crate::tenants;

/// The address of a listener in the line of a start.
fn address<'l>(ready: &'l str, before: &str) -> &'l str {
    let (_, rest) = ready.split_once(before).unwrap();
    rest.split([',', ' ', ';', '\n']).next().unwrap()
}

fn metrics(http: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response.split_once("\r\n\r\n").unwrap().1.to_owned()
}

/// A request for a domain that nobody serves is refused.
fn refused(sip: &str) {
    let phone = UdpSocket::bind("127.0.0.1:0").unwrap();
    phone
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let at = phone.local_addr().unwrap();
    let text = format!(
        "SUBSCRIBE sip:1@other.example SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bK1;rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:2@other.example>;tag=1\r\nTo: <sip:1@other.example>\r\n\
         Call-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:2@{at}>\r\nEvent: dialog\r\n\
         Content-Length: 0\r\n\r\n"
    );
    phone.send_to(text.as_bytes(), sip).unwrap();
    let mut response = [0; 2048];
    let length = phone.recv(&mut response).unwrap();
    assert!(response[..length].starts_with(b"SIP/2.0 404 "));
}

#[test]
fn promtool_has_nothing_to_say_about_the_metrics() {
    let text =
        tenants(&[("a.example", 1)]).replacen("[node]\n", "[cores]\nshards = [0]\n[node]\n", 1);
    let folder = Folder::new("metrics", &text);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    refused(address(&ready, "SIP on udp "));
    let text = metrics(address(&ready, "HTTP on "));
    daemon.stop();

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = promtool.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");

    for line in [
        concat!(
            "lamplighter_build_info{version=\"",
            env!("CARGO_PKG_VERSION"),
            "\"} 1"
        ),
        "lamplighter_refusals_total{method=\"SUBSCRIBE\",status=\"404\"} 1",
        "# TYPE lamplighter_subscriptions gauge",
        "# HELP lamplighter_subscriptions Active subscriptions.",
        "# TYPE lamplighter_turn_duration_seconds histogram",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains(" untyped"));
}
