//! The addresses that we open streams to, because those of their phones ended: what each is waited for,
//! and when it may be tried again.
//!
//! Invariants: at most one stream is being opened to an address, and at most one that we opened is
//! open. An address is forgotten when no dialog waits for it and it does not rest. Between two attempts
//! it rests, twice as long after each attempt in a row that brought no response.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::shard::container::slab::Slab;
use crate::shard::contract::dial::Dial;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialId, DialogId};
use crate::shard::contract::options::Options;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::sip::Transport;

/// See [`Expected`].
const KNOWN: &str = "an address is known while a stream to it is opened or open";

/// The addresses.
#[derive(Debug, Default)]
pub(crate) struct Dials {
    targets: Slab<DialId, Target>,
    ids: HashMap<(Transport, SocketAddr), DialId>,
    ids_by_connection: HashMap<ConnectionId, DialId>,
    /// Those in [`State::Queued`].
    queue: VecDeque<DialId>,
    /// How many are in [`State::Opening`].
    opening: usize,
}

#[derive(Debug)]
struct Target {
    dial: Dial,
    state: State,
    /// Attempts in a row that brought no response.
    failures: u32,
    /// Dialogs that wait for a stream.
    waiting: Vec<DialogId>,
}

#[derive(Debug)]
enum State {
    /// Its turn comes once fewer streams are being opened.
    Queued,
    Opening,
    Open(Flow),
    /// Until its timer fires.
    Resting,
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
    /// A dialog needs a stream to an address.
    pub(crate) fn reach(&mut self, dial: Dial, dialog: DialogId, turn: &mut Turn<'_>) -> Reach {
        let Some(id) = self.target_of(dial, turn.options) else {
            turn.counters.dials_refused += 1;
            return Reach::Never;
        };
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return Reach::Never;
        };
        if let State::Open(flow) = target.state {
            return Reach::Now(flow);
        }
        target.waiting.push(dialog);
        Reach::Later
    }

    /// The key of an address, which is queued if it is new; None if too many are known.
    fn target_of(&mut self, dial: Dial, options: &Options) -> Option<DialId> {
        let key = (dial.transport, dial.peer);
        if let Some(id) = self.ids.get(&key) {
            return Some(*id);
        }
        if self.ids.len() >= options.dial_targets_max || options.dials_max == 0 {
            return None;
        }
        let id = self.targets.insert(Target {
            dial,
            state: State::Queued,
            failures: 0,
            waiting: Vec::new(),
        });
        self.ids.insert(key, id);
        self.queue.push_back(id);
        Some(id)
    }

    /// Opens streams to the addresses whose turn it is. `is_waiting`: whether a dialog still has no
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
            target.state = State::Opening;
            self.opening += 1;
            turn.counters.dials_begun += 1;
            turn.out.dials.push(target.dial);
        }
        turn.counters.dials_postponed += u64::from(!self.queue.is_empty());
    }

    fn forget(&mut self, id: DialId) {
        if let Some(target) = self.targets.remove(id).expected("it is forgotten once") {
            self.ids.remove(&(target.dial.transport, target.dial.peer));
        }
    }

    /// A stream is open. Returns the dialogs that waited for it.
    pub(crate) fn opened(&mut self, flow: Flow, turn: &mut Turn<'_>) -> Vec<DialogId> {
        let id = self.ids.get(&(flow.transport, flow.peer)).copied();
        let target = id.and_then(|id| self.targets.get_mut(id));
        let (Some(id), Some(target)) = (id, target.expected(KNOWN)) else {
            return Vec::new();
        };
        debug_assert!(matches!(target.state, State::Opening), "it was ordered");
        turn.counters.dials_connected += 1;
        self.opening -= 1;
        target.state = State::Open(flow);
        self.ids_by_connection.insert(flow.connection, id);
        std::mem::take(&mut target.waiting)
    }

    /// A stream could not be opened: its address rests.
    pub(crate) fn failed(&mut self, dial: &Dial, turn: &mut Turn<'_>) {
        let id = self.ids.get(&(dial.transport, dial.peer)).copied();
        if let Some(id) = id.expected(KNOWN) {
            turn.counters.dials_failed += 1;
            self.opening -= 1;
            self.rest(id, true, turn);
        }
    }

    /// A stream ended. If it is one that we opened, its address rests; `has_failed`: a NOTIFY was left
    /// without a response.
    pub(crate) fn closed(
        &mut self,
        connection: ConnectionId,
        has_failed: bool,
        turn: &mut Turn<'_>,
    ) {
        if let Some(id) = self.ids_by_connection.remove(&connection) {
            self.rest(id, has_failed, turn);
        }
    }

    fn rest(&mut self, id: DialId, has_failed: bool, turn: &mut Turn<'_>) {
        let Some(target) = self.targets.get_mut(id).expected(KNOWN) else {
            return;
        };
        target.failures = if has_failed { target.failures + 1 } else { 0 };
        let until = turn.now + pause_after(target.failures, turn.options);
        target.state = State::Resting;
        turn.wheel.arm(until, Timer::Dial(id));
    }

    /// An address has rested.
    pub(crate) fn handle_timer(&mut self, id: DialId) {
        let Some(target) = self.targets.get_mut(id).expected("its timer fired") else {
            return;
        };
        debug_assert!(matches!(target.state, State::Resting), "it rests");
        target.state = State::Queued;
        self.queue.push_back(id);
    }
}

/// How long an address rests after so many failures in a row.
fn pause_after(failures: u32, options: &Options) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let pause = options.dial_pause_min * (1 << doublings);
    pause.min(options.dial_pause_max)
}
