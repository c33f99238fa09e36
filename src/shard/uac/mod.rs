//! The user agent client (RFC 3261 §8.1): our SUBSCRIBEs and PUBLISHes to other servers, and the
//! NOTIFYs that come back. NOTIFYs of our own subscriptions are the business of `notify`.
//!
//! - `transactions`: non-INVITE client transactions, for any method (RFC 3261 §17.1.2).
//! - `client`: what a subscription and a publication of ours have in common: target, credentials,
//!   the request that is under way, refresh, retry, end.
//! - `subscriber`: the dialog of a subscription of ours (RFC 6665 §4.1, §4.4.1).
//! - `publisher`: the entity tag of a publication of ours, and its document (RFC 3903 §4).
//! - `response`, `notification`: the responses and NOTIFYs of the server, and their effect.
//! - `purpose`, `log`: what a client is for, and the events that an operator can read.
//! - `upstream`: the subscriptions of connectors; `upstream_list`, `roster`: those that cover many users; `relay`: the
//!   publications of relays; `link`: whether the server of a connector or relay can be used, and when; `location`: where
//!   it is.
//!
//! Guarantees: nothing here allocates or costs time on the way of a NOTIFY of ours to a phone. A
//! client has at most one outstanding request. It sends nothing to a host that the operator did not
//! name. A probe ends at its time, and at the latest 32 s after that it is gone.

pub(crate) mod client;
pub(crate) mod link;
mod location;
pub(crate) mod log;
pub(crate) mod notification;
pub(crate) mod publisher;
pub(crate) mod purpose;
mod relay;
pub(crate) mod response;
pub(crate) mod roster;
pub(crate) mod subscriber;
pub(crate) mod transactions;
pub(crate) mod upstream;
pub(crate) mod upstream_list;
pub(crate) mod writer;

use crate::shard::container::slab::Slab;
use crate::shard::contract::command::Reply;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{ClientId, ClientTransactionId, LinkId};
use crate::shard::contract::options::Options;
use crate::shard::contract::probe::{ProbeId, ProbeOrder, ProbeReport, ProbeTask};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::local_address::LocalAddresses;
use crate::shard::peer::routing_token::RoutingToken;
use crate::shard::uac::client::{Beginning, Client, Role};
use crate::shard::uac::link::Link;
use crate::shard::uac::log::Log;
use crate::shard::uac::publisher::Publisher;
use crate::shard::uac::purpose::Purpose;
use crate::shard::uac::response::Outcome;
use crate::shard::uac::subscriber::Subscriber;
use crate::shard::uac::transactions::{ClientTransactions, Due};
use crate::sip::Message;

/// The least Expires that a probe asks for: many servers refuse a shorter one with 423.
const PROBE_EXPIRES_MIN: u32 = 60;

/// Our subscriptions and publications at other servers, and their client transactions.
#[derive(Debug)]
pub(crate) struct Uac {
    clients: Slab<ClientId, Box<Client>>,
    links: Slab<LinkId, Link>,
    transactions: ClientTransactions,
    local_addresses: LocalAddresses,
}

impl Uac {
    /// A user agent client that has sent nothing yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            clients: Slab::default(),
            links: Slab::default(),
            transactions: ClientTransactions::default(),
            local_addresses: LocalAddresses::new(options.advertise.clone()),
        }
    }

    /// Number of clients that have not ended.
    pub(crate) fn clients(&self) -> usize {
        let live = self.clients.iter().filter(|(_, client)| !client.is_over());
        live.count()
    }

    /// Begins a probe that the operator ordered, and sends the first request.
    pub(crate) fn begin(&mut self, order: ProbeOrder, turn: &mut Turn<'_>) -> Reply {
        let probes = self
            .clients
            .iter()
            .filter(|(_, client)| client.purpose.is_probe());
        if probes.count() >= turn.options.clients_max {
            turn.counters.clients_over_limit += 1;
            return Reply::OverLimit;
        }
        let probe = ProbeId {
            shard: turn.options.id,
            number: turn.random.next_u64(),
        };
        let id = self.add_client(beginning(order, probe, turn), turn);
        self.send_request(id, turn);
        Reply::ProbeBegun(probe)
    }

    fn add_client(&mut self, beginning: Beginning, turn: &mut Turn<'_>) -> ClientId {
        let place = self.clients.vacant_key();
        let client = Client::new(beginning, place, turn);
        let id = self.clients.insert(Box::new(client));
        debug_assert_eq!(id, place, "the tag names the place of its client");
        id
    }

    /// What happened in a probe after the first `seen` entries. A probe that is over is forgotten
    /// once its last entry was read.
    pub(crate) fn read(
        &mut self,
        probe: ProbeId,
        seen: usize,
        turn: &mut Turn<'_>,
    ) -> Option<ProbeReport> {
        let is_meant =
            |client: &Client| matches!(client.purpose, Purpose::Probe(id, _) if id == probe);
        let id = self
            .clients
            .iter()
            .find_map(|(id, client)| is_meant(client).then_some(id))?;
        let client = self.clients.get(id)?;
        let Purpose::Probe(_, log) = &client.purpose else {
            return None;
        };
        let report = ProbeReport {
            entries: log.after(seen),
            is_over: client.is_over(),
        };
        if report.is_over && report.entries.is_empty() {
            self.remove(id, turn);
        }
        Some(report)
    }

    /// Handles a response that belongs to no NOTIFY. Returns false if it belongs to no request of this
    /// room either.
    pub(crate) fn handle_response(
        &mut self,
        message: &Message<'_>,
        code: u16,
        flow: &Flow,
        turn: &mut Turn<'_>,
    ) -> bool {
        let (addresses, shards) = (&self.local_addresses, turn.options.shards);
        let Some(id) = self.transactions.find(message, flow, addresses, shards) else {
            return false;
        };
        if let Some(client) = self.transactions.take_response(id, code, turn) {
            self.take_outcome(client, Outcome::Response(message, code), turn);
        }
        true
    }

    /// Timer E, F or K.
    pub(crate) fn handle_transaction_timer(
        &mut self,
        id: ClientTransactionId,
        turn: &mut Turn<'_>,
    ) {
        if let Due::TimedOut(client) = self.transactions.handle_timer(id, turn) {
            self.take_outcome(client, Outcome::Unanswered, turn);
        }
    }

    /// A request to us within a dialog of this room: its client. `tag` is the request's To-tag.
    pub(crate) fn find(
        &self,
        message: &Message<'_>,
        tag: &[u8],
        turn: &Turn<'_>,
    ) -> Option<ClientId> {
        let token = RoutingToken::of_tag(tag)?;
        let id = ClientId(token.place.index(turn.options.shards));
        let client = self.clients.get(id)?;
        client.is_addressed(token, message.call_id()).then_some(id)
    }

    /// Frees a client with its timer and its transaction.
    fn remove(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.remove(id).expected("a client is removed once") else {
            return;
        };
        if let Some(timer) = client.timer {
            turn.wheel.cancel(timer);
        }
        if let Some(transaction) = client.transaction {
            self.transactions.remove(transaction, turn);
        }
        if let Some(link) = client.link() {
            self.client_is_gone(link, id, turn);
        }
    }
}

/// What a probe begins with.
fn beginning(order: ProbeOrder, probe: ProbeId, turn: &Turn<'_>) -> Beginning {
    let role = match order.task {
        ProbeTask::Subscribe(package) => Role::Subscriber(Subscriber::new(package)),
        ProbeTask::Publish(state) => Role::Publisher(Publisher::of_probe(state)),
    };
    let expires = u32::try_from(order.duration.as_secs()).unwrap_or(u32::MAX);
    Beginning {
        purpose: Purpose::Probe(probe, Log::new(turn.now)),
        role,
        flow: order.flow,
        alternatives: order.alternatives,
        target: order.target,
        from: order.from,
        login: order.login,
        expires: expires.max(PROBE_EXPIRES_MIN),
        ends_at: Some(turn.now + order.duration),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
pub(crate) mod tests;
