//! Whether what we send to an address arrives there. A SUBSCRIBE can be sent under the address of a
//! victim; until that address has shown that it gets what we send, it gets next to nothing.
//!
//! A path is proven by a response to a NOTIFY of ours that went over it, by a digest with a nonce
//! that we sent to that address, by a SUBSCRIBE with our tag that was sent nowhere else, or by a
//! stream. It stays so while a dialog uses its way. How
//! requests are authenticated makes no difference: a trusted address can be forged as well.
//!
//! Invariants, while a path is not proven:
//! - one NOTIFY at a time asks for its proof, and is sent again [`RETRANSMISSIONS_MAX`] times at
//!   most; the other subscriptions wait for its answer, or for their turn;
//! - so many dialogs begin over it, and no more: their SUBSCRIBEs are 503;
//! - no body of more than [`BODY_OCTETS_MAX`] octets is sent; a NOTIFY without a body goes first;
//! - a subscription whose NOTIFY is not answered goes, without another try, and all that waited
//!   with it.

use crate::shard::content::Content;
use crate::shard::content::Written;
use crate::shard::directory::Domain;
use crate::shard::engine::Engine;
use crate::shard::hop::next_hop;
use crate::shard::notify::InFlight;
use crate::shard::notify::InFlightId;
use crate::shard::notify::Notifier;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::respond::is_salt_for;
use crate::shard::shield::Kind;
use crate::shard::subscriptions::Subscriptions;
use crate::shard::table::DialogId;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::turn::Turn;
use crate::shard::ways::Way;
use crate::shard::ways::WayId;
use crate::shard::ways::Ways;
use crate::sip::dialog::Dialog;

/// Retransmissions of a NOTIFY over a path that is not proven.
pub(crate) const RETRANSMISSIONS_MAX: u8 = 3;
/// Octets of the longest body over a path that is not proven.
const BODY_OCTETS_MAX: usize = 1400;

/// The proof of a path that is still to come.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// The NOTIFY whose answer will prove the path.
    asking: Option<InFlightId>,
    /// Subscriptions that wait for it.
    waiting: Vec<SubscriptionId>,
}

impl Ways {
    /// A NOTIFY goes out; if its path is not proven, its answer will prove it. Such a NOTIFY holds
    /// the way, so that no end of its dialog makes the path forget that it was asked.
    pub(crate) fn ask_for_proof(&mut self, way: WayId, id: InFlightId) -> Option<WayId> {
        self.probe_mut(way)?.asking = Some(id);
        self.hold(way);
        Some(way)
    }
}

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
    fn end_turn(&mut self, id: InFlightId, way: WayId) {
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

impl Notifier {
    /// Writes the body of a NOTIFY, unless it is too long for a path that is not proven: then it is
    /// withheld, and all of it follows once the path is proven.
    pub(crate) fn write_body_for_path(
        &mut self,
        id: SubscriptionId,
        content: &mut Content,
        way: WayId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> Option<Written> {
        if subscriptions.table.is_path_proven(way) {
            return self.write_body(id, content, subscriptions, turn);
        }
        // Writing a list takes note of what is told, so a long one is not even begun.
        let is_long_list =
            matches!(content, Content::Resources) && self.selection.octets() > BODY_OCTETS_MAX;
        if !is_long_list {
            let body = self.write_body(id, content, subscriptions, turn)?;
            if self.prolog.len() + body.octets.len() <= BODY_OCTETS_MAX {
                return Some(body);
            }
            subscriptions.table.subscription_mut(id)?.forget_shown();
        }
        self.prolog.clear();
        *content = Content::Withheld;
        None
    }

    /// Whether a NOTIFY that nobody answered yet may be sent once more.
    pub(crate) fn may_retransmit(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> bool {
        let Some(in_flight) = self.in_flight.get(id.place()) else {
            return false;
        };
        let sent_again = in_flight.transaction.retransmissions();
        let unproven = in_flight
            .probed
            .filter(|way| !subscriptions.table.is_path_proven(*way));
        let Some(way) = unproven.filter(|_| sent_again > RETRANSMISSIONS_MAX) else {
            return true;
        };
        subscriptions.table.end_turn(id, way);
        false
    }

    /// A NOTIFY is answered, which proves its path.
    pub(crate) fn end_answered(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> Option<InFlight> {
        let probed = self.in_flight.get(id.place())?.probed;
        if let Some(way) = probed {
            subscriptions.table.prove_path(way);
        }
        self.end_notify(id, subscriptions)
    }

    /// A NOTIFY is over, answered or not: it is not sent again.
    pub(crate) fn end_notify(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
    ) -> Option<InFlight> {
        let in_flight = self.end(id)?;
        if let Some(way) = in_flight.probed {
            subscriptions.table.end_turn(id, way);
            subscriptions.table.ways.let_go(way);
        }
        Some(in_flight)
    }

    /// A NOTIFY over a path that is not proven was not answered in time: what waited for its answer
    /// goes with it.
    pub(crate) fn give_up_path(
        &mut self,
        way: WayId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let probe = subscriptions.table.ways.probe_mut(way);
        let waiting = probe.map(|probe| std::mem::take(&mut probe.waiting));
        for id in waiting.unwrap_or_default() {
            let subscription = subscriptions.table.subscription(id);
            let dialog = subscription.and_then(|it| subscriptions.table.dialog(it.dialog));
            // The place may be another subscription's by turn.now.
            if dialog.is_some_and(|entry| entry.way == way) {
                turn.counters.subscriptions_unanswered += 1;
                self.remove_subscription(id, subscriptions, turn);
            }
        }
    }
}

impl Engine {
    /// A SUBSCRIBE whose digest has a nonce that we sent to the address it comes from shows that the
    /// nonce arrived there.
    pub(crate) fn prove_path_by_digest(
        &mut self,
        request: &Request<'_>,
        domain: &Domain,
        id: DialogId,
        turn: &Turn<'_>,
    ) {
        let Some(way) = self.subscriptions.table.dialog(id).map(|entry| entry.way) else {
            return;
        };
        let is_of_peer = self.subscriptions.table.ways.of(way).destination == request.flow.peer;
        if !is_of_peer || self.subscriptions.table.is_path_proven(way) {
            return;
        }
        let uptime = turn.now.saturating_duration_since(turn.options.epoch);
        let salt = self
            .uas
            .authenticator
            .salt_of(request.message, &domain.name, uptime);
        if salt.is_some_and(|salt| is_salt_for(salt, request.flow.peer, turn)) {
            self.subscriptions.table.prove_path(way);
        }
    }
}
