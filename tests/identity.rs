//! The real daemon and who its clients are: certificates of phones instead of passwords, nonces that another
//! node or process made, lockouts that the operator lifts.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "transports/authority.rs"]
mod authority;
#[path = "operator/daemon.rs"]
mod daemon;
#[path = "transports/phone.rs"]
#[allow(dead_code, reason = "each test uses a part of it")]
mod phone;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use md5::{Digest, Md5};

use crate::authority::{Authority, Client, Issued, Tls, connect};
use crate::daemon::{Daemon, Folder};
use crate::phone::{Phone, header};

/// An address in the line of a start.
fn address<'l>(ready: &'l str, before: &str) -> &'l str {
    let (_, rest) = ready.split_once(before).unwrap();
    rest.split([',', ' ', ';', '\n']).next().unwrap()
}

/// A domain with accounts, and what belongs to it.
fn domain(keys: &str) -> String {
    let account = |user: &str, more: &str| {
        format!(
            "[[account]]\nuser = \"{user}\"\ndomain = \"a.example\"\npassword = \"secret\"\n{more}"
        )
    };
    let accounts = [
        account("0", ""),
        account("1", ""),
        account("2", ""),
        account("sbc", "feeder = true\n"),
    ];
    let accounts = accounts.concat();
    format!("[[domain]]\nname = \"a.example\"\n{keys}{accounts}")
}

/// TLS for clients with a certificate, whose names prove accounts or not.
fn with_certificates(keys: &str) -> String {
    format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
         [[sip.listen]]\ntransport = \"tls\"\naddress = \"127.0.0.1:0\"\n\
         certificate = \"a.pem\"\nkey = \"a.key\"\nclient_ca = \"phones.pem\"\n\
         [limits]\nresponse_ring = \"1 MiB\"\n{}",
        domain(keys)
    )
}

/// A publication for 0@a.example by the SBC.
fn publication(to: &str) -> String {
    let document = "<?xml version=\"1.0\"?>\
        <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" \
        entity=\"sip:0@a.example\"><dialog id=\"a\"><state>confirmed</state></dialog></dialog-info>";
    format!(
        "PUBLISH sip:0@a.example SIP/2.0\r\nVia: SIP/2.0/TLS sbc.invalid;branch=z9hG4bKp;rport\r\n\
         Max-Forwards: 70\r\nFrom: <{to}>;tag=s\r\nTo: <sip:0@a.example>\r\nCall-ID: p\r\n\
         CSeq: 1 PUBLISH\r\nEvent: dialog\r\nExpires: 60\r\n\
         Content-Type: application/dialog-info+xml\r\nContent-Length: {}\r\n\r\n{document}",
        document.len()
    )
}

/// A phone that connects with a certificate to a server of that authority.
fn certified(server: &Authority, address: &str, certificate: &Issued) -> Phone<Tls> {
    let client = Client {
        certificate: Some(certificate),
        is_old: false,
    };
    let config = server.client(&client);
    Phone::new(connect(address, "sip.a.example", &config).unwrap(), "TLS")
}

/// The status of the response to a request of the phone.
fn status(phone: &mut Phone<Tls>) -> String {
    phone.request();
    phone.read().split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_certificate_proves_the_account_that_it_names() {
    let (authority, phones) = (Authority::new("root"), Authority::new("phones"));
    let accepts = "client_certificates = true\n";
    let folder = Folder::new("identity-mutual", &with_certificates(accepts));
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    fs::write(folder.0.join("phones.pem"), &phones.certificate).unwrap();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let phone = |names: &[&str]| certified(&authority, tls, &phones.issue(names));

    // The phone of 1@a.example, also with another line.
    let mut own = phone(&["phone-1", "sip:1@a.example"]);
    own.subscribe();
    own.subscribe();
    phone(&["sip:2@a.example", "sip:1@a.example"]).subscribe();
    // Another account may not use its name; who names no account has to authenticate.
    assert_eq!(status(&mut phone(&["sip:2@a.example"])), "403");
    for names in [
        &["phone-1"][..],
        &["sip:1@other.example"],
        &["sip:9@a.example"],
    ] {
        assert_eq!(status(&mut phone(names)), "401", "{names:?}");
    }

    // An SBC with an account that feeds.
    let mut sbc = phone(&["sip:sbc@a.example"]);
    sbc.write(&publication("sip:sbc@a.example"));
    let published = sbc.read();
    assert!(published.starts_with("SIP/2.0 200 "), "{published}");
    assert!(own.notify().contains("<state>confirmed</state>"));

    // The domain accepts certificates no more.
    folder.configure(&with_certificates(""));
    folder.says("reload");
    assert_eq!(status(&mut own), "401");
    daemon.stop();
}

#[test]
fn a_peer_is_trusted_for_a_name_in_its_certificate() {
    let (authority, peers) = (Authority::new("root"), Authority::new("peers"));
    let names = "trusted_certificates = [\"b.example\", \"SBC.example.com.\"]\n";
    let folder = Folder::new("identity-trusted", &with_certificates(names));
    authority.issue(&["sip.a.example"]).write(&folder.0, "a");
    fs::write(folder.0.join("phones.pem"), &peers.certificate).unwrap();
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let tls = address(&ready, "SIP on tls ");
    let peer = |names: &[&str]| certified(&authority, tls, &peers.issue(names));

    // The SBC may name any user in From.
    let mut sbc = peer(&["sbc.example.com"]);
    sbc.subscribe();
    sbc.write(&publication("sip:x@strange.example"));
    let published = sbc.read();
    assert!(published.starts_with("SIP/2.0 200 "), "{published}");
    assert!(sbc.notify().contains("<state>confirmed</state>"));
    peer(&["sip:Sbc.Example.com", "other.example"]).subscribe();

    let others = [
        &["other.example"][..],
        &["*.example.com"],
        &["sip:1@sbc.example.com"],
        // A host is not what the certificate is for if it names a domain.
        &["sip:other.example", "sbc.example.com"],
    ];
    for names in others {
        assert_eq!(status(&mut peer(names)), "401", "{names:?}");
    }
    folder.configure(&with_certificates(&format!("auth = \"trusted\"\n{names}")));
    folder.says("reload");
    assert_eq!(status(&mut peer(&["other.example"])), "403");
    sbc.subscribe();
    folder.configure(&with_certificates(""));
    folder.says("reload");
    assert_eq!(status(&mut sbc), "401");
    daemon.stop();
}

/// Digest over UDP, with a store that keeps the key of nonces.
fn with_store() -> String {
    format!(
        "[node]\ndata_dir = \"data\"\n[http]\nlisten = [\"127.0.0.1:0\"]\n\
         [store]\ndirectory = \"data\"\n[shield]\nexempt = []\n\
         [[sip.listen]]\ntransport = \"udp\"\naddress = \"127.0.0.1:0\"\n\
         [limits]\nresponse_ring = \"1 MiB\"\n{}",
        domain("")
    )
}

/// A phone on UDP.
struct Digester {
    socket: UdpSocket,
    requests: u32,
}

impl Digester {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let requests = 0;
        Self { socket, requests }
    }

    /// The response to a SUBSCRIBE of its own, with credentials if it has a nonce and a password.
    fn ask(&mut self, server: &str, proof: Option<(&str, &str)>) -> String {
        self.ask_as("1", server, proof)
    }

    /// That with credentials of another user.
    fn ask_as(&mut self, user: &str, server: &str, proof: Option<(&str, &str)>) -> String {
        self.requests += 1;
        let number = self.requests;
        let from = self.socket.local_addr().unwrap();
        let credentials =
            proof.map(|(nonce, password)| credentials(user, (nonce, password), number));
        let text = format!(
            "SUBSCRIBE sip:0@a.example SIP/2.0\r\n\
             Via: SIP/2.0/UDP {from};branch=z9hG4bK-{number};rport\r\nMax-Forwards: 70\r\n\
             From: <sip:1@a.example>;tag=p\r\nTo: <sip:0@a.example>\r\nCall-ID: c-{number}\r\n\
             CSeq: {number} SUBSCRIBE\r\nContact: <sip:1@{from}>\r\nEvent: dialog\r\n{}\
             Expires: 0\r\nContent-Length: 0\r\n\r\n",
            credentials.unwrap_or_default()
        );
        self.socket.send_to(text.as_bytes(), server).unwrap();
        loop {
            let mut octets = [0; 4096];
            let (length, _) = self.socket.recv_from(&mut octets).unwrap();
            let message = str::from_utf8(&octets[..length]).unwrap();
            let cseq = format!("{number} SUBSCRIBE");
            if message.starts_with("SIP/2.0") && header(message, "CSeq") == cseq {
                return message.to_owned();
            }
        }
    }

    /// A nonce of a server.
    fn challenge(&mut self, server: &str) -> String {
        let response = self.ask(server, None);
        assert!(response.starts_with("SIP/2.0 401 "), "{response}");
        let (_, rest) = response.split_once("nonce=\"").unwrap();
        rest.split('"').next().unwrap().to_owned()
    }
}

/// Those of a user of a.example (RFC 7616 §3.4), with a count of their own.
fn credentials(user: &str, (nonce, password): (&str, &str), count: u32) -> String {
    let hash = |text: String| {
        let octets = Md5::digest(text.as_bytes());
        octets
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect::<String>()
    };
    let account = hash(format!("{user}:a.example:{password}"));
    let request = hash("SUBSCRIBE:sip:0@a.example".to_owned());
    let response = hash(format!("{account}:{nonce}:{count:08x}:c:auth:{request}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"a.example\", nonce=\"{nonce}\", \
         uri=\"sip:0@a.example\", response=\"{response}\", algorithm=MD5, qop=auth, \
         nc={count:08x}, cnonce=\"c\"\r\n"
    )
}

#[test]
fn a_nonce_is_good_on_another_node_and_known_after_a_restart() {
    let folders = ["one", "two"].map(|name| Folder::new(&format!("nonce-{name}"), &with_store()));
    let (one, ready) = Daemon::start_and_tell(&folders[0]);
    let first = address(&ready, "SIP on udp ");
    let key = |folder: &Folder| folder.0.join("data/nonce.key");
    fs::create_dir(folders[1].0.join("data")).unwrap();
    fs::copy(key(&folders[0]), key(&folders[1])).unwrap();
    let (two, ready) = Daemon::start_and_tell(&folders[1]);
    let second = address(&ready, "SIP on udp ");

    let mut phone = Digester::new();
    let nonce = phone.challenge(first);
    for server in [second, first] {
        let response = phone.ask(server, Some((&nonce, "secret")));
        assert!(response.starts_with("SIP/2.0 200 "), "{response}");
    }

    // The next process knows the nonce as its own, but not which counts were used: stale, not wrong.
    two.kill();
    let (two, ready) = Daemon::start_and_tell(&folders[1]);
    let second = address(&ready, "SIP on udp ");
    let response = phone.ask(second, Some((&nonce, "secret")));
    assert!(response.starts_with("SIP/2.0 401 "), "{response}");
    assert!(response.contains("stale=true"), "{response}");
    let fresh = phone.challenge(first);
    let response = phone.ask(second, Some((&fresh, "secret")));
    assert!(response.starts_with("SIP/2.0 200 "), "{response}");

    // A node with another key does not accept it.
    let folder = Folder::new("nonce-three", &with_store());
    let (three, ready) = Daemon::start_and_tell(&folder);
    let response = phone.ask(address(&ready, "SIP on udp "), Some((&fresh, "secret")));
    assert!(response.starts_with("SIP/2.0 401 "), "{response}");
    [one, two, three].into_iter().for_each(Daemon::stop);
}

#[test]
fn the_operator_lists_and_lifts_lockouts() {
    let text = with_store().replace("exempt = []", "exempt = []\nwrong = 3");
    let folder = Folder::new("identity-lockouts", &text);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let (sip, http) = (address(&ready, "SIP on udp "), address(&ready, "HTTP on "));
    assert_eq!(
        folder.says("lockouts"),
        "No address or account is locked out.\n"
    );
    let mut phone = Digester::new();
    let nonce = phone.challenge(sip);
    let status = |phone: &mut Digester, password: &str| {
        let response = phone.ask(sip, Some((&nonce, password)));
        response.split(' ').nth(1).unwrap().to_owned()
    };
    for _ in 0..3 {
        assert_eq!(status(&mut phone, "wrong"), "401");
    }
    assert_eq!(status(&mut phone, "secret"), "403");
    let http_status_of = |user: &str, password: &str| {
        let mut stream = TcpStream::connect(http).unwrap();
        let path = format!("/call_state.htm?domain=a.example&user={user}&password={password}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.split(' ').nth(1).unwrap().to_owned()
    };
    let http_status = |password: &str| http_status_of("2", password);
    for _ in 0..3 {
        assert_eq!(http_status("wrong"), "403");
    }
    assert_eq!(http_status("secret"), "429");

    let listed = folder.says("lockouts");
    for account in ["127.0.0.1  1@a.example", "127.0.0.1  2@a.example"] {
        assert!(listed.contains(account), "{listed}");
    }
    assert_eq!(
        folder.says("lockouts lift 1@a.example"),
        "1 lockout is lifted\n"
    );
    assert_eq!(status(&mut phone, "secret"), "200");
    assert_eq!(http_status("secret"), "429");
    assert_eq!(
        folder.says("lockouts lift 127.0.0.1"),
        "1 lockout is lifted\n"
    );
    assert_eq!(http_status("secret"), "200");
    assert_eq!(
        folder.says("lockouts"),
        "No address or account is locked out.\n"
    );

    // A name may be long: it is lifted as a whole, or as it is listed.
    let [by_sip, by_http] = ["s", "h"].map(|user| user.repeat(250));
    let nonce = phone.challenge(sip);
    let mut guess = |expected: &str| {
        let response = phone.ask_as(&by_sip, sip, Some((&nonce, "wrong")));
        assert_eq!(response.split(' ').nth(1), Some(expected));
    };
    (0..3).for_each(|_| guess("401"));
    guess("403");
    (0..3).for_each(|_| assert_eq!(http_status_of(&by_http, "wrong"), "403"));
    assert_eq!(http_status_of(&by_http, "wrong"), "429");
    let listed = folder.says("lockouts --json");
    let shown = listed.split('"').find(|text| text.starts_with("hhh"));
    let shown = shown.unwrap().to_owned();
    assert!(shown.len() < 150, "{shown}");
    for account in [format!("{by_sip}@a.example"), shown] {
        let lifted = folder.says(&format!("lockouts lift {account}"));
        assert_eq!(lifted, "1 lockout is lifted\n", "{account}");
    }
    guess("401");
    assert_eq!(http_status_of(&by_http, "wrong"), "403");
    assert!(
        folder
            .complains("lockouts lift nobody")
            .contains("say whose lockouts")
    );
    daemon.stop();
}
