//! PUBLISHes that nobody has read yet, because those who are to be told earlier changes are many
//! (W:A1.21, B1.11).
//!
//! While watchers wait, one more change of whom they watch would only overtake the one they wait
//! for, and reading it takes the time to tell them. So a PUBLISH waits until few NOTIFYs are owed,
//! behind those that came before it, and no lamp is the later for it: its watchers would have waited
//! behind the same NOTIFYs. A publisher has one PUBLISH of its user under way at a time (RFC 3903
//! §4), so under overload all of them slow down to what their watchers can be told. Those that do not
//! wait for it fill the place there is; then the oldest is read at once for each that comes. Nothing
//! is refused, because what a source says and nobody repeats would leave a lamp wrong.

use std::collections::VecDeque;

use crate::shard::engine::Engine;
use crate::shard::flow::Flow;
use crate::shard::subscriptions::Subscriptions;
use crate::shard::turn::Turn;

/// PUBLISHes of those that waited that a turn reads.
const READ_PER_TURN: usize = 64;
/// What begins a PUBLISH.
const PUBLISH: &[u8] = b"PUBLISH ";

/// Messages in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Postponed {
    messages: VecDeque<(Flow, Box<[u8]>)>,
    octets: usize,
}

impl Postponed {
    /// Whether none waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    fn push(&mut self, flow: Flow, octets: &[u8]) {
        self.octets += octets.len();
        self.messages.push_back((flow, octets.into()));
    }

    fn pop(&mut self) -> Option<(Flow, Box<[u8]>)> {
        let (flow, octets) = self.messages.pop_front()?;
        self.octets -= octets.len();
        Some((flow, octets))
    }
}

impl Engine {
    /// Keeps a PUBLISH for later, when that is wanted. False: it is to be read now.
    pub(crate) fn postpone(&mut self, flow: Flow, octets: &[u8], turn: &mut Turn<'_>) -> bool {
        let is_wanted = self.subscriptions.is_telling(turn) || !self.postponed.is_empty();
        if !is_wanted || !octets.starts_with(PUBLISH) {
            return false;
        }
        while self.postponed.octets + octets.len() > turn.options.shield.postponed_octets_max {
            let Some((flow, oldest)) = self.postponed.pop() else {
                return false;
            };
            turn.counters.postponements_cut_short += 1;
            self.handle_octets(flow, &oldest, None, false, turn);
        }
        turn.counters.requests_postponed += 1;
        self.postponed.push(flow, octets);
        true
    }

    /// Reads some of what waits, as long as few NOTIFYs are owed; one even else, because changes
    /// come by other ways too, and a storm of those must not keep a PUBLISH waiting for ever. One
    /// that is refused does not count: a stranger's keep nobody waiting.
    pub(crate) fn read_postponed(&mut self, turn: &mut Turn<'_>) {
        let mut has_read = false;
        for _ in 0..READ_PER_TURN {
            if has_read && self.subscriptions.is_telling(turn) {
                return;
            }
            let Some((flow, octets)) = self.postponed.pop() else {
                return;
            };
            let refused = turn.counters.requests_refused;
            self.handle_octets(flow, &octets, None, false, turn);
            has_read |= turn.counters.requests_refused == refused;
        }
    }
}

impl Subscriptions {
    /// Whether so many NOTIFYs are owed that PUBLISHes wait for them.
    pub(super) fn is_telling(&self, turn: &Turn<'_>) -> bool {
        self.table.queue.len() >= turn.options.shield.postpone_at && !self.is_draining
    }
}
