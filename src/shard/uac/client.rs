//! What a subscription and a publication of ours have in common: the server and the user there, the
//! outstanding request, and the time of the next one.
//!
//! It is *active* until its time is over, or until it is not wanted any more; then *leaving* while its
//! state is being removed at the server, then *over*. A probe stays a minute more for the operator to read.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{ClientId, ClientTransactionId};
use crate::shard::contract::probe::{ProbeEvent, UserStatus};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::peer::routing_token::{Kind, RoutingToken};
use crate::shard::uac::Uac;
use crate::shard::uac::link::Permission;
use crate::shard::uac::publisher::Publisher;
use crate::shard::uac::purpose::Purpose;
use crate::shard::uac::subscriber::Subscriber;
use crate::sip::digest::client::{Login, ReceivedChallenge};

/// How long a client that is over can be read.
const READABLE: Duration = Duration::from_secs(60);
/// Digits of a Call-ID.
const CALL_ID_DIGITS: usize = 32;

/// A subscription or publication of ours at another server.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) purpose: Purpose,
    pub(super) role: Role,
    phase: Phase,

    // What its requests say.
    pub(super) flow: Flow,
    /// To the other locations of the server; the next one first.
    alternatives: VecDeque<Flow>,
    /// How many locations did not serve it in a row.
    moves: usize,
    pub(super) target: Box<str>,
    pub(super) from: Box<str>,
    pub(super) call_id: [u8; CALL_ID_DIGITS],
    /// Our From-tag.
    pub(super) tag: RoutingToken,
    /// CSeq of the latest request outside a dialog.
    pub(super) sequence: u32,
    /// The Expires to ask for.
    pub(super) expires: u32,
    pub(super) login: Option<Login>,
    /// The challenge of the server (401) and the one of a proxy (407) that credentials are written
    /// for.
    pub(super) challenges: [Option<ReceivedChallenge>; 2],
    /// How often the outstanding request was challenged.
    pub(super) challenged: u8,

    // What is under way, and when what is due.
    pub(super) transaction: Option<ClientTransactionId>,
    /// The latest request removes the state.
    pub(super) is_removing: bool,
    pub(super) timer: Option<TimerHandle>,
    /// When its time is over; None: when it is not wanted any more.
    ends_at: Option<Instant>,
    /// The time of the next request, unless one is outstanding then.
    pub(super) request_at: Option<Instant>,
    /// Timer N: a NOTIFY must have come by then (RFC 6665 §4.1.2.4).
    pub(super) notify_by: Option<Instant>,
}

/// What it is.
#[derive(Debug)]
pub(super) enum Role {
    Subscriber(Subscriber),
    Publisher(Publisher),
}

/// What a client begins with.
pub(super) struct Beginning {
    pub(super) purpose: Purpose,
    pub(super) role: Role,
    pub(super) flow: Flow,
    /// To the other locations of the server, in order.
    pub(super) alternatives: Vec<Flow>,
    /// The URI of the user.
    pub(super) target: Box<str>,
    /// Our URI.
    pub(super) from: Box<str>,
    pub(super) login: Option<Login>,
    /// The Expires to ask for.
    pub(super) expires: u32,
    pub(super) ends_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Active,
    Leaving,
    /// Until it is forgotten.
    Over(Instant),
}

impl Client {
    /// A client at that place of the table, which has sent nothing yet.
    pub(super) fn new(beginning: Beginning, place: ClientId, turn: &mut Turn<'_>) -> Self {
        let mut client = Self {
            purpose: beginning.purpose,
            role: beginning.role,
            phase: Phase::Active,
            flow: beginning.flow,
            alternatives: beginning.alternatives.into(),
            moves: 0,
            target: beginning.target,
            from: beginning.from,
            call_id: [b'0'; CALL_ID_DIGITS],
            tag: mint_tag(place, turn),
            sequence: 0,
            expires: beginning.expires,
            login: beginning.login,
            challenges: [None, None],
            challenged: 0,
            transaction: None,
            is_removing: false,
            timer: None,
            ends_at: beginning.ends_at,
            request_at: None,
            notify_by: None,
        };
        turn.random.fill_hex(&mut client.call_id);
        client
    }

    /// Whether it has ended; it is only there to be read.
    pub(super) const fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over(_))
    }

    /// Whether its time is over, so that the next request removes its state.
    pub(super) fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    /// From now on its state is to be removed.
    pub(super) fn begin_leaving(&mut self) {
        self.phase = Phase::Leaving;
        (self.request_at, self.notify_by) = (None, None);
        if let Some(roster) = self.roster_mut() {
            roster.stop();
        }
    }

    /// Its place in the table, which its tag names.
    pub(super) fn place(&self, turn: &Turn<'_>) -> ClientId {
        ClientId(self.tag.place.index(turn.options.shards))
    }

    /// Whether a request with that To-tag and Call-ID is for it.
    pub(super) fn is_addressed(&self, tag: RoutingToken, call_id: &[u8]) -> bool {
        !self.is_over() && self.tag == tag && self.call_id == call_id
    }

    /// Whether the server may have state of it that a request can remove.
    pub(super) fn is_established(&self, now: Instant) -> bool {
        match &self.role {
            Role::Subscriber(subscriber) => subscriber.is_established(now),
            Role::Publisher(publisher) => publisher.is_established(now),
        }
    }

    /// Whether the server's state of it ended because no refresh succeeded in time.
    pub(super) fn has_expired(&self, now: Instant) -> bool {
        let expires_at = match &self.role {
            Role::Subscriber(subscriber) => subscriber.expires_at,
            Role::Publisher(publisher) => publisher.expires_at,
        };
        expires_at.is_some_and(|end| end <= now)
    }

    /// The server did not respond, or responded 503: goes on to its next location (RFC 3263 §4.3).
    /// Returns false if it has no other, or each was tried; then the first one is next, after a while.
    pub(super) fn move_on(&mut self, turn: &mut Turn<'_>) -> bool {
        if self.is_removing || self.is_established(turn.now) {
            return false;
        }
        let Some(next) = self.alternatives.pop_front() else {
            return false;
        };
        self.alternatives.push_back(self.flow);
        self.flow = next;
        self.moves += 1;
        if self.moves > self.alternatives.len() {
            self.moves = 0;
            return false;
        }
        self.purpose.add(ProbeEvent::MovedOn(next.peer), turn);
        true
    }

    /// The server responded: its location is the right one.
    pub(super) fn stay(&mut self) {
        self.moves = 0;
    }

    /// The server no longer has its state: the next request is an initial one, for a subscription
    /// with another Call-ID and From-tag.
    pub(super) fn begin_anew(&mut self, turn: &mut Turn<'_>) {
        match &mut self.role {
            Role::Publisher(publisher) => publisher.ended(),
            Role::Subscriber(subscriber) => {
                subscriber.ended();
                self.tag = self.tag.renewed(turn.random);
                turn.random.fill_hex(&mut self.call_id);
            }
        }
    }

    /// Ends it, with the final status of the user for the operator. A user of a connector or relay that is wanted is
    /// tried again later instead.
    pub(super) fn end(&mut self, status: Option<UserStatus>, turn: &mut Turn<'_>) {
        if let Some(status) = status {
            self.purpose.user(status, turn);
        }
        let is_probe = self.purpose.is_probe();
        if !is_probe && !self.is_leaving() {
            return self.try_later(status, turn);
        }
        self.purpose.add(ProbeEvent::Over, turn);
        let readable = if is_probe { READABLE } else { Duration::ZERO };
        self.phase = Phase::Over(turn.now + readable);
        self.tell_published(turn);
        (self.request_at, self.notify_by) = (None, None);
        // Its password is no longer needed.
        self.login = None;
    }

    /// When its timer is due.
    fn due(&self) -> Option<Instant> {
        let request_at = self.request_at.filter(|_| self.transaction.is_none());
        let ends_at = match self.phase {
            Phase::Active => self.ends_at,
            Phase::Leaving => None,
            Phase::Over(forgotten_at) => return self.roster_due().or(Some(forgotten_at)),
        };
        [request_at, ends_at, self.notify_by, self.roster_due()]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Uac {
    /// Arms the timer of a client for what is due next. A client that is over drops its
    /// transaction.
    pub(super) fn arm(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if let Some(timer) = client.timer.take() {
            turn.wheel.cancel(timer);
        }
        let due = client.due();
        client.timer = due.map(|due| turn.wheel.arm(due.max(turn.now), Timer::Client(id)));
        if client.is_over()
            && let Some(transaction) = client.transaction.take()
        {
            self.transactions.remove(transaction, turn);
        }
    }

    /// The timer of a client: its time is over, a NOTIFY is missing, a request is due, or it is to
    /// be forgotten.
    pub(crate) fn handle_client_timer(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let client = self.clients.get_mut(id);
        let Some(client) = client.expected("the timer of a client ends with it") else {
            return;
        };
        client.timer = None;
        client.attend_roster(turn);
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= turn.now);
        match client.phase {
            Phase::Over(forgotten_at) if forgotten_at <= turn.now && client.has_told_all() => {
                return self.remove(id, turn);
            }
            Phase::Active if is_due(client.ends_at) => return self.leave(id, turn),
            _ => {}
        }
        if is_due(client.notify_by) {
            client.purpose.add(ProbeEvent::NotifyMissing, turn);
            let status = match client.phase {
                Phase::Leaving => UserStatus::NotRequested,
                Phase::Active | Phase::Over(_) => UserStatus::Error,
            };
            client.end(Some(status), turn);
        } else if client.transaction.is_none() && is_due(client.request_at) {
            match self.permit(id, turn) {
                Permission::Now => return self.send_request(id, turn),
                Permission::Held => return self.hold(id, turn),
                Permission::At(slot) => {
                    if let Some(client) = self.clients.get_mut(id) {
                        client.request_at = Some(slot);
                    }
                }
            }
        }
        self.arm(id, turn);
    }

    /// The time of a client is over: its state at the server is removed.
    pub(super) fn leave(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        if let Some(client) = self.clients.get_mut(id) {
            client.begin_leaving();
        }
        self.go_on_leaving(id, turn);
    }

    /// Removes the state of a client at the server, unless a request is still under way. One
    /// without state there is over.
    pub(super) fn go_on_leaving(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if !client.is_established(turn.now) {
            if client.transaction.is_some() {
                client.purpose.add(ProbeEvent::Unanswered, turn);
            }
            client.end(Some(UserStatus::NotRequested), turn);
        } else if client.transaction.is_none() {
            return self.send_request(id, turn);
        }
        self.arm(id, turn);
    }
}

/// The From-tag of the client at that place of the table, which names it.
fn mint_tag(place: ClientId, turn: &mut Turn<'_>) -> RoutingToken {
    let kind = Kind::SubscriberDialog;
    RoutingToken::mint(kind, place.0, turn.options, turn.random)
}
