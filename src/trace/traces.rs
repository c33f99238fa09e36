//! All traces of a process: what shards offer, and what readers take.
//!
//! A shard asks once a turn whether the set of traces has changed ([`Traces::version`], one load), and
//! keeps its own copy of the set. It adds to a buffer of its own in each trace; the reader takes from all of
//! them and puts the messages in the order of their times.

use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crossbeam::queue::ArrayQueue;
use crossbeam::utils::CachePadded;
use memchr::{memchr, memmem};

use crate::presence::Aor;
use crate::sip::{Message, Transport};
use crate::trace::conversations::Conversations;
use crate::trace::mask;
use crate::trace::target::{Relation, Target};

/// Traces at once.
const TRACES_MAX: usize = 4;
/// Messages and notes of one shard that may wait for the reader of a trace.
const ENTRIES_MAX: usize = 1024;
/// Octets of them.
const OCTETS_MAX: usize = 1 << 20;
/// Octets that a reader gets at once: rendering more would delay other requests on its thread.
const READ_OCTETS_MAX: usize = 256 << 10;
/// A trace that is not read for this long ends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Names a trace of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceId(pub u64);

/// The maximum number of traces is running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{TRACES_MAX} traces are running, the maximum: end one of them")]
pub struct TooManyTraces;

/// All traces of a process.
#[derive(Debug)]
pub struct Traces {
    shards: u16,
    /// Changes when a trace begins or ends.
    version: CachePadded<AtomicU64>,
    running: Mutex<Vec<Arc<Trace>>>,
    last_id: AtomicU64,
}

/// One trace.
#[derive(Debug)]
pub struct Trace {
    id: TraceId,
    target: Target,
    needle: Option<memmem::Finder<'static>>,
    conversations: Conversations,
    /// By shard.
    buffers: Box<[CachePadded<Buffer>]>,
    reader: Mutex<Reader>,
}

/// What one shard has for the reader of a trace.
#[derive(Debug)]
struct Buffer {
    entries: ArrayQueue<Entry>,
    /// Octets that the reader has not got yet.
    octets: AtomicUsize,
    /// Messages that found no room.
    not_kept: AtomicU64,
}

#[derive(Debug)]
struct Reader {
    last_read: Instant,
    /// Taken from the buffers, with the shard of each, but not given to the reader yet.
    waiting: VecDeque<(usize, Entry)>,
}

/// A message on its way in or out, as a shard sees it.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// The shard.
    pub shard: u16,
    /// The transport and the addresses.
    pub path: Path,
    /// Whether we send it.
    pub is_sent: bool,
    /// The whole message.
    pub octets: &'a [u8],
    /// The message that was parsed from them; None if they are not SIP.
    pub message: Option<&'a Message<'a>>,
}

/// Between which addresses a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// The transport protocol.
    pub transport: Transport,
    /// Names the stream among those of the process; 0 for datagrams.
    pub connection: u64,
    /// Our address.
    pub local: SocketAddr,
    /// The address of the peer.
    pub peer: SocketAddr,
}

/// One entry of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: SystemTime,
    /// What.
    pub event: Event,
}

/// What a trace tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message.
    Message {
        /// Its addresses.
        path: Path,
        /// Whether we sent it.
        is_sent: bool,
        /// The whole message; secrets are masked.
        octets: Box<[u8]>,
    },
    /// What no SIP message shows, in words: a call that was reported by HTTP, a changed state.
    Note(Box<str>),
}

/// What a reader gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceReport {
    /// In the order of their times.
    pub entries: Vec<Entry>,
    /// Messages that found no room since the trace began.
    pub not_kept: u64,
    /// More is waiting already.
    pub has_more: bool,
}

impl Path {
    /// From which address to which a message went; addresses of IPv4 within IPv6 as those of IPv4.
    #[must_use]
    pub fn ends(&self, is_sent: bool) -> [SocketAddr; 2] {
        let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (local, peer) = (plain(self.local), plain(self.peer));
        match is_sent {
            true => [local, peer],
            false => [peer, local],
        }
    }
}

impl Entry {
    /// The time of the entry since 1970 UTC.
    #[must_use]
    pub fn since_1970(&self) -> Duration {
        let since = self.at.duration_since(SystemTime::UNIX_EPOCH);
        since.unwrap_or_default()
    }
}

impl Event {
    fn octets(&self) -> usize {
        match self {
            Self::Message { octets, .. } => octets.len(),
            Self::Note(text) => text.len(),
        }
    }
}

impl Traces {
    /// No traces, in a process with that many shards.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        // Random, so that no reader of an earlier process reads a trace of this one.
        let first = RandomState::new().hash_one(shards) >> 1;
        Self {
            shards,
            version: CachePadded::new(AtomicU64::new(0)),
            running: Mutex::new(Vec::new()),
            last_id: AtomicU64::new(first),
        }
    }

    /// Begins a trace.
    ///
    /// # Errors
    /// The maximum number of traces is running.
    pub fn begin(&self, target: Target, now: Instant) -> Result<TraceId, TooManyTraces> {
        let mut running = self.running_traces();
        if running.len() >= TRACES_MAX {
            return Err(TooManyTraces);
        }
        let id = TraceId(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        running.push(Arc::new(Trace::new(id, target, self.shards, now)));
        self.version.fetch_add(1, Ordering::Release);
        Ok(id)
    }

    /// What is new in a trace; None if it has ended. `wall` is `now` by the clock of the entries.
    #[must_use]
    pub fn read(&self, id: TraceId, now: Instant, wall: SystemTime) -> Option<TraceReport> {
        let trace = {
            let running = self.running_traces();
            Arc::clone(running.iter().find(|trace| trace.id == id)?)
        };
        Some(trace.read(now, wall))
    }

    /// Ends a trace, if it is running.
    pub fn end(&self, id: TraceId) {
        let mut running = self.running_traces();
        let before = running.len();
        running.retain(|trace| trace.id != id);
        if running.len() < before {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Ends a trace that was not read for too long. Returns whether it has ended.
    pub fn end_if_abandoned(&self, id: TraceId, now: Instant) -> bool {
        let is_read = {
            let running = self.running_traces();
            let trace = running.iter().find(|trace| trace.id == id);
            trace.is_some_and(|trace| {
                now.saturating_duration_since(trace.reader().last_read) < PATIENCE
            })
        };
        if !is_read {
            self.end(id);
        }
        !is_read
    }

    /// Changes when a trace begins or ends: then [`Self::running`] is to be asked again.
    #[inline]
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The traces that run.
    #[must_use]
    pub fn running(&self) -> Vec<Arc<Trace>> {
        self.running_traces().clone()
    }

    fn running_traces(&self) -> MutexGuard<'_, Vec<Arc<Trace>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trace {
    fn new(id: TraceId, target: Target, shards: u16, now: Instant) -> Self {
        let buffer = |_| {
            CachePadded::new(Buffer {
                entries: ArrayQueue::new(ENTRIES_MAX),
                octets: AtomicUsize::new(0),
                not_kept: AtomicU64::new(0),
            })
        };
        Self {
            id,
            needle: target.needle(),
            target,
            conversations: Conversations::default(),
            buffers: (0..shards).map(buffer).collect(),
            reader: Mutex::new(Reader {
                last_read: now,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// False if a message does not concern the target; in doubt true. It spares most messages the parser, at a
    /// fraction of its cost.
    #[must_use]
    pub fn may_concern(&self, peer: SocketAddr, octets: &[u8]) -> bool {
        let is_named = |needle: &memmem::Finder<'_>| needle.find(octets).is_some();
        self.needle.as_ref().is_none_or(is_named)
            || self.target.is_peer(peer)
            || memchr(b'%', octets).is_some()
            || self.conversations.may_have(octets)
    }

    /// Keeps a copy of a message if it concerns the target. `clock` is read if it does.
    pub fn offer(&self, sighting: &Sighting<'_>, clock: impl FnOnce() -> SystemTime) {
        if !self.concerns(sighting) {
            return;
        }
        let Sighting {
            shard,
            path,
            is_sent,
            octets,
            ..
        } = *sighting;
        self.keep(shard, octets.len(), || Entry {
            at: clock(),
            event: Event::Message {
                path,
                is_sent,
                octets: octets.into(),
            },
        });
    }

    /// Keeps a note, if the trace is of that person.
    pub fn note(
        &self,
        shard: u16,
        aor: &Aor,
        text: impl FnOnce() -> String,
        clock: impl FnOnce() -> SystemTime,
    ) {
        if matches!(&self.target, Target::Person(person) if person.is(aor)) {
            let text = text();
            self.keep(shard, text.len(), || Entry {
                at: clock(),
                event: Event::Note(text.into()),
            });
        }
    }

    fn concerns(&self, sighting: &Sighting<'_>) -> bool {
        let is_peer = self.target.is_peer(sighting.path.peer);
        let Some(message) = sighting.message else {
            return is_peer;
        };
        match self.target.relation(message) {
            Relation::Dialog => self.conversations.follow_dialog(message),
            Relation::Transaction => self.conversations.follow_transaction(message),
            Relation::None => return is_peer || self.conversations.has(message),
        }
        true
    }

    fn keep(&self, shard: u16, octets: usize, entry: impl FnOnce() -> Entry) {
        let Some(buffer) = self.buffers.get(usize::from(shard)) else {
            debug_assert!(false, "shard {shard} has a buffer");
            return;
        };
        // Only its shard adds to a buffer, so the room that is found is still there.
        let has_room = buffer.octets.load(Ordering::Relaxed) + octets <= OCTETS_MAX
            && !buffer.entries.is_full();
        if !has_room {
            buffer.not_kept.fetch_add(1, Ordering::Relaxed);
            return;
        }
        buffer.octets.fetch_add(octets, Ordering::Relaxed);
        let kept = buffer.entries.push(entry());
        debug_assert!(kept.is_ok(), "there is room for it");
    }

    fn read(&self, now: Instant, wall: SystemTime) -> TraceReport {
        let mut reader = self.reader();
        reader.last_read = now;
        for (shard, buffer) in self.buffers.iter().enumerate() {
            let taken = std::iter::from_fn(|| buffer.entries.pop());
            let taken = taken.take(ENTRIES_MAX).map(|entry| (shard, entry));
            reader.waiting.extend(taken);
        }
        let waiting = reader.waiting.make_contiguous();
        waiting.sort_by_key(|(_, entry)| entry.at);
        let mut report = TraceReport::default();
        let mut octets = 0;
        // Entries after `wall` wait: another shard may add an older one before the next read.
        while reader
            .waiting
            .front()
            .is_some_and(|(_, entry)| entry.at <= wall)
        {
            let Some((shard, entry)) = reader.waiting.pop_front() else {
                break;
            };
            let length = entry.event.octets();
            octets += length;
            if let Some(buffer) = self.buffers.get(shard) {
                buffer.octets.fetch_sub(length, Ordering::Relaxed);
            }
            report.entries.push(masked(entry));
            if octets >= READ_OCTETS_MAX {
                report.has_more = !reader.waiting.is_empty();
                break;
            }
        }
        let not_kept = self.buffers.iter();
        let not_kept = not_kept.map(|buffer| buffer.not_kept.load(Ordering::Relaxed));
        report.not_kept = not_kept.sum();
        report
    }

    fn reader(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn masked(mut entry: Entry) -> Entry {
    if let Event::Message { octets, .. } = &mut entry.event {
        mask::mask(octets);
    }
    entry
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::message::Framing;
    use crate::trace::{Person, Phone};

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn person() -> Target {
        let aor = Aor::from_key("123@abc.com").unwrap();
        Target::Person(Person::new(aor, &[]))
    }

    fn request(user: &str, call_id: &str) -> String {
        format!(
            "SUBSCRIBE sip:{user}@abc.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
             From: <sip:9@abc.com>;tag=1\r\nTo: <sip:{user}@abc.com>\r\nCall-ID: {call_id}\r\n\
             CSeq: 1 SUBSCRIBE\r\nAuthorization: Digest response=\"abcd\"\r\nContent-Length: 0\r\n\r\n"
        )
    }

    fn offer(trace: &Trace, shard: u16, text: &str, at: u64) {
        let message = Message::parse(text.as_bytes(), Framing::Datagram).ok();
        let path = Path {
            transport: Transport::Udp,
            connection: 0,
            local: "127.0.0.1:5060".parse().unwrap(),
            peer: "10.0.0.9:5060".parse().unwrap(),
        };
        let sighting = Sighting {
            shard,
            path,
            is_sent: false,
            octets: text.as_bytes(),
            message: message.as_ref(),
        };
        let kept = trace.buffers[usize::from(shard)].entries.len();
        let may_concern = trace.may_concern(path.peer, sighting.octets);
        trace.offer(&sighting, || NOW + Duration::from_secs(at));
        let is_kept = trace.buffers[usize::from(shard)].entries.len() > kept;
        assert!(may_concern || !is_kept, "no message is missed: {text}");
    }

    /// The Call-IDs that a reader gets.
    fn call_ids(report: &TraceReport) -> Vec<String> {
        let of_entry = |entry: &Entry| match &entry.event {
            Event::Message { octets, .. } => {
                let text = String::from_utf8_lossy(octets).into_owned();
                let (_, rest) = text.split_once("Call-ID: ").unwrap();
                rest.split('\r').next().unwrap().to_owned()
            }
            Event::Note(text) => text.to_string(),
        };
        report.entries.iter().map(of_entry).collect()
    }

    #[test]
    fn messages_of_all_shards_come_in_the_order_of_their_times() {
        let (traces, began) = (Traces::new(2), Instant::now());
        let before = traces.version();
        let id = traces.begin(person(), began).unwrap();
        assert_ne!(traces.version(), before);
        let trace = traces.running().pop().unwrap();
        offer(&trace, 1, &request("123", "a"), 3);
        offer(&trace, 1, &request("7", "other"), 3);
        offer(&trace, 0, &request("123", "b"), 2);
        offer(&trace, 0, &request("123", "c"), 5);
        // Its dialog is known by now.
        offer(&trace, 0, &request("9", "a"), 4);
        let aor = |text| Aor::from_key(text).unwrap();
        let at = || NOW + Duration::from_secs(1);
        trace.note(1, &aor("123@abc.com"), || "busy".to_owned(), at);
        trace.note(1, &aor("9@abc.com"), || "idle".to_owned(), at);
        let report = traces
            .read(id, began, NOW + Duration::from_secs(4))
            .unwrap();
        assert_eq!(call_ids(&report), ["busy", "b", "a", "a"]);
        let Event::Message { octets, .. } = &report.entries[1].event else {
            unreachable!()
        };
        assert!(String::from_utf8_lossy(octets).contains("response=\"****\""));
        let report = traces
            .read(id, began, NOW + Duration::from_secs(9))
            .unwrap();
        assert_eq!(call_ids(&report), ["c"]);
        traces.end(id);
        assert!(traces.read(id, began, NOW).is_none() && traces.running().is_empty());
    }

    #[test]
    fn a_reader_that_is_slow_is_told_what_it_misses() {
        let (traces, began) = (Traces::new(1), Instant::now());
        let id = traces.begin(person(), began).unwrap();
        let trace = traces.running().pop().unwrap();
        for _ in 0..ENTRIES_MAX + 12 {
            offer(&trace, 0, &request("123", "a"), 1);
        }
        let read = || {
            traces
                .read(id, began, NOW + Duration::from_secs(9))
                .unwrap()
        };
        let mut entries = 0;
        loop {
            let report = read();
            entries += report.entries.len();
            assert_eq!(report.not_kept, 12);
            let octets = report.entries.iter().map(|entry| entry.event.octets());
            assert!(octets.sum::<usize>() < READ_OCTETS_MAX + 1000);
            if !report.has_more {
                break;
            }
        }
        assert_eq!(entries, ENTRIES_MAX);
        // Few, but long.
        let long = request("123", &"x".repeat(30_000));
        for _ in 0..40 {
            offer(&trace, 0, &long, 1);
        }
        assert_eq!(read().not_kept, 12 + 40 - (OCTETS_MAX / long.len()) as u64);
        while read().has_more {}
        offer(&trace, 0, &long, 1);
        assert_eq!(read().entries.len(), 1, "there is room again");
    }

    #[test]
    fn traces_are_few_and_end_without_a_reader() {
        let (traces, began) = (Traces::new(1), Instant::now());
        let phone = || {
            Target::Phone(Phone {
                ip: "10.0.0.9".parse().unwrap(),
                port: None,
            })
        };
        let ids: Vec<_> = (0..TRACES_MAX)
            .map(|_| traces.begin(phone(), began).unwrap())
            .collect();
        assert_eq!(traces.begin(phone(), began), Err(TooManyTraces));
        let later = began + PATIENCE / 2;
        assert!(traces.read(ids[0], later, NOW).is_some());
        let end = began + PATIENCE;
        assert!(!traces.end_if_abandoned(ids[0], end));
        assert!(traces.end_if_abandoned(ids[1], end));
        assert!(traces.read(ids[1], end, NOW).is_none());
        assert!(traces.begin(person(), end).is_ok());
        let trace = traces.running().remove(0);
        offer(&trace, 0, "no SIP", 1);
        offer(&trace, 0, &request("7", "a"), 1);
        let report = traces
            .read(ids[0], end, NOW + Duration::from_secs(2))
            .unwrap();
        assert_eq!(report.entries.len(), 2, "all of a phone's");
    }
}
