//! The notifier (RFC 6665 §4.2): outstanding NOTIFYs and the buffers used to write them.
//!
//! Other rooms use [`Notifier`] by these functions:
//! - the NOTIFYs that are due: `send_queued`, which sends them in order until the turn is full;
//! - a response to a NOTIFY: `handle_response`; `handle_plain_response` for one whose Via does not
//!   name the transaction;
//! - no response: `handle_notify_timer` for a retransmission or Timer F, `handle_closed` for a
//!   connection that broke, `release_phone` for a phone whose rate limit allows a NOTIFY again;
//! - a SUBSCRIBE: `refresh` in a dialog; `contact_of` for the Contact of its 200; after that
//!   `replace_older` for a phone that subscribes again in a new dialog, `remove_subscription`;
//! - the operator: `outstanding`, `outcomes`.

pub(crate) mod body_cache;
pub(crate) mod content;
pub(crate) mod copies;
pub(crate) mod cut;
pub(crate) mod detour;
pub(crate) mod gso_padding;
pub(crate) mod list;
pub(crate) mod outcomes;
pub(crate) mod path_proof;
pub(crate) mod refresh;
pub(crate) mod response;
pub(crate) mod send;
pub(crate) mod suppress;
pub(crate) mod target;
pub(crate) mod timers;
pub(crate) mod writer;

use crate::presence::document::deflate::Deflater;
use crate::shard::container::slab::Slab;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::counters::NotifyOutcomes;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{InFlightId, PathId, SubscriptionId};
use crate::shard::contract::options::Options;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::body_cache::BodyCache;
use crate::shard::notify::copies::{Copies, Kept};
use crate::shard::notify::detour::Detour;
use crate::shard::notify::gso_padding::GsoPadding;
use crate::shard::notify::list::selection::Selection;
use crate::shard::notify::outcomes::Outcomes;
use crate::shard::peer::local_address::LocalAddresses;
use crate::shard::peer::routing_token::RoutingToken;
use crate::shard::request::Request;
use crate::sip::dialog::names_secure_hop;
use crate::sip::transaction::client::ClientTransaction;

/// A NOTIFY without a final response.
#[derive(Debug)]
pub(crate) struct InFlight {
    token: RoutingToken,
    sequence: u32,
    /// None when the subscription is gone: this was its last NOTIFY.
    subscription: Option<SubscriptionId>,
    flow: Flow,
    transaction: ClientTransaction,
    timer: TimerHandle,
    /// The copy for retransmission.
    kept: Kept,
    /// Its stream, if it is too long for a datagram; boxed, as nearly no NOTIFY has one.
    detour: Option<Box<Detour>>,
    /// The path that it holds: one that was not proven when the NOTIFY was sent, or that of a
    /// removed subscription.
    held_path: Option<PathId>,
}

/// NOTIFYs on their way, and what they are written with.
#[derive(Debug)]
pub(crate) struct Notifier {
    local_addresses: LocalAddresses,
    bodies: BodyCache,
    in_flight: Slab<InFlightId, InFlight>,
    copies: Copies,
    /// The part of the current body that is specific to its subscription.
    prolog: Vec<u8>,
    deflater: Deflater,
    gso_padding: GsoPadding,
    /// The list resources selected for the current NOTIFY.
    selection: Selection,
    outcomes: Outcomes,
}

impl Notifier {
    /// Creates a notifier without outstanding NOTIFYs.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            local_addresses: LocalAddresses::new(options.advertise.clone()),
            bodies: BodyCache::default(),
            in_flight: Slab::default(),
            copies: Copies::default(),
            prolog: Vec::new(),
            deflater: Deflater::default(),
            gso_padding: GsoPadding::default(),
            selection: Selection::default(),
            outcomes: Outcomes::default(),
        }
    }

    /// Number of outstanding NOTIFYs.
    pub(crate) fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    /// NOTIFYs that ended since the start.
    pub(crate) fn outcomes(&self) -> Vec<NotifyOutcomes> {
        self.outcomes.all()
    }

    /// Counts a NOTIFY that ended; the subscription is None if it is gone.
    fn count_outcome(
        &mut self,
        id: Option<SubscriptionId>,
        status: Option<u16>,
        subscriptions: &Subscriptions,
    ) {
        let table = subscriptions.table();
        let dialog = id.and_then(|id| table.dialog(table.subscription(id)?.dialog()));
        let profile = dialog.map(|dialog| &**dialog.profile());
        self.outcomes.count(profile, status);
    }

    /// The Contact that names us to the sender of a request.
    pub(crate) fn contact_of(&mut self, request: &Request<'_>) -> &[u8] {
        let local = self.local_addresses.of(&request.flow);
        local.contact(|| names_secure_hop(request.message))
    }

    /// Detaches the outstanding NOTIFY of a subscription that is about to be removed. Until it ends
    /// it holds its path: otherwise a path that is proven would be forgotten with its last dialog,
    /// and the next dialog on it would have to prove it again.
    pub(crate) fn detach(&mut self, id: SubscriptionId, subscriptions: &mut Subscriptions) {
        let recipient = subscriptions.table_mut().recipient(id);
        let Some(recipient) = recipient.expected("a subscription is removed once") else {
            return;
        };
        let Some(in_flight) = recipient.subscription.in_flight() else {
            return;
        };
        let in_flight = self.in_flight.get_mut(in_flight);
        if let Some(in_flight) = in_flight.expected("a subscription's NOTIFY is outstanding") {
            let path = recipient.dialog.path();
            in_flight.subscription = None;
            in_flight
                .held_path
                .get_or_insert_with(|| recipient.paths.hold(path));
        }
    }

    /// Ends a NOTIFY transaction and frees its copy.
    pub(crate) fn end(&mut self, id: InFlightId) -> Option<InFlight> {
        let in_flight = self.in_flight.remove(id);
        let mut in_flight = in_flight.expected("a NOTIFY ends once")?;
        self.copies.forget(std::mem::take(&mut in_flight.kept));
        Some(in_flight)
    }
}
