//! The real daemon over HTTPS: `call_state.htm` by HTTP/1.1 and HTTP/2, certificates, and clients that
//! attack what HTTP/2 adds.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "transports/authority.rs"]
mod authority;
#[path = "operator/daemon.rs"]
mod daemon;
#[path = "https/http2.rs"]
mod http2;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::authority::{Authority, Client, Tls, connect};
use crate::daemon::{Daemon, Folder};
use crate::http2::{
    DATA, END_STREAM, GOAWAY, HEADERS, Http2, PING, RST_STREAM, SETTINGS, frame, head,
};

/// Error codes (RFC 9113 §7).
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// The keys of a listener with one certificate.
const KEYS: &str = "certificate = \"a.pem\"\nkey = \"a.key\"";

/// HTTPS with these keys, plain HTTP on loopback, and a domain with an account.
fn configuration(keys: &str) -> String {
    format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
         [[https]]\naddress = \"127.0.0.1:0\"\n{keys}\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [limits]\nresponse_ring = \"1 MiB\"\nhandshakes = 4\nhandshake_timeout = \"1s\"\n\
         [[domain]]\nname = \"abc.com\"\nparks_token = \"0f8c2b7d9e4a6153\"\n\
         [[account]]\nuser = \"123\"\ndomain = \"abc.com\"\npassword = \"secret\"\n"
    )
}

/// A server that presents `pbx.example` of an authority.
fn server(name: &str, authority: &Authority) -> Folder {
    let folder = Folder::new(name, &configuration(KEYS));
    authority.issue(&["pbx.example"]).write(&folder.0, "a");
    folder
}

/// An address in the line of a start.
fn address<'l>(ready: &'l str, before: &str) -> &'l str {
    let (_, rest) = ready.split_once(before).unwrap();
    rest.split([',', ' ', ';', '\n']).next().unwrap()
}

/// A client that offers these protocols.
fn client(authority: &Authority, protocols: &[&str], client: &Client<'_>) -> Arc<ClientConfig> {
    let mut config = Arc::unwrap_or_clone(authority.client(client));
    let names = protocols.iter().map(|name| name.as_bytes().to_vec());
    config.alpn_protocols = names.collect();
    Arc::new(config)
}

fn http2(ready: &str, authority: &Authority) -> Http2 {
    let config = client(authority, &["h2", "http/1.1"], &Client::default());
    let stream = connect(address(ready, "HTTPS on "), "pbx.example", &config).unwrap();
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    Http2::new(stream)
}

fn call_state(rest: &str) -> String {
    format!("/call_state.htm?domain=abc.com&user=123&password=secret{rest}")
}

/// A request by HTTP/1.1 on a connection that stays open, and its response.
fn ask(stream: &mut Tls, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: pbx.example\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    while !text.ends_with("\r\n\r\nOK\n") {
        let mut octets = [0; 1024];
        let length = stream.read(&mut octets).unwrap();
        assert_ne!(length, 0, "{text}");
        text.push_str(str::from_utf8(&octets[..length]).unwrap());
    }
    text
}

/// The value of a counter in `/metrics`.
fn counter(ready: &str, name: &str) -> u64 {
    let mut stream = TcpStream::connect(address(ready, "HTTP on ")).unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (_, rest) = text
        .split_once(&format!("\nlamplighter_{name}_total "))
        .unwrap();
    rest.lines().next().unwrap().parse().unwrap()
}

/// Waits until a counter has at least a value.
fn counts(ready: &str, name: &str, value: u64) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while counter(ready, name) < value {
        assert!(Instant::now() < deadline, "{name} is not {value}");
    }
}

/// W:C11
#[test]
fn a_page_that_came_by_https_is_loaded_again_by_https() {
    let authority = Authority::new("root");
    let folder = server("https-parks", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let path = "/parks/snom/abc.com/0f8c2b7d9e4a6153";
    let url = format!("https://pbx.example{path}</fetch>");
    let (status, page) = http2(&ready, &authority).get(path);
    assert!(status == 200 && page.contains(&url), "{page}");
    let config = client(&authority, &[], &Client::default());
    let mut stream = connect(address(&ready, "HTTPS on "), "pbx.example", &config).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: pbx.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut page = String::new();
    let _ = stream.read_to_string(&mut page);
    assert!(page.contains(&url), "{page}");
    daemon.stop();
}

#[test]
fn a_call_is_reported_over_https() {
    let authority = Authority::new("root");
    let folder = server("https-call", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let https = address(&ready, "HTTPS on ");
    // Without a choice of protocols, with HTTP/1.1 alone, and by TLS 1.2.
    let clients: [(&[&str], bool); 3] = [(&[], false), (&["http/1.1"], false), (&[], true)];
    for (protocols, is_old) in clients {
        let options = Client {
            is_old,
            ..Client::default()
        };
        let config = client(&authority, protocols, &options);
        let mut stream = connect(https, "pbx.example", &config).unwrap();
        let response = ask(&mut stream, &call_state("&number=5"));
        assert!(response.starts_with("HTTP/1.1 200 OK\r\n"), "{response}");
        assert!(
            folder
                .says("why 123@abc.com")
                .contains("123@abc.com is busy")
        );
        ask(&mut stream, &call_state(""));
        assert!(folder.says("why 123@abc.com").contains("is available"));
    }
    let mut client = http2(&ready, &authority);
    let ok = (200, "OK\n".to_owned());
    assert_eq!(client.get(&call_state("&number=5")), ok);
    assert!(
        folder
            .says("why 123@abc.com")
            .contains("123@abc.com is busy")
    );
    let form = "domain=abc.com&user=123&password=secret";
    let stream = client.request("POST", "/call_state.htm", 0);
    client.send(DATA, END_STREAM, stream, form.as_bytes());
    assert_eq!(client.response(stream), ok);
    assert!(folder.says("why 123@abc.com").contains("is available"));
    let wrong = "/call_state.htm?domain=abc.com&user=123&password=wrong";
    assert_eq!(client.get(wrong).0, 403);
    counts(&ready, "http_handshakes_completed", 4);
    let status: serde_json::Value = serde_json::from_str(&folder.says("status --json")).unwrap();
    assert_eq!(status["https"], serde_json::json!([https]));
    // The client is told that the server ends.
    daemon.signal("-TERM");
    let goaway = client.read().unwrap();
    assert_eq!((goaway.kind, goaway.error()), (GOAWAY, 0));
    while client.read().is_some() {}
    daemon.wait();
}

#[test]
fn plain_http_is_not_served_beyond_loopback_unless_that_is_wanted() {
    let folder = Folder::new("https-plain", "");
    let write = |listen: &str, more: &str| {
        let text = configuration(KEYS).replace("[\"127.0.0.1:0\"]", listen);
        let text = text.replace("[[https]]\naddress = \"127.0.0.1:0\"\n", more);
        folder.configure(&text.replace(KEYS, ""));
    };
    for listen in ["[\"0.0.0.0:0\"]", "[\"127.0.0.1:0\", \"[::]:0\"]"] {
        write(listen, "");
        for command in ["check", "serve"] {
            let told = folder.complains(command);
            assert!(
                told.contains("lamplighter.toml:4: plain HTTP at "),
                "{told}"
            );
            let remedy = "serve HTTPS: [[https]] with address, certificate and key";
            assert!(told.contains(remedy), "{told}");
            assert!(told.contains("allow_insecure = true in [http]"), "{told}");
        }
        write(listen, "allow_insecure = true\n");
        folder.says("check");
    }
    write("[\"127.0.0.2:0\", \"[::1]:0\"]", "");
    folder.says("check");
}

#[test]
fn requests_of_http2_are_answered_as_those_of_http_1() {
    let authority = Authority::new("root");
    let folder = server("https-pages", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let mut client = http2(&ready, &authority);
    assert_eq!(client.get("/healthz"), (200, "OK\n".to_owned()));
    assert_eq!(client.get("/other").0, 404);
    let head = client.request("HEAD", "/healthz", END_STREAM);
    assert_eq!(client.response(head), (200, String::new()));
    let options = client.request("OPTIONS", "/call_state.htm", END_STREAM);
    assert_eq!(client.response(options), (204, String::new()));

    // 414 ends the connection, as one of HTTP/1.1.
    assert_eq!(client.get(&call_state(&"x".repeat(9 << 10))).0, 414);
    let mut goaway = client.read().unwrap();
    while goaway.kind != GOAWAY {
        goaway = client.read().unwrap();
    }
    assert_eq!(goaway.error(), 0);
    let mut client = http2(&ready, &authority);
    let other = [("host", "other.example")];
    let two_hosts = client.request_with("GET", "/healthz", &other, END_STREAM);
    assert_eq!(client.response(two_hosts).0, 400);
    let mut client = http2(&ready, &authority);
    let same = [("host", "PBX.example")];
    let host = client.request_with("GET", "/healthz", &same, END_STREAM);
    assert_eq!(client.response(host).0, 200);

    // Many at once.
    let requests: Vec<u32> = (0..30)
        .map(|_| client.request("GET", &call_state("&number=5"), END_STREAM))
        .collect();
    let mut answered = Vec::new();
    while answered.len() < requests.len() {
        let frame = client.read().unwrap();
        if frame.kind == DATA {
            assert_eq!(frame.payload, b"OK\n");
            answered.push(frame.stream);
        }
    }
    answered.sort_unstable();
    assert_eq!(answered, requests);
    daemon.stop();
}

#[test]
fn http2_has_limits() {
    let authority = Authority::new("root");
    let folder = server("https-limits", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);

    // Requests at once: each waits for its body.
    let mut client = http2(&ready, &authority);
    let waiting: Vec<u32> = (0..32)
        .map(|_| client.request("POST", "/call_state.htm", 0))
        .collect();
    let beyond = client.request("GET", "/healthz", END_STREAM);
    let refused = client.read().unwrap();
    assert_eq!((refused.kind, refused.stream), (RST_STREAM, beyond));
    assert_eq!(refused.error(), REFUSED_STREAM);
    let form = "domain=abc.com&user=123&password=secret";
    client.send(DATA, END_STREAM, waiting[0], form.as_bytes());
    assert_eq!(client.response(waiting[0]).0, 200);
    assert_eq!(client.get("/healthz").0, 200);
    counts(&ready, "http2_streams_reset", 1);
    // A form that is too long.
    client.send(DATA, 0, waiting[1], &[b'a'; 9 << 10]);
    assert_eq!(client.response(waiting[1]).0, 413);

    // Headers.
    let mut client = http2(&ready, &authority);
    let long = "x".repeat(4000);
    let headers: Vec<_> = (0..5).map(|_| ("x-long", long.as_str())).collect();
    let head = head("GET", "/healthz", &headers);
    let (first, rest) = head.split_at(16 << 10);
    let stream = client.next();
    client.send(HEADERS, END_STREAM, stream, first);
    client.send(9, 4, stream, rest);
    let response = client.read().unwrap();
    assert_eq!((response.kind, response.stream), (HEADERS, stream));
    assert!(response.flags & END_STREAM != 0);
    assert_eq!(http2(&ready, &authority).get("/healthz").0, 200);
    daemon.stop();
}

/// Connections that were cut off, by hyper or by us.
fn cut_off(ready: &str) -> u64 {
    counter(ready, "http2_floods") + counter(ready, "http2_goaways")
}

/// The connection ends; if an error is said before, it is that one. It is counted once.
fn is_cut_off(mut client: Http2, ready: &str, before: u64) {
    while let Some(frame) = client.read() {
        if frame.kind == GOAWAY {
            assert_eq!(frame.error(), ENHANCE_YOUR_CALM);
        }
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    while cut_off(ready) == before {
        assert!(Instant::now() < deadline, "it is not counted");
    }
    assert_eq!(cut_off(ready), before + 1);
}

#[test]
fn a_client_that_only_keeps_the_server_busy_is_cut_off() {
    let authority = Authority::new("root");
    let folder = server("https-floods", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let floods = [
        frame(PING, 0, 0, &[7; 8]),
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 9]),
        // PRIORITY
        frame(2, 0, 1, &[0, 0, 0, 0, 9]),
        // WINDOW_UPDATE
        frame(8, 0, 0, &[0, 0, 0, 1]),
        // An unknown type
        frame(0xbe, 0, 0, &[]),
    ];
    for flood in &floods {
        let before = cut_off(&ready);
        let mut client = http2(&ready, &authority);
        client.flood(3000, flood);
        is_cut_off(client, &ready, before);
    }
    // Empty pieces of a body.
    let before = cut_off(&ready);
    let mut client = http2(&ready, &authority);
    let stream = client.request("POST", "/call_state.htm", 0);
    client.flood(3000, &frame(DATA, 0, stream, &[]));
    is_cut_off(client, &ready, before);

    // Requests that are reset at once.
    let before = cut_off(&ready);
    let mut client = http2(&ready, &authority);
    let head = head("GET", "/healthz", &[]);
    let mut octets = Vec::new();
    for _ in 0..200 {
        let stream = client.next();
        octets.extend(frame(HEADERS, END_STREAM | 4, stream, &head));
        octets.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    let _ = client.stream.write_all(&octets);
    is_cut_off(client, &ready, before);
    counts(&ready, "http2_goaways", 1);

    // A head without an end.
    let before = cut_off(&ready);
    let mut client = http2(&ready, &authority);
    let stream = client.next();
    client.send(HEADERS, 0, stream, &head);
    client.flood(3000, &frame(9, 0, stream, &[]));
    is_cut_off(client, &ready, before);

    // No octet of HTTP/2.
    let config = client_of_http2(&authority);
    let mut plain = connect(address(&ready, "HTTPS on "), "pbx.example", &config).unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n\r\n")
        .unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest);
    assert!(!rest.starts_with(b"HTTP/1"));

    assert_eq!(http2(&ready, &authority).get("/healthz").0, 200);
    daemon.stop();
}

fn client_of_http2(authority: &Authority) -> Arc<ClientConfig> {
    client(authority, &["h2"], &Client::default())
}

#[test]
fn a_reload_brings_a_new_certificate_and_ends_no_connection() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = server("https-reload", &old);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let https = address(&ready, "HTTPS on ");
    let mut open = http2(&ready, &old);
    let mut kept = connect(https, "pbx.example", &client(&old, &[], &Client::default())).unwrap();
    ask(&mut kept, "/healthz");
    let of_new = client(&new, &[], &Client::default());
    assert!(connect(https, "pbx.example", &of_new).is_err());
    assert!(
        folder
            .says("check")
            .contains("a.pem for pbx.example: until ")
    );

    new.issue(&["pbx.example"]).write(&folder.0, "a");
    let told = folder.says("reload");
    assert!(!told.contains("restart"), "{told}");
    let mut fresh = connect(https, "pbx.example", &of_new).unwrap();
    ask(&mut fresh, "/healthz");
    ask(&mut kept, "/healthz");
    assert_eq!(open.get("/healthz").0, 200);
    let expiry = "lamplighter_tls_certificate_not_after_seconds{file=\"";
    assert!(open.get("/metrics").1.contains(expiry));

    // Another address needs a restart.
    let moved = configuration(KEYS).replace(
        "[[https]]\naddress = \"127.0.0.1:0\"",
        "[[https]]\naddress = \"127.0.0.2:0\"",
    );
    folder.configure(&moved);
    let told = folder.says("reload");
    assert!(told.contains("[[https]] has changed: restart"), "{told}");
    daemon.stop();
}

#[test]
fn certificates_are_chosen_and_demanded_as_for_sip() {
    let authority = Authority::new("root");
    let clients = Authority::new("clients");
    let keys = "certificate = [\"a.pem\", \"b.pem\"]\nkey = [\"a.key\", \"b.key\"]\nclient_ca = \"clients.pem\"";
    let folder = server("https-mutual", &authority);
    folder.configure(&configuration(keys));
    authority.issue(&["b.example"]).write(&folder.0, "b");
    fs::write(folder.0.join("clients.pem"), &clients.certificate).unwrap();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let https = address(&ready, "HTTPS on ");
    let own = clients.issue(&["feeder"]);
    let with = |certificate| {
        let options = Client {
            certificate,
            is_old: false,
        };
        client(&authority, &["http/1.1"], &options)
    };
    for host in ["pbx.example", "b.example"] {
        let mut stream = connect(https, host, &with(Some(&own))).unwrap();
        ask(&mut stream, "/healthz");
    }
    let refused = connect(https, "pbx.example", &with(None))
        .and_then(|mut stream| stream.read(&mut [0; 16]))
        .unwrap_err();
    assert!(
        refused.to_string().contains("received fatal alert"),
        "{refused}"
    );
    counts(&ready, "http_handshakes_failed", 1);
    daemon.stop();
}

#[test]
fn handshakes_have_limits() {
    let authority = Authority::new("root");
    let folder = server("https-handshakes", &authority);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let https = address(&ready, "HTTPS on ");
    // Not TLS: answered with an alert.
    let mut plain = TcpStream::connect(https).unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut alert = Vec::new();
    let _ = plain.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&21));
    counts(&ready, "http_handshakes_failed", 1);
    // Two wait for a second, the others are closed at once.
    let mut silent: Vec<_> = (0..20)
        .map(|_| TcpStream::connect(https).unwrap())
        .collect();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0; 16]).unwrap_or(0), 0);
    }
    counts(&ready, "http_handshakes_timed_out", 2);
    counts(&ready, "http_handshakes_refused", 18);
    assert_eq!(http2(&ready, &authority).get("/healthz").0, 200);
    daemon.stop();
}
