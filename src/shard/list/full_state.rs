//! What of a list the next NOTIFYs must report: full state, changes, and resources that left.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use crate::shard::list::resource::{Leaver, Membership, ReportedResource, Resource};
use crate::shard::list::state::{Encoding, ListState};

// Questions.
impl ListState {
    /// The places of all resources, in the order in which they are reported.
    pub(crate) fn notify_order(&self) -> impl Iterator<Item = usize> + use<> {
        let places = self.resources.len();
        let first = self.next_place.min(places);
        (first..places).chain(0..first)
    }

    /// Whether full state is pending or in progress.
    pub(crate) const fn is_full_state_pending(&self) -> bool {
        self.owes_full || self.is_unfinished
    }

    /// Whether full state must be sent and has not been started.
    pub(crate) const fn needs_full_state(&self) -> bool {
        self.owes_full
    }

    /// Whether full state was begun in one NOTIFY and continues in the next.
    #[inline]
    pub(crate) const fn is_unfinished(&self) -> bool {
        self.is_unfinished
    }

    /// Former resources that the phone may still show.
    pub(crate) fn leavers(&self) -> &[Leaver] {
        &self.leavers
    }

    /// The URIs that a record names, as the phone may show them: of all resources, unless the members are
    /// recorded, and of former ones.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &str> {
        let resources = self.resources.iter().filter(|_| !self.is_of_body());
        let resources = resources.map(|resource| &*resource.uri);
        let leavers = self.leavers.iter().map(|leaver| &*leaver.uri);
        resources.chain(leavers)
    }

    /// Whether a NOTIFY is still needed.
    pub(crate) fn is_marked(&self) -> bool {
        self.is_full_state_pending() || self.resources.iter().any(|resource| resource.is_marked)
    }
}

// Changes.
impl ListState {
    /// Everything must be sent again: a SUBSCRIBE came, or a NOTIFY was lost.
    pub(crate) fn forget_shown(&mut self) {
        for resource in &mut self.resources {
            resource.shown = 0;
            // The NOTIFY that reported its removal may have been lost.
            if resource.membership == Membership::Gone && resource.is_displayed {
                resource.membership = Membership::Leaving;
            }
        }
        for leaver in &mut self.leavers {
            leaver.is_reported = false;
        }
        self.restart_full_state();
    }

    /// The list continues after a restart: the phone may show these resources, and those of a list in
    /// the body of its SUBSCRIBE. Those that left meanwhile are reported gone; with one NOTIFY for each
    /// resource none can be, and they are returned, to be reported idle.
    pub(crate) fn continue_to_show<'u>(&mut self, listed: &'u [Cow<'_, str>]) -> Vec<&'u str> {
        let places = self.resources.iter().enumerate();
        let places: HashMap<Box<str>, usize> =
            places.map(|(at, it)| (it.uri.clone(), at)).collect();
        let is_of_body = self.is_of_body();
        for resource in &mut self.resources {
            resource.is_displayed |= is_of_body;
        }
        let mut left = Vec::new();
        // A resource that left, returned and left again before a NOTIFY reported that is named twice.
        let mut named = HashSet::new();
        for uri in listed {
            match places.get(&**uri) {
                Some(place) => self.resources[*place].is_displayed = true,
                None if named.insert(&**uri) => left.push(&**uri),
                None => {}
            }
        }
        match self.encoding() {
            Encoding::Series => left,
            Encoding::Rlmi => {
                left.into_iter().for_each(|uri| self.add_leaver(uri));
                Vec::new()
            }
        }
    }

    /// Full state starts with the next NOTIFY.
    pub(crate) fn restart_full_state(&mut self) {
        self.owes_full = true;
        self.is_unfinished = false;
        self.next_place = 0;
        for resource in &mut self.resources {
            let is_reportable = resource.membership != Membership::Gone;
            resource.is_marked |= is_reportable;
            resource.is_owed = is_reportable;
        }
    }

    /// Forgets removed resources once full state is complete; until then, those that have returned
    /// to the list.
    pub(crate) fn forget_leavers(&mut self) {
        if self.leavers.is_empty() {
            return;
        }
        if !self.is_full_state_pending() {
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
        // The phone still lists a resource that left and returned before a NOTIFY reported that.
        for place in returned {
            self.resources[place].is_displayed = true;
        }
    }

    /// The resource at one of the places of [`ListState::notify_order`].
    #[inline]
    pub(crate) fn resource_mut(&mut self, place: usize) -> &mut Resource {
        &mut self.resources[place]
    }

    /// A NOTIFY reports these resources, and the leavers before `leavers_end`. If it turns out to
    /// be lost, [`ListState::forget_shown`] takes this back.
    pub(crate) fn reported(
        &mut self,
        resources: impl Iterator<Item = ReportedResource>,
        leavers_end: usize,
        is_full: bool,
    ) {
        self.owes_full = false;
        for resource in resources {
            self.resources[resource.place].reported(resource);
            self.next_place = resource.place + 1;
        }
        for leaver in &mut self.leavers[..leavers_end] {
            leaver.is_reported = true;
        }
        if is_full {
            self.drop_leavers();
        }
        let are_reported = is_full || self.leavers.iter().all(|leaver| leaver.is_reported);
        let mut owed = self.resources.iter().filter(|it| it.is_owed).peekable();
        let is_owed = owed.peek().is_some();
        debug_assert!(owed.all(|it| it.is_marked && it.membership != Membership::Gone));
        self.is_unfinished = is_owed || !are_reported;
    }

    /// Full state reports that resources are gone by omitting them.
    fn drop_leavers(&mut self) {
        for resource in &mut self.resources {
            if resource.membership == Membership::Leaving {
                resource.set_gone();
            }
        }
        for leaver in &mut self.leavers {
            leaver.is_reported = true;
        }
    }
}
