//! The context of one turn: the time, the outbox, and what all rooms share.
//!
//! Rooms pass it on as one argument and do not keep it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::directory::{Directory, Domain, Peer};
use crate::presence::Aor;
use crate::presence::wall_clock::WallClock;
use crate::shard::container::timer_wheel::Wheel;
use crate::shard::contract::certificates::Certificates;
use crate::shard::contract::commit::{Acknowledgement, Commits, Durability};
use crate::shard::contract::counters::Counters;
use crate::shard::contract::flow::{Address, Flow, ShardId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::options::Options;
use crate::shard::contract::outbox::{Outbox, Transmit};
use crate::shard::contract::timer::Timer;
use crate::sip::random::Random;

/// The context of one turn.
pub(crate) struct Turn<'a> {
    /// The current time; it never goes back.
    pub(crate) now: Instant,
    /// The effects of the turn.
    pub(crate) out: &'a mut Outbox,
    /// Mail of this shard to itself, delivered before the turn ends.
    pub(crate) loopback: &'a mut VecDeque<Mail>,
    /// The numbers of the records, and the acknowledgements that wait for them.
    pub(crate) commits: &'a mut Commits,
    /// The timers of all rooms.
    pub(crate) wheel: &'a mut Wheel<Timer>,
    /// The only source of randomness; seeded, so that a turn can be repeated.
    pub(crate) random: &'a mut Random,
    pub(crate) counters: &'a mut Counters,
    pub(crate) options: &'a Options,
    /// The directory in force.
    pub(crate) directory: &'a Directory,
    /// The certificates of peers.
    pub(crate) certificates: &'a mut Certificates,
}

impl Turn<'_> {
    /// The address of this shard.
    pub(crate) fn here(&self) -> Address {
        self.options.address()
    }

    /// The peer at the other end of a flow, as that domain may trust it.
    pub(crate) fn peer<'d>(&self, domain: &'d Domain, flow: &Flow) -> Peer<'d> {
        let names = || self.certificates.of(flow.connection);
        // Most domains trust no certificate.
        let has_any = !domain.trusted_certificates.is_empty();
        let names = has_any.then(names).flatten();
        Peer {
            address: flow.peer.ip(),
            voucher: names.and_then(|names| domain.voucher_in(&names.domains)),
        }
    }

    /// The shard that owns a presentity.
    pub(crate) fn owner_of(&self, aor: &Aor) -> Address {
        let shard = ShardId::owner_of(aor, self.options.shards);
        self.options.address_of(shard)
    }

    /// Sends mail to a shard, which may be this one: mail to itself is looped back within the turn.
    /// Other nodes cannot be reached yet, and nothing may be addressed to them.
    pub(crate) fn send(&mut self, to: Address, mail: Mail) {
        if to == self.here() {
            self.loopback.push_back(mail);
        } else if to.node == self.options.node {
            self.out.mail.push((to.shard, mail));
        } else {
            debug_assert!(false, "mail to {to:?}, which is on another node");
            self.counters.mail_undeliverable += 1;
        }
    }

    /// Sends mail with an outcome: if it is an acknowledgement, once the records of this turn are
    /// durable.
    pub(crate) fn send_outcome(&mut self, to: Address, mail: Mail, is_accepted: bool) {
        if is_accepted && self.options.durability == Durability::Synced {
            self.commits.hold(Acknowledgement::Mail(to, mail));
        } else {
            self.send(to, mail);
        }
    }

    /// Whether what another shard or the operator asks is refused, because too many acknowledgements
    /// wait; counted.
    pub(crate) fn sheds_acknowledgement(&mut self) -> bool {
        let is_behind = self.is_store_behind();
        self.counters.requests_shed_by_store += u64::from(is_behind);
        is_behind
    }

    /// Sends mail to the owner of a presentity.
    pub(crate) fn send_to_owner(&mut self, aor: &Aor, mail: Mail) {
        self.send(self.owner_of(aor), mail);
    }

    /// Sends mail to every shard of the node, this one included.
    pub(crate) fn send_to_all(&mut self, mail: impl Fn() -> Mail) {
        for shard in (0..self.options.shards).map(ShardId) {
            self.send(self.options.address_of(shard), mail());
        }
    }

    /// Whether no further acknowledgement may wait for its record: too many wait already, or the store
    /// cannot be written.
    pub(crate) fn is_store_behind(&self) -> bool {
        self.commits.is_refused
            || self.options.durability == Durability::Synced
                && self.commits.held() >= self.options.acknowledgements_held_max
    }

    /// The clock by which times are recorded.
    pub(crate) fn clock(&self) -> WallClock {
        self.options.record_clock
    }

    /// The clock by which people read times: the system's clock as it was when the process began.
    pub(crate) fn system_clock(&self) -> WallClock {
        WallClock {
            at: self.options.epoch,
            unix_milliseconds: self.options.epoch_unix as i64 * 1_000,
        }
    }

    /// The wall-clock time in seconds since 1970 UTC.
    pub(crate) fn wall_clock(&self) -> u64 {
        self.system_time().as_secs()
    }

    /// The wall-clock time since 1970 UTC.
    pub(crate) fn system_time(&self) -> Duration {
        self.options.system_time(self.now)
    }

    /// Sends two ranges of the arena as one message on a flow. A stream of another shard gets the
    /// message by mail, because only the shard that accepted a stream can write to it.
    pub(crate) fn transmit(&mut self, flow: Flow, head: Range<usize>, tail: Range<usize>) {
        let transmit = Transmit { flow, head, tail };
        if flow.transport.is_reliable() && flow.connection.shard != self.options.id {
            let bytes = self.out.pieces(&transmit).concat().into();
            let mail = Mail::Transmit { flow, bytes };
            self.send(self.options.address_of(flow.connection.shard), mail);
        } else {
            self.out.transmits.push(transmit);
        }
    }

    /// Keeps the stream of `flow` open for `expires` and the expiry grace, even when idle, because a
    /// subscription or a contact depends on it. Nothing to do for a datagram.
    pub(crate) fn keep_stream(&mut self, flow: &Flow, expires: Duration) {
        if !flow.transport.is_reliable() || expires.is_zero() {
            return;
        }
        let until = self.now + expires + self.options.expiry_grace;
        let connection = flow.connection;
        if connection.shard == self.options.id {
            self.out.kept.push((connection, until));
        } else {
            let mail = Mail::Keep(connection, until);
            self.send(self.options.address_of(connection.shard), mail);
        }
    }
}
