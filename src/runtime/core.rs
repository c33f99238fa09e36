//! One core: the engine of a shard, its sockets, its mail, and the turn that joins them.
//!
//! A turn is synchronous and has three parts. The work that started it gives the engine inputs (a
//! batch of datagrams, what was read from a stream, or nothing). Then the turn does what is due
//! anyway: mail, commands, and last the engine's timeout, which sends the NOTIFYs that are owed and
//! retransmits. Then the outbox is emptied into sockets, inboxes and repliers. The engine's inputs
//! only add to the outbox, so that a whole batch leaves in as few system calls as it came in.
//!
//! Reading has priority. If a batch was full, more datagrams are waiting, mostly responses, so the
//! timers are deferred to a later turn; otherwise NOTIFYs whose responses are still in the socket
//! would be retransmitted under overload. This happens a limited number of times in a row, so that
//! a flood of requests does not hold up NOTIFYs.
//!
//! Records of the turn are handed to the store before its messages are sent; what the engine holds
//! until they are durable is sent in a later turn, for which the store wakes the core.
//!
//! Invariants worth naming: no turn runs inside another one, and none waits. One clock reading per
//! turn is the engine's `now`. The outbox is empty between turns.

mod stream_turns;

use std::cell::{Cell, RefCell, RefMut};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use crate::net::Limits;
use crate::net::datagram::port::DatagramPort;
use crate::net::readiness::Readiness;
use crate::net::stream::connections::Connections;
use crate::net::stream::handshakes::Handshakes;
use crate::runtime::arrival_pattern::ArrivalPattern;
use crate::runtime::changes::ChangeSender;
use crate::runtime::mesh::Mesh;
use crate::runtime::mesh::mail_sender::MailSender;
use crate::runtime::orders::Orders;
use crate::runtime::records::RecordSender;
use crate::runtime::recovered_part::RecoveredPart;
use crate::runtime::replier::Replier;
use crate::runtime::resolver::Resolver;
use crate::runtime::tracer::Tracer;
use crate::runtime::watchdog::Watchdog;
use crate::runtime::{alarms, transmits};
use crate::shard::{CommandId, Dial, Flow, Input, Lookup, Outbox, Route, Shard, ShardId, Transmit};
use crate::sip::Transport;
use crate::store::writer::StoreHandle;
use crate::telemetry::{CoreCounters, TurnTimes};
use crate::tls::SharedTlsClient;

/// Maximum mail per turn, so that sockets are not starved.
const MAIL_PER_TURN: usize = 256;
/// Commands taken in one turn.
const COMMANDS_PER_TURN: usize = 32;
/// Turns in a row that may leave the timeout to the next because there is more to read: two
/// datagrams for each NOTIFY of a turn, its response and the SUBSCRIBE that may have asked for it.
const READING_TURNS_MAX: u32 = 8;
/// Octets in the outbox at which it is emptied within a turn, while they are still in the
/// second-level cache.
const OUTBOX_OCTETS: usize = 512 * 1024;
/// Octets read from a stream at once.
const SCRATCH_OCTETS: usize = 64 * 1024;
/// How long mail and records that found no room wait for the next try, if no turn comes first.
const BACKLOG_RETRY: Duration = Duration::from_millis(1);

/// Everything of one core.
#[derive(Debug)]
pub(crate) struct Core {
    /// Which shard this is.
    pub(crate) id: ShardId,
    /// What it counts.
    pub(crate) counters: Arc<CoreCounters>,
    /// Its mail to and from the other shards.
    pub(crate) mesh: Arc<Mesh>,
    /// The limits of its sockets.
    pub(crate) limits: Limits,
    /// Its datagram ports by listener; None for a listener that accepts streams.
    pub(crate) datagram_ports: Vec<Option<Rc<DatagramPort>>>,
    /// Octets read from a stream; borrowed within a turn only.
    pub(crate) scratch: RefCell<Box<[u8]>>,
    /// How batches of datagrams have arrived lately.
    pub(crate) arrivals: Cell<ArrivalPattern>,
    /// Waits of its thread beside the executor.
    pub(crate) readiness: Readiness,
    /// The streams that the engine wants opened.
    pub(crate) dial_orders: Orders<Dial>,
    /// The names that it wants looked up.
    pub(crate) lookup_orders: Orders<Lookup>,
    /// The servers of connectors that it wants found.
    pub(crate) route_orders: Orders<Route>,
    /// What they are opened with.
    pub(crate) outward: Outward,
    /// The handshakes of its streams.
    pub(crate) handshakes: Handshakes,

    state: RefCell<State>,
    /// The engine may get messages: with a store only once it knows what that holds.
    has_begun: Cell<bool>,
    /// Records of an earlier process are still to come.
    is_recovering: Cell<bool>,
    /// Those of presentities are here.
    has_presentities: Cell<bool>,
    reading: Cell<Reading>,
    /// The streams of all shards that came from an earlier process.
    continued: Arc<[Flow]>,
    /// When the timer fires; None if unarmed.
    armed: Cell<Option<Instant>>,
    is_to_rearm: Cell<bool>,
    timekeeper: RefCell<Option<Waker>>,
}

/// Whether a core reads from its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// Not yet.
    Later,
    /// It does.
    Now,
    /// No more: another process will.
    Over,
}

/// Where a core's mail and records go, and its own streams.
#[derive(Debug)]
pub(crate) struct Outlets {
    /// To the other shards.
    pub(crate) mesh: Arc<Mesh>,
    /// To the store, if there is one: then the core begins with what that holds.
    pub(crate) store: Option<StoreHandle>,
    /// To the history, if one is kept, and to readers of events.
    pub(crate) changes: ChangeSender,
    /// To peers whose streams ended.
    pub(crate) outward: Outward,
}

/// What a core opens streams with.
#[derive(Clone, Debug)]
pub(crate) struct Outward {
    /// How it does by TLS.
    pub(crate) tls_client: SharedTlsClient,
    /// Looks up names.
    pub(crate) resolver: Resolver,
    /// The SIP listeners, bound: where what we open leaves from.
    pub(crate) listeners: Arc<[(Transport, SocketAddr)]>,
}

/// The sockets of a core.
#[derive(Debug)]
pub(crate) struct Sockets {
    /// The streams of all shards that came from an earlier process.
    pub(crate) continued: Arc<[Flow]>,
    /// Its datagram ports by listener; None for a listener that accepts streams.
    pub(crate) datagram_ports: Vec<Option<Rc<DatagramPort>>>,
    /// What its thread waits for beside the executor.
    pub(crate) readiness: Readiness,
    /// Their limits.
    pub(crate) limits: Limits,
}

#[derive(Debug)]
struct State {
    shard: Shard,
    outbox: Outbox,
    streams: Connections,
    mail: MailSender,
    records: RecordSender,
    changes: ChangeSender,
    repliers: HashMap<CommandId, Replier>,
    last_token: u64,
    times: TurnTimes,
    watchdog: Watchdog,
    tracer: Tracer,
    /// Turns in a row that left the timeout to the next.
    reading_turns: u32,
}

/// One turn under way.
#[derive(Debug)]
pub(crate) struct Turn<'c> {
    core: &'c Core,
    state: RefMut<'c, State>,
    now: Instant,
    has_more_to_read: bool,
}

impl Core {
    /// A core with a new engine.
    pub(crate) fn new(
        id: ShardId,
        shard: Shard,
        outlets: Outlets,
        counters: Arc<CoreCounters>,
        sockets: Sockets,
    ) -> Rc<Self> {
        let Outlets {
            mesh,
            store,
            changes,
            outward,
        } = outlets;
        let Sockets {
            continued,
            datagram_ports,
            readiness,
            limits,
        } = sockets;
        mesh.set_bell(id, Arc::clone(readiness.bell()));
        let is_recovering = store.is_some();
        let tracer = Tracer::new(id, Arc::clone(mesh.traces()));
        let state = State {
            shard,
            outbox: Outbox::default(),
            streams: Connections::new(id, limits.clone()),
            mail: MailSender::new(Arc::clone(&mesh)),
            records: RecordSender::new(id, store),
            changes,
            repliers: HashMap::new(),
            last_token: 0,
            times: TurnTimes::new(Instant::now()),
            watchdog: Watchdog::default(),
            tracer,
            reading_turns: 0,
        };
        Rc::new(Self {
            id,
            counters,
            mesh,
            handshakes: Handshakes::new(limits.handshakes),
            limits,
            datagram_ports,
            scratch: RefCell::new(vec![0; SCRATCH_OCTETS].into()),
            arrivals: Cell::new(ArrivalPattern::new(Instant::now())),
            readiness,
            dial_orders: Orders::new(),
            lookup_orders: Orders::new(),
            route_orders: Orders::new(),
            outward,
            state: RefCell::new(state),
            has_begun: Cell::new(!is_recovering),
            is_recovering: Cell::new(is_recovering),
            has_presentities: Cell::new(!is_recovering),
            reading: Cell::new(Reading::Later),
            continued,
            armed: Cell::new(None),
            is_to_rearm: Cell::new(false),
            timekeeper: RefCell::new(None),
        })
    }

    /// Runs one turn that `work` starts.
    pub(crate) fn turn<R>(&self, work: impl FnOnce(&mut Turn<'_>) -> R) -> R {
        let mut turn = Turn {
            core: self,
            state: self.state.borrow_mut(),
            now: Instant::now(),
            has_more_to_read: false,
        };
        let is_congested = turn.state.is_congested();
        turn.state.shard.handle_congestion(is_congested);
        let is_refused = turn.state.records.is_refused();
        turn.state.shard.handle_store_failure(is_refused);
        let is_traced = turn.state.tracer.refresh();
        turn.state.shard.set_traced(is_traced);
        let result = work(&mut turn);
        turn.finish();
        result
    }

    /// When the next turn is due if nothing arrives.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let state = self.state.borrow();
        let retry = state.has_backlog().then(|| Instant::now() + BACKLOG_RETRY);
        [state.shard.poll_timeout(), retry]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether a turn is wanted now.
    pub(crate) fn is_due(&self) -> bool {
        self.next_due().is_some_and(|due| due <= Instant::now())
    }

    /// Whether sockets should be left unread for a moment.
    pub(crate) fn is_congested(&self) -> bool {
        self.reading.get() != Reading::Now || self.state.borrow().is_congested()
    }

    /// Sockets are read from now on.
    pub(crate) fn begin_reading(&self) {
        self.reading.set(Reading::Now);
    }

    /// Leaves all sockets unread from now on, for another process.
    pub(crate) fn stop_reading(&self) {
        self.reading.set(Reading::Over);
        self.state.borrow_mut().streams.pause_all();
    }

    /// Whether sockets are not read any more.
    pub(crate) fn has_paused(&self) -> bool {
        self.reading.get() == Reading::Over
    }

    /// Whether records of an earlier process are still to come.
    pub(crate) fn is_recovering(&self) -> bool {
        self.is_recovering.get()
    }

    /// Whether the presentities that an earlier process recorded are here.
    pub(crate) fn has_presentities(&self) -> bool {
        self.has_presentities.get()
    }

    /// Whether the engine may get messages. Before, nothing is read from sockets.
    pub(crate) fn has_begun(&self) -> bool {
        self.has_begun.get()
    }

    /// Whether all records are durable, and what waited for them was sent.
    pub(crate) fn is_settled(&self) -> bool {
        self.state.borrow().records.is_settled()
    }

    /// Leaves streams that are between two messages to another process, up to `count`.
    pub(crate) fn hand_over_streams(&self, count: usize) -> Vec<(OwnedFd, Duration)> {
        let state = self.state.borrow();
        state.streams.hand_over(count, Instant::now())
    }

    /// Ends all stream connections. True when none is left: their readers take a moment to notice.
    pub(crate) fn end_streams(&self) -> bool {
        let state = self.state.borrow();
        state.streams.end_all();
        state.streams.is_empty()
    }

    /// The timekeeper sleeps until `due`.
    pub(crate) fn arm(&self, due: Option<Instant>) {
        self.armed.set(due);
        self.is_to_rearm.set(false);
    }

    /// Whether something became due earlier than the timekeeper's alarm; if not, `waker` is woken
    /// when that happens.
    pub(crate) fn poll_rearm(&self, waker: &Waker) -> bool {
        if self.is_to_rearm.get() {
            return true;
        }
        let mut timekeeper = self.timekeeper.borrow_mut();
        if !timekeeper
            .as_ref()
            .is_some_and(|known| known.will_wake(waker))
        {
            *timekeeper = Some(waker.clone());
        }
        false
    }

    fn wake_timekeeper_if_earlier(&self, due: Option<Instant>) {
        let Some(due) = due else { return };
        if self.armed.get().is_none_or(|armed| due < armed) {
            self.armed.set(Some(due));
            self.is_to_rearm.set(true);
            if let Some(timekeeper) = self.timekeeper.borrow().as_ref() {
                timekeeper.wake_by_ref();
            }
        }
    }
}

impl State {
    /// Whether something found no room elsewhere, and waits for another try.
    fn has_backlog(&self) -> bool {
        self.mail.has_backlog() || self.records.has_backlog()
    }

    /// Whether so much of that waits that no new work should be taken in.
    fn is_congested(&self) -> bool {
        self.mail.is_congested() || self.records.is_congested()
    }

    /// Whether nothing is to be done before the next input or timer.
    fn is_at_rest(&self, now: Instant) -> bool {
        let is_due = self.shard.poll_timeout().is_some_and(|due| due <= now);
        !is_due && !self.has_backlog() && self.records.is_settled()
    }
}

impl Turn<'_> {
    /// The time of this turn.
    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// There is more to read where this turn's inputs came from.
    pub(crate) fn expect_more(&mut self) {
        self.has_more_to_read = true;
    }

    /// Gives the engine an input.
    pub(crate) fn handle(&mut self, input: Input<'_>) {
        let state = &mut *self.state;
        if state.tracer.is_on() {
            state.tracer.see(&input);
        }
        state.shard.handle(input, self.now, &mut state.outbox);
        if state.outbox.arena.len() > OUTBOX_OCTETS {
            self.empty_outbox();
        }
    }

    /// Sends a keepalive response, bypassing the engine. `write` appends it and returns whether
    /// there is one.
    pub(crate) fn respond(&mut self, flow: Flow, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let outbox = &mut self.state.outbox;
        let start = outbox.arena.len();
        let has_response = write(&mut outbox.arena);
        if has_response {
            let end = outbox.arena.len();
            outbox.transmits.push(Transmit {
                flow,
                head: start..end,
                tail: end..end,
            });
        }
        has_response
    }

    fn finish(mut self) {
        if self.core.is_recovering.get() {
            self.take_recovered();
        }
        if self.core.has_begun() {
            self.take_durable();
            self.take_mail();
            self.take_commands();
            self.handle_timeout();
        }
        self.empty_outbox();
        let state = &mut *self.state;
        state.mail.retry(&self.core.counters);
        state.records.retry(&self.core.counters);
        state.mail.wake();
        state
            .times
            .record(self.now, Instant::now(), &self.core.counters);
        if self.core.has_paused() {
            let is_at_rest = state.is_at_rest(self.now);
            self.core.mesh.set_at_rest(self.core.id, is_at_rest);
        }
        let retry = state.has_backlog().then(|| self.now + BACKLOG_RETRY);
        let due = [state.shard.poll_timeout(), retry]
            .into_iter()
            .flatten()
            .min();
        self.core.wake_timekeeper_if_earlier(due);
    }

    /// The engine's timeout, if it wants one and nothing is left to read before.
    fn handle_timeout(&mut self) {
        let (core, now) = (self.core, self.now);
        let state = &mut *self.state;
        if state.shard.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        if self.has_more_to_read && state.reading_turns < READING_TURNS_MAX {
            state.reading_turns += 1;
            core.counters.timeouts_deferred.add(1);
            return;
        }
        state.reading_turns = 0;
        state.shard.handle_timeout(now, &mut state.outbox);
        let lateness = state.shard.timers_behind(now);
        state.watchdog.look(core.id, lateness, now, &core.counters);
    }

    /// Informs the engine when more of its records are durable.
    fn take_durable(&mut self) {
        if !self.core.mesh.take_durable(self.core.id) {
            return;
        }
        if let Some(durable) = self.state.records.newly_durable() {
            self.handle(Input::Durable(durable));
        }
    }

    /// Gives the engine a part of what an earlier process recorded, and first what it asked for.
    fn take_recovered(&mut self) {
        if self.state.is_congested() {
            return;
        }
        let part = self.core.mesh.next_recovered(self.core.id);
        // The last of these were there before the last part.
        while let Some(wanted) = self.core.mesh.next_wanted(self.core.id) {
            self.recover(wanted);
        }
        if let Some(part) = part {
            self.recover(part);
        }
    }

    fn recover(&mut self, part: RecoveredPart) {
        let core = self.core;
        part.read(&core.continued, |it| self.handle(Input::Recovered(it)));
        match part {
            RecoveredPart::Begin { .. } => core.has_begun.set(true),
            RecoveredPart::Changes(_) | RecoveredPart::Records(_) | RecoveredPart::Absent(_) => {}
            RecoveredPart::Reached(sender) => {
                core.has_presentities.set(true);
                // The reader may have given up.
                let _ = sender.send(());
            }
            RecoveredPart::End => {
                self.empty_outbox();
                self.state.records.end_recovery(&core.counters);
                core.is_recovering.set(false);
            }
        }
    }

    fn take_mail(&mut self) {
        let waiting = self.core.mesh.mail_waiting(self.core.id);
        self.core.counters.mail_waiting.set(waiting as u64);
        for _ in 0..MAIL_PER_TURN {
            let Some(mail) = self.core.mesh.next_mail(self.core.id) else {
                break;
            };
            self.core.counters.mail_received.add(1);
            self.handle(Input::Mail(mail));
        }
    }

    fn take_commands(&mut self) {
        for _ in 0..COMMANDS_PER_TURN {
            let Some(pending) = self.core.mesh.next_command(self.core.id) else {
                break;
            };
            self.core.counters.commands.add(1);
            self.state.last_token += 1;
            let token = CommandId(self.state.last_token);
            self.state.repliers.insert(token, pending.replier);
            self.handle(Input::Command(token, pending.command));
        }
    }

    /// Delivers all effects and clears the outbox.
    fn empty_outbox(&mut self) {
        let State {
            shard,
            outbox,
            streams,
            mail: mail_sender,
            records,
            changes,
            repliers,
            tracer,
            ..
        } = &mut *self.state;
        if outbox.is_empty() {
            outbox.clear();
            return;
        }
        if tracer.is_on() {
            tracer.see_sent(outbox);
        }
        let counters = &self.core.counters;
        records.send(outbox, counters);
        transmits::send(&self.core.datagram_ports, outbox, streams, counters);
        changes.send(outbox, shard.tells_changes());
        for (to, mail) in outbox.mail.drain(..) {
            mail_sender.send(to, mail, counters);
        }
        for (connection, until) in outbox.kept.drain(..) {
            streams.keep(connection, until);
        }
        self.core.dial_orders.extend(outbox.dials.drain(..));
        self.core.lookup_orders.extend(outbox.lookups.drain(..));
        self.core.route_orders.extend(outbox.routes.drain(..));
        for place in outbox.wanted_dialogs.drain(..) {
            self.core.mesh.want(place);
        }
        alarms::log(outbox);
        for (token, reply) in outbox.replies.drain(..) {
            match repliers.remove(&token) {
                Some(replier) => replier.reply(reply),
                None => debug_assert!(false, "a command has one reply"),
            }
        }
        outbox.clear();
    }
}
