//! The notifier (RFC 6665 §4.2): outstanding NOTIFYs and the buffers used to write them.

pub(crate) mod body_cache;
pub(crate) mod content;
pub(crate) mod cut;
pub(crate) mod gso_padding;
pub(crate) mod list;
pub(crate) mod path_proof;
pub(crate) mod response;
pub(crate) mod retransmit;
pub(crate) mod send;
pub(crate) mod silence;
pub(crate) mod suppress;
pub(crate) mod target;
pub(crate) mod writer;

use slab::Slab;

use crate::presence::document::deflate::Deflater;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{InFlightId, PathId, SubscriptionId};
use crate::shard::contract::options::Options;
use crate::shard::notify::body_cache::Bodies;
use crate::shard::notify::gso_padding::Trains;
use crate::shard::notify::list::selection::Selection;
use crate::shard::notify::retransmit::{Copies, Kept};
use crate::shard::peer::local_address::LocalAddresses;
use crate::shard::peer::routing_token::RoutingToken;
use crate::sip::transaction::client::ClientTransaction;

/// A NOTIFY without a final response.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) token: RoutingToken,
    pub(crate) sequence: u32,
    /// None when the subscription is gone: this was its last NOTIFY.
    pub(crate) subscription: Option<SubscriptionId>,
    pub(crate) flow: Flow,
    pub(crate) transaction: ClientTransaction,
    pub(crate) timer: TimerHandle,
    /// The copy for retransmission.
    pub(crate) kept: Kept,
    /// The way it went, when nothing proved yet that what goes there arrives.
    pub(crate) probed: Option<PathId>,
}

/// NOTIFYs on their way, and what they are written with.
#[derive(Debug)]
pub(crate) struct Notifier {
    local_addresses: LocalAddresses,
    bodies: Bodies,
    in_flight: Slab<InFlight>,
    copies: Copies,
    /// What of the body at hand is its subscription's own.
    prolog: Vec<u8>,
    deflater: Deflater,
    trains: Trains,
    /// The list resources selected for the current NOTIFY.
    selection: Selection,
}

impl Notifier {
    /// Creates a notifier without outstanding NOTIFYs.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            local_addresses: LocalAddresses::new(options.advertise.clone()),
            bodies: Bodies::default(),
            in_flight: Slab::new(),
            copies: Copies::default(),
            prolog: Vec::new(),
            deflater: Deflater::default(),
            trains: Trains::default(),
            selection: Selection::default(),
        }
    }

    /// Number of outstanding NOTIFYs.
    pub(crate) fn outstanding(&self) -> usize {
        self.in_flight.len()
    }

    /// The Contact that names us on that flow.
    pub(crate) fn contact_of(&mut self, flow: &Flow) -> &[u8] {
        &self.local_addresses.of(flow).contact
    }

    /// Detaches an outstanding NOTIFY from its removed subscription.
    pub(crate) fn orphan(&mut self, id: InFlightId) {
        let in_flight = self.in_flight.get_mut(id.index());
        if let Some(in_flight) = in_flight.expected("a subscription's NOTIFY is outstanding") {
            in_flight.subscription = None;
        }
    }

    /// Ends a NOTIFY transaction and frees its copy.
    pub(crate) fn end(&mut self, id: InFlightId) -> Option<InFlight> {
        let in_flight = self.in_flight.try_remove(id.index());
        let mut in_flight = in_flight.expected("a NOTIFY ends once")?;
        self.copies.forget(std::mem::take(&mut in_flight.kept));
        Some(in_flight)
    }
}
