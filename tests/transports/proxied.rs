//! Phones behind a load balancer that speaks the PROXY protocol.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::authority::{Authority, Client, over};
use crate::daemon::{Daemon, Folder};
use crate::phone::{End, Phone, header};
use crate::websocket::Link;
use crate::{address, counts};

/// The address of the only phone that the domain serves, as the proxy tells it.
const PHONE: &str = "PROXY TCP4 192.0.2.7 10.0.0.1 40123 5060\r\n";

/// A listener by which 192.0.2.7 alone is served, and one whose proxy is elsewhere.
fn configuration() -> String {
    "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
     [[sip.listen]]\ntransport = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
     proxy_protocol = true\nproxies = [\"127.0.0.0/8\"]\n\
     [[sip.listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\n\
     certificate = \"a.pem\"\nkey = \"a.key\"\n\
     proxy_protocol = true\nproxies = [\"127.0.0.1\"]\n\
     [[sip.listen]]\ntransport = \"tcp\"\naddress = \"127.0.0.2:0\"\n\
     proxy_protocol = true\nproxies = [\"10.9.9.9\"]\n\
     [[sip.listen]]\ntransport = \"ws\"\naddress = \"127.0.0.1:0\"\n\
     proxy_protocol = true\nproxies = [\"127.0.0.1\"]\n\
     [[sip.listen]]\ntransport = \"wss\"\naddress = \"127.0.0.1:0\"\n\
     certificate = \"a.pem\"\nkey = \"a.key\"\n\
     proxy_protocol = true\nproxies = [\"127.0.0.1\"]\n\
     [limits]\nresponse_ring = \"1 MiB\"\nhandshakes = 2\nhandshake_timeout = \"1s\"\n\
     [[domain]]\nname = \"a.example\"\nauth = \"trusted\"\ntrusted = [\"192.0.2.7\"]\nopen = true\n"
        .to_owned()
}

/// A phone behind a proxy that sends this first.
fn behind(address: &str, preface: &[u8]) -> Phone<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream.write_all(preface).unwrap();
    Phone::new(stream, "TCP")
}

/// The server closes it: with a reset, if it leaves octets unread.
fn closes(mut phone: Phone<TcpStream>) {
    assert!(matches!(phone.ends(), End::Closed | End::Cut));
}

/// A header of version 2.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = (rest.len() as u16).to_be_bytes();
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    [&signature[..], &[command, family], &length, rest].concat()
}

#[test]
fn a_proxy_says_whose_connection_it_forwards() {
    let authority = Authority::new("root");
    let folder = Folder::new("proxied", &configuration());
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tcp = address(&ready, "SIP on tcp ");

    let (response, _) = behind(tcp, PHONE.as_bytes()).subscribe();
    let via = header(&response, "Via");
    assert!(via.contains("received=192.0.2.7"), "{via}");
    let phone = [192, 0, 2, 7, 10, 0, 0, 1, 0x9c, 0xbb, 0x13, 0xc4];
    let (response, _) = behind(tcp, &binary(0x21, 0x11, &phone)).subscribe();
    assert!(header(&response, "Via").contains("received=192.0.2.7"));

    // Another phone, and the proxy on its own behalf, are not those that the domain trusts.
    let other = [192, 0, 2, 8, 10, 0, 0, 1, 0x9c, 0xbb, 0x13, 0xc4];
    for header in [
        binary(0x21, 0x11, &other),
        binary(0x20, 0x00, &[]),
        b"PROXY UNKNOWN\r\n".to_vec(),
    ] {
        let mut phone = behind(tcp, &header);
        phone.request();
        let response = phone.read();
        assert!(response.starts_with("SIP/2.0 403 "), "{response}");
    }

    // Before a handshake.
    let config = authority.client(&Client::default());
    let announced = |name| {
        let mut stream = TcpStream::connect(address(&ready, name)).unwrap();
        stream.write_all(PHONE.as_bytes()).unwrap();
        stream
    };
    let encrypted = |name| over(announced(name), "sip.a.example", &config).unwrap();
    let received = |response: String| {
        assert!(header(&response, "Via").contains("received=192.0.2.7"));
    };
    received(Phone::new(encrypted("tls "), "TLS").subscribe().0);
    let link = Link::open(announced("ws "), None).unwrap();
    received(Phone::new(link, "WS").subscribe().0);
    let link = Link::open(encrypted("wss "), None).unwrap();
    received(Phone::new(link, "WSS").subscribe().0);
    daemon.stop();
}

#[test]
fn a_connection_without_a_header_of_a_proxy_is_closed() {
    let authority = Authority::new("root");
    let folder = Folder::new("not-proxied", &configuration());
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tcp = address(&ready, "SIP on tcp ");
    let mut plain = behind(tcp, b"");
    plain.request();
    closes(plain);
    closes(behind(tcp, b"PROXY TCP4 damaged\r\n"));
    counts(&ready, "connections_not_proxied", 2);

    // Slow ones end in time, and while two are read, a third is closed at once.
    let begin = Instant::now();
    let slow = [behind(tcp, b"PROXY TCP4 192"), behind(tcp, b"")];
    std::thread::sleep(Duration::from_millis(200));
    closes(behind(tcp, PHONE.as_bytes()));
    assert!(begin.elapsed() < Duration::from_millis(900), "at once");
    slow.into_iter().for_each(closes);
    assert!(begin.elapsed() < Duration::from_secs(4), "in time");
    counts(&ready, "connections_not_proxied", 5);

    let elsewhere = address(&ready, "tcp 127.0.0.2:");
    let elsewhere = format!("127.0.0.2:{elsewhere}");
    closes(behind(&elsewhere, PHONE.as_bytes()));
    counts(&ready, "connections_not_proxied", 6);
    daemon.stop();
}
