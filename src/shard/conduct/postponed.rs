//! PUBLISHs are read later while NOTIFYs are queued: another state would only supersede an unsent
//! one.

use crate::shard::conduct::Engine;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::turn::Turn;

/// PUBLISHes of those that waited that a turn reads.
const READ_PER_TURN: usize = 64;

/// What begins a PUBLISH.
const PUBLISH: &[u8] = b"PUBLISH ";

impl Engine {
    /// Keeps a PUBLISH for later, when that is wanted. False: it is to be read now.
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

    /// Reads some of what waits, as long as few NOTIFYs are owed; one even else, because changes
    /// come by other ways too, and a storm of those must not keep a PUBLISH waiting for ever. One
    /// that is refused does not count: a stranger's keep nobody waiting.
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
