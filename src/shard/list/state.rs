//! The resources of one list subscription, and which of them the next NOTIFYs must report.
//!
//! Invariants: an address of record is in it at most once; the order of resources never changes
//! while the list does not (phones assign BLF keys in this order; W:C1.3); a resource that comes
//! and goes keeps its place and its number; a resource marked for notification stays marked until
//! it has been written.

use std::collections::HashMap;

use crate::presence::Aor;
use crate::presence::event::list::{ListStyle, Member, Roster};
use crate::presence::policy::Decision;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::WatchSlot;
use crate::shard::list::plan::ListPlan;

/// How the state of a list is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoding {
    /// `multipart/related` with RLMI (RFC 4662).
    Rlmi,
    /// One NOTIFY per resource, with its document as for a plain subscription: for phones without
    /// `eventlist` support (W:D4.4).
    Series,
}

/// Whether a resource is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Present; its state is reported.
    Live,
    /// No longer present; this must still be notified (W:D4.5).
    Leaving,
    /// No longer present, and notified as such; its position is kept.
    Gone,
    /// On the list, but no such user exists here: reported as terminated, `noresource` (RFC 5367).
    Unknown,
}

/// One resource.
#[derive(Debug)]
pub(crate) struct Resource {
    /// The URI as written in the list.
    pub(crate) uri: Box<str>,
    /// Display name, used as key label (W:B5.7).
    pub(crate) name: Box<str>,
    pub(crate) slot: Option<WatchSlot>,
    /// Basis of its RLMI instance id and Content-IDs (RFC 4662 §5.3-5.5; W:B5.8).
    pub(crate) number: u32,
    pub(crate) decision: Decision,
    pub(crate) standing: Standing,
    /// The version of its next document (W:B5.9).
    pub(crate) version: u32,
    /// What the phone was last sent: the hash of the body (odd), or an even code for an instance
    /// without a body (`shown_as`); 0 if the phone might not have received it.
    pub(crate) shown: u64,
    /// Its state must be included in a coming NOTIFY.
    pub(crate) is_marked: bool,
    /// Not yet included in the full state being sent: must be included even if unchanged.
    pub(crate) is_owed: bool,
    /// The phone has been sent this resource, and may display it.
    pub(crate) is_listed: bool,
    /// Listed explicitly, not through a roster; stays whether or not the user is present.
    is_fixed: bool,
    /// Its owner has said what it is.
    is_known: bool,
}

/// A resource that is no longer on the list, and that the phone may still show. Full state in one
/// NOTIFY simply omits it; if full state takes several NOTIFYs, one of them reports the instance as
/// terminated.
#[derive(Debug)]
pub(crate) struct Leaver {
    pub(crate) uri: Box<str>,
    pub(crate) name: Box<str>,
    pub(crate) number: u32,
    pub(crate) is_told: bool,
}

/// One list subscription.
#[derive(Debug)]
pub(crate) struct ListState {
    aor: Aor,
    /// Display name; empty if it has none.
    pub(crate) name: Box<str>,
    pub(crate) encoding: Encoding,
    pub(crate) style: ListStyle,
    /// A request-contained list (RFC 5367): a reload does not change it.
    pub(crate) is_of_body: bool,
    /// Domains whose present users are members of this list.
    pub(crate) rosters: Box<[Roster]>,
    pub(crate) resources: Vec<Resource>,
    /// Full state must be sent and has not been started: after a SUBSCRIBE, or when a resource left
    /// the list (RFC 4662 §5.2).
    pub(crate) owes_full: bool,
    /// Full state is under way: it did not fit one NOTIFY, and the following ones carry the rest.
    pub(crate) is_unfinished: bool,
    /// It is told once and then over, in as many NOTIFYs as that takes.
    pub(crate) is_fetch: bool,
    pub(crate) leavers: Vec<Leaver>,
    /// Where the next NOTIFY begins, so that a frequently changing resource does not starve the
    /// others.
    pub(crate) next_place: usize,
    /// Index by address of record; empty if the list has no roster.
    place_by_aor: HashMap<Aor, u32>,
    /// Number of resources whose owner has not reported a state yet.
    awaited: u32,
    numbers: u32,
    /// Instance numbers and versions of former resources, by URI. A resource that returns resumes
    /// them, because the phone may not have seen that it was gone (W:B5.9).
    departed: HashMap<Box<str>, (u32, u32)>,
}

/// Maximum number of former resources remembered per list. Above it all are forgotten, and a
/// returning resource gets a new instance id.
const DEPARTED_MAX: usize = 10_000;

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
            departed: HashMap::new(),
        }
    }

    /// The address of record of the list.
    pub(crate) fn aor(&self) -> &Aor {
        &self.aor
    }

    /// Adds a resource at the end, marked; its place.
    pub(crate) fn push(
        &mut self,
        member: &Member,
        decision: Decision,
        standing: Standing,
        is_fixed: bool,
    ) -> u32 {
        let place = self.resources.len() as u32;
        if let Some(aor) = member.aor.as_ref().filter(|_| !self.rosters.is_empty()) {
            self.place_by_aor.insert(aor.clone(), place);
        }
        let departed = self.departed.remove_entry(&*member.uri);
        let (uri, (number, version)) = departed.unwrap_or_else(|| {
            self.numbers += 1;
            (member.uri.clone(), (self.numbers, 0))
        });
        self.resources.push(Resource {
            uri,
            name: member.name.clone(),
            slot: None,
            number,
            decision,
            standing,
            version,
            shown: 0,
            is_marked: true,
            is_owed: self.owes_full,
            is_listed: false,
            is_fixed,
            is_known: true,
        });
        place
    }

    /// A resource watches its presentity from now on, whose owner may not have spoken yet.
    pub(crate) fn set_slot(&mut self, place: u32, slot: WatchSlot, is_known: bool) {
        if let Some(resource) = self.resources.get_mut(place as usize) {
            resource.slot = Some(slot);
            resource.is_known = is_known;
            self.awaited += u32::from(!is_known);
        }
    }

    /// Removes the watcher slot of a resource and returns it.
    pub(crate) fn take_slot(&mut self, place: u32) -> Option<WatchSlot> {
        let resource = self.resources.get_mut(place as usize)?;
        if !std::mem::replace(&mut resource.is_known, true) {
            self.awaited -= 1;
        }
        resource.slot.take()
    }

    /// Updates the index of a resource in the watcher list of its presentity.
    pub(crate) fn move_slot(&mut self, place: u32, index: u32) {
        if let Some(slot) = self
            .resources
            .get_mut(place as usize)
            .and_then(|resource| resource.slot.as_mut())
        {
            slot.index = index;
        }
    }

    /// The watcher slots of all resources, each with the instance number.
    pub(crate) fn slots(&self) -> impl Iterator<Item = (WatchSlot, u32)> {
        let watched = |resource: &Resource| Some((resource.slot?, resource.number));
        self.resources.iter().filter_map(watched)
    }

    /// The owner reported a state of the resource, initial or changed.
    pub(crate) fn take_state(&mut self, place: u32) {
        if let Some(resource) = self.resources.get_mut(place as usize) {
            resource.is_marked = true;
            if !std::mem::replace(&mut resource.is_known, true) {
                self.awaited -= 1;
            }
        }
    }

    /// Sets a changed policy decision for a resource. This does not make its state known.
    pub(crate) fn take_decision(&mut self, place: u32, decision: Decision) {
        if let Some(resource) = self.resources.get_mut(place as usize) {
            resource.decision = decision;
            resource.is_marked = true;
        }
    }

    /// Everything must be sent again: a SUBSCRIBE came, or a NOTIFY was lost.
    pub(crate) fn forget_shown(&mut self) {
        for resource in &mut self.resources {
            resource.shown = 0;
            // The NOTIFY that reported its removal may have been lost.
            if resource.standing == Standing::Gone && resource.is_listed {
                resource.standing = Standing::Leaving;
            }
        }
        for leaver in &mut self.leavers {
            leaver.is_told = false;
        }
        self.mark_all();
    }

    /// Full state starts with the next NOTIFY.
    pub(crate) fn mark_all(&mut self) {
        self.owes_full = true;
        self.is_unfinished = false;
        self.next_place = 0;
        for resource in &mut self.resources {
            let is_told = resource.standing != Standing::Gone;
            resource.is_marked |= is_told;
            resource.is_owed = is_told;
        }
    }

    /// The places of all resources, in the order in which they are told.
    pub(crate) fn turns(&self) -> impl Iterator<Item = usize> + use<> {
        let places = self.resources.len();
        let first = self.next_place.min(places);
        (first..places).chain(0..first)
    }

    /// Whether full state is pending or in progress.
    pub(crate) const fn is_telling_all(&self) -> bool {
        self.owes_full || self.is_unfinished
    }

    /// Forgets removed resources once full state is complete; until then, those that have returned
    /// to the list.
    pub(crate) fn forget_leavers(&mut self) {
        if self.leavers.is_empty() {
            return;
        }
        if !self.is_telling_all() {
            return self.leavers.clear();
        }
        let places = self.resources.iter().enumerate();
        let places: HashMap<&str, usize> = places.map(|(at, it)| (&*it.uri, at)).collect();
        let mut returned = Vec::new();
        self.leavers.retain(|leaver| {
            let place = places.get(&*leaver.uri).copied();
            returned.extend(place);
            place.is_none()
        });
        // The phone still lists a resource that left and returned before it was told.
        for place in returned {
            self.resources[place].is_listed = true;
        }
    }

    /// The index of a presentity; only for lists with a roster.
    pub(crate) fn place_of(&self, aor: &Aor) -> Option<u32> {
        self.place_by_aor.get(aor).copied()
    }

    /// The URIs and the names that are on the list itself, in order, and whether the user exists.
    pub(crate) fn fixed(&self) -> impl Iterator<Item = (&str, &str, bool)> {
        self.resources
            .iter()
            .filter(|resource| resource.is_fixed)
            .map(|it| (&*it.uri, &*it.name, it.standing != Standing::Unknown))
    }

    /// A resource is present again. Returns whether its presentity must be watched again.
    pub(crate) fn revive(&mut self, place: u32, decision: Decision) -> bool {
        let resource = self.resources.get_mut(place as usize);
        let Some(resource) = resource.expected("its place was found in this list") else {
            return false;
        };
        if matches!(resource.standing, Standing::Leaving | Standing::Gone) {
            if resource.standing == Standing::Gone {
                resource.shown = 0;
                resource.is_listed = false;
            }
            resource.standing = Standing::Live;
            resource.decision = decision;
            resource.is_marked = true;
        }
        resource.standing == Standing::Live && resource.slot.is_none()
    }

    /// A resource that is not on the list itself is there no longer; whether that is to be told.
    /// With one NOTIFY per resource nothing is removed: its document simply reports idle.
    pub(crate) fn dismiss(&mut self, place: u32) -> bool {
        let is_series = self.encoding == Encoding::Series;
        match self.resources.get_mut(place as usize) {
            // It came and went before the phone was told of it.
            Some(resource) if !resource.is_fixed && !is_series && !resource.is_listed => {
                resource.standing = Standing::Gone;
                resource.is_marked = false;
                resource.is_owed = false;
                true
            }
            Some(resource) if !resource.is_fixed && !is_series => {
                resource.standing = Standing::Leaving;
                resource.is_marked = true;
                true
            }
            _ => false,
        }
    }

    /// Whether a resource that is gone is still watched.
    pub(crate) fn has_leavers(&self) -> bool {
        // Explicitly listed resources are never Gone.
        let has_left = |it: &Resource| it.standing == Standing::Gone && it.slot.is_some();
        !self.rosters.is_empty() && self.resources.iter().any(has_left)
    }

    /// The watch slots of resources that are gone.
    pub(crate) fn take_gone_slots(&mut self) -> Vec<WatchSlot> {
        let places = 0..self.resources.len() as u32;
        let is_gone =
            |list: &Self, place: u32| list.resources[place as usize].standing == Standing::Gone;
        places
            .filter_map(|place| is_gone(self, place).then(|| self.take_slot(place))?)
            .collect()
    }

    /// Makes room for one more by reusing the place of a resource that is gone. False if none is.
    pub(crate) fn reuse_gone(&mut self) -> bool {
        // Only the last resource can be removed without shifting indexes.
        let is_free =
            |resource: &Resource| resource.standing == Standing::Gone && resource.slot.is_none();
        let Some(freed) = self.resources.pop_if(|last| is_free(last)) else {
            return false;
        };
        let end = self.resources.len() as u32;
        self.place_by_aor.retain(|_, place| *place < end);
        self.remember(freed);
        true
    }

    /// Removes all resources before the list is rebuilt. Returns their watcher slots.
    pub(crate) fn empty(&mut self) -> Vec<WatchSlot> {
        self.owes_full = true;
        self.is_unfinished = false;
        self.next_place = 0;
        self.awaited = 0;
        self.place_by_aor.clear();
        let slots = self.slots().map(|(slot, _)| slot).collect();
        for resource in std::mem::take(&mut self.resources) {
            if resource.is_listed && self.encoding == Encoding::Rlmi {
                self.leavers.push(Leaver {
                    uri: resource.uri.clone(),
                    name: resource.name.clone(),
                    number: resource.number,
                    is_told: false,
                });
            }
            self.remember(resource);
        }
        slots
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

    /// Whether a NOTIFY is still needed.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_telling_all() || self.resources.iter().any(|resource| resource.is_marked)
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
    fn a_resource_that_left_and_returned_is_still_listed() {
        let (mut list, member) = empty_list();
        let place = list.push(&member, Decision::ALLOW, Standing::Live, true);
        list.resources[place as usize].is_listed = true;
        list.empty();
        list.push(&member, Decision::ALLOW, Standing::Live, true);
        list.forget_leavers();
        assert!(list.leavers.is_empty(), "it is on the list");
        list.empty();
        assert_eq!(
            list.leavers.len(),
            1,
            "the phone is to be told that it left"
        );
    }

    #[test]
    fn a_list_is_complete_once_every_owner_has_told_its_state() {
        let (mut list, member) = empty_list();
        let place = list.push(&member, Decision::STATE_ONLY, Standing::Live, true);
        assert!(list.is_complete());
        let slot = WatchSlot {
            watched: WatchedId(0),
            index: 0,
        };
        list.set_slot(place, slot, false);
        assert!(!list.is_complete());
        list.take_decision(place, Decision::ALLOW);
        assert!(!list.is_complete(), "a decision is no state");
        list.take_state(place);
        assert!(list.is_complete());
        list.take_state(place);
        assert!(list.is_complete(), "it is counted once");
    }
}
