//! A phone on TCP that closes its connection and listens.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;
use std::{fmt, thread};

use crate::daemon::{Daemon, Folder, PATIENCE};
use crate::{HEAD, address, call_state};

/// A connection of a phone.
struct Line(TcpStream);

impl Line {
    fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(stream)
    }

    fn send(&mut self, text: impl fmt::Display) {
        self.0.write_all(text.to_string().as_bytes()).unwrap();
    }

    /// The next message; a NOTIFY is answered.
    fn receive(&mut self) -> String {
        let mut message = Vec::new();
        while !message.ends_with(b"\r\n\r\n") {
            message.push(self.octet());
        }
        let head = String::from_utf8(message.clone()).unwrap();
        let length: usize = header(&head, "Content-Length").parse().unwrap();
        message.extend((0..length).map(|_| self.octet()));
        if head.starts_with("NOTIFY ") {
            let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
            let copied = copied.map(|name| format!("{name}: {}\r\n", header(&head, name)));
            let copied = copied.concat();
            self.send(format!(
                "SIP/2.0 200 OK\r\n{copied}Content-Length: 0\r\n\r\n"
            ));
        }
        String::from_utf8(message).unwrap()
    }

    fn octet(&mut self) -> u8 {
        let mut octet = [0];
        self.0.read_exact(&mut octet).unwrap();
        octet[0]
    }
}

fn header<'m>(message: &'m str, name: &str) -> &'m str {
    let values = message.lines().filter_map(|line| line.split_once(": "));
    let mut values = values.filter(|(known, _)| *known == name);
    values.next().unwrap().1
}

/// A SUBSCRIBE of the phone that listens there; `to` with the tag, in a dialog.
fn subscribe(contact: SocketAddr, to: &str, cseq: u32) -> String {
    format!(
        "SUBSCRIBE sip:0@a.example SIP/2.0\r\nVia: SIP/2.0/TCP {contact};branch=z9hG4bK-{cseq};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:phone@a.example>;tag=f\r\nTo: {to}\r\nCall-ID: dialed\r\n\
         CSeq: {cseq} SUBSCRIBE\r\nContact: <sip:phone@{contact};transport=tcp>\r\nEvent: dialog\r\n\
         Expires: 600\r\nContent-Length: 0\r\n\r\n"
    )
}

/// What the daemon says by HTTP.
fn get(http: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(http).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn a_phone_that_closed_its_connection_is_notified_by_another() {
    let text = format!(
        "{HEAD}[[sip.listen]]\ntransport = \"tcp\"\naddress = \"127.0.0.1:0\"\n\
         [[domain]]\nname = \"a.example\"\nauth = \"none\"\nopen = true\n\
         [[account]]\nuser = \"0\"\ndomain = \"a.example\"\npassword = \"x\"\n"
    );
    let folder = Folder::new("dialed", &text);
    let (daemon, ready) = Daemon::start_and_tell(&folder);
    let sip: SocketAddr = address(&ready, "tcp ").parse().unwrap();
    let http = address(&ready, "HTTP on ").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let contact = listener.local_addr().unwrap();

    let mut first = Line::new(TcpStream::connect(sip).unwrap());
    first.send(subscribe(contact, "<sip:0@a.example>", 1));
    let response = first.receive();
    assert!(response.starts_with("SIP/2.0 200 "), "{response}");
    let to = header(&response, "To").to_owned();
    assert!(first.receive().starts_with("NOTIFY "));
    drop(first);
    // The end of the connection comes before the change.
    thread::sleep(Duration::from_millis(200));
    call_state(&http, "a.example", "5551");

    let (stream, _) = listener.accept().unwrap();
    let mut second = Line::new(stream);
    let notify = second.receive();
    assert!(notify.starts_with(&format!(
        "NOTIFY sip:phone@{contact};transport=tcp SIP/2.0\r\n"
    )));
    assert!(notify.contains("<state>confirmed</state>"), "{notify}");
    let own = format!("<sip:{sip};transport=tcp>");
    assert_eq!(header(&notify, "Contact"), own, "where we listen");
    second.send(subscribe(contact, &to, 2));
    assert!(second.receive().starts_with("SIP/2.0 200 "));
    assert!(second.receive().starts_with("NOTIFY "));

    // It does not listen any more: attempts are counted, and end when it returns.
    drop((second, listener));
    thread::sleep(Duration::from_millis(200));
    call_state(&http, "a.example", "");
    thread::sleep(Duration::from_millis(1500));
    let mut third = Line::new(TcpStream::connect(sip).unwrap());
    third.send(subscribe(contact, &to, 3));
    assert!(third.receive().starts_with("SIP/2.0 200 "));
    assert!(!third.receive().contains("confirmed"));
    let counters = get(&http, "/metrics");
    let counter = |name: &str| -> u64 {
        let lines = counters.lines().filter(|line| line.contains(name));
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        values.sum()
    };
    assert_eq!(counter("dials_connected"), 1, "{counters}");
    assert!(counter("dials_failed") >= 1, "{counters}");
    daemon.stop();
}
