//! The engine of one core, where SIP and the domain meet. Synchronous, single-owner, deterministic:
//! input and time in, effects out. No async, lock, clock, file or socket.
//!
//! # Rooms
//! A room uses only rooms above it in this list; `tests/architecture.rs` states the order.
//! - `container`: slab, timer wheel, map. No SIP.
//! - `contract`: inputs, effects, limits, keys, and `Turn`, the one context that is passed on.
//! - `request`: what can be read from a request alone.
//! - `peer`: how a peer is reached, and the tokens by which its messages find their way back.
//! - `overload`: rate limits, lockouts, refusals given again.
//! - `list`: what a subscription to a list knows of its resources.
//! - `subscription`: the table of dialogs, subscriptions and watched presentities.
//! - `package`: watcher information, line appearances, features, mailboxes.
//! - `lifecycle`: a subscription begins, is renewed, is decided about again, ends.
//! - `notify`: when and how a NOTIFY is sent, and what its response brings about.
//! - `presentity`: the event state compositor: presentities owned here, and their contributions.
//! - `uas`: server transactions, authentication, responses.
//! - `uac`: our SUBSCRIBEs and PUBLISHes to other servers, and the NOTIFYs that they bring.
//! - `connector`: the users that we subscribe to at PBXs and presence servers; `relay`: those that we publish there.
//! - `conduct`: which room an input is for. [`Shard`] gives it inputs; it alone knows all rooms.
//!
//! # Four ways through the engine
//! Each line names a file and those of its functions that the way enters, in order. A file is named
//! if the way is directed there, or if something is decided, changed or written there. Not named are
//! files that only answer a question about their arguments (`request`, keys, renderings), the limits
//! of `overload`, the containers, and what `subscription/table.rs` keeps behind it (transitions,
//! queue, phones, paths, watcher lists).
//!
//! A room is entered by a call that may change it. `conduct` enters each room once on each way, and
//! the room does its whole part in that call (tests/architecture/ways.rs counts). Two rooms are as
//! they are for a reason:
//! - `uas` stands around the others: a request passes it on its way in, and its response on its way
//!   out. In between it is asked who sent the request, because only `request` tells the domain that
//!   decides how that is proved, and a request that is shed must not cost reading its target.
//! - `subscription` is the table of `lifecycle`, which opens it to the notifier alone
//!   (`lifecycle/notifiers_table.rs`). For a NOTIFY those two ask the table in turn, as each question
//!   depends on the answer before: what is queued, whether it is due, what the phone has seen, whether
//!   its limits allow what it has not.
//!
//! A SUBSCRIBE to its 200. A refusal anywhere is one `Err(Refusal)`, which `refuse` writes.
//! 1. `conduct/mod.rs`: `handle`.
//! 2. `conduct/dispatch.rs`: `handle_octets` parses it and finds its shard; `handle_request`,
//!    `serve_guarded`, `serve` for a `Method::Subscribe`, `admit`, which ask 3 in turn, and 4.
//! 3. `uas/admission.rs`: `begin_transaction`; `guard` applies the limits; `admit`, `authenticate`: who
//!    sent it. After 12 `conclude` looks for loops.
//! 4. `conduct/subscribe.rs`: `serve_subscribe`, `subscribe`, which asks 5 and 12.
//! 5. `lifecycle/begin.rs`: `subscribe`, which asks 6 to 11 in turn: `accept_dialog`, if the tables
//!    have room; `authorise`; `begin_dialog`, `begin`; `accept`.
//! 6. `lifecycle/asked.rs`: `read_subscribe`, `plan`: package, format, expiry, body and list.
//! 7. `subscription/dialogs.rs`: `accept_dialog`, with the path to the phone; before 9 `add_dialog`.
//! 8. `subscription/watcher.rs`: `decide`, what the rules let the watcher see.
//! 9. `subscription/table.rs`: `add_subscription`.
//! 10. `subscription/watched.rs`: `join`, the mail to the owner of the presentity.
//! 11. `subscription/due.rs`: `arm_subscription`; `want` for the NOTIFY.
//! 12. `uas/response.rs`: `respond_to_subscribe`.
//!
//! A change to its NOTIFY:
//! 1. `conduct/mod.rs`: `handle_mail` for a `Mail::State`; later `handle_timeout`.
//! 2. `lifecycle/subject.rs`: `take_state`; then for 4 `next_of`: whether a NOTIFY is due, and what kind
//!    of content there is; after 8 `after_notify`.
//! 3. `subscription/table.rs`: `take_state` queues the watchers.
//! 4. `notify/send.rs`: `send_queued`, `notify`, which asks 2, 6, 5 and 8 in turn.
//! 5. `subscription/due.rs`: `due`, whether a NOTIFY is wanted and can be sent; `may_send`, unless the
//!    phone has the content already: the rate that it asked for, one NOTIFY on an unproven path, the
//!    rate limit of the phone.
//! 6. `notify/content.rs`: `content_of`; after 5 `write_body`, the part that is the subscription's own.
//! 7. `notify/body_cache.rs`: `of`, one rendering for all watchers with the same view.
//! 8. `notify/writer.rs`: `write_notify` sends it, keeps a copy and arms timer E.
//!
//! A PUBLISH to the mail it causes:
//! 1. `conduct/mod.rs`: `handle`.
//! 2. `conduct/publish.rs`: `postpone` while NOTIFYs are queued, and later `read_postponed`.
//! 3. `conduct/dispatch.rs`: `handle_octets`, `handle_request`, `serve_guarded`, `serve` for a
//!    `Method::Publish`, `admit`.
//! 4. `uas/admission.rs`: `begin_transaction`, `guard`, `admit`, `authenticate`, `conclude`, as for
//!    SUBSCRIBE.
//! 5. `conduct/publish.rs`: `serve_publish`.
//! 6. `request/publication.rs`: `read_publication`.
//! 7. `uas/suspended.rs`: `suspend`, only if another shard owns the presentity; it is sent a
//!    `Mail::Publish`.
//! 8. `presentity/publications.rs`: `apply_publication`.
//! 9. `presentity/statements.rs`: `after_contribution`, `inform_watching_shards`: a `Mail::State` for each
//!    watching shard, this one too.
//! 10. `uas/publish.rs`: `respond_to_publish`.
//!
//! The HTTP request call_state.htm to the mail it causes:
//! 1. `conduct/mod.rs`: `handle`, on the shard of the presentity's owner.
//! 2. `conduct/operator.rs`: `execute`, `handle_command` for a `Command::UpdateState`.
//! 3. `presentity/statements.rs`: `take_statement`, `after_contribution`, `inform_watching_shards`.
//!
//! # Records
//! At the end of each turn `conduct/commit.rs` writes the records of what changed: dialogs are marked
//! in `subscription/changes.rs` and written in `subscription/record.rs`. What acknowledges a change
//! waits there until its record is durable, if it must not be lost, and the NOTIFY behind a 2xx with
//! it (`subscription/acknowledgement.rs`). The octets of a 2xx wait in its server transaction, which
//! answers retransmissions with them afterwards. After a restart `lifecycle/recover.rs` takes dialogs back.
//! NOTIFYs of a change do not wait. So that no lamp shows for ever what was lost with the process, the
//! driver notes in memory that outlives it which presentities changed, and recovery tells their watchers
//! once more (`presentity/noted.rs`).
//! Each change of a composed state also goes into the operator's history and to readers of events, for
//! which nothing waits (`presentity/changes.rs`).
//!
//! # Invariants (the simulator checks them)
//! - every live watcher converges to the composed state;
//! - CSeq and document version of a subscription only ever go up by one; one NOTIFY of a
//!   subscription is outstanding at a time;
//! - a 2xx to SUBSCRIBE leaves before the NOTIFY it owes, on the same flow;
//! - the same seed and inputs give the same octets.

mod conduct;
mod connector;
mod container;
mod lifecycle;
mod list;
mod notify;
mod package;
mod peer;
mod presentity;
mod relay;
mod request;
mod subscription;
mod uac;
mod uas;

pub mod contract;
pub mod overload;

pub use contract::certificates::CertificateNames;
pub use contract::change_readers::{ChangeReader, ChangeReaders};
pub use contract::command::{Command, CommandId, Reply};
pub use contract::commit::{Durability, NotedChange, RecordChange, RecordKey};
pub use contract::connector::Route;
pub use contract::counters::Counters;
pub use contract::dial::{Dial, DialId, Lookup};
pub use contract::flow::{Address, ConnectionId, Flow, NodeId, ShardId};
pub use contract::ids::LinkId;
pub use contract::input::{Input, Recovered};
pub use contract::mail::Mail;
pub use contract::options::Options;
pub use contract::outbox::{Answered, AnsweredRequest, Outbox, Transmit};

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::directory::Directory;
use crate::presence::wall_clock::WallClock;
use crate::record;
use crate::record::dialog::DialogRecord;
use crate::record::waiting::WaitingRecord;
use crate::shard::conduct::Engine;
use crate::shard::container::timer_wheel::Wheel;
use crate::shard::contract::certificates::Certificates;
use crate::shard::contract::commit::Commits;
use crate::shard::contract::place::Place;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::sip::random::Random;

/// One core's engine.
///
/// Contract: call [`Shard::handle`] with an input, or [`Shard::handle_timeout`], then apply and clear
/// the outbox. Several calls may precede this; their effects are appended in order. `now` must not
/// go back. Call [`Shard::handle_timeout`] at the time that [`Shard::poll_timeout`] returns.
///
/// An input sends responses and queues NOTIFYs, a timeout sends the queued NOTIFYs. So the driver
/// can hand over all responses it has received before more NOTIFYs are sent or retransmitted.
#[derive(Debug)]
pub struct Shard {
    engine: Engine,
    options: Options,
    directory: Arc<Directory>,
    counters: Counters,
    random: Random,
    wheel: Wheel<Timer>,
    /// Mail of this shard to itself; empty between turns.
    loopback: VecDeque<Mail>,
    commits: Commits,
    certificates: Certificates,
    /// The latest `now`.
    now: Instant,
}

impl Shard {
    /// An engine without dialogs or presentities. `seed` makes its randomness repeatable.
    #[must_use]
    pub fn new(options: Options, directory: Arc<Directory>, seed: [u8; 32]) -> Self {
        let mut random = Random::new(seed);
        let mut wheel = Wheel::new(options.epoch);
        if directory.has_other_servers() {
            wheel.arm(options.epoch, Timer::Connectors);
        }
        Self {
            engine: Engine::new(&options, &mut random),
            wheel,
            now: options.epoch,
            options: Options {
                product: one_line(&options.product),
                ..options
            },
            directory,
            counters: Counters::default(),
            random,
            loopback: VecDeque::new(),
            commits: Commits::default(),
            certificates: Certificates::default(),
        }
    }

    /// Handles one input; its effects are appended to `out`.
    pub fn handle(&mut self, input: Input<'_>, now: Instant, out: &mut Outbox) {
        if let Input::Command(_, Command::Reload(directory)) = &input {
            let before = mem::replace(&mut self.directory, Arc::clone(directory));
            self.engine.supersede(before);
        }
        if let Input::Command(_, Command::SetClock(clock)) = &input {
            let milliseconds = clock.unix_milliseconds_of(self.options.epoch);
            self.options.epoch_unix = milliseconds.max(0) as u64 / 1_000;
        }
        if let Input::Command(_, Command::TellChanges(reader, tells)) = &input {
            self.options.tells_changes.set(*reader, *tells);
        }
        let (engine, mut turn) = self.turn(now, out);
        engine.handle(input, &mut turn);
    }

    /// Fires due timers and sends queued NOTIFYs, up to the limits per turn. The fan-out of a
    /// presentity with very many watchers takes several turns, with inputs in between.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut Outbox) {
        let (engine, mut turn) = self.turn(now, out);
        engine.handle_timeout(&mut turn);
    }

    /// The rooms, and the context of a turn that begins at `now`.
    fn turn<'a>(&'a mut self, now: Instant, out: &'a mut Outbox) -> (&'a mut Engine, Turn<'a>) {
        self.now = self.now.max(now);
        self.engine.tick(self.now);
        let turn = Turn {
            now: self.now,
            out,
            loopback: &mut self.loopback,
            commits: &mut self.commits,
            wheel: &mut self.wheel,
            random: &mut self.random,
            counters: &mut self.counters,
            options: &self.options,
            directory: &self.directory,
            certificates: &mut self.certificates,
        };
        (&mut self.engine, turn)
    }

    /// Puts changes of composed state into the outbox while a trace runs, even if neither a history nor a reader
    /// of events needs them.
    pub const fn set_traced(&mut self, is_traced: bool) {
        self.options.is_traced = is_traced;
    }

    /// The readers for which changes of composed state are put into the outbox.
    #[must_use]
    pub const fn tells_changes(&self) -> ChangeReaders {
        self.options.tells_changes
    }

    /// When [`Shard::handle_timeout`] is due next; None if nothing is scheduled.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.engine.is_idle() {
            self.wheel.poll_timeout()
        } else {
            Some(self.now)
        }
    }

    /// What it has counted since the start of the process.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How late the earliest timer is at `now`; zero if no timer is due. A value that keeps growing
    /// shows a shard that is overloaded or stuck.
    #[must_use]
    pub fn timers_behind(&self, now: Instant) -> Duration {
        let due = self.wheel.poll_timeout();
        due.map_or(Duration::ZERO, |due| now.saturating_duration_since(due))
    }

    /// Notes whether the driver is behind with its work. While it is, new subscriptions
    /// get 503 (RFC 3261 §21.5.4).
    pub fn handle_congestion(&mut self, is_congested: bool) {
        self.engine.handle_congestion(is_congested);
    }

    /// Tells the shard whether to refuse what needs the store, because that cannot be written.
    pub const fn handle_store_failure(&mut self, is_refused: bool) {
        self.commits.is_refused = is_refused;
    }

    /// Whether any domain trusts the peer at the other end of a flow, by its address or its certificate.
    #[must_use]
    pub fn trusts(&self, flow: &Flow) -> bool {
        let names = self.certificates.of(flow.connection);
        let is_named = |names: &Arc<CertificateNames>| {
            let mut domains = self.directory.domains().iter();
            domains.any(|domain| domain.voucher_in(&names.domains).is_some())
        };
        self.directory.trusts(flow.peer.ip()) || names.is_some_and(is_named)
    }
}

/// The shard that a record goes to in a node with that many shards; None if it cannot be read.
#[must_use]
pub fn recovering_shard(key: RecordKey, octets: &[u8], shards: u16) -> Option<ShardId> {
    match key {
        RecordKey::Dialog(place) => Some(Place(place).shard(shards)),
        RecordKey::Waiting(number) => Some(ShardId((number % u64::from(shards.max(1))) as u16)),
        RecordKey::Presentity(_) => {
            let aor = record::presentity::aor_of(octets).ok()?;
            Some(ShardId::owner_of(&aor, shards))
        }
    }
}

/// Whether octets are a sound record of that key.
#[must_use]
pub fn is_record_of(key: RecordKey, octets: &[u8]) -> bool {
    match key {
        RecordKey::Dialog(place) => record::dialog::place_of(octets) == Ok(place),
        RecordKey::Waiting(number) => record::waiting::number_in(octets) == Ok(number),
        RecordKey::Presentity(_) => record::presentity::aor_of(octets).is_ok(),
    }
}

/// Whether a record can be decoded and has something that has not expired.
#[must_use]
pub fn is_live(key: RecordKey, octets: &[u8], clock: WallClock) -> bool {
    match key {
        RecordKey::Dialog(place) => {
            let record = DialogRecord::decode(octets, clock).ok();
            let record = record.filter(|record| record.place == place);
            let has_live = |record: DialogRecord<'_>| {
                let mut subscriptions = record.subscriptions.iter();
                subscriptions.any(|subscription| subscription.expires_at > clock.at)
            };
            record.is_some_and(has_live)
        }
        RecordKey::Waiting(_) => {
            let record = WaitingRecord::decode(octets, clock);
            record.is_ok_and(|record| record.until > clock.at)
        }
        RecordKey::Presentity(_) => presentity::record::is_live(octets, clock),
    }
}

/// A text on one line, safe as a header value.
fn one_line(text: &str) -> String {
    text.replace(['\r', '\n', '\0'], " ")
}
