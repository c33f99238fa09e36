//! The rooms of a shard, and the conductor: which room an input, a mail or a timer is for.

use slab::Slab;

use crate::shard::appearances::Claims;
use crate::shard::bodies::Bodies;
use crate::shard::flow::ConnectionId;
use crate::shard::flow::ShardId;
use crate::shard::lists::roster::DomainWatchers;
use crate::shard::lists::roster::Rosters;
use crate::shard::mail::Input;
use crate::shard::mail::Mail;
use crate::shard::notify::Notifier;
use crate::shard::options::Options;
use crate::shard::origins::Origins;
use crate::shard::pace::Phones;
use crate::shard::presentities::Presentities;
use crate::shard::publish::Waiting;
use crate::shard::refusal_counters::RefusalCounters;
use crate::shard::review::Review;
use crate::shard::shield::Backlog;
use crate::shard::shield::Postponed;
use crate::shard::shield::Shield;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::timer::Timer;
use crate::shard::turn::Turn;
use crate::shard::wheel::TimerHandle;
use crate::shard::winfo::WatcherInfos;
use crate::sip::digest::Authenticator;
use crate::sip::digest::ReplayWindows;
use crate::sip::message::PlainAnswer;
use crate::sip::random::Random;
use crate::sip::transaction::server::ServerTransactions;

/// The rooms of a shard.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) refusal_counters: RefusalCounters,
    pub(super) is_draining: bool,
    /// What is yet to be looked at since the configuration changed.
    pub(super) review: Review,
    pub(super) review_timer: Option<TimerHandle>,
    /// The last subscription that was told of it.
    pub(super) drained: SubscriptionId,

    // Storms.
    pub(super) shield: Shield,
    /// The driver cannot hand on as much as it gets.
    pub(super) is_congested: bool,

    // Chance and secrets.
    pub(super) authenticator: Authenticator,
    pub(super) replay: ReplayWindows,

    // What is known.
    pub(super) transactions: ServerTransactions,
    pub(super) table: Table,
    pub(super) presentities: Presentities,
    pub(super) rosters: Rosters,
    pub(super) domain_watchers: DomainWatchers,
    pub(super) winfo: WatcherInfos,
    pub(super) claims: Claims,
    pub(super) phones: Phones,
    pub(super) origins: Origins,
    /// Requests that wait for another shard's word.
    pub(super) waiting: Slab<Waiting>,

    // What is to be done.
    pub(super) notifier: Notifier,
    pub(super) bodies: Bodies,
    /// Subscriptions that may be owed a NOTIFY, in order.
    pub(super) queue: Backlog,
    pub(super) postponed: Postponed,
}

impl Engine {
    /// Empty rooms.
    pub(crate) fn new(options: &Options, random: &mut Random) -> Self {
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
            refusal_counters: RefusalCounters::default(),
            is_draining: false,
            shield,
            is_congested: false,
            review: Review::default(),
            review_timer: None,
            drained: SubscriptionId(0),
            table: Table::default(),
            presentities: Presentities::default(),
            rosters: Rosters::default(),
            domain_watchers: DomainWatchers::default(),
            winfo: WatcherInfos::default(),
            claims: Claims::default(),
            waiting: Slab::new(),
            notifier: Notifier::default(),
            bodies: Bodies::default(),
            queue: Backlog::default(),
            postponed: Postponed::default(),
        }
    }

    /// Takes one input.
    pub(crate) fn handle(&mut self, input: Input<'_>, turn: &mut Turn<'_>) {
        match input {
            Input::Datagram { flow, bytes } => {
                if !self.postpone(flow, bytes, turn) {
                    let answer = PlainAnswer::read(bytes);
                    self.handle_octets(flow, bytes, answer, false, turn);
                }
            }
            Input::Answer {
                flow,
                bytes,
                answer,
            } => self.handle_octets(flow, bytes, Some(answer), false, turn),
            Input::Closed(connection) => {
                self.tell_closed(connection, turn);
                self.handle_closed(connection, turn);
            }
            Input::Mail(mail) => self.handle_mail(mail, turn),
            Input::Command(token, command) => {
                let reply = self.handle_command(command, turn);
                turn.out.replies.push((token, reply));
            }
        }
        self.tell_others(turn);
        self.deliver_loopback(turn);
    }

    /// What is due, and what is queued.
    pub(crate) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        self.fire_timers(turn);
        turn.counters.timers_armed_late = turn.wheel.late();
        self.go_on_reviewing(turn);
        self.tell_others(turn);
        self.deliver_loopback(turn);
        self.send_queued(turn);
        self.read_postponed(turn);
        self.deliver_loopback(turn);
    }

    /// Whether all that can be done now was done: only timers bring more.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
            && self.postponed.is_empty()
            && self.review.is_over()
            && self.winfo.is_settled()
    }

    /// Fires timers that are due: so many, and until they have sent as much as a turn may.
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
                Timer::Subscription(id) => self.handle_subscription_timer(id, turn),
                Timer::Notify(id) => self.handle_notify_timer(id, turn),
                Timer::Presentity(id) => self.handle_presentity_timer(id, turn),
                Timer::Phone(id) => self.release_phone(id, turn),
                Timer::Review => {
                    self.review_timer = None;
                    self.begin_review(turn);
                }
                Timer::Waiting(place) => {
                    self.waiting.try_remove(place as usize);
                }
            }
        }
    }

    /// Delivers what this shard mailed to itself, and what that brings about.
    fn deliver_loopback(&mut self, turn: &mut Turn<'_>) {
        while let Some(mail) = turn.loopback.pop_front() {
            self.handle_mail(mail, turn);
            if turn.loopback.is_empty() {
                self.tell_others(turn);
            }
        }
    }

    /// What an input or a timeout left to be told to others than phones.
    fn tell_others(&mut self, turn: &mut Turn<'_>) {
        if !self.winfo.is_settled() {
            self.report_watchers(turn);
        }
    }

    fn handle_mail(&mut self, mail: Mail, turn: &mut Turn<'_>) {
        match mail {
            Mail::Misdirected { flow, bytes } => {
                let answer = PlainAnswer::read(&bytes);
                self.handle_octets(flow, &bytes, answer, true, turn);
            }
            Mail::Transmit { flow, bytes } => {
                let start = turn.out.arena.len();
                turn.out.arena.extend_from_slice(&bytes);
                let head = start..turn.out.arena.len();
                turn.transmit(flow, head, 0..0);
            }
            Mail::Keep(connection, until) => turn.out.kept.push((connection, until)),
            Mail::Closed(connection) => self.handle_closed(connection, turn),
            Mail::Watch { aor, watcher } => self.handle_watch(&aor, watcher, turn),
            Mail::Unwatch { aor, watcher } => self.handle_unwatch(&aor, watcher, turn),
            Mail::State { aor, composed } => self.handle_state(&aor, composed),
            Mail::WatchDomain {
                domain,
                watcher,
                watch,
            } => self.handle_watch_domain(domain, watcher, watch, turn),
            Mail::UnwatchDomain { domain, watcher } => self.handle_unwatch_domain(&domain, watcher),
            Mail::Roster {
                domain,
                aors,
                announcement,
            } => self.handle_roster(&domain, aors, announcement, turn),
            Mail::FollowWatchers {
                aor,
                package,
                follower,
            } => self.handle_follow_watchers(aor, package, follower, turn),
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
            } => self.handle_seize(aor, index, reply_to, turn),
            Mail::SeizeOutcome { request, outcome } => {
                self.handle_seize_outcome(request, outcome, turn);
            }
            Mail::Release(claim) => self.handle_release(&claim, turn),
            Mail::Say { aor, said } => {
                self.take_statement(&aor, *said, turn);
            }
            Mail::Switch {
                aor,
                said,
                reply_to,
            } => self.handle_switch(aor, *said, reply_to, turn),
            Mail::Switched { aor, subscription } => {
                self.handle_switched(&aor, SubscriptionId(subscription));
            }
            Mail::Register(register) => self.handle_register_mail(*register, turn),
            Mail::RegisterOutcome { request, outcome } => {
                self.handle_register_outcome(request, outcome, turn);
            }
            Mail::Publish(publish) => self.handle_publish_mail(*publish, turn),
            Mail::PublishOutcome { request, outcome } => {
                self.handle_publish_outcome(request, outcome, turn);
            }
        }
    }

    /// Other shards may have subscriptions on a stream of ours.
    fn tell_closed(&self, connection: ConnectionId, turn: &mut Turn<'_>) {
        let others = (0..turn.options.shards)
            .map(ShardId)
            .filter(|shard| *shard != turn.options.id);
        turn.out
            .mail
            .extend(others.map(|shard| (shard, Mail::Closed(connection))));
    }
}
