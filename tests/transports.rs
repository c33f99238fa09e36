//! The real daemon over its encrypted transports: certificates, handshakes, SIP on top of them.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "transports/authority.rs"]
mod authority;
#[path = "operator/daemon.rs"]
mod daemon;
#[path = "transports/dialed.rs"]
mod dialed;
#[path = "transports/name_server.rs"]
mod name_server;
#[path = "transports/names.rs"]
mod names;
#[path = "transports/phone.rs"]
mod phone;
#[path = "transports/proxied.rs"]
mod proxied;
#[path = "transports/traced.rs"]
mod traced;
#[path = "operator/tshark.rs"]
mod tshark;
#[path = "transports/websocket.rs"]
mod websocket;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::authority::{Authority, Client, Issued, connect};
use crate::daemon::{Daemon, Folder};
use crate::phone::{End, Phone, header, is_resumed};
use crate::websocket::Link;

/// A TLS listener with these keys, a UDP listener, and a domain.
fn configuration(keys: &str) -> String {
    format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
         [[sip.listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\n{keys}\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [limits]\nresponse_ring = \"1 MiB\"\nhandshakes = 4\nhandshake_timeout = \"1s\"\n\
         [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\n"
    )
}

/// A server that presents `sip.a.example` of an authority.
fn server(name: &str, authority: &Authority) -> Folder {
    let keys = "certificate = \"a.pem\"\nkey = \"a.key\"";
    let folder = Folder::new(name, &configuration(keys));
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    folder
}

/// An address in the line of a start.
fn address<'l>(ready: &'l str, before: &str) -> &'l str {
    let (_, rest) = ready.split_once(before).unwrap();
    rest.split([',', ' ', ';', '\n']).next().unwrap()
}

fn metrics(ready: &str) -> String {
    let mut stream = TcpStream::connect(address(ready, "HTTP on ")).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// Waits until a counter has a value.
fn counts(ready: &str, counter: &str, value: u64) {
    let wanted = format!("\nlamplighter_{counter}_total {value}\n");
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let text = metrics(ready);
        if text.contains(&wanted) {
            return;
        }
        assert!(Instant::now() < deadline, "no {wanted} in {text}");
    }
}

#[test]
fn a_phone_sees_its_lamp_over_tls() {
    let authority = Authority::new("root");
    let folder = server("tls-lamp", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    for is_old in [false, true] {
        let client = Client {
            is_old,
            ..Client::default()
        };
        let config = authority.client(&client);
        let mut phone = Phone::new(connect(tls, "sip.a.example", &config).unwrap(), "TLS");
        let (response, notify) = phone.subscribe();
        let contact = format!("<sip:{tls};transport=tls>");
        assert_eq!(header(&response, "Contact"), contact);
        assert_eq!(header(&notify, "Contact"), contact);
        let via = format!("SIP/2.0/TLS {tls};branch=");
        assert!(header(&notify, "Via").starts_with(&via), "{notify}");
        assert!(notify.starts_with("NOTIFY sip:1@phone.invalid;transport=tls SIP/2.0"));
        folder.says("set 0@a.example lamp early");
        let lit = phone.notify();
        assert!(lit.contains("<state>early</state>"), "{lit}");
        phone.subscribe();
        folder.says("set 0@a.example lamp off");
        phone.notify();
        // A keepalive, split as encryption may (RFC 5626 §4.4.1).
        phone.write("\r\n");
        phone.write("\r\n");
        let mut pong = [0; 2];
        phone.stream.read_exact(&mut pong).unwrap();
        assert_eq!(&pong, b"\r\n");
    }
    counts(&ready, "handshakes_completed", 2);
    daemon.stop();
}

/// A server with a listener of each transport on both loopbacks.
fn every_transport(name: &str, authority: &Authority) -> Folder {
    let listeners: Vec<String> = ["udp", "tcp", "tls", "ws", "wss"]
        .into_iter()
        .flat_map(|transport| {
            let keys = match transport {
                "tls" | "wss" => "certificate = \"a.pem\"\nkey = \"a.key\"\n",
                _ => "",
            };
            ["127.0.0.1:0", "[::1]:0"].map(|address| {
                format!(
                    "[[sip.listen]]\ntransport = \"{transport}\"\naddress = \"{address}\"\n{keys}"
                )
            })
        })
        .collect();
    let text = format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n{}\
         [limits]\nresponse_ring = \"1 MiB\"\n\
         [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\n",
        listeners.concat()
    );
    let folder = Folder::new(name, &text);
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    folder
}

/// Where a transport is served.
fn at(ready: &str, (transport, ip): (&str, &str)) -> String {
    let port = address(ready, &format!("SIP on {transport} {ip}:"));
    format!("{ip}:{port}")
}

/// A connection.
fn tcp(place: &str) -> TcpStream {
    let stream = TcpStream::connect(place).unwrap();
    let patience = Some(Duration::from_secs(10));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// What is said on each transport names the address that was reached.
#[test]
fn every_transport_is_served_by_ipv4_and_ipv6() {
    let authority = Authority::new("root");
    let folder = every_transport("dual-stack", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let config = authority.client(&Client::default());
    for ip in ["127.0.0.1", "[::1]"] {
        let at = |transport: &str| at(&ready, (transport, ip));
        let tcp = |transport| tcp(&at(transport));
        let tls = |transport| connect(&at(transport), "sip.a.example", &config).unwrap();
        let is_served = |(response, notify): (String, String), transport: &str| {
            let parameter = transport.trim_end_matches("wss").trim_end_matches("ws");
            let parameter = if parameter.is_empty() {
                "ws"
            } else {
                parameter
            };
            let contact = format!("<sip:{};transport={parameter}>", at(transport));
            assert_eq!(header(&response, "Contact"), contact);
            assert_eq!(header(&notify, "Contact"), contact);
            let bare = ip.trim_matches(['[', ']']);
            let via = header(&response, "Via");
            assert!(via.contains(&format!("received={bare}")), "{via}");
        };
        is_served(Phone::new(tcp("tcp"), "TCP").subscribe(), "tcp");
        is_served(Phone::new(tls("tls"), "TLS").subscribe(), "tls");
        let link = Link::open(tcp("ws"), None).unwrap();
        is_served(Phone::new(link, "WS").subscribe(), "ws");
        let link = Link::open(tls("wss"), None).unwrap();
        is_served(Phone::new(link, "WSS").subscribe(), "wss");
    }
    daemon.stop();
}

#[test]
fn a_sips_dialog_has_sips_contacts() {
    let authority = Authority::new("root");
    let folder = server("tls-sips", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let config = authority.client(&Client::default());
    let mut phone = Phone::new(connect(tls, "sip.a.example", &config).unwrap(), "TLS");
    phone.scheme = "sips";
    let (response, notify) = phone.subscribe();
    let contact = format!("<sips:{tls}>");
    assert_eq!(header(&response, "Contact"), contact);
    assert_eq!(header(&notify, "Contact"), contact);
    assert!(
        notify.starts_with("NOTIFY sips:1@phone.invalid"),
        "{notify}"
    );
    let (response, _) = phone.subscribe();
    assert_eq!(header(&response, "Contact"), contact);
    daemon.stop();
    assert_eq!(phone.ends(), End::Closed);
}

#[test]
fn a_client_gets_the_certificate_of_the_host_that_it_names() {
    let authority = Authority::new("root");
    let keys = "certificate = [\"a.pem\", \"b.pem\"]\nkey = [\"a.key\", \"b.key\"]";
    let folder = Folder::new("tls-sni", &configuration(keys));
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    authority
        .issue(&["*.b.example", "b.example"])
        .write(&folder.0, "b");
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let config = authority.client(&Client::default());
    for host in ["sip.a.example", "b.example", "phones.b.example"] {
        connect(tls, host, &config).unwrap();
    }
    // An unknown one gets the first, which the client refuses.
    let refused = connect(tls, "c.example", &config).unwrap_err();
    assert!(refused.to_string().contains("sip.a.example"), "{refused}");
    counts(&ready, "handshakes_failed", 1);
    let text = metrics(&ready);
    let line = "lamplighter_tls_certificate_not_after_seconds{file=\"";
    assert_eq!(text.matches(line).count(), 2, "{text}");
    daemon.stop();
}

#[test]
fn a_client_needs_a_certificate_where_that_is_demanded() {
    let authority = Authority::new("root");
    let phones = Authority::new("phones");
    let keys = "certificate = \"a.pem\"\nkey = \"a.key\"\nclient_ca = \"phones.pem\"";
    let folder = Folder::new("tls-mutual", &configuration(keys));
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    fs::write(folder.0.join("phones.pem"), &phones.certificate).unwrap();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let own = phones.issue(&["phone-1"]);
    let stranger = authority.issue(&["phone-1"]);
    for is_old in [false, true] {
        let client = |certificate| {
            authority.client(&Client {
                certificate,
                is_old,
            })
        };
        let good = connect(tls, "sip.a.example", &client(Some(&own))).unwrap();
        Phone::new(good, "TLS").subscribe();
        for bad in [client(None), client(Some(&stranger))] {
            // With TLS 1.3 a client learns it after its handshake.
            let refused = connect(tls, "sip.a.example", &bad)
                .and_then(|mut stream| stream.read(&mut [0; 16]))
                .unwrap_err();
            let told = refused.to_string();
            assert!(told.contains("received fatal alert"), "{told}");
        }
    }
    counts(&ready, "handshakes_failed", 4);
    counts(&ready, "handshakes_completed", 2);
    daemon.stop();
}

#[test]
fn a_reload_brings_a_new_certificate_and_ends_no_connection() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = server("tls-reload", &old);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let of_old = old.client(&Client::default());
    let of_new = new.client(&Client::default());
    let mut phone = Phone::new(connect(tls, "sip.a.example", &of_old).unwrap(), "TLS");
    phone.subscribe();
    assert!(connect(tls, "sip.a.example", &of_new).is_err());

    // A fault changes nothing.
    fs::write(folder.0.join("a.pem"), "no certificate").unwrap();
    let told = folder.complains("reload");
    assert!(told.contains("a.pem holds no certificate"), "{told}");
    connect(tls, "sip.a.example", &of_old).unwrap();

    new.issue(&["sip.a.example"]).write(&folder.0, "a");
    let told = folder.says("reload");
    daemon.wait_for("reloaded: ");
    assert!(!told.contains("restart"), "{told}");
    connect(tls, "sip.a.example", &of_new).unwrap();
    // A ticket of the old certificate's time is worth nothing.
    assert!(connect(tls, "sip.a.example", &of_old).is_err());
    folder.says("set 0@a.example lamp early");
    assert!(phone.notify().contains("<state>early</state>"));

    // Other files, and by a signal.
    old.issue(&["sip.a.example"]).write(&folder.0, "b");
    let keys = "certificate = \"b.pem\"\nkey = \"b.key\"";
    folder.configure(&configuration(keys));
    daemon.signal("-HUP");
    daemon.wait_for("reloaded: ");
    connect(tls, "sip.a.example", &of_old).unwrap();
    phone.subscribe();
    daemon.stop();
}

/// The keys of a connection are in the memory of its process.
#[test]
fn a_process_that_takes_over_gets_the_listeners_but_no_connection() {
    let authority = Authority::new("root");
    let folder = web("tls-take-over", &authority);
    let (old, ready) = Daemon::start_and_tell(&folder);
    let [tls, ws] = ["SIP on tls ", "SIP on ws "].map(|before| address(&ready, before));
    let config = authority.client(&Client::default());
    let mut phone = Phone::new(connect(tls, "sip.a.example", &config).unwrap(), "TLS");
    phone.subscribe();
    let mut page = Link::open(TcpStream::connect(ws).unwrap(), None).unwrap();
    let (new, again) = Daemon::start_by(&folder, folder.daemon("serve --take-over"));
    assert_eq!(phone.ends(), End::Closed);
    let Message::Close(Some(told)) = page.0.read().unwrap() else {
        panic!("no close")
    };
    assert_eq!(told.code, CloseCode::Away);
    old.wait();
    assert_eq!(address(&again, "SIP on tls "), tls);
    let mut phone = Phone::new(connect(tls, "sip.a.example", &config).unwrap(), "TLS");
    phone.subscribe();
    Link::open(TcpStream::connect(ws).unwrap(), None).unwrap();
    new.stop();
}

#[test]
fn a_session_is_resumed() {
    let authority = Authority::new("root");
    let folder = server("tls-resumed", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    for is_old in [false, true] {
        let client = Client {
            is_old,
            ..Client::default()
        };
        let config = authority.client(&client);
        let mut first = Phone::new(connect(tls, "sip.a.example", &config).unwrap(), "TLS");
        assert!(!is_resumed(&first.stream));
        // The ticket comes with the first octets.
        first.subscribe();
        let second = connect(tls, "sip.a.example", &config).unwrap();
        assert!(is_resumed(&second));
        Phone::new(second, "TLS").subscribe();
    }
    daemon.stop();
}

#[test]
fn handshakes_have_limits() {
    let authority = Authority::new("root");
    let folder = server("tls-limits", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let ends = |stream: &mut TcpStream| {
        stream
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let mut octets = Vec::new();
        match stream.read_to_end(&mut octets) {
            Ok(_) => octets,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => octets,
            Err(error) => panic!("{error}"),
        }
    };
    // What is no TLS is answered with an alert.
    let mut plain = TcpStream::connect(tls).unwrap();
    plain
        .write_all(b"SUBSCRIBE sip:0@a.example SIP/2.0\r\n")
        .unwrap();
    assert_eq!(ends(&mut plain).first(), Some(&21));
    counts(&ready, "handshakes_failed", 1);

    // Of one address two of each shard wait for a second; the others are closed at once.
    let begun = Instant::now();
    let mut silent: Vec<_> = (0..200).map(|_| TcpStream::connect(tls).unwrap()).collect();
    for stream in &mut silent {
        assert!(ends(stream).is_empty());
    }
    assert!(begun.elapsed() > Duration::from_millis(900));
    let text = metrics(&ready);
    let count = |name| {
        let line = format!("\nlamplighter_{name}_total ");
        let (_, rest) = text.split_once(&line).unwrap();
        rest.lines().next().unwrap().parse::<u64>().unwrap()
    };
    let (timed_out, refused) = (count("handshakes_timed_out"), count("handshakes_refused"));
    assert!(timed_out >= 1 && refused >= 1, "{text}");
    assert_eq!(timed_out + refused, 200, "{text}");
    // There is room again.
    let config = authority.client(&Client::default());
    connect(tls, "sip.a.example", &config).unwrap();
    daemon.stop();
}

/// Plain and encrypted WebSocket beside TLS.
fn web(name: &str, authority: &Authority) -> Folder {
    let keys = "certificate = \"a.pem\"\nkey = \"a.key\"";
    let folder = server(name, authority);
    let listen = format!(
        "[[sip.listen]]\ntransport = \"ws\"\naddress = \"127.0.0.1:0\"\n\
         origins = [\"https://a.example\"]\n\
         [[sip.listen]]\ntransport = \"wss\"\naddress = \"127.0.0.1:0\"\n{keys}\n"
    );
    folder.configure(&(configuration(keys) + &listen));
    folder
}

/// A phone in a web page sees a lamp, keeps its connection alive, and is told when the server ends.
fn watches<S: Read + Write>(
    link: Link<S>,
    (via, address): (&'static str, &str),
    folder: &Folder,
) -> Phone<Link<S>> {
    let mut phone = Phone::new(link, via);
    let (response, notify) = phone.subscribe();
    let contact = format!("<sip:{address};transport=ws>");
    assert_eq!(header(&response, "Contact"), contact);
    assert_eq!(header(&notify, "Contact"), contact);
    let via = format!("SIP/2.0/{via} {address};branch=");
    assert!(header(&notify, "Via").starts_with(&via), "{notify}");
    assert!(notify.starts_with("NOTIFY sip:1@phone.invalid;transport=ws SIP/2.0"));
    folder.says("set 0@a.example lamp early");
    assert!(phone.notify().contains("<state>early</state>"));
    phone.write("\r\n\r\n");
    let mut pong = [0; 2];
    phone.stream.read_exact(&mut pong).unwrap();
    assert_eq!(&pong, b"\r\n");
    let socket = &mut phone.stream.0;
    socket.send(Message::Ping("you?".into())).unwrap();
    assert_eq!(socket.read().unwrap(), Message::Pong("you?".into()));
    folder.says("set 0@a.example lamp off");
    phone.notify();
    phone
}

#[test]
fn a_web_page_sees_its_lamp() {
    let authority = Authority::new("root");
    let folder = web("websocket", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let [ws, wss] = ["SIP on ws ", "SIP on wss "].map(|before| address(&ready, before));
    let connect_plain = || {
        let stream = TcpStream::connect(ws).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    };
    let plain = Link::open(connect_plain(), Some("https://a.example")).unwrap();
    let mut plain = watches(plain, ("WS", ws), &folder);
    let config = authority.client(&Client::default());
    let stream = connect(wss, "sip.a.example", &config).unwrap();
    let secure = Link::open(stream, Some("https://b.example")).unwrap();
    let mut secure = watches(secure, ("WSS", wss), &folder);

    let refused = Link::open(connect_plain(), Some("https://b.example"));
    assert!(refused.err().unwrap().contains("403"), "another origin");
    Link::open(connect_plain(), None).unwrap();
    counts(&ready, "handshakes_failed", 1);

    // A client that ends is answered with its code.
    let mut brief = Link::open(connect_plain(), None).unwrap();
    let away = CloseFrame {
        code: CloseCode::Away,
        reason: "over".into(),
    };
    brief.0.close(Some(away)).unwrap();
    let Message::Close(Some(answer)) = brief.0.read().unwrap() else {
        panic!("no close")
    };
    assert_eq!(answer.code, CloseCode::Away);

    // One that breaks a rule is told which.
    let mut bad = Link::open(connect_plain(), None).unwrap();
    bad.0.get_mut().write_all(&[0x81, 1, b'x']).unwrap();
    let Message::Close(Some(told)) = bad.0.read().unwrap() else {
        panic!("no close")
    };
    assert_eq!(told.code, CloseCode::Protocol);
    counts(&ready, "connections_out_of_step", 1);

    daemon.stop();
    for phone in [&mut plain as &mut dyn Ends, &mut secure] {
        assert_eq!(phone.code(), Some(CloseCode::Away));
    }
}

/// The code with which the server closes.
trait Ends {
    fn code(&mut self) -> Option<CloseCode>;
}

impl<S: Read + Write> Ends for Phone<Link<S>> {
    fn code(&mut self) -> Option<CloseCode> {
        loop {
            if let Message::Close(told) = self.stream.0.read().unwrap() {
                return told.map(|told| told.code);
            }
        }
    }
}

#[test]
fn a_secure_web_page_has_sips_contacts() {
    let authority = Authority::new("root");
    let folder = web("websocket-sips", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let wss = address(&ready, "SIP on wss ");
    let config = authority.client(&Client::default());
    let stream = connect(wss, "sip.a.example", &config).unwrap();
    let mut phone = Phone::new(Link::open(stream, None).unwrap(), "WSS");
    phone.scheme = "sips";
    let (response, notify) = phone.subscribe();
    let contact = format!("<sips:{wss};transport=ws>");
    assert_eq!(header(&response, "Contact"), contact);
    assert_eq!(header(&notify, "Contact"), contact);
    daemon.stop();
}

#[test]
fn the_check_reads_certificates() {
    let folder = Folder::new("tls-check", "");
    let directory = folder.0.display();
    let line = format!("certificate self-signed sip.a.example 192.0.2.1 --directory {directory}");
    let told = folder.says(&line);
    assert!(told.contains("sip.a.example.key\""), "{told}");
    let key = folder.0.join("sip.a.example.key");
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600);
    assert!(folder.complains(&line).contains("cannot create"));
    folder.configure(&configuration(&told));
    let checked = folder.says("check");
    assert!(
        checked.contains("sip.a.example.pem for sip.a.example: until "),
        "{checked}"
    );
    assert!(
        checked.contains("(364 days)") || checked.contains("(365 days)"),
        "{checked}"
    );

    let complains = |keys: &str, words: &str| {
        folder.configure(&configuration(keys));
        let told = folder.complains("check");
        assert!(told.contains(words), "{words}\n{told}");
    };
    complains(
        "",
        "lamplighter.toml:6: a listener with TLS needs a certificate and its key",
    );
    complains(
        "certificate = [\"a.pem\", \"b.pem\"]\nkey = \"a.key\"",
        "there are 2 certificates and 1 keys",
    );
    complains(
        "certificate = \"a.pem\"\nkey = \"a.key\"",
        "a.pem cannot be read",
    );
    folder.says(&format!(
        "certificate self-signed b.example --directory {directory}"
    ));
    complains(
        "certificate = \"sip.a.example.pem\"\nkey = \"b.example.key\"",
        "b.example.key is not that of the certificate in",
    );
    complains(
        "certificate = \"sip.a.example.pem\"\nkey = \"sip.a.example.pem\"",
        ":9: every user of this machine may read the key",
    );
    let own = "certificate = \"sip.a.example.pem\"\nkey = \"sip.a.example.key\"\n";
    complains(&format!("{own}client_ca = \"sip.a.example.key\""), ":10: ");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    complains(own, "run `chmod o= ");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    folder.configure(&configuration(own).replace("\"tls\"", "\"tcp\""));
    let told = folder.complains("check");
    assert!(
        told.contains("only a listener with transport = \"tls\" or \"wss\" has a certificate"),
        "{told}"
    );

    // One that has run out is presented all the same, and said.
    let old = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["old.example".to_owned()]).unwrap();
    parameters.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let certificate = parameters.self_signed(&old).unwrap();
    let issued = Issued {
        certificate: certificate.pem(),
        key: old.serialize_pem(),
    };
    issued.write(&folder.0, "old");
    folder.configure(&configuration(
        "certificate = \"old.pem\"\nkey = \"old.key\"",
    ));
    let checked = folder.says("check");
    assert!(
        checked.contains("ran out at 2020-01-01T00:00:00Z: peers refuse it"),
        "{checked}"
    );
    assert!(checked.contains("(it has run out)"), "{checked}");
}
