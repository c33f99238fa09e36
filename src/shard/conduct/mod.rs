//! The conductor: passes each input, mail and timer to the room that serves it.
//!
//! - `dispatch`: from octets to a request, with the overload control before it is served.
//! - `subscribe`, `refresh`, `publish`, `register`, `seize`: one request through all rooms.
//! - `commit`: the end of a turn, records and what waits for them; recovery.
//! - `early`: what waits until all recorded presentities are back; `awaited`: what waits for one dialog.
//! - `other_servers`: our subscriptions and publications at other servers.
//! - `reevaluate`, `operator`: reload, and operator commands.
//!
//! No room knows the conductor, and the conductor has no state of its own but what spans rooms.

pub(crate) mod awaited;
pub(crate) mod commit;
pub(crate) mod dispatch;
pub(crate) mod early;
pub(crate) mod operator;
mod other_servers;
pub(crate) mod publish;
pub(crate) mod reevaluate;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod seize;
pub(crate) mod subscribe;

use std::time::Instant;

use crate::presence::document;
use crate::shard::conduct::awaited::AwaitedDialogs;
use crate::shard::conduct::early::EarlyInputs;
use crate::shard::conduct::publish::PUBLISH;
use crate::shard::conduct::reevaluate::{Reevaluation, Superseded};
use crate::shard::connector::Connectors;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::flow::{Arrived, ConnectionId, ShardId};
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::contract::input::Input;
use crate::shard::contract::mail::{Mail, News};
use crate::shard::contract::options::Options;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::notify::Notifier;
use crate::shard::overload::publish_queue::PublishQueue;
use crate::shard::presentity::Compositor;
use crate::shard::relay::SipRelays;
use crate::shard::uac::Uac;
use crate::shard::uas::Uas;
use crate::sip::message::PlainResponse;
use crate::sip::random::Random;

/// The rooms of a shard.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Server transactions, authentication, overload control.
    uas: Uas,
    /// Our requests to other servers.
    uac: Uac,
    /// Who is subscribed to at other servers.
    connectors: Connectors,
    /// Who is published at other servers.
    relays: SipRelays,
    /// Both were taken from the directory.
    has_other_servers: bool,
    /// The presentities that this shard owns.
    compositor: Compositor,
    /// The subscriptions that this shard holds.
    subscriptions: Subscriptions,
    /// Outstanding NOTIFYs and what is needed to write them.
    notifier: Notifier,
    /// Progress of the re-evaluation after a change of the configuration.
    reevaluation: Reevaluation,
    reevaluation_timer: Option<TimerHandle>,
    /// Directories that were in force since the last complete re-evaluation, but for the current one.
    superseded: Vec<Superseded>,
    /// The driver is behind with its work.
    is_congested: bool,
    publish_queue: PublishQueue,
    early: EarlyInputs,
    awaited: AwaitedDialogs,
    /// The templates by which published documents are read.
    documents: document::Reader,
}

impl Engine {
    /// Rooms without state.
    pub(crate) fn new(options: &Options, random: &mut Random) -> Self {
        Self {
            uas: Uas::new(options, random),
            uac: Uac::new(options),
            connectors: Connectors::default(),
            relays: SipRelays::default(),
            has_other_servers: false,
            compositor: Compositor::default(),
            subscriptions: Subscriptions::new(options),
            notifier: Notifier::new(options),
            reevaluation: Reevaluation::default(),
            reevaluation_timer: None,
            superseded: Vec::new(),
            is_congested: false,
            publish_queue: PublishQueue::default(),
            early: EarlyInputs::default(),
            awaited: AwaitedDialogs::default(),
            documents: document::Reader::default(),
        }
    }

    /// Handles one input.
    pub(crate) fn handle(&mut self, input: Input<'_>, turn: &mut Turn<'_>) {
        match input {
            Input::Message { flow, bytes } => {
                let arrived = Arrived { flow, at: turn.now };
                let waits = self.hold_back_request(arrived, bytes, turn)
                    || bytes.starts_with(PUBLISH) && self.postpone(arrived, bytes, turn);
                if !waits {
                    let response = PlainResponse::read(bytes);
                    self.handle_octets(arrived, bytes, response, false, turn);
                }
            }
            Input::Response {
                flow,
                bytes,
                response,
            } => {
                let arrived = Arrived { flow, at: turn.now };
                self.handle_octets(arrived, bytes, Some(response), false, turn);
            }
            Input::Certified(connection, names) => turn.certificates.note(connection, names),
            Input::Closed(connection) => {
                tell_closed(connection, turn);
                turn.certificates.forget(connection);
                self.awaited.forget_stream(connection);
                self.uac.handle_closed(connection, turn);
                self.notifier
                    .handle_closed(connection, &mut self.subscriptions, turn);
            }
            Input::Dialed(id, flow) => match id.link() {
                Some(link) => self.uac.handle_dialed(link, flow, turn),
                None => self
                    .notifier
                    .handle_dialed(id, flow, &mut self.subscriptions, turn),
            },
            Input::DialFailed(id) => match id.link() {
                Some(link) => self.uac.handle_dial_failed(link, turn),
                None => self
                    .notifier
                    .handle_dial_failed(id, &mut self.subscriptions, turn),
            },
            Input::Routed(link, flows) => self.uac.handle_located(link, flows, turn),
            Input::Located(id, addresses) => {
                self.notifier
                    .handle_located(id, addresses, &mut self.subscriptions, turn)
            }
            Input::Mail(mail) => self.take_mail(mail, turn),
            Input::Durable(sequence) => turn.commits.advance(sequence),
            Input::Recovered(recovered) => self.recover(&recovered, turn),
            Input::Command(id, command) => {
                if let Some(command) = self.hold_back_command(id, command, turn) {
                    self.execute(id, command, turn);
                }
            }
        }
        self.subscriptions.report_watchers(turn);
        self.deliver_loopback(turn);
        self.commit(turn);
    }

    /// Fires due timers, continues the re-evaluation, sends queued NOTIFYs, serves deferred
    /// PUBLISHes; each up to its limit per turn.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        self.fire_timers(turn);
        turn.counters.timers_armed_late = turn.wheel.late();
        self.continue_reevaluation(turn);
        self.subscriptions.report_watchers(turn);
        self.deliver_loopback(turn);
        self.notifier.send_queued(&mut self.subscriptions, turn);
        self.serve_early(turn);
        self.read_postponed(turn);
        self.deliver_loopback(turn);
        self.commit(turn);
    }

    /// The driver is behind with its work, or no longer.
    pub(crate) fn handle_congestion(&mut self, is_congested: bool) {
        self.is_congested = is_congested;
    }

    /// Notes that the time is `now`, before a turn.
    pub(crate) fn tick(&mut self, now: Instant) {
        self.subscriptions.tick(now);
    }

    /// Whether nothing remains to be done before the next timer or input.
    pub(crate) fn is_idle(&self) -> bool {
        self.subscriptions.is_settled()
            && self.publish_queue.is_empty()
            && (self.early.is_empty() || self.compositor.is_recovering())
            && self.reevaluation.is_over()
    }

    /// Fires due timers, up to the limits of timers, messages and octets per turn.
    fn fire_timers(&mut self, turn: &mut Turn<'_>) {
        let transmits_max = turn.out.transmits.len() + turn.options.notifies_per_turn;
        let octets_max = turn.out.arena.len() + turn.options.notify_octets_per_turn;
        for _ in 0..turn.options.timers_per_turn {
            if turn.out.transmits.len() >= transmits_max || turn.out.arena.len() >= octets_max {
                return;
            }
            let Some(timer) = turn.wheel.fire(turn.now) else {
                return;
            };
            match timer {
                Timer::Subscription(id) => self.subscriptions.handle_subscription_timer(id, turn),
                Timer::Notify(id) => {
                    self.notifier
                        .handle_notify_timer(id, &mut self.subscriptions, turn)
                }
                Timer::Presentity(id) => self.compositor.handle_presentity_timer(id, turn),
                Timer::Phone(id) => self
                    .notifier
                    .release_phone(id, &mut self.subscriptions, turn),
                Timer::Dial(id) => {
                    self.notifier
                        .handle_dial_timer(id, &mut self.subscriptions, turn)
                }
                Timer::Reevaluate => {
                    self.reevaluation_timer = None;
                    self.begin_reevaluation(turn);
                }
                Timer::ClientTransaction(id) => self.uac.handle_transaction_timer(id, turn),
                Timer::Client(id) => self.uac.handle_client_timer(id, turn),
                Timer::Link(id) => self.uac.handle_link_timer(id, turn),
                Timer::Connectors => self.go_on_with_connectors(turn),
                Timer::SuspendedRequest(number) => self.uas.handle_suspended_timer(number),
            }
        }
    }

    /// Delivers the mail of this shard to itself, and the mail that results from it.
    fn deliver_loopback(&mut self, turn: &mut Turn<'_>) {
        while let Some(mail) = turn.loopback.pop_front() {
            self.take_mail(mail, turn);
            if turn.loopback.is_empty() {
                self.subscriptions.report_watchers(turn);
            }
        }
    }

    /// Handles a mail, unless it must wait.
    fn take_mail(&mut self, mail: Mail, turn: &mut Turn<'_>) {
        if let Some(mail) = self.hold_back_mail(mail) {
            self.handle_mail(mail, turn);
        }
    }

    /// Passes a mail to the room it is for.
    // Long: one arm for each kind of mail, nearly all of them one call.
    fn handle_mail(&mut self, mail: Mail, turn: &mut Turn<'_>) {
        match mail {
            Mail::Misdirected {
                flow,
                at,
                bytes,
                certified,
            } => {
                if let Some(names) = certified {
                    turn.certificates.note(flow.connection, names);
                }
                let response = PlainResponse::read(&bytes);
                self.handle_octets(Arrived { flow, at }, &bytes, response, true, turn);
            }
            Mail::Begun { beginning, holder } => {
                self.subscriptions.note_begun_elsewhere(beginning, holder);
            }
            Mail::Transmit { flow, bytes } => {
                let start = turn.out.arena.len();
                turn.out.arena.extend_from_slice(&bytes);
                let head = start..turn.out.arena.len();
                turn.transmit(flow, head, 0..0);
            }
            Mail::Keep(connection, until) => turn.out.kept.push((connection, until)),
            Mail::Closed(connection) => {
                turn.certificates.forget(connection);
                self.awaited.forget_stream(connection);
                self.uac.handle_closed(connection, turn);
                self.notifier
                    .handle_closed(connection, &mut self.subscriptions, turn)
            }
            Mail::Watch { watcher, watched } => {
                let (aor, system) = (watched.aor.clone(), watched.system);
                self.compositor.handle_watch(watcher, watched, turn);
                self.connectors.note_watched(&aor, system, true, turn);
            }
            Mail::Unwatch {
                aor,
                watcher,
                system,
            } => {
                self.compositor
                    .handle_unwatch(&aor, (watcher, system), turn);
                self.connectors.note_watched(&aor, system, false, turn);
            }
            Mail::State {
                watched,
                composed,
                news: News::Changed,
            } => self.subscriptions.take_state(&watched, composed),
            Mail::State {
                watched,
                composed,
                news,
            } => self
                .subscriptions
                .take_answer(&watched, composed, news, turn),
            Mail::WatchDomain {
                domain,
                watcher,
                watch,
            } => self
                .compositor
                .handle_watch_domain(domain, watcher, watch, turn),
            Mail::UnwatchDomain { domain, watcher } => {
                self.compositor.handle_unwatch_domain(&domain, watcher)
            }
            Mail::Roster {
                domain,
                aors,
                announcement,
            } => self
                .subscriptions
                .handle_roster(&domain, aors, announcement, turn),
            Mail::FollowWatchers {
                aor,
                package,
                follower,
            } => self
                .subscriptions
                .handle_follow_watchers(aor, package, follower, turn),
            Mail::UnfollowWatchers {
                aor,
                package,
                follower,
            } => self
                .subscriptions
                .handle_unfollow_watchers(&aor, package, follower),
            Mail::WatchersHere(report) => self.subscriptions.handle_watchers_here(*report),
            Mail::Seize {
                aor,
                index,
                reply_to,
            } => self.compositor.handle_seize(aor, index, reply_to, turn),
            Mail::SeizeOutcome { request, outcome } => {
                self.handle_seize_outcome(request, outcome, turn);
            }
            Mail::Release(claim) => self.compositor.handle_release(&claim, turn),
            Mail::UpdateState {
                aor,
                update,
                reply_to,
            } => self
                .compositor
                .handle_update_mail(&aor, *update, reply_to, turn),
            Mail::UpdateOutcome { request, is_taken } => {
                self.handle_update_outcome(request, is_taken, turn);
            }
            Mail::Switch {
                aor,
                update,
                reply_to,
            } => self.compositor.handle_switch(aor, *update, reply_to, turn),
            Mail::Switched { aor, subscription } => {
                let id = SubscriptionId(subscription);
                self.subscriptions.handle_switched(&aor, id, turn);
            }
            Mail::Register(register) => self.compositor.handle_register_mail(*register, turn),
            Mail::RegisterOutcome { request, outcome } => {
                self.uas.handle_register_outcome(request, outcome, turn);
            }
            Mail::Publish(publish) => self.compositor.handle_publish_mail(*publish, turn),
            Mail::Upstream(report) => self.compositor.handle_upstream(*report, turn),
            Mail::Relay(state) => self.relay(*state, turn),
            Mail::Relayed(outcome) => self.note_relayed(*outcome, turn),
            Mail::PublishOutcome { request, outcome } => {
                self.uas.handle_publish_outcome(request, outcome, turn);
            }
        }
    }
}

/// Reports the end of a stream to all other shards, which may have dialogs on it.
fn tell_closed(connection: ConnectionId, turn: &mut Turn<'_>) {
    let others = (0..turn.options.shards)
        .map(ShardId)
        .filter(|shard| *shard != turn.options.id);
    turn.out
        .mail
        .extend(others.map(|shard| (shard, Mail::Closed(connection))));
}
