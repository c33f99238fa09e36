//! A phone with lamps: it subscribes to users by UDP and confirms every NOTIFY.

use std::collections::HashMap;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::daemon::PATIENCE;

/// A phone.
pub(crate) struct Phone {
    socket: UdpSocket,
    /// The last document about each user.
    lamps: HashMap<String, String>,
}

impl Phone {
    /// A phone of the server whose start said `ready`, with lamps of these users.
    pub(crate) fn new(ready: &str, users: &[&str]) -> Self {
        let (_, rest) = ready.split_once("SIP on udp ").unwrap();
        let address = rest.split([',', ' ', ';']).next().unwrap();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(address).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let mut phone = Self {
            socket,
            lamps: HashMap::new(),
        };
        for user in users {
            phone.subscribe(user);
            phone.await_lamp(user, "", "dialog-info");
        }
        phone
    }

    fn subscribe(&self, user: &str) {
        let local = self.socket.local_addr().unwrap();
        let request = format!(
            "SUBSCRIBE sip:{user}@a.example SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{user};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:103@a.example>;tag=p\r\nTo: <sip:{user}@a.example>\r\n\
             Call-ID: lamp-{user}\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:103@{local}>\r\nEvent: dialog\r\n\
             Accept: application/dialog-info+xml\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
        );
        self.socket.send(request.as_bytes()).unwrap();
    }

    /// Waits until the document about a user has one text and has not another.
    pub(crate) fn await_lamp(&mut self, user: &str, without: &str, with: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let shown = self.lamps.get(user).map_or("", String::as_str);
            if shown.contains(with) && (without.is_empty() || !shown.contains(without)) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{user} shows {shown}, not {with}"
            );
            self.read();
        }
    }

    /// The lamp of a user lights so.
    pub(crate) fn lights(&mut self, user: &str, state: &str) {
        self.await_lamp(user, "", &format!("<state>{state}</state>"));
    }

    /// The lamp of a user goes out.
    pub(crate) fn goes_dark(&mut self, user: &str) {
        let deadline = Instant::now() + PATIENCE;
        let is_lit = |shown: &str| {
            ["early", "confirmed", "trying"]
                .iter()
                .any(|state| shown.contains(&format!("<state>{state}</state>")))
        };
        while is_lit(&self.lamps[user]) {
            assert!(
                Instant::now() < deadline,
                "{user} shows {}",
                self.lamps[user]
            );
            self.read();
        }
    }

    fn read(&mut self) {
        let mut buffer = [0; 65536];
        let Ok(length) = self.socket.recv(&mut buffer) else {
            return;
        };
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if !message.starts_with("NOTIFY ") {
            assert!(message.starts_with("SIP/2.0 200 "), "{message}");
            return;
        }
        let header = |name: &str| {
            let mut lines = message.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            value.unwrap_or_default()
        };
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let copied = copied.map(|name| format!("{name}: {}\r\n", header(name)));
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            copied.concat()
        );
        self.socket.send(answer.as_bytes()).unwrap();
        let user = header("Call-ID").strip_prefix("lamp-").unwrap().to_owned();
        let (_, body) = message.split_once("\r\n\r\n").unwrap();
        self.lamps.insert(user, body.to_owned());
    }
}
