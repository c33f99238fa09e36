//! Re-evaluates the authorisation of subscriptions: after a reload, when a time-limited rule starts
//! or ends, and when a phone changes its address.

use crate::directory::Directory;
use crate::presence::event::Termination;
use crate::presence::policy::{Decision, Handling};
use crate::shard::contract::commit::Durability;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::subscription::watcher::decide;
use crate::shard::subscription::{Phase, Subscription, Wants};

impl Subscriptions {
    /// Re-evaluates the subscription at a place of the table. Returns how many resources that took; a
    /// vacant place costs one, too.
    pub(crate) fn reevaluate_subscription(
        &mut self,
        id: SubscriptionId,
        turn: &mut Turn<'_>,
    ) -> usize {
        let Some(subscription) = self.table.subscription(id) else {
            return 1;
        };
        let cost = subscription.subject().resources();
        self.reevaluate(id, turn);
        cost
    }

    /// Has the record of a subscription say what rules its phone was notified by, if they changed. Even
    /// if they change back by the next restart, the phone is notified then.
    pub(crate) fn note_rules_changed<'d>(
        &mut self,
        id: SubscriptionId,
        mut superseded: impl Iterator<Item = &'d Directory>,
        turn: &Turn<'_>,
    ) {
        if turn.options.durability == Durability::None {
            return;
        }
        let Some(subscription) = self.table.subscription(id) else {
            return;
        };
        let aor = self.table.aor_of(subscription);
        let aor = aor.expected("a subscription is to an address of record");
        let have_changed = aor.is_some_and(|aor| {
            let rules = turn.directory.rules_of(aor);
            superseded.any(|it| it.rules_of(aor) != rules)
        });
        if have_changed {
            self.table.change_view(id);
        }
    }

    fn reevaluate(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.expected("it is being re-evaluated") else {
            return;
        };
        let aor = self.table.aor_of(subscription);
        let entry = self.table.dialog(subscription.dialog());
        let (Some(aor), Some(entry)) = (
            aor.expected("a subscription is to an address of record"),
            entry.expected("a subscription has a dialog"),
        ) else {
            return;
        };
        let dialog = subscription.dialog();
        let is_active = subscription.phase() == Phase::Active;
        let profile = turn.directory.profile_named(&entry.profile().name);
        let profile = profile
            .filter(|profile| *profile != entry.profile())
            .cloned();
        let is_gone = !subscription.subject().exists(aor, turn.directory);
        if is_gone && !is_active {
            return;
        }
        if is_gone {
            self.end_subscription(id, Termination::NoResource, turn);
            return self.table.want(id, Wants::Notify);
        }
        if let Some(profile) = profile {
            self.table.take_profile(dialog, profile);
            self.table.render_anew(id);
            self.table.change_view(id);
            self.table.want(id, Wants::Change);
        }
        self.table.review_system(id, turn);
        self.decide_anew(id, turn);
        self.reevaluate_resources(id, turn);
    }

    /// The source address of a dialog changed: re-evaluates all its subscriptions, as rules may
    /// depend on the address.
    pub(crate) fn decide_moved(&mut self, id: DialogId, turn: &mut Turn<'_>) {
        for usage in self.table.usages(id) {
            self.table.review_system(usage, turn);
            self.decide_anew(usage, turn);
            self.review_resources(usage, turn);
        }
    }

    /// The decision of the current rules about a subscription.
    pub(crate) fn decide_anew(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.expected("it is being decided about") else {
            return;
        };
        let watcher = self.table.watcher_of(id, turn);
        let aor = self.table.aor_of(subscription);
        let (Some(watcher), Some(aor)) = (
            watcher.expected("a subscription has a watcher"),
            aor.expected("a subscription is to an address of record"),
        ) else {
            return;
        };
        let subject = subscription.subject();
        if subject.is_of_body() {
            return;
        }
        let package = subscription.package();
        let mut decision = decide(&watcher, aor, package, turn);
        let is_of_domain = subject.has_whole_domain(aor, turn.directory);
        if is_of_domain && !watcher.may_any_dn(aor.domain(), turn.directory) {
            decision.handling = Handling::Block;
        }
        self.take_decision(id, decision, turn);
    }

    /// Applies a new policy decision (RFC 5025 §3).
    fn take_decision(&mut self, id: SubscriptionId, decision: Decision, turn: &mut Turn<'_>) {
        let subscription = self.table.subscription_mut(id);
        let Some(subscription) = subscription.expected("it is being decided about") else {
            return;
        };
        let before = subscription.decide(decision);
        if before.handling == decision.handling && before.privacy == decision.privacy {
            return;
        }
        let is_handled_alike = before.handling == decision.handling;
        if !is_handled_alike {
            // The next NOTIFY carries full state, because the previous one was written under
            // another decision.
            subscription.forget_shown();
        }
        self.table.change_view(id);
        let phase = self.table.subscription(id).map(Subscription::phase);
        if decision.handling == Handling::Block && phase == Some(Phase::Active) {
            self.end_subscription(id, Termination::Rejected, turn);
        }
        self.winfo.note_watcher(id, &self.table);
        // A pending subscription that becomes active gets a NOTIFY even if the state did not change
        // (RFC 6665 §4.2.2).
        let wants = if is_handled_alike {
            Wants::Change
        } else {
            Wants::Notify
        };
        self.table.want(id, wants);
    }
}
