//! After a change of the configuration or the rules: what stands is looked at again, some of it in
//! each turn, so that a million subscriptions hold up nobody (W:B8.2: within a second).

use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use crate::presence::event::Termination;
use crate::presence::policy::Decision;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::shard::Shard;
use crate::shard::Timer;
use crate::shard::directory::Directory;
use crate::shard::outbox::Outbox;
use crate::shard::presentities::PresentityId;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::Wants;
use crate::shard::table::DialogId;
use crate::shard::table::SubscriptionId;

/// Subscriptions, resources of lists, and presentities looked at in one turn.
const REVIEWED_PER_TURN: usize = 2_000;

/// How far a review got. It looks at as many places as there were when it began, taken or not; what
/// comes later knows the new rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Review {
    presentity: u32,
    presentities: u32,
    subscription: u32,
    subscriptions: u32,
}

impl Review {
    /// Whether all was looked at.
    pub(crate) fn is_over(self) -> bool {
        self.presentity >= self.presentities && self.subscription >= self.subscriptions
    }
}

impl Shard {
    /// The configuration is another: everything is to be looked at again.
    pub(crate) fn take_directory(&mut self, directory: Arc<Directory>, now: Instant) {
        self.directory = directory;
        self.shield.forget_refusals();
        self.begin_review(now);
    }

    /// Looks at everything again, now and when a rule next begins or ceases to hold (RFC 4745
    /// §7.3).
    pub(crate) fn begin_review(&mut self, now: Instant) {
        if let Some(timer) = self.review_timer.take() {
            self.wheel.cancel(timer);
        }
        let at = self.wall_clock(now);
        if let Some(change) = self.directory.next_rule_change(at) {
            let when = now + Duration::from_secs(change - at);
            self.review_timer = Some(self.wheel.arm(when, Timer::Review));
        }
        self.review_waiting(now);
        self.review = Review {
            presentity: 0,
            presentities: self.presentities.places(),
            subscription: 0,
            subscriptions: self.table.subscriptions.end() as u32,
        };
    }

    /// Looks at some of what is left.
    pub(crate) fn go_on_reviewing(&mut self, now: Instant, out: &mut Outbox) {
        if self.review.is_over() {
            return;
        }
        let directory = Arc::clone(&self.directory);
        let mut left = REVIEWED_PER_TURN;
        while left > 0 && self.review.presentity < self.review.presentities {
            self.review_presentity(PresentityId(self.review.presentity), &directory, now, out);
            self.review.presentity += 1;
            left -= 1;
        }
        while left > 0 && self.review.subscription < self.review.subscriptions {
            let id = SubscriptionId(self.review.subscription);
            let cost = self
                .table
                .subscription(id)
                .map_or(1, Subscription::resources);
            self.review_subscription(id, &directory, now, out);
            self.review.subscription += 1;
            left = left.saturating_sub(cost);
        }
    }

    fn review_presentity(
        &mut self,
        id: PresentityId,
        directory: &Directory,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(owned) = self.presentities.get_mut(id) else {
            return;
        };
        let rules = directory.rules_of(owned.aor());
        if owned.presentity.set_rules(rules, now) {
            self.after_contribution(id, true, now, out);
        }
    }

    fn review_subscription(
        &mut self,
        id: SubscriptionId,
        directory: &Directory,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let (Some(aor), Some(entry)) = (
            self.table.aor_of(subscription),
            self.table.dialog(subscription.dialog),
        ) else {
            return;
        };
        let is_active = subscription.phase == Phase::Active;
        let profile = directory.profile_named(&entry.profile.name);
        let profile = profile
            .filter(|profile| **profile != entry.profile)
            .cloned();
        let (is_of_body, is_list) = match &subscription.subject {
            Subject::List(list) => (list.is_of_body, true),
            _ => (false, false),
        };
        let resolved = if is_list { directory.list(aor) } else { None };
        let is_gone = !is_of_body && (!directory.exists(aor) || is_list && resolved.is_none());
        if is_gone && !is_active {
            return;
        }
        if is_gone {
            self.end_subscription(id, Termination::NoResource);
            return self.want(id, Wants::Notify);
        }
        if let Some(profile) = profile {
            self.take_profile(id, profile);
        }
        self.decide_anew(id, directory, now);
        match resolved {
            // What its body brought along stays, whatever list has that address (W:B5.14).
            _ if is_of_body => self.review_resources(id, directory),
            Some(resolved) => self.refill(id, &resolved, directory, now, out),
            None => {}
        }
    }

    fn take_profile(&mut self, id: SubscriptionId, profile: Arc<Profile>) {
        let dialog = self.table.subscription(id).map(|it| it.dialog);
        if let Some(entry) = dialog.and_then(|dialog| self.table.dialog_mut(dialog)) {
            entry.profile = profile;
        }
        self.render_anew(id);
        self.want(id, Wants::Change);
    }

    /// A phone comes from another address: the rules may make something else of all it has in a
    /// dialog.
    pub(crate) fn decide_moved(&mut self, id: DialogId, directory: &Directory, now: Instant) {
        let entry = self.table.dialog(id);
        let usages = entry.map(|entry| entry.subscriptions.clone());
        for usage in usages.unwrap_or_default() {
            self.decide_anew(usage, directory, now);
            self.review_resources(usage, directory);
        }
    }

    /// What the rules of this moment make of a subscription.
    pub(crate) fn decide_anew(&mut self, id: SubscriptionId, directory: &Directory, now: Instant) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let is_of_body = matches!(&subscription.subject, Subject::List(list) if list.is_of_body);
        let (Some(identity), Some(aor)) = (
            self.identity_of(id, directory),
            self.table.aor_of(subscription),
        ) else {
            return;
        };
        if is_of_body {
            return;
        }
        let package = subscription.package;
        let mut decision = self.decide(&identity, aor, package, directory, now);
        let is_list = matches!(subscription.subject, Subject::List(_));
        let is_of_everybody = is_list
            && directory
                .list(aor)
                .is_some_and(|list| list.has_whole_domain());
        if is_of_everybody && !identity.may_any_dn(aor.domain(), directory) {
            decision.handling = Handling::Block;
        }
        self.take_decision(id, decision);
    }

    /// The rules make something else of a subscription than before (W:B8.2).
    fn take_decision(&mut self, id: SubscriptionId, decision: Decision) {
        let Some(subscription) = self.table.subscription_mut(id) else {
            return;
        };
        let before = std::mem::replace(&mut subscription.decision, decision);
        subscription.view.privacy = decision.privacy;
        if before.handling == decision.handling && before.privacy == decision.privacy {
            return;
        }
        let is_handled_alike = before.handling == decision.handling;
        if !is_handled_alike {
            // What it was told under another rule is told again in full.
            subscription.forget_shown();
        }
        if decision.handling == Handling::Block && subscription.phase == Phase::Active {
            self.end_subscription(id, Termination::Rejected);
        }
        self.note_watcher(id);
        // A pending one that is approved is told so, even when the state says nothing.
        let wants = if is_handled_alike {
            Wants::Change
        } else {
            Wants::Notify
        };
        self.want(id, wants);
    }
}
