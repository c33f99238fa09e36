//! A phone: a thread with a UDP socket that subscribes to the others, responds to NOTIFYs and reports
//! what its lamps show.
//!
//! It follows the rules for a subscriber (Timer E, refreshes, tags, CSeq) and reports what the server
//! gets wrong. It parses with the server's own `sip` room; the load tester, which must not share code
//! with the server, has phones of its own.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::cli::demo::lamp::Lamp;
use crate::cli::demo::participants::{Key, PEOPLE};
use crate::sip::header::{NameAddr, delta_seconds};
use crate::sip::message::Framing;
use crate::sip::{HeaderName, Message, Method, StartLine, Status, emit};

/// Expires of a SUBSCRIBE, in seconds.
const EXPIRES: u32 = 3600;
/// How often a phone checks for the end of the demo and for due timers.
const TICK: Duration = Duration::from_millis(50);
/// Timer E at first, and at most.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// How long a request waits for its response; enough on loopback.
const RESPONSE_MAX: Duration = Duration::from_secs(8);
/// Time limit for unsubscribing at the end.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// The largest datagram.
const DATAGRAM_OCTETS_MAX: usize = 65_535;

/// What a phone reports to the runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// A NOTIFY came at that time, and the key now shows this lamp.
    Lamp { key: Key, lamp: Lamp, at: Instant },
    /// The server or the phone did something wrong.
    Fault(String),
}

/// Starts the phone of a person; it ends when `is_over` is set and its subscriptions are.
pub(super) fn start(
    person: usize,
    server: SocketAddr,
    events: Sender<Event>,
    is_over: Arc<AtomicBool>,
) -> io::Result<JoinHandle<()>> {
    let socket = UdpSocket::bind((server.ip(), 0))?;
    socket.connect(server)?;
    socket.set_read_timeout(Some(TICK))?;
    let address = socket.local_addr()?;
    let subscriptions = Key::of(person)
        .map(|key| Subscription::new(key, address))
        .collect();
    let mut phone = Phone {
        socket,
        address,
        server,
        events,
        subscriptions,
    };
    thread::Builder::new()
        .name(format!("phone-{}", PEOPLE[person].number))
        .spawn(move || {
            phone.run(&is_over);
        })
}

struct Phone {
    socket: UdpSocket,
    address: SocketAddr,
    server: SocketAddr,
    events: Sender<Event>,
    subscriptions: Vec<Subscription>,
}

/// One dialog.
struct Subscription {
    key: Key,
    call_id: String,
    tag: String,
    sequence: u32,
    remote_tag: String,
    remote_target: String,
    /// CSeq of the last NOTIFY.
    notified: Option<u32>,
    request: Option<Request>,
    refresh: Option<Instant>,
    is_over: bool,
}

/// A request without a final response yet.
struct Request {
    bytes: Vec<u8>,
    next: Instant,
    interval: Duration,
    deadline: Instant,
}

impl Phone {
    fn run(&mut self, is_over: &AtomicBool) {
        for index in 0..self.subscriptions.len() {
            self.subscribe(index, EXPIRES);
        }
        let mut farewell = None;
        let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
        while farewell.is_none_or(|deadline| Instant::now() < deadline) {
            if farewell.is_none() && is_over.load(Ordering::Relaxed) {
                farewell = Some(Instant::now() + FAREWELL_MAX);
                for index in 0..self.subscriptions.len() {
                    self.subscribe(index, 0);
                }
            }
            if farewell.is_some() && self.subscriptions.iter().all(|one| one.is_over) {
                return;
            }
            self.do_what_is_due();
            if let Ok(length) = self.socket.recv(&mut buffer) {
                self.take(&buffer[..length], Instant::now());
            }
        }
        self.fault("did not receive the final NOTIFY of its subscriptions");
    }

    /// Sends a SUBSCRIBE: the first, a refresh, or, with 0, the last.
    fn subscribe(&mut self, index: usize, expires: u32) {
        let subscription = &mut self.subscriptions[index];
        if subscription.is_over {
            return;
        }
        subscription.sequence += 1;
        subscription.refresh = None;
        let bytes = subscription.subscribe(self.address, expires);
        let now = Instant::now();
        self.send(&bytes);
        self.subscriptions[index].request = Some(Request {
            bytes,
            next: now + T1,
            interval: T1,
            deadline: now + RESPONSE_MAX,
        });
    }

    fn do_what_is_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.subscriptions.len() {
            let subscription = &mut self.subscriptions[index];
            if subscription.refresh.is_some_and(|due| due <= now) {
                self.subscribe(index, EXPIRES);
                continue;
            }
            let Some(request) = &mut subscription.request else {
                continue;
            };
            if request.deadline <= now {
                subscription.request = None;
                self.fault("received no response to a SUBSCRIBE");
            } else if request.next <= now {
                request.interval = (request.interval * 2).min(T2);
                request.next = now + request.interval;
                let bytes = request.bytes.clone();
                self.send(&bytes);
            }
        }
    }

    fn take(&mut self, bytes: &[u8], now: Instant) {
        let Ok(message) = Message::parse(bytes, Framing::Datagram) else {
            return self.fault("received something that is not SIP");
        };
        if let Some(fault) = message.fault() {
            return self.fault(&format!("received a malformed message: {fault:?}"));
        }
        match message.start_line() {
            StartLine::Response { code, .. } => self.take_response(&message, code, now),
            StartLine::Request {
                method: Method::Notify,
                ..
            } => self.take_notify(&message, now),
            StartLine::Request { .. } => self.respond(&message, Status::METHOD_NOT_ALLOWED),
        }
    }

    fn take_response(&mut self, response: &Message<'_>, code: u16, now: Instant) {
        let sequence = response.cseq().map(|sequence| sequence.number);
        let mine = |one: &&mut Subscription| {
            one.call_id.as_bytes() == response.call_id() && Some(one.sequence) == sequence
        };
        let Some(subscription) = self.subscriptions.iter_mut().find(mine) else {
            return;
        };
        if code < 200 || subscription.request.take().is_none() {
            return;
        }
        let contact = response
            .header(HeaderName::Contact)
            .and_then(NameAddr::parse);
        let tag = response.to().and_then(NameAddr::tag);
        let (200..=299, Some(contact), Some(tag)) = (code, contact, tag) else {
            let watched = PEOPLE[subscription.key.watched].number;
            return self.fault(&format!("received {code} to its SUBSCRIBE for {watched}"));
        };
        subscription.remote_target = String::from_utf8_lossy(contact.uri).into_owned();
        subscription.remote_tag = String::from_utf8_lossy(tag).into_owned();
        let granted = response
            .header(HeaderName::Expires)
            .and_then(delta_seconds)
            .unwrap_or(0);
        let half = Duration::from_secs(u64::from(granted) / 2);
        subscription.refresh = (granted > 0).then_some(now + half);
    }

    fn take_notify(&mut self, notify: &Message<'_>, now: Instant) {
        let to_tag = notify.to().and_then(NameAddr::tag).unwrap_or_default();
        let mine = |one: &&mut Subscription| {
            one.call_id.as_bytes() == notify.call_id() && one.tag.as_bytes() == to_tag
        };
        let found = self.subscriptions.iter_mut().find(mine);
        let (Some(subscription), Some(sequence)) = (found, notify.cseq()) else {
            self.respond(notify, Status::SUBSCRIPTION_DOES_NOT_EXIST);
            return self.fault("received a NOTIFY that belongs to none of its subscriptions");
        };
        let last = subscription.notified.replace(sequence.number);
        let key = subscription.key;
        let state = notify
            .header(HeaderName::SubscriptionState)
            .unwrap_or_default();
        let ends = state
            .get(..10)
            .is_some_and(|word| word.eq_ignore_ascii_case(b"terminated"));
        subscription.is_over |= ends;
        self.respond(notify, Status::OK);
        match last {
            Some(last) if last == sequence.number => return,
            Some(last) if last + 1 != sequence.number => {
                self.fault("received NOTIFYs out of order")
            }
            _ => {}
        }
        match Lamp::of_document(notify.body()) {
            Some(lamp) => self.tell(Event::Lamp { key, lamp, at: now }),
            None if ends && notify.body().is_empty() => {}
            None => self.fault("received a document that it cannot parse"),
        }
    }

    fn respond(&self, request: &Message<'_>, status: Status) {
        let mut out = Vec::with_capacity(512);
        let head = emit::ResponseHead {
            status,
            reason: None,
            to_tag: b"phone",
            source: self.server,
        };
        emit::response_head(&mut out, request, &head);
        emit::body(&mut out, "", b"");
        self.send(&out);
    }

    /// Send errors are ignored; both sides retransmit.
    fn send(&self, bytes: &[u8]) {
        let _ = self.socket.send(bytes);
    }

    fn fault(&self, what: &str) {
        let owner = self
            .subscriptions
            .first()
            .map_or("an unknown watcher", |one| PEOPLE[one.key.watcher].name);
        self.tell(Event::Fault(format!("{owner}'s phone {what}")));
    }

    /// Reports an event. An error means that the demonstration is over, and nothing reads it.
    fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

impl Subscription {
    fn new(key: Key, address: SocketAddr) -> Self {
        let Key { watcher, watched } = key;
        let unique = format!("{watcher}{watched}-{}", address.port());
        Self {
            key,
            call_id: format!("demo-{unique}"),
            tag: format!("phone-{unique}"),
            sequence: 0,
            remote_tag: String::new(),
            remote_target: PEOPLE[watched].uri(),
            notified: None,
            request: None,
            refresh: None,
            is_over: false,
        }
    }

    fn subscribe(&self, address: SocketAddr, expires: u32) -> Vec<u8> {
        let Self {
            call_id,
            tag,
            sequence,
            remote_target,
            ..
        } = self;
        let [watcher, watched] = [self.key.watcher, self.key.watched].map(|person| PEOPLE[person]);
        let to_tag = match self.remote_tag.as_str() {
            "" => String::new(),
            remote_tag => format!(";tag={remote_tag}"),
        };
        format!(
            "SUBSCRIBE {remote_target} SIP/2.0\r\n\
             Via: SIP/2.0/UDP {address};branch=z9hG4bK{tag}-{sequence};rport\r\n\
             Max-Forwards: 70\r\n\
             From: \"{}\" <{}>;tag={tag}\r\n\
             To: <{}>{to_tag}\r\n\
             Call-ID: {call_id}\r\n\
             CSeq: {sequence} SUBSCRIBE\r\n\
             Contact: <sip:{}@{address}>\r\n\
             Event: dialog\r\n\
             Accept: application/dialog-info+xml\r\n\
             Expires: {expires}\r\n\
             Content-Length: 0\r\n\r\n",
            watcher.name,
            watcher.uri(),
            watched.uri(),
            watcher.number,
        )
        .into_bytes()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn requests_of_the_phone_have_no_fault() {
        let key = Key {
            watcher: 0,
            watched: 1,
        };
        let mut subscription = Subscription::new(key, "127.0.0.1:40001".parse().unwrap());
        for remote_tag in ["", "s1"] {
            subscription.remote_tag = remote_tag.to_owned();
            let bytes = subscription.subscribe("127.0.0.1:40001".parse().unwrap(), 60);
            let message = Message::parse(&bytes, Framing::Datagram).unwrap();
            assert_eq!(message.fault(), None);
            assert_eq!(message.method(), Method::Subscribe);
            assert_eq!(
                message.to().unwrap().tag().is_some(),
                !remote_tag.is_empty()
            );
            let contact = message
                .header(HeaderName::Contact)
                .and_then(NameAddr::parse)
                .unwrap();
            assert_eq!(contact.uri, b"sip:101@127.0.0.1:40001");
        }
    }
}
