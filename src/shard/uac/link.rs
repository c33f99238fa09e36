//! The link of a connector or relay to its server: where it is, whether it answers, and when each of our requests
//! may go there.
//!
//! A link is tried by one request at first, and after each failure; the other clients wait until the server
//! has answered. If a request gets no response, or 503 or 408, the next location is tried (RFC 3263 §4.3); after the
//! last one the link rests: for 1 s, twice as long after each time in a row, 5 min at most, and for as long as Retry-After
//! says. Requests keep to the pace of the connector: each gets its slot. After the server was away all
//! subscriptions are refreshed, because it may have forgotten them.

mod refusal;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::connectors::ServerAddress;
use crate::presence::event::Package;
use crate::presence::presentity::UpstreamNews;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::connector::{ConnectorCounts, ConnectorStatus};
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{ClientId, LinkId};
use crate::shard::contract::probe::{ServerStatus, UserStatus};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::response::{Outcome, retry_after_of};
use crate::sip::Transport;
use crate::sip::digest::client::Login;
use crate::sip::location::{Family, Question};

/// The first pause, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(300)];
/// The longest Retry-After that counts.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Users that are told at once that the server is not heard.
const STALE_AT_ONCE: usize = 500;
/// The pause between two such batches.
const STALE_PAUSE: Duration = Duration::from_millis(10);

/// The server of a connector or relay, and how it is spoken to.
#[derive(Debug)]
pub(crate) struct Server<'a> {
    pub(crate) name: &'a Arc<str>,
    pub(crate) address: &'a ServerAddress,
    pub(crate) transport: Transport,
    /// Our own URI there, unless each user speaks for itself.
    pub(crate) from: &'a str,
    pub(crate) login: Option<&'a Login>,
    /// What is subscribed to.
    pub(crate) packages: &'a [Package],
    /// The expiry that is asked for.
    pub(crate) expires: Duration,
    /// Requests a second, over all shards.
    pub(crate) pace: u32,
}

/// The link to a server.
#[derive(Debug)]
pub(super) struct Link {
    /// The name of the connector or relay.
    pub(super) name: Arc<str>,
    pub(super) question: Question,
    /// What its requests say.
    pub(super) from: Arc<str>,
    pub(super) login: Option<Login>,
    pub(super) packages: Arc<[Package]>,
    /// The Expires to ask for.
    pub(super) expires: u32,
    /// The time between two requests of this shard.
    interval: Duration,
    next_slot: Instant,
    pub(super) phase: Phase,
    /// To the location in use.
    pub(super) flow: Option<Flow>,
    /// To the locations that were not tried, the next one last.
    pub(super) untried: Vec<Flow>,
    status: Option<ServerStatus>,
    status_since: Instant,
    /// Pauses in a row.
    failures: u32,
    /// Refusals since the server last served a user.
    refusals: usize,
    /// It rests because the server said so, not because it said nothing.
    is_refused: bool,
    /// Some users were heard since they were told that it is not heard.
    has_news: bool,
    rests_until: Instant,
    timer: Option<TimerHandle>,
    /// Where the search for the client that tries the server goes on.
    next_client: u32,
    /// Clients from there on are to be told that the server is not heard: all, or those whose subscriptions have
    /// run out.
    stale_from: Option<u32>,
    is_all_stale: bool,
    /// Clients that have not been removed.
    clients: usize,
    /// It ends with its last client.
    is_closing: bool,
    pub(super) counts: ConnectorCounts,
}

/// What a link does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its server is being found.
    Routing,
    /// Its stream is being opened.
    Opening,
    /// The next client may try the server.
    Ready,
    /// This client tries it.
    Trying(ClientId),
    /// The server answers.
    Up,
    /// It waits before the next try.
    Resting,
}

/// Whether a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Permission {
    Now,
    /// At that time.
    At(Instant),
    /// The link says when.
    Held,
}

/// A link for a report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkReport {
    pub(crate) status: ConnectorStatus,
    pub(crate) age: Duration,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) next_attempt: Option<Duration>,
    pub(crate) counts: ConnectorCounts,
}

impl Link {
    fn new(server: &Server<'_>, turn: &Turn<'_>) -> Self {
        let shards = u32::from(turn.options.shards.max(1));
        Self {
            name: Arc::clone(server.name),
            question: Question {
                host: Arc::clone(&server.address.host),
                port: server.address.port,
                transport: Some(server.transport),
                is_secure: server.transport.is_secure(),
                family: Family::Both,
            },
            from: server.from.into(),
            login: server.login.cloned(),
            packages: server.packages.into(),
            expires: u32::try_from(server.expires.as_secs()).unwrap_or(u32::MAX),
            interval: Duration::from_secs(1) * shards / server.pace.max(1),
            next_slot: turn.now,
            phase: Phase::Routing,
            flow: None,
            untried: Vec::new(),
            status: None,
            status_since: turn.now,
            failures: 0,
            refusals: 0,
            is_refused: false,
            rests_until: turn.now,
            timer: None,
            next_client: 0,
            stale_from: None,
            is_all_stale: false,
            has_news: false,
            clients: 0,
            is_closing: false,
            counts: ConnectorCounts::default(),
        }
    }

    /// Whether the server answers.
    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// The next slot at the pace of the connector.
    pub(super) fn reserve(&mut self, now: Instant) -> Instant {
        let slot = self.next_slot.max(now);
        self.next_slot = slot + self.interval;
        slot
    }

    fn set_status(&mut self, status: ServerStatus, now: Instant) {
        if self.status.replace(status) != Some(status) {
            self.status_since = now;
        }
    }

    fn report(&self, now: Instant) -> LinkReport {
        let resting = (self.phase == Phase::Resting).then_some(self.rests_until);
        LinkReport {
            status: match self.status {
                // No user waits to try it again.
                Some(status) if status.is_failure() && self.phase == Phase::Ready => {
                    ConnectorStatus::NotRequested
                }
                Some(status) => ConnectorStatus::Known(status),
                None if self.clients == 0 => ConnectorStatus::NotRequested,
                None => ConnectorStatus::Requesting,
            },
            age: now.saturating_duration_since(self.status_since),
            peer: self.flow.map(|flow| flow.peer),
            next_attempt: resting.map(|until| until.saturating_duration_since(now)),
            counts: self.counts,
        }
    }
}

impl Uac {
    /// Opens a link to a server.
    pub(crate) fn open_link(&mut self, server: &Server<'_>, turn: &mut Turn<'_>) -> LinkId {
        let id = self.links.insert(Link::new(server, turn));
        self.find_server(id, turn);
        id
    }

    /// Closes a link: its clients end their subscriptions and publications.
    pub(crate) fn close_link(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        if let Some(link) = self.links.get_mut(id) {
            link.is_closing = true;
        }
        for client in self.clients_of(id) {
            self.leave_server(client, turn);
        }
        self.remove_closed(id, turn);
    }

    /// What is known of the server.
    pub(crate) fn link_report(&self, id: LinkId, now: Instant) -> Option<LinkReport> {
        Some(self.links.get(id)?.report(now))
    }

    fn clients_of(&self, id: LinkId) -> Vec<ClientId> {
        let clients = self.clients.iter();
        let own = clients.filter(|(_, client)| client.link() == Some(id));
        own.map(|(client, _)| client).collect()
    }

    /// A client of the link begins to exist.
    pub(super) fn count_client(&mut self, id: LinkId) {
        if let Some(link) = self.links.get_mut(id) {
            link.clients += 1;
        }
    }

    /// A client of the link is gone.
    pub(super) fn client_is_gone(&mut self, id: LinkId, client: ClientId, turn: &mut Turn<'_>) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.clients -= 1;
        if link.phase == Phase::Trying(client) {
            link.phase = Phase::Ready;
            self.try_server(id, turn);
        }
        self.remove_closed(id, turn);
    }

    fn remove_closed(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        let is_over = |link: &Link| link.is_closing && link.clients == 0;
        if self.links.get(id).is_some_and(is_over)
            && let Some(link) = self.links.remove(id)
            && let Some(timer) = link.timer
        {
            turn.wheel.cancel(timer);
        }
    }

    /// Whether a client may send its next request.
    pub(super) fn permit(&mut self, id: ClientId, turn: &mut Turn<'_>) -> Permission {
        let Some(client) = self.clients.get_mut(id) else {
            return Permission::Held;
        };
        let Some(own) = client.purpose.link_mut() else {
            return Permission::Now;
        };
        let Some(link) = self.links.get_mut(own.id) else {
            return Permission::Held;
        };
        let has_slot = std::mem::take(&mut own.has_slot);
        match link.phase {
            Phase::Up if has_slot => Permission::Now,
            Phase::Up => match link.reserve(turn.now) {
                slot if slot <= turn.now => Permission::Now,
                slot => {
                    own.has_slot = true;
                    Permission::At(slot)
                }
            },
            Phase::Ready => {
                link.phase = Phase::Trying(id);
                Permission::Now
            }
            Phase::Trying(client) if client == id => Permission::Now,
            _ => Permission::Held,
        }
    }

    /// Has a client that waits try the server, another one each time.
    pub(super) fn try_server(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let from = link.next_client;
        let waits = |client: ClientId| {
            let client = self.clients.get(client)?;
            let own = client.purpose.link()?;
            let is_waiting = own.id == id && own.is_held;
            (is_waiting && client.transaction.is_none() && !client.is_over()).then_some(())
        };
        let end = self.clients.end();
        let places = (from..end).chain(0..from.min(end)).map(ClientId);
        let mut places = places.filter(|place| waits(*place).is_some());
        let Some(client) = places.next() else {
            return;
        };
        drop(places);
        if let Some(link) = self.links.get_mut(id) {
            link.next_client = client.0 + 1;
            link.phase = Phase::Trying(client);
        }
        if let Some(own) = self.link_of_mut(client) {
            own.is_held = false;
        }
        self.send_request(client, turn);
    }

    /// What the end of a client's request says about the server. Returns whether the link decides when the
    /// client sends again.
    pub(super) fn take_link_outcome(
        &mut self,
        id: ClientId,
        outcome: Outcome<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let Some(link_id) = self.clients.get(id).and_then(|client| client.link()) else {
            return false;
        };
        let delay = match outcome {
            Outcome::NotSent => return false,
            Outcome::Unanswered => Duration::ZERO,
            Outcome::Response(message, 408 | 503) => retry_after_of(message).unwrap_or_default(),
            Outcome::Response(_, 401 | 403 | 407 | 603) => return false,
            Outcome::Response(..) => {
                self.server_answers(link_id, ServerStatus::UpAndRunning, turn);
                return false;
            }
        };
        let Some(link) = self.links.get_mut(link_id) else {
            return false;
        };
        link.counts.failures += 1;
        self.hold(id, turn);
        let is_current = |link: &Link| match link.phase {
            Phase::Trying(client) => client == id,
            Phase::Up | Phase::Ready => true,
            Phase::Routing | Phase::Opening | Phase::Resting => false,
        };
        if self.links.get(link_id).is_some_and(is_current) && !self.next_location(link_id, turn) {
            self.rest(link_id, ServerStatus::ConnectionError, delay, turn);
            self.note_refused(link_id, matches!(outcome, Outcome::Response(..)));
        }
        true
    }

    /// A NOTIFY came: the server is there. If it refuses requests it is left alone nevertheless, or else each
    /// NOTIFY would bring it more of them.
    pub(super) fn server_notifies(
        &mut self,
        id: LinkId,
        status: ServerStatus,
        turn: &mut Turn<'_>,
    ) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.has_news = true;
        if link.is_refused {
            link.refusals = 0;
            return;
        }
        self.server_answers(id, status, turn);
    }

    /// The server answers: its clients go on, each in its slot.
    pub(super) fn server_answers(&mut self, id: LinkId, status: ServerStatus, turn: &mut Turn<'_>) {
        let Some(link) = self.links.get_mut(id).filter(|link| link.flow.is_some()) else {
            return;
        };
        link.refusals = 0;
        let was_up = link.is_up();
        let knew_no_lists = link.status == Some(ServerStatus::ListsNotSupported);
        if !was_up || knew_no_lists || status != ServerStatus::UpAndRunning {
            link.set_status(status, turn.now);
        }
        if was_up {
            return;
        }
        (link.phase, link.failures, link.stale_from) = (Phase::Up, 0, None);
        link.is_refused = false;
        if let Some(timer) = link.timer.take() {
            turn.wheel.cancel(timer);
        }
        for client in self.clients_of(id) {
            self.release(client, turn);
        }
    }

    /// Gives a client that waits for the link its slot.
    fn release(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let own = client.purpose.link_mut();
        let Some(own) = own.filter(|own| own.is_held) else {
            return;
        };
        let Some(link) = self.links.get_mut(own.id) else {
            return;
        };
        (own.is_held, own.has_slot) = (false, true);
        client.request_at = Some(link.reserve(turn.now));
        self.arm(id, turn);
    }

    /// A client waits for the link before it sends again.
    pub(super) fn hold(&mut self, id: ClientId, turn: &mut Turn<'_>) {
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.is_leaving() {
            client.end(Some(UserStatus::NotRequested), turn);
        } else if client.purpose.link().is_some() {
            let link = client.link().and_then(|link| self.links.get(link));
            let status = link.and_then(|link| link.status);
            let is_requesting = client.purpose.status() == Some(UserStatus::Requesting);
            if is_requesting && status.is_some_and(ServerStatus::is_failure) {
                client.purpose.user(UserStatus::Error, turn);
            }
            if let Some(own) = client.purpose.link_mut() {
                (own.is_held, own.has_slot) = (true, false);
            }
            (client.request_at, client.notify_by) = (None, None);
            client.challenged = 0;
        }
        self.arm(id, turn);
    }

    /// All clients of a link wait, but for those that were refused for good. What is under way is given up.
    pub(super) fn hold_all(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        for client_id in self.clients_of(id) {
            let Some(client) = self.clients.get_mut(client_id) else {
                continue;
            };
            let waits = client.request_at.is_some() || client.notify_by.is_some();
            let transaction = client.transaction.take();
            let is_under_way = transaction.is_some();
            if let Some(transaction) = transaction {
                self.transactions.remove(transaction, turn);
            }
            if waits || is_under_way {
                self.hold(client_id, turn);
            }
        }
    }

    /// The server cannot be used: everything waits.
    pub(super) fn rest(
        &mut self,
        id: LinkId,
        status: ServerStatus,
        delay: Duration,
        turn: &mut Turn<'_>,
    ) {
        self.hold_all(id, turn);
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let is_news = link.status != Some(status);
        if std::mem::take(&mut link.has_news) || is_news {
            (link.stale_from, link.is_all_stale) = (Some(0), is_news);
        }
        link.set_status(status, turn.now);
        self.pause(id, delay, turn);
    }

    /// Tries the server again after a pause.
    pub(super) fn pause(&mut self, id: LinkId, delay: Duration, turn: &mut Turn<'_>) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        let [first, longest] = PAUSES;
        let pause = longest.min(first * (1 << link.failures.min(16)));
        let pause = jittered(pause, turn).max(delay.min(RETRY_AFTER_MAX));
        link.failures += 1;
        (link.phase, link.rests_until) = (Phase::Resting, turn.now + pause);
        self.arm_link(id, turn);
    }

    fn arm_link(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        if let Some(timer) = link.timer.take() {
            turn.wheel.cancel(timer);
        }
        let due = match link.stale_from {
            Some(_) => turn.now + STALE_PAUSE,
            None => link.rests_until.max(turn.now),
        };
        link.timer = Some(turn.wheel.arm(due, Timer::Link(id)));
    }

    /// The timer of a link that rests: users are told that the server is not heard, or it is tried again.
    pub(crate) fn handle_link_timer(&mut self, id: LinkId, turn: &mut Turn<'_>) {
        let Some(link) = self.links.get_mut(id) else {
            return;
        };
        link.timer = None;
        if let Some(from) = link.stale_from {
            self.tell_stale(id, from, turn);
            self.arm_link(id, turn);
        } else if link.rests_until <= turn.now {
            self.find_server(id, turn);
        } else {
            self.arm_link(id, turn);
        }
    }

    /// Tells the next users that the server is not heard.
    fn tell_stale(&mut self, id: LinkId, from: u32, turn: &mut Turn<'_>) {
        let link = self.links.get(id);
        let is_all = link.is_some_and(|link| link.is_all_stale);
        let refuses_us = link.and_then(|link| link.status) == Some(ServerStatus::Forbidden);
        let mut clients = (from..self.clients.end()).map(ClientId);
        let (mut told, mut is_any_heard) = (0, false);
        let next = clients.find(|client_id| {
            let Some(client) = self.clients.get_mut(*client_id) else {
                return false;
            };
            if client.link() != Some(id) || client.is_over() {
                return false;
            }
            if !is_all && client.is_established(turn.now) {
                is_any_heard = true;
                return false;
            }
            // It may be the user that the server refused us for.
            if !refuses_us || client.purpose.status() != Some(UserStatus::AccessDenied) {
                client.purpose.user(UserStatus::Error, turn);
            }
            client.report(UpstreamNews::Stale, turn);
            told += 1;
            // A list tells its users by and by.
            self.arm(*client_id, turn);
            told >= STALE_AT_ONCE
        });
        if let Some(link) = self.links.get_mut(id) {
            link.stale_from = next.map(|client| client.0 + 1);
            link.has_news |= is_any_heard;
        }
    }
}

/// From three quarters to five quarters of it.
pub(super) fn jittered(span: Duration, turn: &mut Turn<'_>) -> Duration {
    span * (750 + turn.random.below(501)) / 1000
}
