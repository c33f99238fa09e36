//! Non-INVITE client transactions (RFC 3261 §17.1.2), for any method. Timer E repeats a request
//! over UDP, timer F gives it up, timer K absorbs repeated responses.
//!
//! The NOTIFYs of our own subscriptions have a table of their own in `notify`, which keeps one copy
//! of a body for many of them.

use std::ops::Range;

use crate::shard::container::slab::Slab;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{ClientId, ClientTransactionId};
use crate::shard::contract::place::Place;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::peer::local_address::LocalAddresses;
use crate::shard::peer::routing_token::{Kind, RoutingToken};
use crate::sip::header::list_items;
use crate::sip::transaction::T4;
use crate::sip::transaction::client as schedule;
use crate::sip::{HeaderName, Message, Method};

/// A client transaction.
#[derive(Debug)]
struct ClientTransaction {
    token: RoutingToken,
    method: Method<'static>,
    sequence: u32,
    flow: Flow,
    schedule: schedule::ClientTransaction,
    timer: TimerHandle,
    /// The request, for timer E; empty on a stream and once it is answered.
    request: Box<[u8]>,
    /// The client that awaits the final response; None after it came.
    client: Option<ClientId>,
}

/// The client transactions of this shard.
#[derive(Debug, Default)]
pub(crate) struct ClientTransactions(Slab<ClientTransactionId, ClientTransaction>);

/// A request as it is sent.
#[derive(Debug)]
pub(super) struct Sent {
    /// What its branch says.
    pub(super) token: RoutingToken,
    pub(super) method: Method<'static>,
    pub(super) sequence: u32,
    pub(super) flow: Flow,
    /// The client that awaits the response.
    pub(super) client: ClientId,
    /// Its place in the arena.
    pub(super) octets: Range<usize>,
}

/// What a timer led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing to do for the client.
    Nothing,
    /// Timer F: no final response came to this client's request.
    TimedOut(ClientId),
}

impl ClientTransactions {
    /// The token of the next request's branch; None if too many requests are under way.
    pub(super) fn mint_branch(&self, turn: &mut Turn<'_>) -> Option<RoutingToken> {
        if self.0.len() >= turn.options.client_transactions_max {
            turn.counters.client_transactions_over_limit += 1;
            return None;
        }
        let ClientTransactionId(place) = self.0.vacant_key();
        let kind = Kind::ClientTransaction;
        Some(RoutingToken::mint(kind, place, turn.options, turn.random))
    }

    /// Sends a request, and begins its transaction.
    pub(super) fn begin(&mut self, sent: Sent, turn: &mut Turn<'_>) -> ClientTransactionId {
        let is_reliable = sent.flow.transport.is_reliable();
        let schedule = schedule::ClientTransaction::new(turn.now, is_reliable);
        let id = self.0.vacant_key();
        let place = Place::of(id.0, turn.options);
        debug_assert_eq!(place, sent.token.place, "a branch names its transaction");
        let octets = turn.out.arena.get(sent.octets.clone());
        let request = octets.filter(|_| !is_reliable).unwrap_or_default().into();
        let timer = Timer::ClientTransaction(id);
        let timer = turn.wheel.arm(schedule.deadline(), timer);
        turn.counters.client_requests_sent += 1;
        turn.transmit(sent.flow, sent.octets, 0..0);
        self.0.insert(ClientTransaction {
            token: sent.token,
            method: sent.method,
            sequence: sent.sequence,
            flow: sent.flow,
            schedule,
            timer,
            request,
            client: Some(sent.client),
        })
    }

    /// The transaction that a response belongs to: its one Via has a branch and a sent-by of ours,
    /// its CSeq the method of the request (RFC 3261 §17.1.3, §18.1.2, §8.1.3.3).
    pub(super) fn find(
        &self,
        message: &Message<'_>,
        flow: &Flow,
        local_addresses: &LocalAddresses,
        shards: u16,
    ) -> Option<ClientTransactionId> {
        let vias = message.headers(HeaderName::Via).flat_map(list_items);
        let (via, cseq) = (message.via()?, message.cseq()?);
        let branch = via.branch?;
        let id = ClientTransactionId(RoutingToken::place_in(branch)?.index(shards));
        let transaction = self.0.get(id)?;
        let local = local_addresses.known(&transaction.flow)?;
        let is_ours = transaction.token.is_in(branch)
            && vias.count() == 1
            && local.is_sent_by(via.host, via.port)
            && transaction.method == cseq.method
            && transaction.sequence == cseq.number
            && transaction.flow.peer.ip() == flow.peer.ip();
        is_ours.then_some(id)
    }

    /// Takes a response; the client that awaited it if it is the first final one. It then stays for
    /// timer K over UDP, and ends at once on a stream.
    pub(super) fn take_response(
        &mut self,
        id: ClientTransactionId,
        code: u16,
        turn: &mut Turn<'_>,
    ) -> Option<ClientId> {
        let transaction = self.0.get_mut(id)?;
        if code < 200 {
            transaction.schedule.handle_provisional();
            return None;
        }
        let client = transaction.client.take()?;
        turn.wheel.cancel(transaction.timer);
        if transaction.flow.transport.is_reliable() {
            self.0.remove(id);
        } else {
            transaction.request = Box::default();
            let timer = Timer::ClientTransaction(id);
            transaction.timer = turn.wheel.arm(turn.now + T4, timer);
        }
        Some(client)
    }

    /// Timer E, F or K.
    pub(super) fn handle_timer(&mut self, id: ClientTransactionId, turn: &mut Turn<'_>) -> Due {
        let transaction = self.0.get_mut(id);
        let Some(transaction) = transaction.expected("the timer of a transaction ends with it")
        else {
            return Due::Nothing;
        };
        let Some(client) = transaction.client else {
            self.0.remove(id);
            return Due::Nothing;
        };
        let due = transaction.schedule.handle_timeout(turn.now);
        if due == Some(schedule::Due::TimedOut) {
            turn.counters.client_requests_unanswered += 1;
            self.0.remove(id);
            return Due::TimedOut(client);
        }
        let deadline = transaction.schedule.deadline();
        transaction.timer = turn.wheel.arm(deadline, Timer::ClientTransaction(id));
        if due == Some(schedule::Due::Retransmit) {
            let start = turn.out.arena.len();
            turn.out.arena.extend_from_slice(&transaction.request);
            let octets = start..turn.out.arena.len();
            turn.counters.client_requests_retransmitted += 1;
            turn.transmit(transaction.flow, octets, 0..0);
        }
        Due::Nothing
    }

    /// Ends a transaction whose client is gone.
    pub(super) fn remove(&mut self, id: ClientTransactionId, turn: &mut Turn<'_>) {
        let transaction = self.0.remove(id);
        if let Some(transaction) =
            transaction.expected("a client knows when its transaction is over")
        {
            turn.wheel.cancel(transaction.timer);
        }
    }
}
