//! The places that we open streams to, because those of their phones ended, or because a NOTIFY is too
//! long for a datagram: what each is waited for, which of its addresses comes next, and when it may be
//! tried again.
//!
//! Invariants: at most one stream is being opened to a place, and at most one that we opened is open. A
//! place is forgotten when no dialog or NOTIFY waits for it and it does not rest. The addresses of a name are
//! tried in order, at once; then the place rests, twice as long after each time in a row that brought
//! no response, and its name is looked up again. NOTIFYs that are too long for a datagram wait for no
//! other place: their stream is open, or opened at once, or they go by UDP. A peer may show that its own
//! stream leads to a place (RFC 5923): that place is open as long as the stream.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::shard::container::slab::Slab;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::dial::{Dial, Lookup};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialId, DialogId, InFlightId};
use crate::shard::contract::options::Options;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::peer::endpoint::{Endpoint, Place};

/// Addresses of a name that are tried; further ones are not.
const ADDRESSES_MAX: usize = 8;

/// See [`Expected`].
const KNOWN: &str = "a place is known while a stream to it is opened or open";

/// The places.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    targets: Slab<DialId, Target>,
    ids: HashMap<Endpoint, DialId>,
    ids_by_connection: HashMap<ConnectionId, DialId>,
    /// Those in [`State::Queued`].
    queue: VecDeque<DialId>,
    /// How many are in [`State::Locating`] or [`State::Opening`].
    opening: usize,
}

/// A stream that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// To where.
    pub(crate) endpoint: Endpoint,
    /// The listener of the stream that ended, or of the datagrams.
    pub(crate) listener: u16,
    /// Our address there.
    pub(crate) local: SocketAddr,
}

#[derive(Debug)]
struct Target {
    wanted: Wanted,
    state: State,
    /// Attempts in a row that brought no response.
    failures: u32,
    /// Dialogs that wait for a stream.
    waiting: Vec<DialogId>,
    /// NOTIFYs too long for a datagram that wait for the stream, or were sent on it and have no response.
    detours: BTreeSet<InFlightId>,
    /// A stream for such a NOTIFY failed, so they go by UDP until the place has rested.
    is_avoided: bool,
    /// Its addresses that were not tried yet, the next one last.
    addresses: Vec<SocketAddr>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Its turn comes once fewer streams are being opened.
    Queued,
    /// Its name is being looked up.
    Locating,
    Opening,
    /// `is_alias`: the stream is one of the peer.
    Open {
        flow: Flow,
        is_alias: bool,
    },
    /// Until this timer fires.
    Resting(TimerHandle),
}

/// The stream of a NOTIFY that is too long for a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Detour {
    /// Its place.
    pub(crate) dial: DialId,
    /// None while it is being opened.
    pub(crate) flow: Option<Flow>,
}

/// Whether a dialog has a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// This one is open.
    Now(Flow),
    /// It waits for one.
    Later,
    /// None will be opened for it.
    Never,
}

impl Dials {
    /// A dialog needs a stream.
    pub(crate) fn reach(&mut self, wanted: Wanted, dialog: DialogId, turn: &mut Turn<'_>) -> Reach {
        let Some(id) = self.target_of(wanted, turn.options) else {
            turn.counters.dials_refused += 1;
            return Reach::Never;
        };
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return Reach::Never;
        };
        if let State::Open { flow, .. } = target.state {
            return Reach::Now(flow);
        }
        target.waiting.push(dialog);
        Reach::Later
    }

    /// The key of a place, which is queued if it is new; None if too many are known.
    fn target_of(&mut self, wanted: Wanted, options: &Options) -> Option<DialId> {
        if let Some(id) = self.ids.get(&wanted.endpoint) {
            return Some(*id);
        }
        if options.dials_max == 0 {
            return None;
        }
        let id = self.add(wanted, options)?;
        self.queue.push_back(id);
        Some(id)
    }

    /// Adds a place; None if too many are known.
    fn add(&mut self, wanted: Wanted, options: &Options) -> Option<DialId> {
        if self.ids.len() >= options.dial_targets_max {
            return None;
        }
        let endpoint = wanted.endpoint.clone();
        let id = self.targets.insert(Target {
            wanted,
            state: State::Queued,
            failures: 0,
            waiting: Vec::new(),
            detours: BTreeSet::new(),
            is_avoided: false,
            addresses: Vec::new(),
        });
        self.ids.insert(endpoint, id);
        Some(id)
    }

    /// A NOTIFY is too long for a datagram. None if no stream is open, none can be opened at once, or
    /// one failed a short time ago.
    pub(crate) fn detour(
        &mut self,
        wanted: Wanted,
        notify: InFlightId,
        turn: &mut Turn<'_>,
    ) -> Option<Detour> {
        let known = self.ids.get(&wanted.endpoint).copied();
        let dial = match known {
            Some(dial) => dial,
            None if self.opening < turn.options.dials_max => {
                let dial = self.add(wanted, turn.options)?;
                self.opening += 1;
                self.targets.get_mut(dial)?.begin(dial, turn);
                dial
            }
            None => return None,
        };
        let target = self.targets.get_mut(dial).expected(KNOWN)?;
        let flow = match target.state {
            State::Open { flow, .. } => Some(flow),
            State::Opening => None,
            State::Queued | State::Locating | State::Resting(_) => return None,
        };
        if target.is_avoided {
            return None;
        }
        target.detours.insert(notify);
        Some(Detour { dial, flow })
    }

    /// The NOTIFYs that wait for a stream, or were sent on it and have no response.
    pub(crate) fn detours(&self, id: DialId) -> Vec<InFlightId> {
        let target = self.targets.get(id).expected(KNOWN);
        target.map_or_else(Vec::new, |target| target.detours.iter().copied().collect())
    }

    /// A NOTIFY for which a stream is open, or being opened, has ended or goes by UDP. `has_failed`: it
    /// got no response on the stream.
    pub(crate) fn end_detour(&mut self, id: DialId, notify: InFlightId, has_failed: bool) {
        if let Some(target) = self.targets.get_mut(id).expected(KNOWN) {
            target.detours.remove(&notify);
            target.is_avoided |= has_failed;
        }
    }

    /// The stream of a peer leads to a place, unless one is being opened there. A stream leads to one
    /// place. Returns the key of the place, and the dialogs that waited for a stream.
    pub(crate) fn take_alias(
        &mut self,
        wanted: Wanted,
        flow: Flow,
        turn: &mut Turn<'_>,
    ) -> Option<(DialId, Vec<DialogId>)> {
        if self.ids_by_connection.contains_key(&flow.connection) {
            return None;
        }
        let known = self.ids.get(&wanted.endpoint).copied();
        let id = known.or_else(|| self.add(wanted, turn.options))?;
        let target = self.targets.get_mut(id).expected(KNOWN)?;
        match target.state {
            State::Locating | State::Opening => return None,
            State::Queued => self.queue.retain(|queued| *queued != id),
            State::Resting(timer) => turn.wheel.cancel(timer),
            // Of two streams the newer one works.
            State::Open { flow: before, .. } => {
                self.ids_by_connection.remove(&before.connection);
            }
        }
        turn.counters.aliases_taken += 1;
        target.state = State::Open {
            flow,
            is_alias: true,
        };
        target.is_avoided = false;
        self.ids_by_connection.insert(flow.connection, id);
        Some((id, std::mem::take(&mut target.waiting)))
    }

    /// What is wanted at a place.
    pub(crate) fn wanted(&self, id: DialId) -> Option<&Wanted> {
        Some(&self.targets.get(id).expected(KNOWN)?.wanted)
    }

    /// Opens streams to the places whose turn it is. `is_waiting`: whether a dialog still has no
    /// stream.
    pub(crate) fn open_queued(
        &mut self,
        is_waiting: impl Fn(DialogId) -> bool,
        turn: &mut Turn<'_>,
    ) {
        while self.opening < turn.options.dials_max {
            let Some(id) = self.queue.pop_front() else {
                return;
            };
            let Some(target) = self.targets.get_mut(id).expected("it is queued") else {
                continue;
            };
            target.waiting.retain(|dialog| is_waiting(*dialog));
            if target.waiting.is_empty() {
                self.forget(id);
                continue;
            }
            self.opening += 1;
            target.begin(id, turn);
        }
        turn.counters.dials_postponed += u64::from(!self.queue.is_empty());
    }

    fn forget(&mut self, id: DialId) {
        if let Some(target) = self.targets.remove(id).expected("it is forgotten once") {
            self.ids.remove(&target.wanted.endpoint);
        }
    }

    /// The addresses of a name, best first, without those that may not be dialed.
    pub(crate) fn located(
        &mut self,
        id: DialId,
        addresses: impl Iterator<Item = SocketAddr>,
        turn: &mut Turn<'_>,
    ) {
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return;
        };
        debug_assert!(matches!(target.state, State::Locating), "it was ordered");
        target.addresses = addresses.take(ADDRESSES_MAX).collect();
        target.addresses.reverse();
        if !target.open_next(id, turn) {
            turn.counters.lookups_failed += 1;
            self.opening -= 1;
            self.rest(id, true, turn);
        }
    }

    /// A stream is open. Returns the dialogs that waited for it.
    pub(crate) fn opened(&mut self, id: DialId, flow: Flow, turn: &mut Turn<'_>) -> Vec<DialogId> {
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return Vec::new();
        };
        debug_assert!(matches!(target.state, State::Opening), "it was ordered");
        turn.counters.dials_connected += 1;
        self.opening -= 1;
        target.state = State::Open {
            flow,
            is_alias: false,
        };
        target.is_avoided = false;
        self.ids_by_connection.insert(flow.connection, id);
        std::mem::take(&mut target.waiting)
    }

    /// A stream could not be opened: the next address is tried, or the place rests. Returns the NOTIFYs
    /// that go by UDP therefore.
    pub(crate) fn failed(&mut self, id: DialId, turn: &mut Turn<'_>) -> BTreeSet<InFlightId> {
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return BTreeSet::new();
        };
        turn.counters.dials_failed += 1;
        if target.open_next(id, turn) {
            return BTreeSet::new();
        }
        self.opening -= 1;
        let detours = target.take_detours();
        self.rest(id, true, turn);
        detours
    }

    /// Whether the stream that we opened leads to one of several addresses, and others were not tried yet.
    pub(crate) fn has_next_address(&self, connection: ConnectionId) -> bool {
        let id = self.ids_by_connection.get(&connection);
        let target = id.and_then(|id| self.targets.get(*id).expected(KNOWN));
        target.is_some_and(|target| !target.addresses.is_empty())
    }

    /// A stream ended, or is left for another. If it is one that we opened, its place rests; `has_failed`:
    /// a NOTIFY was left without a response, so the next address is tried at once, if there is one.
    /// Returns the NOTIFYs that go by UDP therefore.
    pub(crate) fn closed(
        &mut self,
        connection: ConnectionId,
        has_failed: bool,
        turn: &mut Turn<'_>,
    ) -> BTreeSet<InFlightId> {
        let Some(id) = self.ids_by_connection.remove(&connection) else {
            return BTreeSet::new();
        };
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return BTreeSet::new();
        };
        let is_alias = matches!(target.state, State::Open { is_alias: true, .. });
        let detours = target.take_detours();
        if is_alias && detours.is_empty() {
            // No attempt of ours failed.
            self.forget(id);
        } else if has_failed && !target.addresses.is_empty() {
            target.state = State::Queued;
            self.queue.push_back(id);
        } else {
            self.rest(id, has_failed, turn);
        }
        detours
    }

    fn rest(&mut self, id: DialId, has_failed: bool, turn: &mut Turn<'_>) {
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return;
        };
        let has_failed = has_failed || target.is_avoided;
        target.failures = if has_failed { target.failures + 1 } else { 0 };
        target.addresses.clear();
        // While UDP is a way to the phone, another attempt can wait.
        let pause = match target.is_avoided {
            true => turn.options.dial_pause_max,
            false => pause_after(target.failures, turn.options),
        };
        let until = turn.now + pause;
        target.state = State::Resting(turn.wheel.arm(until, Timer::Dial(id)));
    }

    /// A place has rested.
    pub(crate) fn handle_timer(&mut self, id: DialId) {
        let Some(target) = self.targets.get_mut(id).expected("its timer fired") else {
            return;
        };
        debug_assert!(matches!(target.state, State::Resting(_)), "it rests");
        target.state = State::Queued;
        target.is_avoided = false;
        self.queue.push_back(id);
    }
}

impl Target {
    /// The stream failed: the NOTIFYs that it was for go by UDP, and so do others for some time.
    fn take_detours(&mut self) -> BTreeSet<InFlightId> {
        self.is_avoided |= !self.detours.is_empty();
        std::mem::take(&mut self.detours)
    }

    /// Opens a stream to the next address; has the name looked up first, unless addresses of it are
    /// left.
    fn begin(&mut self, id: DialId, turn: &mut Turn<'_>) {
        match &self.wanted.endpoint.place {
            Place::Address(address) => self.addresses = vec![*address],
            Place::Name { .. } => {}
        }
        if self.open_next(id, turn) {
            return;
        }
        let question = self.wanted.endpoint.question(&self.wanted.local);
        if let Some(question) = question.expected("it has an address or a name") {
            self.state = State::Locating;
            turn.counters.lookups_begun += 1;
            turn.out.lookups.push(Lookup { id, question });
        }
    }

    /// Opens a stream to the next address; false if none is left.
    fn open_next(&mut self, id: DialId, turn: &mut Turn<'_>) -> bool {
        let Some(peer) = self.addresses.pop() else {
            return false;
        };
        let Wanted {
            endpoint,
            listener,
            local,
        } = &self.wanted;
        self.state = State::Opening;
        turn.counters.dials_begun += 1;
        turn.out.dials.push(Dial {
            id,
            transport: endpoint.transport,
            listener: *listener,
            local: *local,
            peer,
            host: endpoint.host().cloned(),
        });
        true
    }
}

/// How long a place rests after so many failures in a row.
fn pause_after(failures: u32, options: &Options) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = options.dial_pause_min * (1 << doublings);
    pause.min(options.dial_pause_max)
}
