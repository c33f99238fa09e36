//! After a change of the configuration or the rules: what stands is looked at again, some of it in
//! each turn, so that a million subscriptions hold up nobody (W:B8.2: within a second).

use std::sync::Arc;
use std::time::Duration;

use crate::presence::policy::Decision;
use crate::presence::policy::Handling;
use crate::presence::profile::Profile;
use crate::presence::subscription::Termination;
use crate::shard::compositor::Compositor;
use crate::shard::engine::Engine;
use crate::shard::identity::decide;
use crate::shard::identity::wall_clock;
use crate::shard::presentities::PresentityId;
use crate::shard::subscription::Phase;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Subscription;
use crate::shard::subscription::Wants;
use crate::shard::subscriptions::Subscriptions;
use crate::shard::table::DialogId;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Table;
use crate::shard::timer::Timer;
use crate::shard::turn::Turn;

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

impl Engine {
    /// The configuration has changed: everything is to be looked at again.
    pub(crate) fn take_directory(&mut self, turn: &mut Turn<'_>) {
        self.uas.shield.forget_refusals();
        self.begin_review(turn);
    }

    /// Looks at everything again, now and when a rule next begins or ceases to hold (RFC 4745
    /// §7.3).
    pub(crate) fn begin_review(&mut self, turn: &mut Turn<'_>) {
        if let Some(timer) = self.review_timer.take() {
            turn.wheel.cancel(timer);
        }
        let at = wall_clock(turn);
        if let Some(change) = turn.directory.next_rule_change(at) {
            let when = turn.now + Duration::from_secs(change - at);
            self.review_timer = Some(turn.wheel.arm(when, Timer::Review));
        }
        self.subscriptions.winfo.review_waiting(turn);
        self.review = Review {
            presentity: 0,
            presentities: self.compositor.presentities.places(),
            subscription: 0,
            subscriptions: self.subscriptions.table.subscriptions.end() as u32,
        };
    }

    /// Looks at some of what is left.
    pub(crate) fn go_on_reviewing(&mut self, turn: &mut Turn<'_>) {
        if self.review.is_over() {
            return;
        }
        let mut left = REVIEWED_PER_TURN;
        while left > 0 && self.review.presentity < self.review.presentities {
            self.compositor
                .review_presentity(PresentityId(self.review.presentity), turn);
            self.review.presentity += 1;
            left -= 1;
        }
        while left > 0 && self.review.subscription < self.review.subscriptions {
            let id = SubscriptionId(self.review.subscription);
            let cost = self
                .subscriptions
                .table
                .subscription(id)
                .map_or(1, Subscription::resources);
            self.subscriptions.review_subscription(id, turn);
            self.review.subscription += 1;
            left = left.saturating_sub(cost);
        }
    }
}

impl Compositor {
    fn review_presentity(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        let Some(owned) = self.presentities.get_mut(id) else {
            return;
        };
        let rules = turn.directory.rules_of(owned.aor());
        if owned.presentity.set_rules(rules, turn.now) {
            self.after_contribution(id, true, turn);
        }
    }
}

impl Subscriptions {
    fn review_subscription(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
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
        let profile = turn.directory.profile_named(&entry.profile.name);
        let profile = profile
            .filter(|profile| **profile != entry.profile)
            .cloned();
        let (is_of_body, is_list) = match &subscription.subject {
            Subject::List(list) => (list.is_of_body, true),
            _ => (false, false),
        };
        let resolved = if is_list {
            turn.directory.list(aor)
        } else {
            None
        };
        let is_gone = !is_of_body && (!turn.directory.exists(aor) || is_list && resolved.is_none());
        if is_gone && !is_active {
            return;
        }
        if is_gone {
            self.end_subscription(id, Termination::NoResource, turn);
            return self.table.want(id, Wants::Notify);
        }
        if let Some(profile) = profile {
            self.table.take_profile(id, profile);
        }
        self.decide_anew(id, turn);
        match resolved {
            // What its body brought along stays, whatever list has that address (W:B5.14).
            _ if is_of_body => self.review_resources(id, turn),
            Some(resolved) => self.refill(id, &resolved, turn),
            None => {}
        }
    }

    /// A phone comes from another address: the rules may make something else of all it has in a
    /// dialog.
    pub(crate) fn decide_moved(&mut self, id: DialogId, turn: &mut Turn<'_>) {
        let entry = self.table.dialog(id);
        let usages = entry.map(|entry| entry.subscriptions.clone());
        for usage in usages.unwrap_or_default() {
            self.decide_anew(usage, turn);
            self.review_resources(usage, turn);
        }
    }

    /// What the rules of this moment make of a subscription.
    pub(crate) fn decide_anew(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let is_of_body = matches!(&subscription.subject, Subject::List(list) if list.is_of_body);
        let (Some(identity), Some(aor)) = (
            self.table.identity_of(id, turn),
            self.table.aor_of(subscription),
        ) else {
            return;
        };
        if is_of_body {
            return;
        }
        let package = subscription.package;
        let mut decision = decide(&identity, aor, package, turn);
        let is_list = matches!(subscription.subject, Subject::List(_));
        let is_of_everybody = is_list
            && turn
                .directory
                .list(aor)
                .is_some_and(|list| list.is_of_everybody());
        if is_of_everybody && !identity.may_any_dn(aor.domain(), turn.directory) {
            decision.handling = Handling::Block;
        }
        self.take_decision(id, decision, turn);
    }

    /// The rules make something else of a subscription than before (W:B8.2).
    fn take_decision(&mut self, id: SubscriptionId, decision: Decision, turn: &mut Turn<'_>) {
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
            self.end_subscription(id, Termination::Rejected, turn);
        }
        self.winfo.note_watcher(id, &mut self.table);
        // A pending one that is approved is told so, even when the state says nothing.
        let wants = if is_handled_alike {
            Wants::Change
        } else {
            Wants::Notify
        };
        self.table.want(id, wants);
    }
}

impl Table {
    fn take_profile(&mut self, id: SubscriptionId, profile: Arc<Profile>) {
        let dialog = self.subscription(id).map(|it| it.dialog);
        if let Some(entry) = dialog.and_then(|dialog| self.dialog_mut(dialog)) {
            entry.profile = profile;
        }
        self.render_anew(id);
        self.want(id, Wants::Change);
    }
}
