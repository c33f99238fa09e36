//! One subscription: what it is to, how it is told, how far its life got. Its dialog and its place
//! among others are the [`table`](super::table)'s.

pub(crate) mod audience;
pub(crate) mod dialog_entry;
pub(crate) mod dialogs;
pub(crate) mod due;
pub(crate) mod event_rate;
pub(crate) mod home;
pub(crate) mod pacing;
pub(crate) mod path_proof;
pub(crate) mod queue;
pub(crate) mod seizure;
pub(crate) mod shown;
pub(crate) mod subject;
pub(crate) mod suppress;
pub(crate) mod table;
mod transition;
pub(crate) mod usages;
pub(crate) mod watch;
pub(crate) mod watcher;

use std::sync::Arc;
use std::time::Instant;

use crate::presence::call::SpecificDialog;
use crate::presence::document::View;
use crate::presence::event::{Package, Termination};
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::ids::{DialogId, InFlightId, SubscriptionId};
use crate::shard::list::state::Encoding;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::queue::Backlog;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::subject::Subject;

/// Whether a NOTIFY is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wants {
    /// The phone has been told.
    Nothing,
    /// The state changed: a NOTIFY unless the phone was shown the same already (W:A3.14).
    Change,
    /// A NOTIFY in any case: one is owed after every SUBSCRIBE (RFC 6665 §4.2.1.2).
    Notify,
}

/// How far a subscription's life got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It is told of changes.
    Active,
    /// One last NOTIFY is owed.
    Ending(Termination),
}

/// What a watcher calls what it watches. Watchers of one presentity mostly call it the same, and
/// then share one of these.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// The Event header's value, to echo; one line (RFC 6665 §4.2.2).
    pub(crate) event: Box<[u8]>,
    /// The entity URI of its documents (RFC 4235 §4.1).
    pub(crate) entity: Box<[u8]>,
}

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) dialog: DialogId,
    pub(crate) subject: Subject,

    // What was asked for.
    pub(crate) package: Package,
    pub(crate) view: View,
    /// What the rules make of it.
    decision: Decision,
    /// What else its SUBSCRIBE asked for; None for nothing.
    pub(crate) terms: Option<Box<Terms>>,
    /// What it was shown, when it is told changes alone.
    pub(crate) history: Option<Box<Shown>>,
    pub(crate) names: Arc<Names>,

    // Its life.
    phase: Phase,
    /// The end the phone was told.
    expires_at: Instant,
    timer: Option<TimerHandle>,

    // Its NOTIFYs.
    wants: Wants,
    is_queued: bool,
    in_flight: Option<InFlightId>,
    /// The version of the next document (RFC 4235 §4.1).
    version: u32,
    /// A hash of the body last sent, 0 when the phone may not have it.
    shown: u64,
    /// NOTIFYs in a row that were not answered.
    strikes: u8,
    /// NOTIFYs in a row that were refused.
    refusals: u8,
    /// NOTIFYs in a row that were refused with Retry-After, as far as the pause after them grows.
    delays: u8,
    /// Nothing is sent before.
    not_before: Option<Instant>,
}

const _: () = assert!(size_of::<Subscription>() <= 120);

/// What a new subscription is made of.
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
}

impl Subscription {
    /// Whether it is active, or why it is ending.
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// What it wants a NOTIFY for.
    #[inline]
    pub(crate) fn wants(&self) -> Wants {
        self.wants
    }

    /// Its NOTIFY that is not answered yet.
    #[inline]
    pub(crate) fn in_flight(&self) -> Option<InFlightId> {
        self.in_flight
    }

    /// The version of its next document (RFC 4235 §4.1).
    #[inline]
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// A hash of the body sent last, 0 when the phone may not have it.
    #[inline]
    pub(crate) fn shown(&self) -> u64 {
        self.shown
    }

    /// What the rules make of it.
    #[inline]
    pub(crate) fn decision(&self) -> Decision {
        self.decision
    }

    /// The end that the phone was told.
    #[inline]
    pub(crate) fn expires_at(&self) -> Instant {
        self.expires_at
    }

    /// NOTIFYs in a row that were not answered.
    #[inline]
    pub(crate) fn strikes(&self) -> u8 {
        self.strikes
    }

    /// NOTIFYs in a row that were refused.
    #[inline]
    pub(crate) fn refusals(&self) -> u8 {
        self.refusals
    }

    /// The end of a pause in its NOTIFYs.
    #[inline]
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Its timer.
    #[inline]
    pub(crate) fn timer(&self) -> Option<TimerHandle> {
        self.timer
    }
}

impl Subscription {
    /// Wants a NOTIFY at least as much as before, and queues for it.
    pub(crate) fn want(&mut self, wants: Wants, own: SubscriptionId, queue: &mut Backlog) {
        self.wants = self.wants.max(wants);
        if !self.is_queued {
            self.is_queued = true;
            queue.push(own, self.wants);
        }
    }

    /// Whether it is told as a list (RFC 4662).
    pub(crate) fn is_multipart(&self) -> bool {
        matches!(&self.subject, Subject::List(list) if list.encoding == Encoding::Rlmi)
    }

    /// Whether a NOTIFY of full state has been sent and another goes on with it.
    pub(crate) fn is_mid_list(&self) -> bool {
        matches!(&self.subject, Subject::List(list) if list.is_unfinished)
    }

    /// Whether it is a fetch of a list that goes on in another NOTIFY, and is over only then.
    pub(crate) fn is_mid_fetch(&self) -> bool {
        let is_fetch = matches!(&self.subject, Subject::List(list) if list.is_fetch);
        is_fetch && self.is_mid_list() && self.phase == Phase::Ending(Termination::Timeout)
    }

    /// The one dialog it watches; None for all that its presentity has (RFC 4235 §3.2).
    pub(crate) fn specific_dialog(&self) -> Option<&SpecificDialog> {
        self.terms.as_ref()?.dialog.as_deref()
    }

    /// How many it watches, at least one: what looking at it costs.
    pub(crate) fn resources(&self) -> usize {
        match &self.subject {
            Subject::List(list) => list.resources.len().max(1),
            _ => 1,
        }
    }

    /// Whether it is told as linphone alone reads lists (W:G1).
    pub(crate) fn is_linphone_list(&self, profile: &Profile) -> bool {
        profile.linphone_lists && self.package == Package::Presence && self.is_multipart()
    }

    /// When something must happen to it without a message, if it lives until `end`; None when only
    /// an answer or another event moves it on.
    ///
    /// The period of a `min-rate` counts only while a NOTIFY could go. While one is in flight or
    /// owed, whatever ends that (an answer, Timer F, a token, a SUBSCRIBE over a new flow) goes on
    /// from there, and a moment that has passed must not be armed again.
    pub(crate) fn wake_at(&self, end: Instant) -> Option<Instant> {
        if matches!(self.phase, Phase::Ending(_)) {
            return self.not_before;
        }
        let sooner = [self.not_before, self.report_due()];
        Some(sooner.into_iter().flatten().fold(end, Instant::min))
    }

    /// When `min-rate` wants a NOTIFY although nothing changed; None while one is in flight or owed.
    pub(crate) fn report_due(&self) -> Option<Instant> {
        let is_at_rest = self.wants == Wants::Nothing && self.in_flight.is_none();
        self.terms.as_ref().filter(|_| is_at_rest)?.due()
    }

    /// The phone may not have what it was sent last: it is told everything again.
    pub(crate) fn forget_shown(&mut self) {
        self.shown = 0;
        if let Subject::List(list) = &mut self.subject {
            list.forget_shown();
        }
    }
}
