//! The subscriptions of this shard: how they begin, are renewed, decided about again, and end.
//!
//! Other rooms use [`Subscriptions`] by these functions:
//! - a SUBSCRIBE: `home_of`, `is_known_phone`, `queued`, and `subscribe` for a new subscription;
//!   `find_dialog`, `unrecovered`, and for the notifier `asked::read_subscribe`, `check_switch`,
//!   `add_usage`, `replace_list`, `renew`, `end_subscription`, `accept` and `remove`;
//! - a NOTIFY: `next_of` before it is written, `after_notify`; `source_of` for what it would carry;
//! - a change of rules or of a path: `end`, `reevaluate_subscription`, `decide_moved`,
//!   `reevaluate_waiting`;
//! - timers and mail: `take_state`, the functions `handle_...`, and `report_watchers` at the end of a
//!   turn;
//! - records: `write_records`, `acknowledged`, `queue_recorded`; `begin_recovery`, `continue_stream`,
//!   `recover`, `release`, `end_recovery`, `directory_changed`;
//! - the operator: `watchers`, `drain`, `count`, the functions `forget_...`, `watchers_of`.
//!
//! The table of subscriptions is open to the notifier alone: `notifiers_table` says why.

pub(crate) mod asked;
pub(crate) mod begin;
mod continued_streams;
mod drain;
mod end;
mod forget;
mod members;
pub(crate) mod notifiers_table;
mod records;
mod recover;
mod recovered_phones;
mod reevaluate;
pub(crate) mod refresh;
mod rosters;
pub(crate) mod subject;
mod timer;
mod watchers;

use std::sync::Arc;
use std::time::Instant;

use crate::presence::event::Package;
use crate::shard::contract::flow::{Address, Flow};
use crate::shard::contract::ids::{Beginning, SubscriptionId};
use crate::shard::contract::options::Options;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::continued_streams::ContinuedStreams;
use crate::shard::lifecycle::recovered_phones::RecoveredPhones;
use crate::shard::list::roster::Rosters;
use crate::shard::overload::expiry_jitter::ExpiryJitter;
use crate::shard::package::winfo::WatcherInfos;
use crate::shard::subscription::table::Table;
use crate::sip::Message;

/// Dialogs and subscriptions, and what is known of what they watch.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    table: Table,
    rosters: Rosters,
    winfo: WatcherInfos,
    expiry_jitter: ExpiryJitter,
    /// No new subscriptions are accepted: the process is about to end.
    is_draining: bool,
    /// The last subscription deactivated by the drain.
    drained: SubscriptionId,
    /// The time of the last commit of the process before this one; None if it is not known.
    committed_at: Option<Instant>,
    streams: ContinuedStreams,
    recovered_phones: RecoveredPhones,
}

impl Subscriptions {
    /// No subscriptions yet.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            table: Table::new(options),
            rosters: Rosters::default(),
            winfo: WatcherInfos::new(options.durability),
            expiry_jitter: ExpiryJitter::new(&options.overload, options.epoch),
            is_draining: false,
            drained: SubscriptionId(0),
            committed_at: None,
            streams: ContinuedStreams::default(),
            recovered_phones: RecoveredPhones::default(),
        }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.table.subscription_count()
    }

    /// How many there are of each event package.
    pub(crate) fn count_by_event(&self) -> Vec<(&'static str, u64)> {
        let counts = self.table.subscriptions_by_package();
        Package::ALL
            .map(|package| (package.token(), counts[package as usize]))
            .to_vec()
    }

    /// How many there are to each domain.
    pub(crate) fn count_by_domain(&self) -> Vec<(Arc<str>, u64)> {
        self.table.subscriptions_by_domain().all()
    }

    /// One beyond the highest id that a subscription has or had.
    pub(crate) fn end(&self) -> u32 {
        self.table.subscriptions_end()
    }

    /// Notes that the time is `now`, before a turn.
    #[inline]
    pub(crate) fn tick(&mut self, now: Instant) {
        self.table.tick(now);
    }

    /// What the operator counts of their NOTIFYs.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("notifies_queued", self.table.queued() as u64),
            ("changes_coalesced", self.table.coalesced()),
            ("lamps_stale", self.table.stale()),
        ]
    }

    /// How many may be due a NOTIFY.
    pub(crate) fn queued(&self) -> usize {
        self.table.queued()
    }

    /// The other shard that a message belongs to.
    pub(crate) fn home_of(
        &self,
        message: &Message<'_>,
        flow: &Flow,
        turn: &Turn<'_>,
    ) -> Option<Address> {
        self.table.home_of(message, flow, turn)
    }

    /// Our tag in the dialog that a SUBSCRIBE outside a dialog began before a restart, if its 200 may
    /// be lost.
    pub(crate) fn tag_of_repeated(
        &mut self,
        message: &Message<'_>,
        flow: &Flow,
        now: Instant,
    ) -> Option<Box<[u8]>> {
        let tag = self.table.tag_of_repeated(message, flow, now);
        tag.map(Box::from)
    }

    /// The dialog of a SUBSCRIBE came back to another shard.
    pub(crate) fn note_begun_elsewhere(&mut self, beginning: Beginning, holder: Address) {
        self.table.note_begun_elsewhere(beginning, holder);
    }

    /// Whether all work on subscriptions waits for a timer or a message.
    pub(crate) fn is_settled(&self) -> bool {
        self.table.queued() == 0 && self.winfo.is_settled()
    }

    /// Whether so many NOTIFYs are owed that PUBLISHes wait for them.
    pub(crate) fn is_telling(&self, turn: &Turn<'_>) -> bool {
        self.table.queued() >= turn.options.overload.postpone_at && !self.is_draining
    }
}
