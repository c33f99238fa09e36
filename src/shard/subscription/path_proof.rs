//! Whether what is sent to a phone is known to arrive there, by the table of dialogs.

use crate::shard::contract::ids::DialogId;
use crate::shard::contract::ids::InFlightId;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::turn::Turn;
use crate::shard::peer::next_hop::next_hop;
use crate::shard::peer::path::Way;
use crate::shard::peer::path::WayId;
use crate::shard::request::Request;
use crate::shard::request::refusal::Kind;
use crate::shard::request::refusal::Refusal;
use crate::shard::subscription::table::Table;
use crate::sip::dialog::Dialog;

impl Table {
    /// Whether what we send to a phone is known to arrive.
    pub(crate) fn is_path_proven(&self, way: WayId) -> bool {
        self.ways.probe(way).is_none()
    }

    /// Whether one more dialog may begin over its path: few may wait for a proof that never comes.
    pub(crate) fn check_path<'d>(
        &self,
        request: &Request<'_>,
        dialog: &Dialog,
        turn: &Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let way = Way {
            flow: request.flow,
            destination: next_hop(request, dialog),
        };
        let is_full = self.ways.find(&way).is_some_and(|way| {
            let dialogs = self.ways.dialogs(way);
            !self.is_path_proven(way) && dialogs >= turn.options.shield.unproven_max
        });
        if is_full {
            Err(Refusal::Shed(Kind::Path))
        } else {
            Ok(())
        }
    }

    /// Whether a NOTIFY of a subscription may go over its path now. If not, it waits: the answer to
    /// the NOTIFY that is under way brings it about, or the end of that one's retransmissions.
    pub(crate) fn may_use_path(
        &mut self,
        id: SubscriptionId,
        way: WayId,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(probe) = self.ways.probe_mut(way) else {
            return true;
        };
        if probe.asking.is_none() {
            return true;
        }
        probe.waiting.push(id);
        if let Some(subscription) = self.subscription_mut(id) {
            subscription.is_queued = true;
        }
        turn.counters.notifies_unproven += 1;
        false
    }

    /// The path is proven: whatever waited for that goes now.
    pub(crate) fn prove_path(&mut self, way: WayId) {
        if let Some(probe) = self.ways.prove(way) {
            self.queue_again(&probe.waiting);
        }
    }

    /// A SUBSCRIBE in a dialog shows that our 2xx arrived, with the tag that nobody can guess, unless
    /// that went another way.
    pub(crate) fn prove_path_by_tag(&mut self, request: &Request<'_>, id: DialogId) {
        let unmoved = self.dialog(id).filter(|entry| !entry.has_moved);
        if let Some(way) = unmoved.map(|entry| entry.way)
            && self.ways.of(way).destination == request.flow.peer
        {
            self.prove_path(way);
        }
    }

    /// Another NOTIFY may ask for the path's proof.
    pub(crate) fn end_turn(&mut self, id: InFlightId, way: WayId) {
        let Some(probe) = self.ways.probe_mut(way) else {
            return;
        };
        if probe.asking == Some(id) {
            probe.asking = None;
            let waiting = std::mem::take(&mut probe.waiting);
            self.queue_again(&waiting);
        }
    }

    /// Queues subscriptions that wait elsewhere. One that is queued already finds nothing to tell
    /// the second time.
    pub(crate) fn queue_again(&mut self, waiting: &[SubscriptionId]) {
        for id in waiting {
            let subscription = self.subscription(*id);
            if let Some(subscription) = subscription.filter(|it| it.is_queued) {
                self.queue.push(*id, subscription.wants);
            }
        }
    }
}
