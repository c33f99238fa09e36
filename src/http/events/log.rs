//! The log: the last changes, each written once as the event that readers get.
//!
//! An event has the id `EPOCH-NUMBER`. Numbers go up by one; the epoch changes whenever the log has a gap:
//! at the start of the process, when shards stopped to tell changes, when changes were lost.

use std::cell::{Cell, RefCell};
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::task::Waker;

use hyper::body::Bytes;

use crate::changes::Change;
use crate::directory::Directory;
use crate::presence::Aor;

/// Events kept for readers that are behind or come back.
const EVENTS_MAX: usize = 65_536;
/// Octets of all of them.
const OCTETS_MAX: usize = 32 << 20;
/// Presentities whose last state is remembered, to tell what changed.
const KNOWN_MAX: usize = 200_000;
/// Events that are looked at for one reader at once.
const EVENTS_AT_ONCE: usize = 4_096;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    /// The note alone.
    Note,
    /// Something else, or it is not known what.
    State,
}

impl EventKind {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::State, Self::Note];

    /// The name of the event.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::State => "state",
        }
    }
}

/// The events that a reader wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventFilter {
    /// Of these domains; empty for all.
    pub(crate) domains: Vec<Box<str>>,
    /// Of these presentities; empty for all.
    pub(crate) aors: HashSet<Aor>,
    /// Of this kind; None for both.
    pub(crate) kind: Option<EventKind>,
}

impl EventFilter {
    /// Whether it lets events about a presentity pass.
    pub(crate) fn is_about(&self, aor: &Aor) -> bool {
        let mut domains = self.domains.iter();
        (self.domains.is_empty() || domains.any(|domain| **domain == *aor.domain()))
            && (self.aors.is_empty() || self.aors.contains(aor))
    }

    fn passes(&self, event: &Event) -> bool {
        self.kind.is_none_or(|kind| kind == event.kind) && self.is_about(&event.aor)
    }
}

/// Where a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resumption {
    /// Behind the event that it saw last.
    From(u64),
    /// At the end, after all states: it is new, or what it missed is not there any more.
    Anew(u64),
}

/// What is read from the log at once.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Events, and the number of the next one.
    Events(Bytes, u64),
    /// None that the reader wants up to here, and the number of the next one.
    More(u64),
    /// None that the reader wants up to the end, and the number of the next one.
    Nothing(u64),
    /// The next one is not there any more.
    Gap,
}

/// See the head of this file.
#[derive(Debug)]
pub(crate) struct EventLog {
    log: RefCell<Log>,
    readers: Cell<usize>,
    /// Whether shards tell changes.
    is_told: Cell<bool>,
    /// Goes up when the tokens may have changed: readers from before it end, and come back if they still may.
    admission: Cell<u64>,
    /// The directory by whose tokens readers are admitted.
    directory: RefCell<Arc<Directory>>,
}

#[derive(Debug)]
struct Log {
    epoch: u64,
    /// The number of the first event.
    first: u64,
    events: VecDeque<Event>,
    octets: usize,
    /// Hashes of the state and of the note of each presentity.
    known: HashMap<Aor, (u64, u64)>,
    hasher: RandomState,
    waiting: Vec<Waker>,
}

#[derive(Debug)]
struct Event {
    kind: EventKind,
    aor: Aor,
    text: Bytes,
}

impl Default for EventLog {
    fn default() -> Self {
        let hasher = RandomState::new();
        Self {
            log: RefCell::new(Log {
                epoch: hasher.hash_one(0) >> 16,
                first: 1,
                events: VecDeque::new(),
                octets: 0,
                known: HashMap::new(),
                hasher,
                waiting: Vec::new(),
            }),
            readers: Cell::new(0),
            is_told: Cell::new(false),
            admission: Cell::new(0),
            directory: RefCell::default(),
        }
    }
}

impl EventLog {
    /// Whether shards tell changes.
    pub(crate) fn is_told(&self) -> bool {
        self.is_told.get()
    }

    /// Shards tell changes from now on.
    pub(crate) fn start(&self) {
        self.is_told.set(true);
    }

    /// Shards stop to tell changes.
    pub(crate) fn stop(&self) {
        self.is_told.set(false);
        self.log.borrow_mut().begin_epoch();
    }

    /// Admits readers by the tokens of a directory from now on. If these may differ from the ones before,
    /// all readers end.
    pub(crate) fn admit_by(&self, directory: &Arc<Directory>) {
        let before = self.directory.replace(Arc::clone(directory));
        if !std::ptr::eq(before.tokens(), directory.tokens()) {
            self.admission.set(self.admission.get() + 1);
            self.wake();
        }
    }

    pub(super) fn admission(&self) -> u64 {
        self.admission.get()
    }

    /// Whether anything reads it.
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.get() > 0
    }

    /// How many readers there are.
    pub(crate) fn readers(&self) -> usize {
        self.readers.get()
    }

    /// One reader more.
    pub(super) fn join(&self) {
        self.readers.set(self.readers.get() + 1);
    }

    /// One reader less.
    pub(super) fn leave(&self) {
        self.readers.set(self.readers.get() - 1);
    }

    /// Appends a change, which `json` describes.
    pub(crate) fn append(&self, change: Change<'_>, json: &str) {
        self.log.borrow_mut().append(change, json);
    }

    /// Changes were lost: readers begin anew.
    pub(crate) fn note_lost(&self, lost: u64) {
        tracing::warn!(lost, "readers of events begin anew: they cannot keep up");
        self.log.borrow_mut().begin_epoch();
    }

    /// Wakes the readers that wait.
    pub(crate) fn wake(&self) {
        for waker in self.log.borrow_mut().waiting.drain(..) {
            waker.wake();
        }
    }

    /// Where a reader goes on that saw the event with that id last; None for a new reader.
    pub(crate) fn resume(&self, last: Option<&str>) -> Resumption {
        let log = self.log.borrow();
        let seen = last.and_then(|id| {
            let (epoch, number) = id.split_once('-')?;
            let epoch = u64::from_str_radix(epoch, 16).ok()?;
            let next = number.parse::<u64>().ok()?.checked_add(1)?;
            (epoch == log.epoch && (log.first..=log.end()).contains(&next)).then_some(next)
        });
        seen.map_or_else(|| Resumption::Anew(log.end()), Resumption::From)
    }

    /// The id of the event before number `next`.
    pub(crate) fn id_before(&self, next: u64) -> String {
        format!("{:x}-{}", self.log.borrow().epoch, next.wrapping_sub(1))
    }

    /// Reads from number `next` on, about that many octets.
    pub(super) fn read(&self, next: u64, filter: &EventFilter, octets: usize) -> Read {
        let log = self.log.borrow();
        let Some(skipped) = next.checked_sub(log.first).filter(|_| next <= log.end()) else {
            return Read::Gap;
        };
        let (mut next, mut text) = (next, Vec::new());
        let events = log.events.iter().skip(skipped as usize);
        for event in events.take(EVENTS_AT_ONCE) {
            next += 1;
            if filter.passes(event) {
                text.extend_from_slice(&event.text);
            }
            if text.len() >= octets {
                break;
            }
        }
        match text.is_empty() {
            true if next < log.end() => Read::More(next),
            true => Read::Nothing(next),
            false => Read::Events(text.into(), next),
        }
    }

    /// Wakes a reader at the next change.
    pub(super) fn wait(&self, waker: &Waker) {
        let waiting = &mut self.log.borrow_mut().waiting;
        if !waiting.iter().any(|other| other.will_wake(waker)) {
            waiting.push(waker.clone());
        }
    }
}

impl Log {
    /// The number of the next event.
    fn end(&self) -> u64 {
        self.first + self.events.len() as u64
    }

    /// Begins anew after a gap: no reader goes on from before it.
    fn begin_epoch(&mut self) {
        self.epoch += 1;
        // A place from before the gap is below the first number.
        self.first = self.end() + 1;
        self.events.clear();
        self.octets = 0;
        self.known.clear();
    }

    fn append(&mut self, change: Change<'_>, json: &str) {
        let kind = self.kind_of(change);
        let id = format!("{:x}-{}", self.epoch, self.end());
        let text = format!("id: {id}\nevent: {}\ndata: {json}\n\n", kind.as_str());
        self.octets += text.len();
        self.events.push_back(Event {
            kind,
            aor: change.state.aor.clone(),
            text: text.into(),
        });
        while self.events.len() > EVENTS_MAX || self.octets > OCTETS_MAX {
            if let Some(event) = self.events.pop_front() {
                self.octets -= event.text.len();
                self.first += 1;
            }
        }
    }

    fn kind_of(&mut self, change: Change<'_>) -> EventKind {
        let mut state = self.hasher.build_hasher();
        change.state.availability.as_str().hash(&mut state);
        change.state.is_open.hash(&mut state);
        change.state.lamp.as_str().hash(&mut state);
        change
            .state
            .extended
            .map(|extended| extended.as_str())
            .hash(&mut state);
        change.party.hash(&mut state);
        let hashes = (state.finish(), self.hasher.hash_one(change.note));
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&change.state.aor) {
            self.known.clear();
        }
        match self.known.insert(change.state.aor.clone(), hashes) {
            Some(before) if before.0 == hashes.0 && before.1 != hashes.1 => EventKind::Note,
            _ => EventKind::State,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::changes::{ChangeFeed, outbox_of};

    fn append(log: &EventLog, changes: &[(&str, &str)]) {
        let feed = ChangeFeed::default();
        feed.send(&outbox_of(changes));
        for change in feed.take().changes() {
            log.append(change, change.state.aor.as_str());
        }
    }

    /// The names of events and the users in them.
    fn read(log: &EventLog, next: u64, filter: &EventFilter) -> (Vec<(String, String)>, u64) {
        let (text, next) = match log.read(next, filter, 1 << 20) {
            Read::Events(text, next) => (text, next),
            Read::More(next) | Read::Nothing(next) => (Bytes::new(), next),
            Read::Gap => panic!("a gap"),
        };
        let text = String::from_utf8(text.to_vec()).unwrap();
        let event = |event: &str| {
            let field = |name: &str| {
                let mut lines = event.lines();
                lines
                    .find_map(|line| line.strip_prefix(name))
                    .unwrap()
                    .to_owned()
            };
            (field("event: "), field("data: "))
        };
        (text.split_terminator("\n\n").map(event).collect(), next)
    }

    #[test]
    fn a_reader_gets_what_it_wants_and_goes_on_where_it_was() {
        let log = EventLog::default();
        let Resumption::Anew(begin) = log.resume(None) else {
            panic!("it is new")
        };
        append(&log, &[("1", ""), ("2", ""), ("1", "lunch")]);
        let event = |name: &str, aor: &str| (name.to_owned(), aor.to_owned());
        let (all, next) = read(&log, begin, &EventFilter::default());
        assert_eq!(
            all,
            [
                event("state", "1@abc.com"),
                event("state", "2@abc.com"),
                event("note", "1@abc.com")
            ]
        );
        let notes = EventFilter {
            kind: Some(EventKind::Note),
            ..EventFilter::default()
        };
        assert_eq!(read(&log, begin, &notes).0, [event("note", "1@abc.com")]);
        let of_two = EventFilter {
            aors: HashSet::from([Aor::new("2", "abc.com")]),
            ..EventFilter::default()
        };
        assert_eq!(read(&log, begin, &of_two).0, [event("state", "2@abc.com")]);
        let elsewhere = EventFilter {
            domains: vec!["xyz.com".into()],
            ..EventFilter::default()
        };
        assert_eq!(read(&log, begin, &elsewhere), (vec![], next));
        let id = log.id_before(next);
        assert_eq!(log.resume(Some(&id)), Resumption::From(next));
        assert_eq!(
            log.resume(Some(&log.id_before(next - 1))),
            Resumption::From(next - 1)
        );
        for strange in [
            "",
            "1",
            "x-y",
            "0-0",
            "ffffffffffffffffff-0",
            "1-18446744073709551615",
        ] {
            assert_eq!(
                log.resume(Some(strange)),
                Resumption::Anew(next),
                "{strange}"
            );
        }
    }

    #[test]
    fn no_reader_goes_on_over_a_gap() {
        let log = EventLog::default();
        append(&log, &[("1", "")]);
        let id = log.id_before(2);
        log.note_lost(7);
        append(&log, &[("2", "")]);
        assert_eq!(log.read(2, &EventFilter::default(), 1), Read::Gap);
        let Resumption::Anew(next) = log.resume(Some(&id)) else {
            panic!("it has a gap")
        };
        assert_eq!(read(&log, next, &EventFilter::default()), (vec![], next));
        let (events, _) = read(&log, next - 1, &EventFilter::default());
        assert_eq!(events.len(), 1, "what came after it");
    }

    #[test]
    fn the_oldest_events_are_forgotten() {
        let log = EventLog::default();
        append(&log, &vec![("1", ""); EVENTS_MAX + 10]);
        assert_eq!(log.read(10, &EventFilter::default(), 1), Read::Gap);
        let Read::Events(_, next) = log.read(11, &EventFilter::default(), 1) else {
            panic!("it is there")
        };
        assert_eq!(next, 12, "about as many octets as asked for");
    }
}
