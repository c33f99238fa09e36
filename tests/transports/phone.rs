//! A phone on one connection of whatever kind.

use std::io::{ErrorKind, Read, Write};

use rustls::HandshakeKind;

use crate::authority::Tls;

/// Whether the handshake was that of a resumed session.
pub(crate) fn is_resumed(tls: &Tls) -> bool {
    tls.conn.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// A phone.
pub(crate) struct Phone<S> {
    pub(crate) stream: S,
    /// As in Via: `TLS`.
    via: &'static str,
    /// Scheme of Request-URI and Contact.
    pub(crate) scheme: &'static str,
    /// Its Contact, if it has a name.
    pub(crate) contact: String,
    /// Its name in Via, with parameters.
    pub(crate) sent_by: String,
    /// The Call-ID of its dialog.
    pub(crate) call_id: String,
    unread: Vec<u8>,
    requests: u32,
    /// Of the responses that it got: To and Contact.
    remote: Option<(String, String)>,
}

impl<S: Read + Write> Phone<S> {
    pub(crate) fn new(stream: S, via: &'static str) -> Self {
        Self {
            stream,
            via,
            scheme: "sip",
            contact: String::new(),
            sent_by: "phone.invalid".to_owned(),
            call_id: format!("c-{via}"),
            unread: Vec::new(),
            requests: 0,
            remote: None,
        }
    }

    /// Subscribes to 0@a.example, or refreshes. Returns the 200 and the NOTIFY, which it answers.
    pub(crate) fn subscribe(&mut self) -> (String, String) {
        self.request();
        let response = self.read();
        assert!(response.starts_with("SIP/2.0 200 "), "{response}");
        self.remote = Some((header(&response, "To"), header(&response, "Contact")));
        let notify = self.notify();
        (response, notify)
    }

    /// Sends a SUBSCRIBE.
    pub(crate) fn request(&mut self) {
        self.requests += 1;
        let (via, scheme, number) = (self.via, self.scheme, self.requests);
        let (sent_by, call_id) = (&self.sent_by, &self.call_id);
        let first = || {
            let to = format!("<{scheme}:0@a.example>");
            (to, format!("<{scheme}:0@a.example>"))
        };
        let (to, target) = self.remote.clone().unwrap_or_else(first);
        let target = target.trim_matches(['<', '>']);
        let contact = match self.contact.as_str() {
            "" => {
                let transport = match via {
                    "TLS" => "tls",
                    "TCP" => "tcp",
                    _ => "ws",
                };
                format!("{scheme}:1@phone.invalid;transport={transport}")
            }
            named => named.to_owned(),
        };
        let text = format!(
            "SUBSCRIBE {target} SIP/2.0\r\n\
             Via: SIP/2.0/{via} {sent_by};branch=z9hG4bK-{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <{scheme}:1@a.example>;tag=p\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {number} SUBSCRIBE\r\n\
             Contact: <{contact}>\r\n\
             Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: 600\r\n\
             Content-Length: 0\r\n\r\n"
        );
        self.write(&text);
    }

    pub(crate) fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next message, which must be a NOTIFY; answers it.
    pub(crate) fn notify(&mut self) -> String {
        let notify = self.read();
        assert!(notify.starts_with("NOTIFY "), "{notify}");
        let copied = ["Via", "From", "To", "Call-ID", "CSeq"];
        let copied = copied.map(|name| format!("{name}: {}\r\n", header(&notify, name)));
        let answer = format!(
            "SIP/2.0 200 OK\r\n{}Content-Length: 0\r\n\r\n",
            copied.concat()
        );
        self.write(&answer);
        notify
    }

    /// The next message.
    pub(crate) fn read(&mut self) -> String {
        loop {
            if let Some(length) = length(&self.unread) {
                let message = self.unread.drain(..length).collect();
                return String::from_utf8(message).unwrap();
            }
            let mut buffer = [0; 16 * 1024];
            let length = self.stream.read(&mut buffer).unwrap();
            assert_ne!(length, 0, "the connection is closed");
            self.unread.extend_from_slice(&buffer[..length]);
        }
    }

    /// How the server closes it, after what it has still to say.
    pub(crate) fn ends(&mut self) -> End {
        loop {
            match self.stream.read(&mut [0; 1024]) {
                Ok(0) => return End::Closed,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return End::Cut,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return End::Cut,
                Err(error) => panic!("it goes on: {error}"),
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With a close_notify.
    Closed,
    /// Without.
    Cut,
}

/// The length of the message at the front, if it is whole.
fn length(octets: &[u8]) -> Option<usize> {
    let head = octets.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = str::from_utf8(&octets[..head]).unwrap();
    let body: usize = header(text, "Content-Length").parse().unwrap();
    (octets.len() >= head + body).then_some(head + body)
}

/// The value of a header.
pub(crate) fn header(message: &str, name: &str) -> String {
    let mut lines = message.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    value
        .unwrap_or_else(|| panic!("no {name} in {message}"))
        .to_owned()
}
