//! The resources of one list subscription, and which of them the next NOTIFYs must report.
//!
//! Invariants: an address of record is in it at most once; the order of resources never changes
//! while the list does not (phones assign BLF keys in this order; W:C1.3); a resource that comes
//! and goes keeps its place and its number; a resource marked for notification stays marked until
//! it has been written.

use std::collections::HashMap;

use crate::presence::Aor;
use crate::presence::event::list::{ListStyle, Member, Resolved, Roster};
use crate::presence::policy::Decision;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::WatchSlot;
use crate::shard::list::plan::{ListPlan, RESOURCES_MAX};
use crate::shard::list::resource::{Leaver, Membership, Resource};

/// See [`Expected`].
const PLACE: &str = "a place is that of a resource in its list";

/// How the state of a list is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `multipart/related` with RLMI (RFC 4662).
    Rlmi,
    /// One NOTIFY per resource, with its document as for a plain subscription: for phones without
    /// `eventlist` support (W:D4.4).
    Series,
}

/// One list subscription.
#[derive(Debug)]
pub(crate) struct ListState {
    aor: Aor,
    /// Display name; empty if it has none.
    name: Box<str>,
    encoding: Encoding,
    style: ListStyle,
    /// A request-contained list (RFC 5367): a reload does not change it.
    is_of_body: bool,
    /// Domains whose present users are members of this list.
    rosters: Box<[Roster]>,
    pub(super) resources: Vec<Resource>,
    /// Full state must be sent and has not been started: after a SUBSCRIBE, or when a resource left
    /// the list (RFC 4662 §5.2).
    pub(super) owes_full: bool,
    /// Full state is under way: it did not fit one NOTIFY, and the following ones carry the rest.
    pub(super) is_unfinished: bool,
    /// The subscription is a fetch: the full state is sent once, in as many NOTIFYs as that takes.
    is_fetch: bool,
    pub(super) leavers: Vec<Leaver>,
    /// Where the next NOTIFY begins, so that a frequently changing resource does not starve the
    /// others.
    pub(super) next_place: usize,
    /// Index by address of record; empty if the list has no roster.
    place_by_aor: HashMap<Aor, u32>,
    /// Number of resources whose owner has not reported a state yet.
    awaited: u32,
    numbers: u32,
    /// The version of the first document of a resource; 0 unless the list continues after a restart.
    first_version: u32,
    /// Instance numbers and versions of former resources, by URI. A resource that returns resumes
    /// them, because the phone may not have seen that it was gone (W:B5.9).
    departed: HashMap<Box<str>, (u32, u32)>,
}

/// Maximum number of former resources remembered per list. Above it all are forgotten, and a
/// returning resource gets a new instance id.
const DEPARTED_MAX: usize = 10_000;

/// The user part of a URI: the name of a resource without one.
pub(crate) fn user_of(uri: &str) -> &str {
    let (_, address) = uri.split_once(':').unwrap_or(("", uri));
    address.split('@').next().unwrap_or_default()
}

impl ListState {
    /// A list without resources.
    pub(crate) fn new(aor: Aor, plan: &ListPlan, style: ListStyle) -> Self {
        Self {
            aor,
            name: plan.resolved.name.clone(),
            encoding: plan.encoding,
            style,
            is_of_body: plan.is_of_body,
            rosters: plan.resolved.rosters.as_slice().into(),
            resources: Vec::new(),
            owes_full: true,
            is_unfinished: false,
            is_fetch: false,
            leavers: Vec::new(),
            next_place: 0,
            place_by_aor: HashMap::new(),
            awaited: 0,
            numbers: 0,
            first_version: 0,
            departed: HashMap::new(),
        }
    }

    /// It continues after a restart: no document of its resources had this version or a higher one.
    pub(crate) fn continue_from(&mut self, version: u32) {
        self.first_version = version;
    }

    /// The address of record of the list.
    pub(crate) fn aor(&self) -> &Aor {
        &self.aor
    }

    /// Display name; empty if it has none.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How its state is encoded.
    #[inline]
    pub(crate) const fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The style of its NOTIFYs.
    #[inline]
    pub(crate) const fn style(&self) -> ListStyle {
        self.style
    }

    /// Whether it came in the body of the SUBSCRIBE (RFC 5367).
    pub(crate) const fn is_of_body(&self) -> bool {
        self.is_of_body
    }

    /// Whether it is fetched: reported once, in as many NOTIFYs as that takes.
    pub(crate) const fn is_fetch(&self) -> bool {
        self.is_fetch
    }

    /// Sets whether it is fetched.
    pub(crate) fn set_fetch(&mut self, is_fetch: bool) {
        self.is_fetch = is_fetch;
    }

    /// Domains whose present users are members of this list.
    pub(crate) fn rosters(&self) -> &[Roster] {
        &self.rosters
    }

    /// How many resources it has, those that are gone included.
    pub(crate) fn places(&self) -> u32 {
        self.resources.len() as u32
    }

    /// All resources, in order.
    pub(crate) fn resources(&self) -> impl Iterator<Item = &Resource> {
        self.resources.iter()
    }

    /// One resource.
    pub(crate) fn resource(&self, place: u32) -> Option<&Resource> {
        self.resources.get(place as usize)
    }

    /// Whether the list, without what rosters add, is still `resolved`. `exists` returns whether a
    /// member is a user of this server.
    pub(crate) fn is_still(
        &self,
        resolved: &Resolved,
        style: ListStyle,
        exists: impl Fn(&Member) -> bool,
    ) -> bool {
        let members = resolved.members.iter();
        let members = members.map(|member| (&*member.uri, &*member.name, exists(member)));
        self.style == style
            && self.name == resolved.name
            && self.fixed().eq(members)
            && *self.rosters == *resolved.rosters
    }

    /// The list becomes `resolved`: removes all resources, to be added again. Returns their watcher
    /// slots, and the rosters that are no longer followed.
    pub(crate) fn replace(
        &mut self,
        resolved: &Resolved,
        style: ListStyle,
    ) -> (Vec<WatchSlot>, Vec<Roster>) {
        self.style = style;
        self.name.clone_from(&resolved.name);
        let rosters = resolved.rosters.as_slice().into();
        let mut abandoned = std::mem::replace(&mut self.rosters, rosters).into_vec();
        abandoned.retain(|roster| !resolved.rosters.contains(roster));
        (self.remove_all(), abandoned)
    }

    /// A resource by a place that must be in the list.
    fn expect_resource(&mut self, place: u32) -> Option<&mut Resource> {
        self.resources.get_mut(place as usize).expected(PLACE)
    }

    /// Adds a resource at the end, marked; its place.
    pub(crate) fn push(
        &mut self,
        member: &Member,
        decision: Decision,
        membership: Membership,
        is_fixed: bool,
    ) -> u32 {
        let place = self.resources.len() as u32;
        if let Some(aor) = member.aor.as_ref().filter(|_| !self.rosters.is_empty()) {
            self.place_by_aor.insert(aor.clone(), place);
        }
        let departed = self.departed.remove_entry(&*member.uri);
        let (uri, (number, version)) = departed.unwrap_or_else(|| {
            self.numbers += 1;
            (member.uri.clone(), (self.numbers, self.first_version))
        });
        self.resources.push(Resource {
            uri,
            name: member.name.clone(),
            slot: None,
            number,
            decision,
            membership,
            version,
            shown: 0,
            is_marked: true,
            is_owed: self.owes_full,
            is_displayed: false,
            is_fixed,
            is_known: true,
        });
        place
    }

    /// A resource watches its presentity from now on; the owner may not have reported a state yet.
    pub(crate) fn set_slot(&mut self, place: u32, slot: WatchSlot, is_known: bool) {
        if let Some(resource) = self.expect_resource(place) {
            resource.slot = Some(slot);
            resource.is_known = is_known;
            self.awaited += u32::from(!is_known);
        }
    }

    /// Removes the watcher slot of a resource and returns it.
    fn take_slot(&mut self, place: u32) -> Option<WatchSlot> {
        let resource = self.expect_resource(place)?;
        let slot = resource.slot.take();
        if resource.take_known() {
            self.awaited -= 1;
        }
        slot
    }

    /// A resource has moved to this place among the watchers of its presentity.
    pub(crate) fn move_slot(&mut self, place: u32, to: WatchSlot) {
        let resource = self.expect_resource(place);
        let slot = resource.and_then(|resource| resource.slot.as_mut());
        if let Some(slot) = slot.expected("a watcher of a presentity is a watched resource") {
            *slot = to;
        }
    }

    /// The places of the resources that are watched.
    pub(crate) fn watched_places(&self) -> impl Iterator<Item = u32> {
        let places = (0..).zip(&self.resources);
        places.filter_map(|(place, resource)| resource.slot.map(|_| place))
    }

    /// The watcher slot of the resource at a place.
    pub(crate) fn slot_at(&self, place: u32) -> Option<WatchSlot> {
        self.resources.get(place as usize)?.slot
    }

    /// The watcher slots of all resources, each with the instance number.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (WatchSlot, u32)> {
        let watched = |resource: &Resource| Some((resource.slot?, resource.number));
        self.resources.iter().filter_map(watched)
    }

    /// The owner reported a state of the resource, initial or changed.
    pub(crate) fn state_changed(&mut self, place: u32) {
        if let Some(resource) = self.expect_resource(place) {
            resource.is_marked = true;
            if resource.take_known() {
                self.awaited -= 1;
            }
        }
    }

    /// Sets the policy decision for a resource. Returns whether it changed. This does not make its
    /// state known.
    pub(crate) fn take_decision(&mut self, place: u32, decision: Decision) -> bool {
        let resource = self.expect_resource(place);
        let Some(resource) = resource.filter(|it| it.decision != decision) else {
            return false;
        };
        resource.decision = decision;
        resource.is_marked = true;
        true
    }

    /// The index of a presentity; only for lists with a roster.
    pub(crate) fn place_of(&self, aor: &Aor) -> Option<u32> {
        self.place_by_aor.get(aor).copied()
    }

    /// The URIs and the names that are on the list itself, in order, and whether the user exists.
    fn fixed(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.resources
            .iter()
            .filter(|resource| resource.is_fixed)
            .map(|it| (&*it.uri, &*it.name, it.membership != Membership::Unknown))
    }

    /// A resource is present again. Returns whether its presentity must be watched again.
    pub(crate) fn revive(&mut self, place: u32, decision: Decision) -> bool {
        let Some(resource) = self.expect_resource(place) else {
            return false;
        };
        if matches!(resource.membership, Membership::Leaving | Membership::Gone) {
            if resource.membership == Membership::Gone {
                resource.shown = 0;
                resource.is_displayed = false;
            }
            resource.membership = Membership::Listed;
            resource.decision = decision;
            resource.is_marked = true;
        }
        resource.membership == Membership::Listed && resource.slot.is_none()
    }

    /// Removes a resource that a roster added. Returns whether a NOTIFY must report that. With one
    /// NOTIFY per resource nothing is removed: the document of the resource simply reports idle.
    pub(crate) fn dismiss(&mut self, place: u32) -> bool {
        let is_series = self.encoding == Encoding::Series;
        match self.expect_resource(place) {
            // It appeared and disappeared before it was reported.
            Some(resource) if !resource.is_fixed && !is_series && !resource.is_displayed => {
                resource.set_gone();
                true
            }
            Some(resource) if !resource.is_fixed && !is_series => {
                resource.membership = Membership::Leaving;
                resource.is_marked = true;
                true
            }
            _ => false,
        }
    }

    /// Whether a resource that is gone is still watched.
    pub(crate) fn has_watched_gone(&self) -> bool {
        // Explicitly listed resources are never Gone.
        let has_left = |it: &Resource| it.membership == Membership::Gone && it.slot.is_some();
        !self.rosters.is_empty() && self.resources.iter().any(has_left)
    }

    /// The watch slots of resources that are gone.
    pub(crate) fn take_gone_slots(&mut self) -> Vec<WatchSlot> {
        let places = 0..self.resources.len() as u32;
        let is_gone =
            |list: &Self, place: u32| list.resources[place as usize].membership == Membership::Gone;
        places
            .filter_map(|place| is_gone(self, place).then(|| self.take_slot(place))?)
            .collect()
    }

    /// Makes room for one more resource. False if the list is full.
    pub(crate) fn make_room(&mut self) -> bool {
        self.resources.len() < RESOURCES_MAX || self.remove_last_if_gone()
    }

    /// Removes the last resource, if it is gone and no longer watched. Its instance number and
    /// version are remembered.
    fn remove_last_if_gone(&mut self) -> bool {
        // Only the last resource can be removed without shifting indexes.
        let is_free = |resource: &Resource| {
            resource.membership == Membership::Gone && resource.slot.is_none()
        };
        let Some(freed) = self.resources.pop_if(|last| is_free(last)) else {
            return false;
        };
        let end = self.resources.len() as u32;
        self.place_by_aor.retain(|_, place| *place < end);
        self.remember(freed);
        true
    }

    /// Removes all resources before the list is rebuilt. Returns their watcher slots.
    fn remove_all(&mut self) -> Vec<WatchSlot> {
        self.owes_full = true;
        self.is_unfinished = false;
        self.next_place = 0;
        self.awaited = 0;
        self.place_by_aor.clear();
        let slots = self.slots().map(|(slot, _)| slot).collect();
        for resource in std::mem::take(&mut self.resources) {
            if resource.is_displayed && self.encoding == Encoding::Rlmi {
                self.leavers.push(Leaver {
                    uri: resource.uri.clone(),
                    name: resource.name.clone(),
                    number: resource.number,
                    is_reported: false,
                });
            }
            self.remember(resource);
        }
        slots
    }

    /// A resource that the phone may show is no longer on the list.
    pub(super) fn add_leaver(&mut self, uri: &str) {
        self.numbers += 1;
        self.leavers.push(Leaver {
            uri: uri.into(),
            name: user_of(uri).into(),
            number: self.numbers,
            is_reported: false,
        });
    }

    fn remember(&mut self, resource: Resource) {
        if self.departed.len() >= DEPARTED_MAX {
            self.departed.clear();
        }
        let instance = (resource.number, resource.version);
        self.departed.insert(resource.uri, instance);
    }

    /// Whether the state of every resource has been reported.
    pub(crate) const fn is_complete(&self) -> bool {
        self.awaited == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::presence::event::list::Resolved;
    use crate::shard::contract::ids::WatchedId;

    /// A list without resources, and a member for it.
    fn empty_list() -> (ListState, Member) {
        let plan = ListPlan {
            encoding: Encoding::Rlmi,
            resolved: Arc::new(Resolved::default()),
            is_of_body: false,
        };
        let list = ListState::new(Aor::new("all", "abc.com"), &plan, ListStyle::default());
        let member = Member {
            uri: "sip:1@abc.com".into(),
            aor: Some(Aor::new("1", "abc.com")),
            name: "".into(),
        };
        (list, member)
    }

    #[test]
    fn a_former_resource_that_a_record_names_twice_is_reported_once() {
        let (mut list, _) = empty_list();
        let listed = ["sip:1@abc.com", "sip:2@abc.com", "sip:1@abc.com"].map(Into::into);
        assert_eq!(list.continue_to_show(&listed), [] as [&str; 0]);
        let left: Vec<_> = list.leavers.iter().map(|leaver| &*leaver.uri).collect();
        assert_eq!(left, ["sip:1@abc.com", "sip:2@abc.com"]);
    }

    #[test]
    fn a_resource_that_left_and_returned_is_still_listed() {
        let (mut list, member) = empty_list();
        let place = list.push(&member, Decision::ALLOW, Membership::Listed, true);
        list.resources[place as usize].is_displayed = true;
        list.remove_all();
        list.push(&member, Decision::ALLOW, Membership::Listed, true);
        list.forget_leavers();
        assert!(list.leavers.is_empty(), "it is on the list");
        list.remove_all();
        assert_eq!(list.leavers.len(), 1, "a NOTIFY must report that it left");
    }

    #[test]
    fn a_list_is_complete_once_every_owner_has_reported() {
        let (mut list, member) = empty_list();
        let place = list.push(&member, Decision::STATE_ONLY, Membership::Listed, true);
        assert!(list.is_complete());
        let slot = WatchSlot {
            watched: WatchedId(0),
            index: 0,
        };
        list.set_slot(place, slot, false);
        assert!(!list.is_complete());
        list.take_decision(place, Decision::ALLOW);
        assert!(!list.is_complete(), "a decision is no state");
        list.state_changed(place);
        assert!(list.is_complete());
        list.state_changed(place);
        assert!(list.is_complete(), "it is counted once");
    }
}
