//! Who is in a list subscription: at its start, when the list is edited, when somebody of a domain
//! comes or goes (W:B5.12-B5.15, D4.5).

use std::sync::Arc;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::event::list::ListStyle;
use crate::presence::event::list::Member;
use crate::presence::event::list::Resolved;
use crate::presence::event::list::Roster;
use crate::presence::event::list::RosterKind;
use crate::presence::policy::Decision;
use crate::presence::profile::Profile;
use crate::shard::Shard;
use crate::shard::directory::Directory;
use crate::shard::identity::Identity;
use crate::shard::lists::Encoding;
use crate::shard::lists::ListState;
use crate::shard::lists::state::Standing;
use crate::shard::outbox::Outbox;
use crate::shard::subscription::NewSubscription;
use crate::shard::subscription::Subject;
use crate::shard::subscription::Wants;
use crate::shard::table::DialogId;
use crate::shard::table::Post;
use crate::shard::table::SubscriptionId;
use crate::shard::table::Watcher;
use crate::sip::uri::sip_uri;

/// A list subscription to be.
#[derive(Debug)]
pub(crate) struct ListPlan {
    pub(crate) encoding: Encoding,
    pub(crate) resolved: Arc<Resolved>,
    /// The list came in the body of the SUBSCRIBE (RFC 5367).
    pub(crate) is_of_body: bool,
}

/// Resources of one subscription, those of rosters included; what is more is not shown (W:B5.12,
/// E3.23).
const RESOURCES_MAX: usize = 10_000;

/// Whom a member means, when there is somebody of that name.
fn known<'a>(member: &'a Member, directory: &Directory) -> Option<&'a Aor> {
    member.aor.as_ref().filter(|aor| directory.exists(aor))
}

/// A family that needs one style gets it, whatever the list says.
fn style(resolved: &Resolved, profile: &Profile) -> ListStyle {
    match profile.list_is_broadworks {
        Some(true) => ListStyle::Broadworks,
        Some(false) => ListStyle::Rfc,
        None => resolved.style,
    }
}

impl Shard {
    /// Adds a subscription to a list, with a watcher for each of its resources.
    pub(crate) fn add_list(
        &mut self,
        dialog: DialogId,
        aor: &Aor,
        plan: &ListPlan,
        new: NewSubscription<'_>,
        directory: &Directory,
        out: &mut Outbox,
    ) -> SubscriptionId {
        let style = self
            .table
            .dialog(dialog)
            .map_or(plan.resolved.style, |entry| {
                style(&plan.resolved, &entry.profile)
            });
        let list = ListState::new(aor.clone(), plan, style);
        let package = new.package;
        let id = self
            .table
            .insert_subscription(dialog, Subject::List(Box::new(list)), new);
        self.render_anew(id);
        self.fill(id, &plan.resolved, package, directory, out);
        id
    }

    /// The list of a subscription is another: resources that stay keep their instances, the next
    /// NOTIFY lists all (W:B5.6).
    pub(crate) fn refill(
        &mut self,
        id: SubscriptionId,
        resolved: &Resolved,
        directory: &Directory,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
            return;
        };
        let package = subscription.package;
        let entry = self.table.dialogs.get(subscription.dialog.0 as usize);
        let style = entry.map_or(resolved.style, |entry| style(resolved, &entry.profile));
        let Subject::List(list) = &mut subscription.subject else {
            return;
        };
        // Somebody of that name may be there now, or no longer.
        let members = resolved.members.iter();
        let members = members.map(|member| {
            let is_known = known(member, directory).is_some();
            (&*member.uri, &*member.name, is_known)
        });
        let is_same = list.style == style
            && list.name == resolved.name
            && list.fixed().eq(members)
            && *list.rosters == *resolved.rosters;
        if is_same {
            return self.review_resources(id, directory);
        }
        list.style = style;
        list.name.clone_from(&resolved.name);
        let rosters = resolved.rosters.as_slice().into();
        let mut abandoned = std::mem::replace(&mut list.rosters, rosters).into_vec();
        abandoned.retain(|roster| !resolved.rosters.contains(roster));
        let old_posts = list.empty();
        self.render_anew(id);
        self.abandon_rosters(id, &abandoned, out);
        self.fill(id, resolved, package, directory, out);
        for post in old_posts {
            self.leave_resource(post, now, out);
        }
        self.want(id, Wants::Change);
    }

    /// A subscription is told as its family of phones needs it; a consolidated list with all dialogs
    /// of each resource (W:B5.19).
    pub(crate) fn render_anew(&mut self, id: SubscriptionId) {
        let Some(subscription) = self.table.subscriptions.get_mut(id.0 as usize) else {
            return;
        };
        let Some(entry) = self.table.dialogs.get(subscription.dialog.0 as usize) else {
            return;
        };
        let rendering = &mut subscription.view.rendering;
        *rendering = entry.profile.rendering;
        if let Subject::List(list) = &subscription.subject {
            rendering.all_dialogs |= list.style == ListStyle::Broadworks;
        }
    }

    /// A resource watches no longer.
    fn leave_resource(&mut self, post: Post, now: Instant, out: &mut Outbox) {
        if let Some(aor) = self.table.watched(post.watched).map(|it| it.aor.clone()) {
            self.note_watchers_of(&aor);
        }
        if let Some(unwatched) = self.table.leave(post) {
            self.end_watch(&unwatched.aor, now, out);
        }
    }

    fn fill(
        &mut self,
        id: SubscriptionId,
        resolved: &Resolved,
        package: Package,
        directory: &Directory,
        out: &mut Outbox,
    ) {
        for member in &resolved.members {
            self.add_member(id, member, true, package, directory, out);
        }
        for roster in &resolved.rosters {
            for aor in self.attend(roster, id, out) {
                self.appear(id, roster, &aor, directory, out);
            }
        }
    }

    /// One resource more, at the end.
    fn add_member(
        &mut self,
        id: SubscriptionId,
        member: &Member,
        is_fixed: bool,
        package: Package,
        directory: &Directory,
        out: &mut Outbox,
    ) {
        let decision = self.decide_resource(id, member.aor.as_ref(), package, directory);
        let known = known(member, directory);
        let standing = if known.is_some() {
            Standing::Live
        } else {
            Standing::Unknown
        };
        let Some(list) = self.list_mut(id) else {
            return;
        };
        if list.resources.len() >= RESOURCES_MAX && !list.reuse_gone() {
            self.counters.resources_over_limit += 1;
            return;
        }
        let place = list.push(member, decision, standing, is_fixed);
        if let Some(aor) = known {
            self.watch_resource(id, place, aor, out);
        }
    }

    fn watch_resource(&mut self, id: SubscriptionId, place: u32, aor: &Aor, out: &mut Outbox) {
        let (watched, is_new) = self.table.watch(aor);
        let watcher = Watcher {
            subscription: id,
            resource: place,
        };
        let post = self.table.join(watched, watcher);
        let is_known = self
            .table
            .watched(watched)
            .is_some_and(|watched| watched.composed.is_some());
        if let Some(list) = self.list_mut(id) {
            list.set_post(place, post, is_known);
        }
        if is_new {
            self.begin_watch(aor, out);
        }
        self.note_watchers_of(aor);
    }

    fn decide_resource(
        &self,
        id: SubscriptionId,
        aor: Option<&Aor>,
        package: Package,
        directory: &Directory,
    ) -> Decision {
        match (aor, self.identity_of(id, directory)) {
            (Some(aor), Some(identity)) => {
                self.decide(&identity, aor, package, directory, self.now)
            }
            _ => Decision::STATE_ONLY,
        }
    }

    /// Who the watcher of a subscription is.
    pub(crate) fn identity_of(
        &self,
        id: SubscriptionId,
        directory: &Directory,
    ) -> Option<Identity> {
        let subscription = self.table.subscription(id)?;
        let entry = self.table.dialog(subscription.dialog)?;
        let domain = self.table.aor_of(subscription)?.domain();
        let peer = self.table.flow_of(entry).peer.ip();
        Some(Identity::new(entry.watcher_uri(), peer, domain, directory))
    }

    /// The rules may be others, or the way the phone comes: resources are decided anew.
    pub(crate) fn review_resources(&mut self, id: SubscriptionId, directory: &Directory) {
        let Some(package) = self.table.subscription(id).map(|it| it.package) else {
            return;
        };
        let places = self.list_mut(id).map_or(0, |list| list.resources.len());
        let mut is_changed = false;
        for place in 0..places {
            let aor = self
                .list_mut(id)
                .and_then(|list| list.resources[place].post);
            let aor = aor
                .and_then(|post| self.table.watched(post.watched))
                .map(|watched| watched.aor.clone());
            let decision = self.decide_resource(id, aor.as_ref(), package, directory);
            if let Some(list) = self.list_mut(id)
                && aor.is_some()
                && list.resources[place].decision != decision
            {
                list.resources[place].decision = decision;
                list.mark(place as u32);
                is_changed = true;
                if let Some(aor) = &aor {
                    self.note_watchers_of(aor);
                }
            }
        }
        if is_changed {
            self.want(id, Wants::Change);
        }
    }

    /// Somebody of a domain is there now (W:D4.5).
    pub(crate) fn appear(
        &mut self,
        id: SubscriptionId,
        roster: &Roster,
        aor: &Aor,
        directory: &Directory,
        out: &mut Outbox,
    ) {
        let fits = match roster.kind {
            RosterKind::AnyDn => true,
            RosterKind::Parked => directory.is_orbit(aor),
        };
        let Some(package) = self.table.subscription(id).map(|it| it.package) else {
            return;
        };
        if !fits {
            return;
        }
        match self.list_mut(id).and_then(|list| list.place_of(aor)) {
            None => {
                let member = Member {
                    uri: sip_uri(aor.user(), aor.domain()).into(),
                    aor: Some(aor.clone()),
                    name: directory.name_of(aor).into(),
                };
                self.add_member(id, &member, false, package, directory, out);
            }
            Some(place) => {
                let decision = self.decide_resource(id, Some(aor), package, directory);
                let needs_watch = self
                    .list_mut(id)
                    .is_some_and(|list| list.revive(place, decision));
                if needs_watch {
                    self.watch_resource(id, place, aor, out);
                }
            }
        }
        self.want(id, Wants::Change);
    }

    /// Somebody of a domain is there no longer.
    pub(crate) fn vanish(&mut self, id: SubscriptionId, aor: &Aor) {
        let is_told = self
            .list_mut(id)
            .is_some_and(|list| list.place_of(aor).is_some_and(|place| list.dismiss(place)));
        if is_told {
            self.want(id, Wants::Change);
        }
    }

    /// Resources that were told to be gone watch no longer.
    pub(crate) fn release_gone(&mut self, id: SubscriptionId, now: Instant, out: &mut Outbox) {
        let posts: Vec<_> = match self.list_mut(id) {
            Some(list) if list.has_leavers() => list.take_gone_posts(),
            _ => return,
        };
        for post in posts {
            self.leave_resource(post, now, out);
        }
    }

    /// The list of a subscription to one.
    pub(super) fn list_mut(&mut self, id: SubscriptionId) -> Option<&mut ListState> {
        match &mut self.table.subscription_mut(id)?.subject {
            Subject::List(list) => Some(list),
            _ => None,
        }
    }
}
