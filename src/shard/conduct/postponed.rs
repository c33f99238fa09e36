//! Deferral of PUBLISHes: while NOTIFYs are queued, another PUBLISH only supersedes unsent state.

use crate::shard::conduct::Engine;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::turn::Turn;

/// Deferred PUBLISHes served per turn.
const READ_PER_TURN: usize = 64;

/// The beginning of every PUBLISH.
const PUBLISH: &[u8] = b"PUBLISH ";

impl Engine {
    /// Defers a PUBLISH if NOTIFYs are queued. False if the message is to be handled now.
    pub(crate) fn postpone(&mut self, flow: Flow, octets: &[u8], turn: &mut Turn<'_>) -> bool {
        let is_wanted = self.subscriptions.is_telling(turn) || !self.publish_queue.is_empty();
        if !is_wanted || !octets.starts_with(PUBLISH) {
            return false;
        }
        while self.publish_queue.octets + octets.len() > turn.options.overload.postponed_octets_max
        {
            let Some((flow, oldest)) = self.publish_queue.pop() else {
                return false;
            };
            turn.counters.postponements_cut_short += 1;
            self.handle_octets(flow, &oldest, None, false, turn);
        }
        turn.counters.requests_postponed += 1;
        self.publish_queue.push(flow, octets);
        true
    }

    /// Serves deferred PUBLISHes while few NOTIFYs are queued, and at least one per turn, because
    /// changes from other sources must not delay PUBLISHes for ever. A refused PUBLISH does not
    /// count, so that unauthenticated senders delay nobody.
    pub(crate) fn read_postponed(&mut self, turn: &mut Turn<'_>) {
        let mut has_read = false;
        for _ in 0..READ_PER_TURN {
            if has_read && self.subscriptions.is_telling(turn) {
                return;
            }
            let Some((flow, octets)) = self.publish_queue.pop() else {
                return;
            };
            let refused = turn.counters.requests_refused;
            self.handle_octets(flow, &octets, None, false, turn);
            has_read |= turn.counters.requests_refused == refused;
        }
    }
}
