//! The engine of one core, where SIP and the domain meet. Synchronous, single-owner, deterministic:
//! input and time in, effects out.
//!
//! No async, lock, clock, file or socket. One file a verb: `admit` lets a request in or says why
//! not, `subscribe`, `publish`, `register` and `notify` serve it, `respond` writes answers,
//! `commands` serves the operator's side; `table`, `presentities`, `pace`, `wheel` hold what is known.
//!
//! Invariants (the simulator checks them):
//! - every live watcher converges to the composed state;
//! - CSeq and document version of a subscription only ever go up by one; one NOTIFY of a
//!   subscription is outstanding at a time;
//! - a 2xx to SUBSCRIBE leaves before the NOTIFY it owes, on the same flow;
//! - the same seed and inputs give the same octets.

mod admit;
mod appearances;
mod bindings;
mod bodies;
mod checks;
mod commands;
mod conditions;
mod content;
mod copies;
mod counters;
mod dialogs;
mod enclosed;
mod features;
mod growing;
mod hop;
mod identity;
mod lists;
mod mailbox;
mod mark;
mod notify;
mod origins;
mod outcome;
mod pace;
mod paths;
mod places;
mod presentities;
mod publish;
mod publisher;
mod refusal_counters;
mod register;
mod respond;
mod review;
mod sender;
mod subscribe;
mod subscription;
mod table;
mod trains;
mod ways;
mod wheel;
mod winfo;

pub mod directory;
pub mod flow;
pub mod mail;
pub mod options;
pub mod outbox;
pub mod shield;

pub use counters::Counters;
pub use directory::Directory;
pub use flow::ConnectionId;
pub use flow::Flow;
pub use flow::ShardId;
pub use mail::Command;
pub use mail::Input;
pub use mail::Mail;
pub use mail::Reply;
pub use mail::Token;
pub use options::Options;
pub use outbox::Outbox;
pub use outbox::Transmit;

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use slab::Slab;

use crate::presence::Aor;
use crate::presence::fixed_hash::fnv1a;
use crate::shard::appearances::Seizures;
use crate::shard::bodies::Bodies;
use crate::shard::lists::roster::Rosters;
use crate::shard::notify::InFlightId;
use crate::shard::notify::Notifier;
use crate::shard::origins::Origins;
use crate::shard::pace::PhoneId;
use crate::shard::pace::Phones;
use crate::shard::presentities::Presentities;
use crate::shard::presentities::PresentityId;
use crate::shard::publish::Waiting;
use crate::shard::refusal_counters::RefusalCounters;
use crate::shard::review::Review;
use crate::shard::shield::Backlog;
use crate::shard::shield::Postponed;
use crate::shard::shield::Shield;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::wheel::TimerHandle;
use crate::shard::wheel::Wheel;
use crate::shard::winfo::WatcherInfos;
use crate::sip::digest::Authenticator;
use crate::sip::digest::ReplayWindows;
use crate::sip::message::PlainResponse;
use crate::sip::random::Random;
use crate::sip::transaction::server::ServerTransactions;

/// Whose timer fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Timer {
    /// The end of a subscription, or of its pause.
    Subscription(SubscriptionId),
    /// Timer E or F of a NOTIFY.
    Notify(InFlightId),
    /// A contribution's end.
    Presentity(PresentityId),
    /// A phone can take another NOTIFY.
    Phone(PhoneId),
    /// A request whose owner does not answer.
    Waiting(u32),
    /// A rule begins or ceases to hold.
    Review,
}

/// One core's engine.
///
/// Contract: give one input (or a timeout), then drain the outbox; several may be given before the
/// drain, their effects line up. `now` never goes back. [`Shard::poll_timeout`] says when
/// [`Shard::handle_timeout`] wants to be called. That is at once after an input that NOTIFYs are
/// owed for: an input answers and takes note, a timeout tells, so that whoever drives the shard can
/// read all answers that wait before more is sent and before anything is sent again.
#[derive(Debug)]
pub struct Shard {
    options: Options,
    directory: Arc<Directory>,
    counters: Counters,
    refusal_counters: RefusalCounters,
    is_draining: bool,
    /// What is yet to be looked at since the configuration changed.
    review: Review,
    review_timer: Option<TimerHandle>,
    /// The last subscription that was told of it.
    drained: SubscriptionId,

    // Storms.
    shield: Shield,
    /// The driver cannot hand on as much as it gets.
    is_congested: bool,

    // Chance and secrets.
    random: Random,
    authenticator: Authenticator,
    replay: ReplayWindows,

    // What is known.
    transactions: ServerTransactions,
    table: Table,
    presentities: Presentities,
    rosters: Rosters,
    winfo: WatcherInfos,
    seizures: Seizures,
    phones: Phones,
    origins: Origins,
    /// Requests that wait for another shard's word.
    waiting: Slab<Waiting>,

    // What is to be done.
    notifier: Notifier,
    bodies: Bodies,
    /// Subscriptions that may be owed a NOTIFY, in order.
    queue: Backlog,
    postponed: Postponed,
    wheel: Wheel<Timer>,
    /// The latest `now`.
    now: Instant,
}

impl Shard {
    /// An empty engine.
    #[must_use]
    pub fn new(options: Options, directory: Arc<Directory>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let hash_key = [random.next_u64(), random.next_u64()];
        let shield = Shield::new(
            options.shield.clone(),
            options.epoch,
            hash_key[0].rotate_left(32),
        );
        Self {
            authenticator: Authenticator::new(options.key, options.nonce_life)
                .allow_rfc2069(options.allow_rfc2069),
            replay: ReplayWindows::new(options.nonces_max),
            transactions: ServerTransactions::new(options.response_ring_octets, hash_key),
            phones: Phones::new(
                options.notify_rate_per_phone,
                options.notify_burst_per_phone,
            ),
            origins: Origins::new(options.advertise.clone()),
            wheel: Wheel::new(options.epoch),
            now: options.epoch,
            options: Options {
                product: one_line(&options.product),
                ..options
            },
            directory,
            counters: Counters::default(),
            refusal_counters: RefusalCounters::default(),
            is_draining: false,
            shield,
            is_congested: false,
            review: Review::default(),
            review_timer: None,
            drained: SubscriptionId(0),
            random,
            table: Table::default(),
            presentities: Presentities::default(),
            rosters: Rosters::default(),
            winfo: WatcherInfos::default(),
            seizures: Seizures::default(),
            waiting: Slab::new(),
            notifier: Notifier::default(),
            bodies: Bodies::default(),
            queue: Backlog::default(),
            postponed: Postponed::default(),
        }
    }

    /// The shard that owns a presentity; the same answer on every shard and in every process of a
    /// node.
    #[must_use]
    pub fn owner(aor: &Aor, shards: u16) -> ShardId {
        ShardId((fnv1a(aor.as_str().as_bytes()) % u64::from(shards.max(1))) as u16)
    }

    /// Takes one input.
    pub fn handle(&mut self, input: Input<'_>, now: Instant, out: &mut Outbox) {
        self.now = self.now.max(now);
        match input {
            Input::Datagram { flow, bytes } => {
                if !self.postpone(flow, bytes, now, out) {
                    let answer = PlainResponse::read(bytes);
                    self.handle_octets(flow, bytes, answer, false, now, out);
                }
            }
            Input::Answer {
                flow,
                bytes,
                answer,
            } => self.handle_octets(flow, bytes, Some(answer), false, now, out),
            Input::Closed(connection) => {
                self.tell_closed(connection, out);
                self.handle_closed(connection, now, out);
            }
            Input::Mail(mail) => self.handle_mail(mail, now, out),
            Input::Command(token, command) => {
                let reply = self.handle_command(command, now, out);
                out.replies.push((token, reply));
            }
        }
        self.tell_others(now, out);
    }

    /// Does what is due at `now`, as much as a turn may: a hot presentity's fan-out and
    /// a storm of timers are spread over several, with reading in between.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        self.now = self.now.max(now);
        self.fire_timers(now, out);
        self.counters.timers_armed_late = self.wheel.late();
        self.go_on_reviewing(now, out);
        self.tell_others(now, out);
        self.send_queued(now, out);
        self.read_postponed(now, out);
    }

    /// When something is due next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let is_settled = self.winfo.is_settled() && self.seizures.are_settled();
        let is_all_told = self.queue.is_empty() && self.postponed.is_empty();
        if is_all_told && self.review.is_over() && is_settled {
            self.wheel.poll_timeout()
        } else {
            Some(self.now)
        }
    }

    /// How late the earliest timer is at `now`: zero when all that is due has fired. A shard whose
    /// lateness keeps growing does not keep up, or does not get on.
    #[must_use]
    pub fn timers_behind(&self, now: Instant) -> Duration {
        let due = self.wheel.poll_timeout();
        due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    /// Fires timers that are due: so many, and until they have sent as much as a turn may.
    fn fire_timers(&mut self, now: Instant, out: &mut Outbox) {
        let transmits_max = out.transmits.len() + self.options.notifies_per_turn;
        let octets_max = out.arena.len() + self.options.notify_octets_per_turn;
        for _ in 0..self.options.timers_per_turn {
            if out.transmits.len() >= transmits_max || out.arena.len() >= octets_max {
                return;
            }
            let Some(timer) = self.wheel.fire(now) else {
                return;
            };
            match timer {
                Timer::Subscription(id) => self.handle_subscription_timer(id, now),
                Timer::Notify(id) => self.handle_notify_timer(id, now, out),
                Timer::Presentity(id) => self.handle_presentity_timer(id, now, out),
                Timer::Phone(id) => self.release_phone(id, now, out),
                Timer::Review => {
                    self.review_timer = None;
                    self.begin_review(now);
                }
                Timer::Waiting(place) => {
                    self.waiting.try_remove(place as usize);
                }
            }
        }
    }

    /// The driver is, or is no longer, behind with what it was given: new subscriptions are refused
    /// until it is not (W:A1.21).
    pub fn handle_congestion(&mut self, is_congested: bool) {
        self.is_congested = is_congested;
    }

    /// What an input or a timeout left to be told to others than phones.
    fn tell_others(&mut self, now: Instant, out: &mut Outbox) {
        if !self.seizures.are_settled() {
            self.release_claims(now, out);
        }
        if !self.winfo.is_settled() {
            self.report_watchers(out);
        }
    }

    fn handle_mail(&mut self, mail: Mail, now: Instant, out: &mut Outbox) {
        match mail {
            Mail::Misdirected { flow, bytes } => {
                let answer = PlainResponse::read(&bytes);
                self.handle_octets(flow, &bytes, answer, true, now, out);
            }
            Mail::Transmit { flow, bytes } => {
                let start = out.arena.len();
                out.arena.extend_from_slice(&bytes);
                let head = start..out.arena.len();
                self.transmit(flow, head, 0..0, out);
            }
            Mail::Keep(connection, until) => out.kept.push((connection, until)),
            Mail::Closed(connection) => self.handle_closed(connection, now, out),
            Mail::Watch { aor, watcher } => self.handle_watch(&aor, watcher, out),
            Mail::Unwatch { aor, watcher } => self.handle_unwatch(&aor, watcher, now),
            Mail::State { aor, composed } => self.handle_state(&aor, composed),
            Mail::WatchDomain {
                domain,
                watcher,
                watch,
            } => self.handle_watch_domain(domain, watcher, watch, out),
            Mail::UnwatchDomain { domain, watcher } => self.handle_unwatch_domain(&domain, watcher),
            Mail::Roster {
                domain,
                aors,
                announcement,
            } => self.handle_roster(&domain, aors, announcement, out),
            Mail::FollowWatchers {
                aor,
                package,
                follower,
            } => self.handle_follow_watchers(aor, package, follower, out),
            Mail::UnfollowWatchers {
                aor,
                package,
                follower,
            } => self.handle_unfollow_watchers(&aor, package, follower),
            Mail::WatchersHere(told) => self.handle_watchers_here(*told),
            Mail::Seize {
                aor,
                index,
                reply_to,
            } => self.handle_seize(aor, index, reply_to, now, out),
            Mail::SeizeOutcome { request, outcome } => {
                self.handle_seize_outcome(request, outcome, now, out);
            }
            Mail::Release(claim) => self.handle_release(&claim, now, out),
            Mail::Say { aor, said } => {
                self.take_statement(&aor, *said, now, out);
            }
            Mail::Switch {
                aor,
                said,
                reply_to,
            } => self.handle_switch(aor, *said, reply_to, now, out),
            Mail::Switched { aor, subscription } => {
                self.handle_switched(&aor, SubscriptionId(subscription));
            }
            Mail::Register(register) => self.handle_register_mail(*register, now, out),
            Mail::RegisterOutcome { request, outcome } => {
                self.handle_register_outcome(request, outcome, now, out);
            }
            Mail::Publish(publish) => self.handle_publish_mail(*publish, now, out),
            Mail::PublishOutcome { request, outcome } => {
                self.handle_publish_outcome(request, outcome, now, out);
            }
        }
    }

    /// Sends two pieces of the arena over a flow: by the shard that can.
    fn transmit(&self, flow: Flow, head: Range<usize>, tail: Range<usize>, out: &mut Outbox) {
        let transmit = Transmit { flow, head, tail };
        if flow.transport.is_reliable() && flow.connection.shard != self.options.id {
            let bytes = out.pieces(&transmit).concat().into();
            out.mail
                .push((flow.connection.shard, Mail::Transmit { flow, bytes }));
        } else {
            out.transmits.push(transmit);
        }
    }

    /// What came by a flow lives for that long: a stream is not closed meanwhile, however still.
    fn keep_stream(&self, flow: &Flow, expires: Duration, now: Instant, out: &mut Outbox) {
        if !flow.transport.is_reliable() || expires.is_zero() {
            return;
        }
        let until = now + expires + self.options.expiry_grace;
        let connection = flow.connection;
        if connection.shard == self.options.id {
            out.kept.push((connection, until));
        } else {
            out.mail
                .push((connection.shard, Mail::Keep(connection, until)));
        }
    }

    /// Whether a domain trusts that address.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.directory.trusts(peer)
    }

    /// Other shards may have subscriptions on a stream of ours.
    fn tell_closed(&self, connection: ConnectionId, out: &mut Outbox) {
        let others = (0..self.options.shards)
            .map(ShardId)
            .filter(|shard| *shard != self.options.id);
        out.mail
            .extend(others.map(|shard| (shard, Mail::Closed(connection))));
    }
}

/// A text without what would end a header's line.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n', '\0'], " ")
}
