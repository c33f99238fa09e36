//! The fastest possible notifier: a reference that shows how much the rest of this tool, the kernel
//! and the machine can do.
//!
//! It responds to SUBSCRIBE with 200 and a NOTIFY, and to PUBLISH with 200 and one NOTIFY for every
//! watcher of that user: a prepared text that is patched in four places and sent by `sendmmsg` as
//! fast as the socket accepts it. It counts the 200s that it receives without parsing them. It has
//! no expiry, no retransmissions, no transactions, no transport except UDP over IPv4, and does not
//! validate its input: it is not a presence server.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::net::sockets;
use crate::net::sockets::{Poller, ReceiveBatch, SendBatch};
use crate::wire::message::{Incoming, Start};
use crate::wire::template::decimal;
use crate::wire::{dialog_info, message};

const RECEIVE_BUFFER_OCTETS: i32 = 64 << 20;
/// Maximum NOTIFYs in flight: as many as the sockets of both ends can buffer.
const WINDOW: u64 = 2048;
/// How long responses are awaited before they count as lost.
const RESPONSE_WAIT: Duration = Duration::from_millis(200);

/// One subscription.
struct Dialog {
    to: SocketAddrV4,
    /// The request up to the branch, and from after the CSeq number to the end of the head, without
    /// Content-Length.
    before_branch: Vec<u8>,
    before_sequence: Vec<u8>,
    after_sequence: Vec<u8>,
    entity: String,
    sequence: u32,
    version: u32,
}

/// A message in a buffer: destination, start and end.
type Span = (SocketAddrV4, usize, usize);

/// The state shown to a user's watchers.
#[derive(Default)]
struct User {
    watchers: Vec<String>,
    /// The document after its version.
    rest: Vec<u8>,
    entity_tag: u32,
}

/// A notifier.
pub(crate) struct Reference {
    socket: UdpSocket,
    poller: Poller,
    incoming: ReceiveBatch,
    outgoing: SendBatch,
    dialogs: BTreeMap<String, Dialog>,
    users: BTreeMap<String, User>,
    sent: u64,
    answered: u64,
    /// The counts before the first PUBLISH.
    before_load: Option<Done>,
    /// UDP GSO and GRO.
    offload: bool,
    /// Padding, so that a NOTIFY is as long as one of a real server.
    padding: usize,
}

/// The counts of a notifier from the first PUBLISH on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// NOTIFYs sent.
    pub(crate) sent: u64,
    pub(crate) cpu: Duration,
}

impl Reference {
    /// Creates a notifier on that socket that adds that many octets of padding to each NOTIFY.
    pub(crate) fn new(socket: UdpSocket, padding: usize, offload: bool) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        sockets::set_receive_buffer(&socket, RECEIVE_BUFFER_OCTETS)?;
        if offload {
            sockets::set_coalescing(&socket)?;
        }
        let poller = Poller::new()?;
        poller.add(&socket, 0)?;
        Ok(Self {
            socket,
            poller,
            incoming: ReceiveBatch::new(offload),
            outgoing: SendBatch::new(),
            dialogs: BTreeMap::new(),
            users: BTreeMap::new(),
            sent: 0,
            answered: 0,
            before_load: None,
            offload,
            padding,
        })
    }

    /// Serves until `stop` is set.
    pub(crate) fn serve(mut self, stop: &AtomicBool) -> io::Result<Done> {
        let mut ready = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            self.poller.wait(Duration::from_millis(50), &mut ready)?;
            let mut requests = Vec::new();
            self.receive(&mut requests)?;
            for request in requests {
                self.handle(&request)?;
            }
        }
        let before = self.before_load.unwrap_or_default();
        Ok(Done {
            sent: self.sent - before.sent,
            cpu: sockets::thread_cpu_time() - before.cpu,
        })
    }

    /// Receives all waiting datagrams; responses are counted, requests are kept.
    fn receive(&mut self, requests: &mut Vec<Vec<u8>>) -> io::Result<()> {
        loop {
            let emptied = self.incoming.receive(&self.socket)?;
            for datagram in self.incoming.datagrams() {
                match datagram.starts_with(b"SIP/2.0") {
                    true => self.answered += 1,
                    false => requests.push(datagram.to_vec()),
                }
            }
            if emptied {
                return Ok(());
            }
        }
    }

    fn handle(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Ok(request) = message::scan(bytes) else {
            return Ok(());
        };
        let Start::Request { method, uri } = request.start else {
            return Ok(());
        };
        let (Ok(uri), Some(from)) = (std::str::from_utf8(uri), sent_by(bytes)) else {
            return Ok(());
        };
        match method {
            b"SUBSCRIBE" => self.subscribe(&request, uri, from),
            b"PUBLISH" => self.publish(&request, uri, from),
            _ => Ok(()),
        }
    }

    fn respond(&mut self, request: &Incoming<'_>, to: SocketAddrV4, more: &str) -> io::Result<()> {
        let mut response = Vec::new();
        request.respond("SIP/2.0 200 OK", &mut response);
        let text = String::from_utf8_lossy(&response).into_owned();
        let mut text = text.replace("Content-Length", &format!("{more}Content-Length"));
        if request.to_tag.is_empty()
            && let Some(at) = text.find("\r\nTo:")
            && let Some(end) = text[at + 2..].find("\r\n")
        {
            text.insert_str(at + 2 + end, ";tag=ref");
        }
        self.socket.send_to(text.as_bytes(), to).map(drop)
    }

    fn subscribe(
        &mut self,
        request: &Incoming<'_>,
        uri: &str,
        from: SocketAddrV4,
    ) -> io::Result<()> {
        let expires = request.expires.unwrap_or(3600);
        let lines = format!("Contact: <sip:ref@127.0.0.1>\r\nExpires: {expires}\r\n");
        self.respond(request, from, &lines)?;
        let call_id = String::from_utf8_lossy(request.call_id).into_owned();
        if !self.dialogs.contains_key(&call_id) {
            let user = self.users.entry(uri.to_owned()).or_default();
            if user.rest.is_empty() {
                user.rest = document_rest(b"", uri);
            }
            user.watchers.push(call_id.clone());
            self.dialogs
                .insert(call_id.clone(), Dialog::new(request, uri, from));
        }
        let mut out = Vec::new();
        let Some(dialog) = self.dialogs.get_mut(&call_id) else {
            return Ok(());
        };
        let Some(user) = self.users.get(&dialog.entity) else {
            return Ok(());
        };
        let state = match expires {
            0 => "terminated;reason=timeout",
            _ => "active;expires=3600",
        };
        dialog.notify(state, &user.rest, self.padding, &mut out);
        self.sent += 1;
        self.socket.send_to(&out, from).map(drop)
    }

    fn publish(&mut self, request: &Incoming<'_>, uri: &str, from: SocketAddrV4) -> io::Result<()> {
        let user = self.users.entry(uri.to_owned()).or_default();
        user.entity_tag += 1;
        let before = std::mem::replace(&mut user.rest, document_rest(request.body, uri));
        let changed = lamp_of(&before) != lamp_of(&user.rest);
        let expires = request.expires.unwrap_or(3600);
        let lines = format!("SIP-ETag: {}\r\nExpires: {expires}\r\n", user.entity_tag);
        if changed {
            self.fan_out(uri)?;
        }
        self.respond(request, from, &lines)
    }

    /// Sends one NOTIFY to every watcher, as fast as responses allow.
    fn fan_out(&mut self, uri: &str) -> io::Result<()> {
        let Some(user) = self.users.get_mut(uri) else {
            return Ok(());
        };
        let watchers = std::mem::take(&mut user.watchers);
        let rest = user.rest.clone();
        let mut bytes = Vec::new();
        for group in watchers.chunks(sockets::BATCH) {
            bytes.clear();
            let mut spans = Vec::with_capacity(sockets::BATCH);
            for call_id in group {
                let Some(dialog) = self.dialogs.get_mut(call_id) else {
                    continue;
                };
                let start = bytes.len();
                dialog.notify("active;expires=3600", &rest, self.padding, &mut bytes);
                spans.push((dialog.to, start, bytes.len()));
            }
            self.sent += spans.len() as u64;
            self.send(&bytes, &spans)?;
            self.await_responses()?;
        }
        if let Some(user) = self.users.get_mut(uri) {
            user.watchers = watchers;
        }
        Ok(())
    }

    /// Sends all of them, in one call if possible.
    fn send(&mut self, bytes: &[u8], spans: &[Span]) -> io::Result<()> {
        let (offload, length_of) = (self.offload, |span: &Span| span.2 - span.1);
        let alike = |one: &Span, two: &Span| {
            !offload || (one.0 == two.0 && length_of(one) == length_of(two))
        };
        for run in spans.chunk_by(alike) {
            let length = length_of(&run[0]);
            for group in run.chunks(sockets::segments_max(length)) {
                let (to, start, end) = (group[0].0, group[0].1, group[group.len() - 1].2);
                let together = offload
                    && group.len() > 1
                    && sockets::send_segments(
                        &self.socket,
                        Some(to),
                        &bytes[start..end],
                        length as u16,
                    );
                let mut sent = if together { group.len() } else { 0 };
                while sent < group.len() {
                    let left = group[sent..].iter();
                    let left = left.map(|&(to, start, end)| (&bytes[start..end], Some(to)));
                    sent += self.outgoing.send(&self.socket, left)?;
                }
            }
        }
        Ok(())
    }

    fn await_responses(&mut self) -> io::Result<()> {
        let mut requests = Vec::new();
        self.receive(&mut requests)?;
        let mut ready = Vec::new();
        while self.sent - self.answered.min(self.sent) > WINDOW {
            let before = self.answered;
            self.poller.wait(RESPONSE_WAIT, &mut ready)?;
            self.receive(&mut requests)?;
            if self.answered == before {
                // Lost in the network: the checks at the other end will report it.
                self.answered = self.sent;
            }
        }
        for request in requests {
            self.handle(&request)?;
        }
        Ok(())
    }
}

impl Dialog {
    fn new(request: &Incoming<'_>, uri: &str, to: SocketAddrV4) -> Self {
        let [contact, phone_tag, call_id] = [request.contact, request.from_tag, request.call_id]
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Self {
            to,
            before_branch: format!(
                "NOTIFY {contact} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK"
            )
            .into_bytes(),
            before_sequence: format!(
                "\r\nMax-Forwards: 70\r\nFrom: <{uri}>;tag=ref\r\nTo: <{contact}>;tag={phone_tag}\r\n\
                 Call-ID: {call_id}\r\nCSeq: "
            )
            .into_bytes(),
            after_sequence: b" NOTIFY\r\nContact: <sip:ref@127.0.0.1>\r\nEvent: dialog\r\n\
                Content-Type: application/dialog-info+xml\r\n"
                .to_vec(),
            entity: uri.to_owned(),
            sequence: 0,
            version: 0,
        }
    }

    fn notify(&mut self, state: &str, rest: &[u8], padding: usize, out: &mut Vec<u8>) {
        const BEGIN: &[u8] = b"<?xml version=\"1.0\"?>\n\
            <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"";
        self.sequence += 1;
        out.extend_from_slice(&self.before_branch);
        decimal(u64::from(self.sequence) * 7919, out);
        out.extend_from_slice(&self.before_sequence);
        decimal(u64::from(self.sequence), out);
        out.extend_from_slice(&self.after_sequence);
        out.extend_from_slice(b"Subscription-State: ");
        out.extend_from_slice(state.as_bytes());
        out.extend_from_slice(b"\r\nContent-Length: ");
        let mut version = [0; 10];
        let digits = {
            let mut text = Vec::with_capacity(10);
            decimal(u64::from(self.version), &mut text);
            version[..text.len()].copy_from_slice(&text);
            text.len()
        };
        decimal((BEGIN.len() + digits + rest.len() + padding) as u64, out);
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(BEGIN);
        out.extend_from_slice(&version[..digits]);
        out.extend_from_slice(rest);
        out.resize(out.len() + padding, b'\n');
        self.version += 1;
    }
}

/// A document after its version, with the published dialog.
fn document_rest(published: &[u8], uri: &str) -> Vec<u8> {
    let inside = dialog_info::find(published, b"<dialog ")
        .map_or(b"</dialog-info>".as_slice(), |at| &published[at..]);
    let mut rest = format!("\" state=\"full\" entity=\"{uri}\">\n").into_bytes();
    rest.extend_from_slice(inside);
    rest
}

fn lamp_of(rest: &[u8]) -> Option<dialog_info::Lamp> {
    let whole = [b"<dialog-info version=\"0", rest].concat();
    dialog_info::scan(&whole).map(|document| document.lamp)
}

/// The address in the topmost Via: that of this tool's phones.
fn sent_by(bytes: &[u8]) -> Option<SocketAddrV4> {
    let at = dialog_info::find(bytes, b"Via: SIP/2.0/UDP ")? + b"Via: SIP/2.0/UDP ".len();
    let value = message::before_byte(&bytes[at..], b';');
    let address: SocketAddrV4 = std::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(match address.ip().is_unspecified() {
        true => SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, address.port()),
        false => address,
    })
}
