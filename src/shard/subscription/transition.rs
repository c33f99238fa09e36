//! One subscription: its fields, and every change to them.
//!
//! The fields are private to this file, so a subscription changes only by the functions here:
//! creation, renewal, authorisation, NOTIFY progress, pauses, termination. State that
//! only one kind of subscription has is changed in [`Subject`], also called from here. State that is
//! recorded changes in `begin`, `renew` and `end`, after which the table marks the dialog, and in
//! `sent`, for which a record reserves versions.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use crate::presence::call::SpecificDialog;
use crate::presence::document::View;
use crate::presence::event::{Package, Termination, WatcherInfo};
use crate::presence::policy::Decision;
use crate::presence::profile::Rendering;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::ids::WatchSlot;
use crate::shard::contract::ids::{DialogId, InFlightId, SubscriptionId};
use crate::shard::contract::mail::Claim;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::list::state::ListState;
use crate::shard::subscription::event_rate::Terms;
use crate::shard::subscription::queue::Backlog;
use crate::shard::subscription::shown::Shown;
use crate::shard::subscription::subject::Subject;
use crate::shard::subscription::unconfirmed::Since;
use crate::shard::subscription::{Names, NewSubscription, Phase, Wants};

/// One subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    dialog: DialogId,
    subject: Subject,

    // What was asked for.
    package: Package,
    view: View,
    /// The policy decision.
    decision: Decision,
    names: Arc<Names>,
    rare: Option<Box<Rare>>,

    // Life cycle.
    phase: Phase,
    /// The second since 1970 UTC in which it began; None if that is not known.
    began: Option<NonZeroU32>,
    /// When it expires, as granted to the phone.
    expires_at: Instant,
    timer: Option<TimerHandle>,

    // Its NOTIFYs.
    wants: Wants,
    is_queued: bool,
    in_flight: Option<InFlightId>,
    /// The version of the next document (RFC 4235 §4.1).
    version: u32,
    /// The hash of the body last sent; 0 if the phone might not have it.
    shown: u64,
    /// Consecutive NOTIFYs without a response.
    strikes: u8,
    /// Consecutive NOTIFYs that were refused.
    refusals: u8,
    /// Consecutive rejections with Retry-After, capped where the pause no longer doubles.
    delays: u8,
    /// How many 2xx to its SUBSCRIBEs are held: no NOTIFY before the last of them.
    acknowledgements_held: u8,
    /// No NOTIFY is sent before this time.
    not_before: Option<Instant>,
    /// Since when the phone lacks the current state; None if it does not.
    unconfirmed: Option<Since>,
}

/// What few subscriptions have.
#[derive(Debug)]
struct Rare {
    /// What else the SUBSCRIBE asked for; None if nothing.
    terms: Option<Box<Terms>>,
    /// What the phone was shown; None unless NOTIFYs tell only what changed.
    history: Option<Box<Shown>>,
}

impl Rare {
    /// None if there is nothing to hold.
    fn boxed(terms: Option<Box<Terms>>, history: Option<Box<Shown>>) -> Option<Box<Self>> {
        let is_needed = terms.is_some() || history.is_some();
        is_needed.then(|| Box::new(Self { terms, history }))
    }
}

const _: () = assert!(size_of::<Subscription>() <= 120);

// Begin, renew, decide, end.
impl Subscription {
    /// A subscription that begins; it wants no NOTIFY yet.
    pub(super) fn begin(
        dialog: DialogId,
        subject: Subject,
        names: Arc<Names>,
        new: NewSubscription<'_>,
    ) -> Self {
        Self {
            dialog,
            subject,
            package: new.package,
            view: new.view,
            decision: new.decision,
            names,
            rare: Rare::boxed(new.terms, new.history),
            phase: Phase::Active,
            began: new.began,
            expires_at: new.expires_at,
            timer: None,
            wants: Wants::Nothing,
            is_queued: false,
            in_flight: None,
            version: new.version,
            shown: 0,
            strikes: 0,
            refusals: 0,
            delays: 0,
            acknowledgements_held: 0,
            not_before: None,
            unconfirmed: None,
        }
    }

    /// A SUBSCRIBE renews it until `expires_at`, on new terms. True if it had expired and its last
    /// NOTIFY had not been sent yet: then it continues.
    pub(super) fn renew(&mut self, expires_at: Instant, mut terms: Option<Box<Terms>>) -> bool {
        if let Some(terms) = &mut terms {
            terms.continue_from(self.terms());
        }
        match &mut self.rare {
            Some(rare) => rare.terms = terms,
            rare @ None => *rare = Rare::boxed(terms, None),
        }
        self.subject.renewed();
        let before = std::mem::replace(&mut self.phase, Phase::Active);
        self.expires_at = expires_at;
        self.strikes = 0;
        self.refusals = 0;
        self.not_before = None;
        before != Phase::Active
    }

    /// The rules were evaluated again. Returns the previous decision.
    pub(crate) fn decide(&mut self, decision: Decision) -> Decision {
        self.view.privacy = decision.privacy;
        std::mem::replace(&mut self.decision, decision)
    }

    /// Sets the rendering of the User-Agent profile, adjusted to the list style.
    pub(crate) fn render_as(&mut self, rendering: Rendering) {
        self.view.rendering = rendering;
        self.view.rendering.all_dialogs |= self.subject.shows_all_dialogs();
    }

    /// It ends: one last NOTIFY is due, which no pause delays.
    pub(super) fn end(&mut self, reason: Termination, queue: &mut Backlog, turn: &mut Turn<'_>) {
        self.phase = Phase::Ending(reason);
        self.confirmed(queue);
        self.not_before = None;
        if let Some(timer) = self.timer.take() {
            turn.wheel.cancel(timer);
        }
    }
}

// A NOTIFY is wanted, sent, answered, or fails.
impl Subscription {
    /// Raises the need for a NOTIFY to at least `wants`, and queues the subscription.
    #[inline]
    pub(super) fn want(&mut self, wants: Wants, own: SubscriptionId, queue: &mut Backlog) {
        self.wants = self.wants.max(wants);
        if self.unconfirmed.is_none() && self.phase == Phase::Active && self.not_before.is_none() {
            self.unconfirmed = queue.unconfirmed.join();
        }
        if !self.is_queued {
            self.is_queued = true;
            queue.push(own, self.wants);
        }
    }

    /// The state of what it watches changed. `resource` is the place in a list.
    #[inline]
    pub(super) fn state_changed(
        &mut self,
        resource: u32,
        own: SubscriptionId,
        queue: &mut Backlog,
    ) {
        self.subject.state_changed(resource);
        self.want(Wants::Change, own, queue);
    }

    /// Records watchers whose termination the next winfo NOTIFY must report.
    pub(super) fn watchers_ended(
        &mut self,
        ended: &[WatcherInfo],
        own: SubscriptionId,
        queue: &mut Backlog,
    ) {
        self.subject.watchers_ended(ended);
        self.want(Wants::Change, own, queue);
    }

    /// It waits in the queue of the table, of its phone or of its path.
    pub(crate) fn queued(&mut self) {
        self.is_queued = true;
    }

    /// It was taken from that queue.
    pub(crate) fn dequeued(&mut self) {
        self.is_queued = false;
    }

    /// A NOTIFY was sent. Another one is wanted if its body was withheld from an unproven path, or if
    /// a list did not fit.
    pub(crate) fn sent(&mut self, in_flight: InFlightId, is_withheld: bool, now: Instant) {
        debug_assert!(self.in_flight.is_none(), "one NOTIFY at a time");
        self.in_flight = Some(in_flight);
        self.wants = self.subject.sent(is_withheld);
        self.version += 1;
        if let Some(terms) = self.rare.as_mut().and_then(|rare| rare.terms.as_mut()) {
            terms.count_sent(now);
        }
    }

    /// The phone was shown the state with this hash.
    pub(crate) fn showed(&mut self, hash: u64) {
        self.shown = hash;
    }

    /// The state is what the phone was shown last: no NOTIFY is wanted.
    pub(super) fn skip_unchanged(&mut self, queue: &mut Backlog) {
        self.wants = Wants::Nothing;
        self.confirmed(queue);
    }

    /// Its phone does not lack the current state.
    #[inline]
    pub(super) fn confirmed(&mut self, queue: &mut Backlog) {
        if let Some(since) = self.unconfirmed.take() {
            queue.unconfirmed.leave(since);
        }
    }

    /// Its NOTIFY got a final response.
    pub(super) fn answered(&mut self) {
        self.in_flight = None;
        self.strikes = 0;
    }

    /// The phone accepted a NOTIFY that was sent at `sent_at`.
    #[inline]
    pub(super) fn delivered(&mut self, sent_at: Instant, queue: &mut Backlog) {
        self.refusals = 0;
        self.delays = 0;
        self.subject.delivered();
        if self.wants == Wants::Nothing {
            self.confirmed(queue);
        } else if let Some(since) = self.unconfirmed {
            self.unconfirmed = queue.unconfirmed.rejoin(since, sent_at);
        }
    }

    /// The phone refused a NOTIFY with Retry-After. `pause` gives the time of the next attempt from
    /// the number of such responses in a row, at most `doublings_max`.
    pub(crate) fn delayed(&mut self, doublings_max: u8, pause: impl FnOnce(u8) -> Instant) {
        let doublings = self.delays.min(doublings_max);
        self.delays = doublings + 1;
        self.forget_shown();
        self.retry_at(pause(doublings));
    }

    /// The phone refused a NOTIFY. Returns how many it has refused in a row.
    pub(crate) fn refused(&mut self) -> u8 {
        self.forget_shown();
        self.refusals += 1;
        self.refusals
    }

    /// A NOTIFY got no response. Returns how many in a row did not.
    pub(crate) fn timed_out(&mut self) -> u8 {
        self.in_flight = None;
        self.forget_shown();
        self.strikes += 1;
        self.strikes
    }

    /// Gives up the outstanding NOTIFY; the phone may not have it.
    pub(crate) fn take_in_flight(&mut self) -> Option<InFlightId> {
        self.in_flight.take()
    }

    /// The phone may have lost what it was sent: the next NOTIFY carries the full state.
    pub(crate) fn forget_shown(&mut self) {
        self.shown = 0;
        self.subject.forget_shown();
    }

    /// A NOTIFY with the full state is due.
    pub(crate) fn owe_all(&mut self) {
        self.forget_shown();
        self.wants = Wants::Notify;
    }
}

// The 2xx to its SUBSCRIBEs.
impl Subscription {
    /// One more is held. False if that are too many to be counted.
    pub(super) fn acknowledgement_held(&mut self) -> bool {
        let held = self.acknowledgements_held.checked_add(1);
        self.acknowledgements_held = held.unwrap_or(self.acknowledgements_held);
        held.is_some()
    }

    /// One of them was sent.
    pub(super) fn acknowledgement_sent(&mut self) {
        debug_assert!(self.acknowledgements_held > 0, "it was held");
        self.acknowledgements_held = self.acknowledgements_held.saturating_sub(1);
    }

    /// How many are held.
    pub(super) fn acknowledgements_held(&self) -> u8 {
        self.acknowledgements_held
    }

    /// Whether its NOTIFYs wait for a 2xx.
    #[inline]
    pub(crate) fn awaits_acknowledgement(&self) -> bool {
        self.acknowledgements_held > 0
    }
}

// Pauses and the timer.
impl Subscription {
    /// A NOTIFY is due at `at`, not before.
    pub(crate) fn retry_at(&mut self, at: Instant) {
        self.not_before = Some(at);
        self.wants = Wants::Notify;
    }

    /// No NOTIFY is sent before `at`.
    pub(crate) fn pause(&mut self, at: Instant) {
        self.not_before = Some(at);
    }

    /// Ends a pause.
    pub(crate) fn resume(&mut self) {
        self.not_before = None;
    }

    /// Sets the timer for when something must happen without a message.
    pub(super) fn arm(&mut self, own: SubscriptionId, turn: &mut Turn<'_>) {
        if let Some(timer) = self.timer.take() {
            turn.wheel.cancel(timer);
        }
        let at = self.wake_at(self.lives_until(turn.options));
        self.timer = at.map(|at| turn.wheel.arm(at, Timer::Subscription(own)));
    }

    /// Its timer fired: a pause that is over ends.
    pub(crate) fn timer_fired(&mut self, now: Instant) {
        self.timer = None;
        self.not_before = self.not_before.filter(|at| *at > now);
    }
}

// Operations for one kind of subscription.
impl Subscription {
    /// A fetch of a list lasts until all of the list was sent.
    pub(crate) fn fetch(&mut self) {
        self.subject.fetch();
    }

    /// It holds the appearance of a line that the owner granted.
    pub(super) fn hold(&mut self, claim: Claim) {
        self.subject.hold(claim);
    }

    /// Takes back the appearance of a line that it holds.
    pub(super) fn take_claim(&mut self) -> Option<Claim> {
        self.subject.take_claim()
    }

    /// Its watcher has moved to this place among the watchers of its presentity.
    pub(super) fn move_slot(&mut self, resource: u32, to: WatchSlot) {
        self.subject.move_slot(resource, to);
    }

    /// The list it is to, to be changed.
    #[inline]
    pub(crate) fn list_mut(&mut self) -> Option<&mut ListState> {
        self.subject.list_mut()
    }

    /// The list it is to, to be changed, and the one dialog of its resources that is watched.
    pub(crate) fn list_and_dialog_mut(
        &mut self,
    ) -> Option<(&mut ListState, Option<&SpecificDialog>)> {
        let terms = self.rare.as_ref().and_then(|rare| rare.terms.as_deref());
        Some((self.subject.list_mut()?, terms.and_then(Terms::dialog)))
    }

    /// The last sent state and the echoed names, for partial notification; None for full-state
    /// subscriptions.
    #[inline]
    pub(crate) fn history_mut(&mut self) -> Option<(&mut Shown, &Names)> {
        Some((self.rare.as_mut()?.history.as_deref_mut()?, &self.names))
    }

    /// Consumes a removed subscription and returns its subject.
    pub(crate) fn into_subject(self) -> Subject {
        self.subject
    }
}

// Accessors.
impl Subscription {
    #[inline]
    pub(crate) fn dialog(&self) -> DialogId {
        self.dialog
    }

    #[inline]
    pub(crate) fn subject(&self) -> &Subject {
        &self.subject
    }

    #[inline]
    pub(crate) fn package(&self) -> Package {
        self.package
    }

    /// How its documents are rendered.
    #[inline]
    pub(crate) fn view(&self) -> View {
        self.view
    }

    /// The decision of the rules.
    #[inline]
    pub(crate) fn decision(&self) -> Decision {
        self.decision
    }

    /// What else its SUBSCRIBE asked for; None if nothing.
    #[inline]
    pub(crate) fn terms(&self) -> Option<&Terms> {
        self.rare.as_ref()?.terms.as_deref()
    }

    /// Whether its NOTIFYs tell only what changed since the one before.
    #[inline]
    pub(crate) fn has_history(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.history.is_some())
    }

    #[inline]
    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Whether it is active, or why it is ending.
    #[inline]
    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// The second since 1970 UTC in which it began; None if that is not known.
    pub(crate) fn began(&self) -> Option<NonZeroU32> {
        self.began
    }

    /// When it expires, as granted to the phone.
    #[inline]
    pub(crate) fn expires_at(&self) -> Instant {
        self.expires_at
    }

    #[inline]
    pub(crate) fn timer(&self) -> Option<TimerHandle> {
        self.timer
    }

    /// Whether and why a NOTIFY is pending.
    #[inline]
    pub(crate) fn wants(&self) -> Wants {
        self.wants
    }

    /// Whether it waits in a queue.
    #[inline]
    pub(super) fn is_queued(&self) -> bool {
        self.is_queued
    }

    /// Its NOTIFY that has no final response yet.
    #[inline]
    pub(crate) fn in_flight(&self) -> Option<InFlightId> {
        self.in_flight
    }

    /// The version of its next document (RFC 4235 §4.1).
    #[inline]
    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    /// The hash of the body last sent; 0 if the phone may not have it.
    #[inline]
    pub(crate) fn shown(&self) -> u64 {
        self.shown
    }

    /// Consecutive NOTIFYs without a response.
    #[inline]
    pub(crate) fn strikes(&self) -> u8 {
        self.strikes
    }

    /// Consecutive NOTIFYs that were refused.
    #[inline]
    pub(crate) fn refusals(&self) -> u8 {
        self.refusals
    }

    /// The end of a pause in its NOTIFYs.
    #[inline]
    pub(crate) fn not_before(&self) -> Option<Instant> {
        self.not_before
    }
}
