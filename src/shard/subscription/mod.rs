//! Subscriptions, their dialogs, and the presentities that they watch.
//!
//! - `transition`: one subscription, and every change to it. `subject`: what it is to, and what
//!   depends on that; `audience` and `seizure` hold what only one kind has, `list` is a room.
//! - `event_rate`, `suppress`, `shown`: rate limits, suppression and partial state of the NOTIFYs
//!   of one subscription.
//! - `table`: all dialogs, subscriptions, phones and watched presentities of a shard. `dialogs`,
//!   `usages`, `due`, `path_proof`, `dialing`, `home` are parts of it.
//! - `changes`: which dialogs changed; `record`: their records. `recorded`: which CSeqs a record
//!   reserves. `acknowledgement`: NOTIFYs behind a 2xx that waits for a record. `up_to_date`: which phones
//!   need no NOTIFY after a restart. `beginnings`: which SUBSCRIBEs may come twice after one.
//! - `queue`, `pacing`: the order and the rate of NOTIFYs. `unconfirmed`: which lamps are stale.
//! - `watched`: the watched presentities with their state and watchers, and the mail to their
//!   owners. `watcher`: the watcher of a subscription, as the rules see it. `by_domain`: how many watch a
//!   domain.
//!
//! Other rooms use [`Table`](table::Table) by these functions:
//! - dialogs: `accept_dialog`, `add_dialog`; `home_of`, `find_dialog`, `dialog`, `usages`;
//!   `refresh_target`, `take_path`, `take_profile`, `cut`;
//! - subscriptions: `add_subscription`, `insert_subscription`, `remove_subscription`; `subscription`,
//!   `usage_of`, `is_over`, `aor_of`, `watcher_of`; `subscription_mut` for the transitions of one;
//! - presentities: `join`, `leave`, `watched`, `take_state`;
//! - NOTIFYs: `want`, `queue_again`, `pop_queued`, `next_paced`, `due`, `may_send`, `recipient`,
//!   `skip_unchanged`, `answered`, `await_report`, `wake_siblings`, `arm_subscription`; `stale`;
//! - the proof of a path: `prove_path`, `prove_path_by_tag`, `prove_path_by_salt`, `take_waiting`,
//!   `release_path`;
//! - streams that we open: `reach_phone`, `want_again`, `handle_dialed`, `handle_dial_failed`,
//!   `handle_dial_timer`, `note_stream_end`; for long NOTIFYs `detour`, `detours`, `end_detour`;
//!   one that a peer opened: `take_alias`;
//! - limits: `capacity_used`, `octets_taken`, `phones`, `check_path`, `queued`;
//! - an appearance of a line: `hold`, `give_back`, `is_seized`, `write_seizure`.
//! - records: `renew`, `end` and `take_sequence` mark a dialog, `write_records`; `await_acknowledgement`,
//!   `acknowledged`; `withhold_dialogs`, `recover_dialog`, `release_dialogs`; `require_notify`, `fall_behind`,
//!   `take_answer`, `knows_state`; `note_young`, `note_begun_elsewhere`, `tag_of_repeated`.

mod acknowledgement;
pub(crate) mod audience;
pub(crate) mod beginnings;
pub(crate) mod by_domain;
mod changes;
mod dialing;
pub(crate) mod dialog_entry;
pub(crate) mod dialogs;
pub(crate) mod due;
pub(crate) mod event_rate;
pub(crate) mod home;
pub(crate) mod pacing;
pub(crate) mod path_proof;
pub(crate) mod queue;
mod record;
pub(crate) mod recorded;
pub(crate) mod seizure;
pub(crate) mod shown;
pub(crate) mod subject;
pub(crate) mod suppress;
pub(crate) mod table;
mod transition;
mod unconfirmed;
pub(crate) mod up_to_date;
pub(crate) mod usages;
pub(crate) mod watched;
pub(crate) mod watcher;

use std::num::NonZeroU32;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::call::SpecificDialog;
use crate::presence::document::View;
use crate::presence::event::{Package, Termination};
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::shard::contract::options::Options;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::watched::WatcherSlot;

pub(crate) use transition::Subscription;

/// Whether a NOTIFY is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wants {
    /// The phone has the state.
    Nothing,
    /// The state changed: a NOTIFY, unless the phone was shown this state already (W:A3.14).
    Change,
    /// A NOTIFY regardless of changes: required after every SUBSCRIBE (RFC 6665 §4.2.1.2).
    Notify,
}

/// The life-cycle phase of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// NOTIFYs report changes.
    Active,
    /// One last NOTIFY is due.
    Ending(Termination),
}

/// The Event value and entity URI to echo to the watcher. Watchers of the same presentity usually
/// have the same values and share one copy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The Event header's value, to echo; one line (RFC 6665 §4.2.2).
    pub(crate) event: Box<[u8]>,
    /// The entity URI of its documents (RFC 4235 §4.1).
    pub(crate) entity: Box<[u8]>,
}

/// The initial values of a subscription.
#[derive(Debug)]
pub(crate) struct NewSubscription<'a> {
    pub(crate) package: Package,
    pub(crate) view: View,
    pub(crate) decision: Decision,
    pub(crate) terms: Option<Box<Terms>>,
    pub(crate) history: Option<Box<Shown>>,
    pub(crate) event: &'a [u8],
    pub(crate) entity: &'a [u8],
    pub(crate) expires_at: Instant,
    /// The second since 1970 UTC in which it began; None if that is not known.
    pub(crate) began: Option<NonZeroU32>,
    /// The version of its first document; 0 unless it continues after a restart.
    pub(crate) version: u32,
    /// It continues after a restart: the record of its dialog has it already.
    pub(crate) is_recovered: bool,
}

// Queries over several fields.
impl Subscription {
    /// Whether its NOTIFYs are multipart/related with RLMI (RFC 4662).
    #[inline]
    pub(crate) fn is_multipart(&self) -> bool {
        self.subject().is_multipart()
    }

    /// Whether full state was begun in one NOTIFY and continues in the next.
    #[inline]
    pub(crate) fn is_mid_list(&self) -> bool {
        self.subject().is_unfinished()
    }

    /// Whether it is a fetch of a list that continues in another NOTIFY, and ends with the last.
    pub(crate) fn is_mid_fetch(&self) -> bool {
        self.subject().is_unfinished_fetch() && self.phase() == Phase::Ending(Termination::Timeout)
    }

    /// The one dialog it watches; None for all dialogs of its presentity (RFC 4235 §3.2).
    #[inline]
    pub(crate) fn specific_dialog(&self) -> Option<&SpecificDialog> {
        self.terms()?.dialog()
    }

    /// Whether the phone accepts `Content-Encoding: deflate` (RFC 9110 §8.4.1.2).
    pub(crate) fn inflates(&self) -> bool {
        self.terms().is_some_and(Terms::inflates)
    }

    /// Whether Suppress-If-Match says that the phone has the state with this hash (RFC 5839).
    pub(crate) fn suppresses(&self, hash: u64) -> bool {
        self.terms().is_some_and(|terms| terms.suppresses(hash))
    }

    /// The Event header's value to echo.
    #[inline]
    pub(crate) fn event(&self) -> &[u8] {
        &self.names().event
    }

    /// The entity URI of its documents (RFC 4235 §4.1).
    #[inline]
    pub(crate) fn entity(&self) -> &[u8] {
        &self.names().entity
    }

    /// Whether the list is written in linphone's variant of RLMI (W:G1).
    pub(crate) fn is_linphone_list(&self, profile: &Profile) -> bool {
        profile.linphone_lists && self.package() == Package::Presence && self.is_multipart()
    }

    /// When it expires unless refreshed, including the grace period.
    pub(crate) fn lives_until(&self, options: &Options) -> Instant {
        self.expires_at() + self.subject().grace(options)
    }

    /// When its timer must fire, if it expires at `end`. None if only a response or another event
    /// can affect it.
    ///
    /// The period of a `min-rate` counts only while a NOTIFY could be sent. While one is
    /// outstanding or pending, the event that ends this (a response, Timer F, a token, a SUBSCRIBE
    /// over a new flow) sets the timer again; a time that has passed must not be armed.
    pub(super) fn wake_at(&self, end: Instant) -> Option<Instant> {
        if matches!(self.phase(), Phase::Ending(_)) {
            return self.not_before();
        }
        let sooner = [self.not_before(), self.report_due()];
        Some(sooner.into_iter().flatten().fold(end, Instant::min))
    }

    /// When `min-rate` requires a NOTIFY without a change. None while one is outstanding or owed.
    pub(crate) fn report_due(&self) -> Option<Instant> {
        let is_at_rest = self.wants() == Wants::Nothing && self.in_flight().is_none();
        self.terms().filter(|_| is_at_rest)?.due()
    }

    /// The decision and identity of a watcher of one presentity: `resource` is the place in a list, or
    /// [`WatcherSlot::WHOLE`].
    pub(crate) fn watcher(&self, resource: u32) -> Option<WatcherView<'_>> {
        let list = self.subject().list();
        match list.filter(|_| resource != WatcherSlot::WHOLE) {
            Some(list) => {
                let resource = list.resource(resource)?;
                Some(WatcherView {
                    number: resource.number(),
                    decision: resource.decision(),
                    list: Some(list.aor()),
                })
            }
            None => Some(WatcherView {
                number: 0,
                decision: self.decision(),
                list: None,
            }),
        }
    }
}

/// How a subscription, or one resource of a subscription to a list, watches a presentity.
#[derive(Debug)]
pub(crate) struct WatcherView<'a> {
    /// The number of the resource in its list; 0 without a list.
    pub(crate) number: u32,
    pub(crate) decision: Decision,
    pub(crate) list: Option<&'a Aor>,
}
