//! What one turn of the engine is given: time, effects, and what all rooms share. It is the one
//! context that rooms pass on; none of them keeps it.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;
use std::time::Instant;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::shard::container::timer_wheel::Wheel;
use crate::shard::contract::counters::Counters;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::flow::ShardId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::options::Options;
use crate::shard::contract::outbox::Outbox;
use crate::shard::contract::outbox::Transmit;
use crate::shard::contract::timer::Timer;
use crate::sip::random::Random;

/// The context of one turn.
pub(crate) struct Turn<'a> {
    /// The latest time the shard was told.
    pub(crate) now: Instant,
    /// Where effects go.
    pub(crate) out: &'a mut Outbox,
    /// Mail to this shard itself, delivered before the turn ends.
    pub(crate) loopback: &'a mut VecDeque<Mail>,
    /// Timers of all rooms.
    pub(crate) wheel: &'a mut Wheel<Timer>,
    pub(crate) random: &'a mut Random,
    pub(crate) counters: &'a mut Counters,
    pub(crate) options: &'a Options,
    /// What the configuration says at present.
    pub(crate) directory: &'a Directory,
}

impl Turn<'_> {
    /// The shard that owns a presentity.
    pub(crate) fn owner_of(&self, aor: &Aor) -> ShardId {
        ShardId::owner_of(aor, self.options.shards)
    }

    /// Mails a shard, which may be this one: the part of the engine that watches a presentity and
    /// the part that owns it speak by mail alone, whether or not they are on the same shard.
    pub(crate) fn send(&mut self, shard: ShardId, mail: Mail) {
        if shard == self.options.id {
            self.loopback.push_back(mail);
        } else {
            self.out.mail.push((shard, mail));
        }
    }

    /// Mails the owner of a presentity.
    pub(crate) fn send_to_owner(&mut self, aor: &Aor, mail: Mail) {
        self.send(self.owner_of(aor), mail);
    }

    /// Mails every shard of the node, this one too.
    pub(crate) fn send_to_all(&mut self, mail: impl Fn() -> Mail) {
        for shard in (0..self.options.shards).map(ShardId) {
            self.send(shard, mail());
        }
    }

    /// What the wall clock says, in seconds since 1970 UTC.
    pub(crate) fn wall_clock(&self) -> u64 {
        let uptime = self.now.saturating_duration_since(self.options.epoch);
        self.options.epoch_unix + uptime.as_secs()
    }

    /// Sends two pieces of the arena over a flow. Only the shard that holds a stream can write to
    /// it: another one mails the octets to that shard.
    pub(crate) fn transmit(&mut self, flow: Flow, head: Range<usize>, tail: Range<usize>) {
        let transmit = Transmit { flow, head, tail };
        if flow.transport.is_reliable() && flow.connection.shard != self.options.id {
            let bytes = self.out.pieces(&transmit).concat().into();
            let mail = Mail::Transmit { flow, bytes };
            self.out.mail.push((flow.connection.shard, mail));
        } else {
            self.out.transmits.push(transmit);
        }
    }

    /// Keeps the stream of `flow` open for `expires`, even when it is idle: a subscription or a
    /// contact depends on it.
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
            self.out.mail.push((connection.shard, mail));
        }
    }
}
