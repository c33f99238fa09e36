//! What a subscription is to: its state arrives here, and becomes the source of a NOTIFY's content.
//! Here are the parts of NOTIFY handling that differ by kind of subscription and need several modules.
//! The notifier and the conductor ask here and know no kind by name. What one room knows,
//! `subscription::subject` answers.

use std::sync::Arc;

use crate::presence::event::{Package, Termination};
use crate::presence::policy::Handling;
use crate::presence::{Aor, Composed};
use crate::shard::contract::body::Body;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot};
use crate::shard::contract::mail::NamedWatch;
use crate::shard::contract::mail::News;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::package::feature_event::handle_switched;
use crate::shard::subscription::Phase;
use crate::shard::subscription::due::Due;
use crate::shard::subscription::subject::Subject;

/// Where the content of a NOTIFY comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The state of one presentity, to be rendered.
    State(WatchSlot),
    /// The resources of a list, of which some are to be selected.
    Resources,
    /// A document that is already written.
    Document(Body),
    /// Headers that carry the state without a body, written already. They are never suppressed.
    Headers(Body),
    /// There is no state to report.
    Nothing,
}

/// What is to be done for a subscription that was taken from the queue.
#[derive(Debug)]
pub(crate) enum Next {
    /// Nothing, or not now.
    Nothing,
    /// A NOTIFY with that content, unless the phone has it already.
    Notify(Source),
    /// A NOTIFY, once there is a stream to its phone again.
    Unreachable,
    /// It has ended, and its last NOTIFY cannot be sent any more: it is to be removed.
    Removal,
}

impl Subscriptions {
    /// What is next for a subscription that was taken from the queue.
    #[inline]
    pub(crate) fn next_of(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) -> Next {
        self.end_if_released(id, turn);
        match self.table.due(id, turn.now) {
            Due::Nothing => Next::Nothing,
            Due::Removal => Next::Removal,
            Due::Unreachable => Next::Unreachable,
            Due::Notify => self.source_of(id, turn).map_or(Next::Nothing, Next::Notify),
        }
    }

    /// Takes the state of a presentity that its owner reports.
    pub(crate) fn take_state(&mut self, presentity: &NamedWatch, composed: Arc<Composed>) {
        self.table.take_state(presentity, composed);
    }

    /// Takes the state of a presentity whose owner answers that this shard watches it.
    pub(crate) fn take_answer(
        &mut self,
        presentity: &NamedWatch,
        composed: Arc<Composed>,
        news: News,
        turn: &mut Turn<'_>,
    ) {
        self.table.take_answer(presentity, composed, news, turn);
    }

    /// The owner confirmed a change of a feature.
    pub(crate) fn handle_switched(&mut self, aor: &Aor, id: SubscriptionId, turn: &mut Turn<'_>) {
        handle_switched(&mut self.table, aor, id, turn);
    }

    /// Where the content of the next NOTIFY comes from; None while an owner or a shard has not
    /// reported yet. A watcher that the rules block, or have not decided about, gets no state
    /// (RFC 6665 §4.2.2).
    #[inline]
    pub(crate) fn source_of(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) -> Option<Source> {
        let subscription = self.table.subscription(id);
        let subscription = subscription.expected("a NOTIFY is of a subscription")?;
        let handling = subscription.decision().handling;
        if subscription.phase() == Phase::Ending(Termination::Rejected)
            || matches!(handling, Handling::Block | Handling::Confirm)
        {
            return Some(Source::Nothing);
        }
        match subscription.subject() {
            // A fetch of `line-seize` seizes nothing.
            Subject::Presentity(_) if subscription.package() == Package::LineSeize => {
                Some(Source::Nothing)
            }
            Subject::Presentity(slot) => Some(Source::State(*slot)),
            Subject::List(list) => {
                let is_known = list.is_complete() && self.rosters.are_complete(list.rosters());
                is_known.then_some(Source::Resources)
            }
            Subject::Watchers(_) => {
                let body = self.winfo.write_watchers(id, &mut self.table, turn)?;
                Some(Source::Document(body))
            }
            Subject::Seizure(seizure) => {
                let body = self.table.write_seizure(seizure, turn)?;
                Some(Source::Headers(body))
            }
        }
    }

    /// A subscription to a seized appearance ends once the appearance is no longer seized.
    fn end_if_released(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.expected("a NOTIFY is of a subscription") else {
            return;
        };
        let is_over = match subscription.subject() {
            Subject::Seizure(seizure) => !self.table.is_seized(seizure),
            Subject::Presentity(_) | Subject::List(_) | Subject::Watchers(_) => false,
        };
        if is_over && subscription.phase() == Phase::Active {
            self.end_subscription(id, Termination::NoResource, turn);
        }
    }

    /// A NOTIFY was sent. Returns whether it was the last of its subscription. Resources of a list
    /// that it reported gone stop watching their presentities.
    pub(crate) fn after_notify(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) -> bool {
        self.release_gone(id, turn);
        let subscription = self.table.subscription(id);
        subscription
            .expected("its NOTIFY was sent")
            .is_some_and(|ended| matches!(ended.phase(), Phase::Ending(_)) && !ended.is_mid_fetch())
    }

    /// The directory changed: the resources of a list are resolved and decided about again. A list
    /// that came in a body stays as it is, even if a list of this address exists (RFC 5367).
    pub(crate) fn reevaluate_resources(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.expected("it is being re-evaluated") else {
            return;
        };
        match subscription.subject() {
            Subject::List(list) if list.is_of_body() => self.review_resources(id, turn),
            Subject::List(list) => {
                if let Some(resolved) = turn.directory.list(list.aor()) {
                    self.refill(id, &resolved, turn);
                }
            }
            Subject::Presentity(_) | Subject::Watchers(_) | Subject::Seizure(_) => {}
        }
    }

    /// Releases what only the removed subscription needed.
    pub(crate) fn forget_subject(
        &mut self,
        id: SubscriptionId,
        subject: Subject,
        turn: &mut Turn<'_>,
    ) {
        match subject {
            Subject::List(list) => self.abandon_rosters(id, list.rosters(), turn),
            Subject::Watchers(audience) => {
                let topic = audience.topic().clone();
                self.winfo.remove_audience(id, topic, turn);
            }
            Subject::Presentity(_) | Subject::Seizure(_) => {}
        }
    }
}
