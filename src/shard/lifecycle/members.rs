//! Adds, watches, authorises and removes the resources of list subscriptions.

use std::borrow::Cow;
use std::sync::Arc;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::event::list::{ListStyle, Member, Resolved, Roster, RosterKind};
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{DialogId, SubscriptionId, WatchSlot};
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::list::plan::ListPlan;
use crate::shard::list::resource::Membership;
use crate::shard::list::state::{ListState, user_of};
use crate::shard::request::headers::address_of_record;
use crate::shard::subscription::watched::WatcherSlot;
use crate::shard::subscription::watcher::decide;
use crate::shard::subscription::{NewSubscription, Subscription, Wants};
use crate::sip::uri::sip_uri;

/// The presentity of a list member; None if no such user exists.
fn known<'a>(member: &'a Member, directory: &Directory) -> Option<&'a Aor> {
    member.aor.as_ref().filter(|aor| directory.exists(aor))
}

/// The list style: that of the User-Agent profile if it sets one, otherwise that of the list.
fn style(resolved: &Resolved, profile: &Profile) -> ListStyle {
    match profile.list_is_broadworks {
        Some(true) => ListStyle::Broadworks,
        Some(false) => ListStyle::Rfc,
        None => resolved.style,
    }
}

impl Subscriptions {
    /// Adds a subscription to a list, with a watcher for each of its resources.
    pub(crate) fn add_list(
        &mut self,
        dialog: DialogId,
        aor: &Aor,
        plan: &ListPlan,
        new: NewSubscription<'_>,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        let style = self.table.dialog(dialog).map_or_else(
            || plan.resolved().style,
            |entry| style(plan.resolved(), entry.profile()),
        );
        let mut list = ListState::new(aor.clone(), plan, style);
        list.continue_from(new.version);
        let package = new.package;
        let id = self.table.insert_subscription(dialog, list.into(), new);
        self.table.render_anew(id);
        self.fill(id, plan.resolved(), package, turn);
        id
    }

    /// Replaces the list of a subscription: resources that stay keep their instances, and the next
    /// NOTIFY carries full state (RFC 4662 §5.2).
    pub(crate) fn refill(&mut self, id: SubscriptionId, resolved: &Resolved, turn: &mut Turn<'_>) {
        let recipient = self.table.recipient(id);
        let Some(recipient) = recipient.expected("a list has a subscription") else {
            return;
        };
        let package = recipient.subscription.package();
        let style = style(resolved, recipient.dialog.profile());
        let list = recipient.subscription.list_mut();
        let Some(list) = list.expected("only a list is refilled") else {
            return;
        };
        // A reload may have added or removed a user for one of the members.
        let exists = |member: &Member| known(member, turn.directory).is_some();
        if list.is_still(resolved, style, exists) {
            return self.review_resources(id, turn);
        }
        let (old_slots, abandoned) = list.replace(resolved, style);
        self.table.render_anew(id);
        self.abandon_rosters(id, &abandoned, turn);
        self.fill(id, resolved, package, turn);
        for slot in old_slots {
            self.leave_resource(slot, turn);
        }
        self.table.want(id, Wants::Change);
    }

    /// Stops watching the presentity of a resource.
    fn leave_resource(&mut self, slot: WatchSlot, turn: &mut Turn<'_>) {
        if let Some(aor) = self.table.watched(slot.watched).map(|it| it.aor().clone()) {
            self.winfo.note_watchers_of(&aor);
        }
        self.table.leave(slot, turn);
    }

    fn fill(
        &mut self,
        id: SubscriptionId,
        resolved: &Resolved,
        package: Package,
        turn: &mut Turn<'_>,
    ) {
        for member in &resolved.members {
            self.add_member(id, member, true, package, turn);
        }
        for roster in &resolved.rosters {
            for aor in self.attend(roster, id, turn) {
                self.appear(id, roster, &aor, turn);
            }
        }
    }

    /// A subscription, perhaps to a list, continues after a restart: its phone may show these resources.
    pub(crate) fn continue_list(
        &mut self,
        id: SubscriptionId,
        listed: &[Cow<'_, str>],
        package: Package,
        turn: &mut Turn<'_>,
    ) {
        let list = self.table.list_mut(id);
        let left = list.map(|list| list.continue_to_show(listed));
        for uri in left.into_iter().flatten() {
            let member = Member {
                uri: uri.into(),
                aor: address_of_record(uri.as_bytes(), turn.directory),
                name: user_of(uri).into(),
            };
            self.add_member(id, &member, false, package, turn);
        }
    }

    /// Appends a resource.
    fn add_member(
        &mut self,
        id: SubscriptionId,
        member: &Member,
        is_fixed: bool,
        package: Package,
        turn: &mut Turn<'_>,
    ) {
        let decision = self.decide_resource(id, member.aor.as_ref(), package, turn);
        let known = known(member, turn.directory);
        let membership = if known.is_some() {
            Membership::Listed
        } else {
            Membership::Unknown
        };
        let list = self.table.list_mut(id);
        let Some(list) = list.expected("only a list has members") else {
            return;
        };
        if !list.make_room() {
            turn.counters.resources_over_limit += 1;
            return;
        }
        let place = list.push(member, decision, membership, is_fixed);
        self.table.note_listed(id);
        if let Some(aor) = known {
            self.watch_resource(id, place, aor, turn);
        }
    }

    fn watch_resource(&mut self, id: SubscriptionId, place: u32, aor: &Aor, turn: &mut Turn<'_>) {
        let watcher = WatcherSlot {
            subscription: id,
            resource: place,
        };
        let dialog = self.table.subscription(id).map(Subscription::dialog);
        let system = dialog.and_then(|dialog| self.table.system_of(dialog, turn));
        let slot = self.table.join((aor, system), watcher, turn);
        let is_known = self
            .table
            .watched(slot.watched)
            .is_some_and(|watched| watched.composed().is_some());
        let list = self.table.list_mut(id);
        if let Some(list) = list.expected("only a list has resources") {
            list.set_slot(place, slot, is_known);
        }
        self.winfo.note_watchers_of(aor);
    }

    /// Decides about each resource again: the rules, or the address of the phone, may have changed.
    pub(crate) fn review_resources(&mut self, id: SubscriptionId, turn: &Turn<'_>) {
        let subscription = self.table.subscription(id);
        let Some(subscription) = subscription.expected("it is in the table when it is reviewed")
        else {
            return;
        };
        let package = subscription.package();
        let places = subscription.subject().list().map_or(0, ListState::places);
        let mut is_changed = false;
        for place in 0..places {
            let Some(aor) = self.watched_at(id, place) else {
                continue;
            };
            let decision = self.decide_resource(id, Some(&aor), package, turn);
            let list = self.table.list_mut(id);
            if list.is_some_and(|list| list.take_decision(place, decision)) {
                is_changed = true;
                self.winfo.note_watchers_of(&aor);
            }
        }
        if is_changed {
            self.table.want(id, Wants::Change);
        }
    }

    /// The presentity that a resource watches; None for one that watches none.
    fn watched_at(&self, id: SubscriptionId, place: u32) -> Option<Aor> {
        let list = self.table.subscription(id)?.subject().list()?;
        let slot = list.resource(place)?.slot()?;
        Some(self.table.watched(slot.watched)?.aor().clone())
    }

    /// A user became present: adds or revives its resource.
    pub(crate) fn appear(
        &mut self,
        id: SubscriptionId,
        roster: &Roster,
        aor: &Aor,
        turn: &mut Turn<'_>,
    ) {
        let fits = match roster.kind {
            RosterKind::AnyDn => true,
            RosterKind::Parked => turn.directory.is_orbit(aor),
        };
        let subscription = self.table.subscription(id);
        let subscription = subscription.expected("a roster knows the subscriptions that follow it");
        let Some(package) = subscription.map(Subscription::package) else {
            return;
        };
        if !fits {
            return;
        }
        match self.table.list_mut(id).and_then(|list| list.place_of(aor)) {
            None => {
                let member = Member {
                    uri: sip_uri(aor.user(), aor.domain()).into(),
                    aor: Some(aor.clone()),
                    name: turn.directory.name_of(aor).into(),
                };
                self.add_member(id, &member, false, package, turn);
            }
            Some(place) => {
                let decision = self.decide_resource(id, Some(aor), package, turn);
                let needs_watch = self
                    .table
                    .list_mut(id)
                    .is_some_and(|list| list.revive(place, decision));
                if needs_watch {
                    self.watch_resource(id, place, aor, turn);
                }
            }
        }
        self.table.want(id, Wants::Change);
    }

    /// Resources that a NOTIFY reported gone stop watching their presentities.
    pub(crate) fn release_gone(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let slots: Vec<_> = match self.table.list_mut(id) {
            Some(list) if list.has_watched_gone() => list.take_gone_slots(),
            _ => return,
        };
        for slot in slots {
            self.leave_resource(slot, turn);
        }
    }
}

impl Subscriptions {
    fn decide_resource(
        &self,
        id: SubscriptionId,
        aor: Option<&Aor>,
        package: Package,
        turn: &Turn<'_>,
    ) -> Decision {
        match (aor, self.table.watcher_of(id, turn)) {
            (Some(aor), Some(watcher)) => decide(&watcher, aor, package, turn),
            _ => Decision::STATE_ONLY,
        }
    }

    /// A user is no longer present: its resource is removed.
    pub(super) fn vanish(&mut self, id: SubscriptionId, aor: &Aor) {
        let is_shown = self
            .table
            .list_mut(id)
            .is_some_and(|list| list.place_of(aor).is_some_and(|place| list.dismiss(place)));
        if is_shown {
            self.table.want(id, Wants::Change);
        }
    }
}

impl Subscriptions {
    /// Replaces the list if the SUBSCRIBE has another one in its body; without a body the list
    /// stays (RFC 5367). Returns whether it was replaced.
    pub(crate) fn replace_list(
        &mut self,
        id: SubscriptionId,
        list: Option<&Arc<Resolved>>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let subscription = self.table.subscription(id);
        let is_replaceable = subscription.is_some_and(|it| it.subject().is_of_body());
        match list {
            Some(resolved) if is_replaceable => {
                self.refill(id, resolved, turn);
                true
            }
            _ => false,
        }
    }
}
