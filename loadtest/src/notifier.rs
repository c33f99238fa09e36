//! A simple notifier for the tests, on loopback, that can misbehave on purpose, to prove that the
//! checks can fail.
//!
//! It reads and writes with `rsip` and `format!`, sends every NOTIFY once, and waits for no
//! response. It is not a server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod tests;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

use rsip::Header;
use rsip::headers::ToTypedHeader;
use rsip::message::{HasHeaders, HeadersExt};

use crate::wire::dialog_info::{Lamp, PublishedCall};
use crate::wire::{dialog_info, message};

/// A fault or peculiarity of the notifier; it occurs once, at the third NOTIFY of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Habit {
    /// Nothing.
    #[default]
    Good,
    /// Sends the same octets again, as Timer E would.
    Retransmits,
    /// Does not respond to the first transmission of a SUBSCRIBE.
    Deaf,
    /// The NOTIFY overtakes the 200.
    NotifyFirst,
    /// 503 to the first SUBSCRIBE.
    Overloaded,
    /// Requires digest authentication.
    Challenges,
    /// Does not send the NOTIFY, nor any other of that subscription.
    Forgets,
    /// Skips a version.
    SkipsVersion,
    /// Repeats the document with the next CSeq and version.
    SaysTwice,
    /// Repeats a version.
    RepeatsVersion,
    /// Goes back to the old lamp afterwards.
    GoesBack,
    /// Skips a CSeq.
    SkipsSequence,
    /// Shows a lamp that was never published.
    WrongLamp,
    /// Ends the subscription.
    Terminates,
    /// Names another presentity.
    WrongEntity,
    /// Uses another From-tag.
    WrongTag,
    /// Omits a header that is mandatory in a NOTIFY; only the second parser detects it.
    NoMaxForwards,
    /// Refuses PUBLISH.
    RefusesPublish,
    /// Like Kamailio: versions begin with 1, and a publication whose call is over is treated as
    /// ended.
    LikeKamailio,
}

/// The destination of a NOTIFY.
enum Peer {
    Datagram(SocketAddr),
    Stream(TcpStream),
}

struct Dialog {
    peer: Peer,
    presentity: String,
    contact: String,
    from: String,
    to: String,
    call_id: String,
    sequence: u32,
    version: u32,
    forgotten: bool,
}

struct Notifier {
    socket: UdpSocket,
    habit: Habit,
    dialogs: BTreeMap<String, Dialog>,
    lamps: BTreeMap<String, Lamp>,
    etags: BTreeMap<String, u32>,
    heard: u32,
    changes: u32,
    misbehaved: bool,
}

impl Notifier {
    fn handle(&mut self, bytes: &[u8], peer: Peer) {
        let Ok(rsip::SipMessage::Request(request)) = rsip::SipMessage::try_from(bytes) else {
            return;
        };
        self.heard += 1;
        match request.method {
            rsip::Method::Subscribe => self.subscribe(&request, bytes, peer),
            rsip::Method::Publish => self.publish(&request, bytes, &peer),
            _ => self.send(&peer, b"nothing for a phone"),
        }
    }

    fn subscribe(&mut self, request: &rsip::Request, bytes: &[u8], peer: Peer) {
        if self.habit == Habit::Deaf && self.heard <= 3 {
            return;
        }
        if self.habit == Habit::Overloaded && self.heard <= 2 {
            return self.respond(
                &peer,
                bytes,
                "503 Service Unavailable",
                "Retry-After: 0\r\n",
            );
        }
        if self.challenged(request, bytes, &peer) {
            return;
        }
        let call_id = header(request, "Call-ID");
        let expires = request.expires_header().unwrap().seconds().unwrap();
        let lines = format!("Contact: <sip:notifier@127.0.0.1>\r\nExpires: {expires}\r\n");
        let presentity = request
            .to_header()
            .unwrap()
            .typed()
            .unwrap()
            .uri
            .to_string();
        let fresh = Dialog {
            peer: match &peer {
                Peer::Datagram(address) => Peer::Datagram(*address),
                Peer::Stream(stream) => Peer::Stream(stream.try_clone().unwrap()),
            },
            presentity: presentity.clone(),
            contact: request
                .contact_header()
                .unwrap()
                .typed()
                .unwrap()
                .uri
                .to_string(),
            from: format!(
                "{};tag=n",
                header(request, "To").split(";tag").next().unwrap()
            ),
            to: header(request, "From"),
            call_id: call_id.clone(),
            sequence: 100,
            version: u32::from(self.habit == Habit::LikeKamailio),
            forgotten: false,
        };
        self.dialogs.entry(call_id.clone()).or_insert(fresh);
        let state = if expires == 0 {
            "terminated;reason=timeout"
        } else {
            "active;expires=3600"
        };
        let lamp = self.lamps.get(&presentity).copied().unwrap_or_default();
        if self.habit == Habit::NotifyFirst {
            self.notify(&call_id, lamp, state);
            self.respond(&peer, bytes, "200 OK", &lines);
        } else {
            self.respond(&peer, bytes, "200 OK", &lines);
            self.notify(&call_id, lamp, state);
        }
    }

    fn publish(&mut self, request: &rsip::Request, bytes: &[u8], peer: &Peer) {
        if self.habit == Habit::RefusesPublish {
            return self.respond(peer, bytes, "412 Conditional Request Failed", "");
        }
        if self.challenged(request, bytes, peer) {
            return;
        }
        let presentity = request.uri.to_string();
        let current = self
            .etags
            .get(&presentity)
            .map(|number| format!("e{number}"));
        if header(request, "SIP-If-Match") != current.unwrap_or_default() {
            return self.respond(peer, bytes, "412 Conditional Request Failed", "");
        }
        let entity_tag = self.heard;
        self.etags.insert(presentity, entity_tag);
        let expires = header(request, "Expires");
        let lines = format!("SIP-ETag: e{entity_tag}\r\nExpires: {expires}\r\n");
        self.respond(peer, bytes, "200 OK", &lines);
        let lamp = dialog_info::scan(&request.body).map_or(Lamp::Off, |document| document.lamp);
        if self.habit == Habit::LikeKamailio && lamp == Lamp::Off {
            self.etags.remove(&request.uri.to_string());
        }
        self.change(&request.uri.to_string(), lamp);
    }

    fn challenged(&self, request: &rsip::Request, bytes: &[u8], peer: &Peer) -> bool {
        let wants = self.habit == Habit::Challenges;
        let passes = || {
            let value = request.authorization_header()?.typed().ok()?;
            let generator =
                rsip::services::DigestGenerator::from(&value, "secret", &request.method);
            Some(generator.verify(&value.response))
        };
        if wants && passes() != Some(true) {
            let challenge = "WWW-Authenticate: Digest realm=\"abc.com\",nonce=\"n1\",qop=\"auth\",algorithm=MD5\r\n";
            self.respond(peer, bytes, "401 Unauthorized", challenge);
        }
        wants && passes() != Some(true)
    }

    fn change(&mut self, presentity: &str, lamp: Lamp) {
        if self
            .lamps
            .insert(presentity.to_owned(), lamp)
            .unwrap_or_default()
            == lamp
        {
            return;
        }
        let watching = |dialog: &&Dialog| dialog.presentity == presentity && !dialog.forgotten;
        let calls: Vec<String> = self
            .dialogs
            .values()
            .filter(watching)
            .map(|dialog| dialog.call_id.clone())
            .collect();
        for call_id in calls {
            self.changes += 1;
            let active = "active;expires=3600";
            if self.changes < 3 || std::mem::replace(&mut self.misbehaved, true) {
                self.notify(&call_id, lamp, active);
            } else {
                self.misbehave(&call_id, lamp);
            }
        }
    }

    fn misbehave(&mut self, call_id: &str, lamp: Lamp) {
        let active = "active;expires=3600";
        let dialog = self.dialogs.get_mut(call_id).unwrap();
        match self.habit {
            Habit::Forgets => return dialog.forgotten = true,
            Habit::SkipsVersion => dialog.version += 1,
            Habit::SkipsSequence => dialog.sequence += 1,
            Habit::RepeatsVersion => dialog.version -= 1,
            _ => {}
        }
        match self.habit {
            Habit::WrongLamp => self.notify(call_id, Lamp::Setup, active),
            Habit::Terminates => self.notify(call_id, lamp, "terminated;reason=noresource"),
            Habit::GoesBack => {
                self.notify(call_id, lamp, active);
                self.notify(call_id, Lamp::Off, active);
            }
            Habit::SaysTwice => {
                self.notify(call_id, lamp, active);
                self.notify(call_id, lamp, active);
            }
            Habit::Retransmits => {
                self.notify(call_id, lamp, active);
                let dialog = self.dialogs.get_mut(call_id).unwrap();
                dialog.version -= 1;
                dialog.sequence -= 1;
                self.notify(call_id, lamp, active);
            }
            _ => self.notify(call_id, lamp, active),
        }
    }

    fn notify(&mut self, call_id: &str, lamp: Lamp, state: &str) {
        let misbehaves = |habit: Habit| self.habit == habit && self.changes == 3;
        let wrong_entity = misbehaves(Habit::WrongEntity);
        let wrong_tag = misbehaves(Habit::WrongTag);
        let dialog = &self.dialogs[call_id];
        let call_id = call_id.to_owned();
        let address = dialog.presentity.trim_start_matches("sip:");
        let address = if wrong_entity { "x@abc.com" } else { address };
        let call = PublishedCall {
            address,
            number: 1,
            run: "7",
            version: dialog.version,
            lamp,
        };
        let body = String::from_utf8(dialog_info::write(&call)).unwrap();
        let Dialog {
            contact,
            from,
            to,
            sequence,
            ..
        } = dialog;
        let from = if wrong_tag {
            format!("{from}x")
        } else {
            from.clone()
        };
        let forwards = if self.habit == Habit::NoMaxForwards {
            ""
        } else {
            "Max-Forwards: 70\r\n"
        };
        let text = format!(
            "NOTIFY {contact} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK{sequence}\r\n\
             {forwards}From: {from}\r\nTo: {to}\r\nCall-ID: {call_id}\r\n\
             CSeq: {sequence} NOTIFY\r\nContact: <sip:notifier@127.0.0.1>\r\nEvent: dialog\r\n\
             Subscription-State: {state}\r\nContent-Type: application/dialog-info+xml\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let dialog = self.dialogs.get_mut(&call_id).unwrap();
        dialog.sequence += 1;
        dialog.version += 1;
        self.send(&self.dialogs[&call_id].peer, text.as_bytes());
    }

    fn respond(&self, peer: &Peer, request: &[u8], status: &str, lines: &str) {
        let mut out = Vec::new();
        message::scan(request)
            .unwrap()
            .respond(&format!("SIP/2.0 {status}"), &mut out);
        let text = String::from_utf8(out).unwrap();
        let text = text.replace("Content-Length", &format!("{lines}Content-Length"));
        let tagged: Vec<String> = text
            .split("\r\n")
            .map(
                |line| match line.starts_with("To:") && !line.contains(";tag=") {
                    true => format!("{line};tag=n"),
                    false => line.to_owned(),
                },
            )
            .collect();
        self.send(peer, tagged.join("\r\n").as_bytes());
    }

    fn send(&self, peer: &Peer, bytes: &[u8]) {
        match peer {
            Peer::Datagram(address) => drop(self.socket.send_to(bytes, address)),
            Peer::Stream(stream) => drop((&*stream).write_all(bytes)),
        }
    }
}

fn header(request: &rsip::Request, name: &str) -> String {
    let prefix = format!("{name}: ");
    let lines = request.headers().iter().map(Header::to_string);
    let mut values = lines.filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned));
    values.next().unwrap_or_default()
}

/// Starts a notifier on UDP and TCP of one loopback port; its threads end with the process.
fn start(habit: Habit) -> (SocketAddr, SocketAddr) {
    let (listener, socket) = loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(socket) = UdpSocket::bind(listener.local_addr().unwrap()) {
            break (listener, socket);
        }
    };
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = (socket.local_addr().unwrap(), http.local_addr().unwrap());
    let notifier = Notifier {
        socket: socket.try_clone().unwrap(),
        habit,
        dialogs: BTreeMap::new(),
        lamps: BTreeMap::new(),
        etags: BTreeMap::new(),
        heard: 0,
        changes: 0,
        misbehaved: false,
    };
    let notifier = Arc::new(Mutex::new(notifier));
    let (for_streams, for_http) = (Arc::clone(&notifier), Arc::clone(&notifier));
    thread::spawn(move || {
        let mut buffer = [0; 65_535];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            notifier
                .lock()
                .unwrap()
                .handle(&buffer[..length], Peer::Datagram(from));
        }
    });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let notifier = Arc::clone(&for_streams);
            thread::spawn(move || serve_stream(&stream, &notifier));
        }
    });
    thread::spawn(move || {
        for stream in http.incoming().flatten() {
            let notifier = Arc::clone(&for_http);
            thread::spawn(move || serve_http(stream, &notifier));
        }
    });
    addresses
}

fn serve_stream(stream: &TcpStream, notifier: &Mutex<Notifier>) {
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = (&*stream).read(&mut buffer) {
        received.extend_from_slice(&buffer[..length]);
        while let Ok(Some(length)) = message::frame(&received) {
            let message: Vec<u8> = received.drain(..length).collect();
            let peer = Peer::Stream(stream.try_clone().unwrap());
            notifier.lock().unwrap().handle(&message, peer);
        }
    }
}

fn serve_http(stream: TcpStream, notifier: &Mutex<Notifier>) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        let Some(query) = line.strip_prefix("GET /call_state.htm?") else {
            continue;
        };
        let user = query
            .split("user=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        let lamp = if query.contains("number=") {
            Lamp::Busy
        } else {
            Lamp::Off
        };
        notifier
            .lock()
            .unwrap()
            .change(&format!("sip:{user}@abc.com"), lamp);
        let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";
        (&stream).write_all(ok).unwrap();
    }
}
