//! What a subscription is to: one presentity, a list, the watchers of a presentity, an appearance of
//! a line.
//!
//! This file alone, and `lifecycle::subject` for what needs other rooms, distinguishes these kinds;
//! other code calls its query functions. What only one kind has is in its own file: `list`,
//! `audience`, `seizure`.

use std::time::Duration;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::event::WatcherInfo;
use crate::presence::event::list::{ListStyle, Member};
use crate::record::dialog::SubjectRecord;
use crate::shard::contract::ids::{SubscriptionId, WatchSlot};
use crate::shard::contract::mail::Claim;
use crate::shard::contract::options::Options;
use crate::shard::list::state::{Encoding, ListState};
use crate::shard::subscription::Wants;
use crate::shard::subscription::audience::Audience;
use crate::shard::subscription::seizure::Seizure;
use crate::shard::subscription::watched::WatcherSlot;

/// What a subscription is to.
#[derive(Debug)]
pub(crate) enum Subject {
    /// One presentity.
    Presentity(WatchSlot),
    /// A list of resources (RFC 4662).
    List(Box<ListState>),
    /// The watchers of a presentity (RFC 3857).
    Watchers(Box<Audience>),
    /// An appearance of a shared line, which the subscription holds (W:C10.2).
    Seizure(Box<Seizure>),
}

impl From<WatchSlot> for Subject {
    fn from(slot: WatchSlot) -> Self {
        Self::Presentity(slot)
    }
}

impl From<ListState> for Subject {
    fn from(list: ListState) -> Self {
        Self::List(Box::new(list))
    }
}

impl From<Audience> for Subject {
    fn from(audience: Audience) -> Self {
        Self::Watchers(Box::new(audience))
    }
}

// State changes; called only from `Subscription`.
impl Subject {
    /// A SUBSCRIBE renews the subscription.
    pub(super) fn renewed(&mut self) {
        if let Self::List(list) = self {
            list.set_fetch(false);
        }
    }

    /// The subscription is a fetch.
    pub(super) fn fetch(&mut self) {
        if let Self::List(list) = self {
            list.set_fetch(true);
        }
    }

    /// The state of what is watched changed. `resource` is the place in a list.
    #[inline]
    pub(super) fn state_changed(&mut self, resource: u32) {
        if let Self::List(list) = self {
            list.state_changed(resource);
        }
    }

    /// Watchers ended.
    pub(super) fn watchers_ended(&mut self, ended: &[WatcherInfo]) {
        if let Self::Watchers(audience) = self {
            audience.watchers_ended(ended);
        }
    }

    /// A NOTIFY was sent. Returns whether another NOTIFY is needed: for the withheld body, or for
    /// the part of a list that did not fit.
    pub(super) fn sent(&mut self, is_withheld: bool) -> Wants {
        if let Self::Watchers(audience) = self {
            audience.sent(is_withheld);
        }
        match self {
            _ if is_withheld => Wants::Notify,
            Self::List(list) if list.is_marked() => Wants::Change,
            Self::List(_) | Self::Presentity(_) | Self::Seizure(_) | Self::Watchers(_) => {
                Wants::Nothing
            }
        }
    }

    /// The phone accepted that NOTIFY.
    pub(super) fn delivered(&mut self) {
        if let Self::Watchers(audience) = self {
            audience.delivered();
        }
    }

    /// The phone may have lost what it was sent.
    pub(super) fn forget_shown(&mut self) {
        if let Self::List(list) = self {
            list.forget_shown();
        }
    }

    /// Turns a plain subscription into one that holds an appearance.
    pub(super) fn hold(&mut self, claim: Claim) {
        debug_assert!(
            self.presentity_slot().is_some(),
            "an appearance is held of one line"
        );
        if let Self::Presentity(slot) = *self {
            *self = Self::Seizure(Box::new(Seizure::new(slot, claim)));
        }
    }

    /// Takes the claim, if it was not taken before.
    pub(super) fn take_claim(&mut self) -> Option<Claim> {
        match self {
            Self::Seizure(seizure) => seizure.take_claim(),
            Self::Presentity(_) | Self::List(_) | Self::Watchers(_) => None,
        }
    }

    /// The watcher has moved to this place among the watchers of its presentity.
    pub(super) fn move_slot(&mut self, resource: u32, to: WatchSlot) {
        match self {
            Self::Presentity(slot) => *slot = to,
            Self::Seizure(seizure) => seizure.slot = to,
            Self::List(list) => list.move_slot(resource, to),
            Self::Watchers(_) => debug_assert!(false, "watcher information watches no presentity"),
        }
    }

    /// The list, to be changed; None for other kinds.
    #[inline]
    pub(super) fn list_mut(&mut self) -> Option<&mut ListState> {
        match self {
            Self::List(list) => Some(list),
            Self::Presentity(_) | Self::Watchers(_) | Self::Seizure(_) => None,
        }
    }
}

// Queries.
impl Subject {
    /// The list; None for other kinds.
    #[inline]
    pub(crate) fn list(&self) -> Option<&ListState> {
        match self {
            Self::List(list) => Some(list),
            Self::Presentity(_) | Self::Watchers(_) | Self::Seizure(_) => None,
        }
    }

    /// The watcher information; None for other kinds.
    pub(crate) fn audience(&self) -> Option<&Audience> {
        match self {
            Self::Watchers(audience) => Some(audience),
            Self::Presentity(_) | Self::List(_) | Self::Seizure(_) => None,
        }
    }

    /// The address of record, for lists and watcher information; for a presentity see
    /// `Watched::aor`.
    pub(crate) fn aor(&self) -> Option<&Aor> {
        match self {
            Self::List(list) => Some(list.aor()),
            Self::Watchers(audience) => Some(audience.aor()),
            Self::Presentity(_) | Self::Seizure(_) => None,
        }
    }

    /// Where the one presentity is watched whose state or line this is; None for other kinds.
    #[inline]
    pub(crate) fn slot(&self) -> Option<WatchSlot> {
        match self {
            Self::Presentity(slot) => Some(*slot),
            Self::Seizure(seizure) => Some(seizure.slot),
            Self::List(_) | Self::Watchers(_) => None,
        }
    }

    /// Whether it is recorded. A seizure is not: the phone seizes the line again after a restart.
    pub(super) fn is_recorded(&self) -> bool {
        match self {
            Self::Presentity(_) | Self::List(_) | Self::Watchers(_) => true,
            Self::Seizure(_) => false,
        }
    }

    /// For a record, with the members of a list that came in a body; None if it is not recorded.
    pub(super) fn record(
        &self,
        members_of: impl FnOnce(&ListState) -> Vec<Member>,
    ) -> Option<SubjectRecord<'static>> {
        match self {
            Self::Presentity(_) => Some(SubjectRecord::Presentity),
            Self::List(list) if list.is_of_body() => {
                Some(SubjectRecord::ListOfBody(members_of(list).into()))
            }
            Self::List(list) => Some(match list.encoding() {
                Encoding::Rlmi => SubjectRecord::List,
                Encoding::Series => SubjectRecord::ListInSeries,
            }),
            Self::Watchers(_) => Some(SubjectRecord::Watchers),
            Self::Seizure(_) => None,
        }
    }

    /// The watcher slot of a plain subscription to one presentity; None for line-seize and other
    /// kinds.
    #[inline]
    pub(crate) fn presentity_slot(&self) -> Option<WatchSlot> {
        match self {
            Self::Presentity(slot) => Some(*slot),
            Self::Seizure(_) | Self::List(_) | Self::Watchers(_) => None,
        }
    }

    /// All watcher slots, each with its instance number in the list (0 without a list).
    pub(crate) fn slots(&self) -> impl Iterator<Item = (WatchSlot, u32)> {
        let resources = self.list().into_iter().flat_map(ListState::slots);
        self.slot()
            .map(|slot| (slot, 0))
            .into_iter()
            .chain(resources)
    }

    /// All its watchers.
    pub(super) fn watchers(&self, id: SubscriptionId) -> Vec<WatcherSlot> {
        let whole = self.slot().map(|_| WatcherSlot::WHOLE);
        let resources = self.list().into_iter().flat_map(ListState::watched_places);
        let all = whole.into_iter().chain(resources);
        let watchers = all.map(|resource| WatcherSlot {
            subscription: id,
            resource,
        });
        watchers.collect()
    }

    /// The place of one of its watchers.
    pub(super) fn slot_of(&self, watcher: WatcherSlot) -> Option<WatchSlot> {
        match watcher.resource {
            WatcherSlot::WHOLE => self.slot(),
            place => self.list()?.slot_at(place),
        }
    }

    /// The cost of a re-evaluation: the number of watched presentities, at least one.
    pub(crate) fn resources(&self) -> usize {
        self.list().map_or(1, |list| list.places().max(1) as usize)
    }

    /// Whether its documents show all dialogs of a presentity (W:B5.19).
    pub(super) fn shows_all_dialogs(&self) -> bool {
        self.list()
            .is_some_and(|list| list.style() == ListStyle::Broadworks)
    }

    /// Whether it is sent as RLMI with parts (RFC 4662).
    #[inline]
    pub(crate) fn is_multipart(&self) -> bool {
        self.list()
            .is_some_and(|list| list.encoding() == Encoding::Rlmi)
    }

    /// Whether full state was begun in one NOTIFY and continues in the next.
    #[inline]
    pub(crate) fn is_unfinished(&self) -> bool {
        self.list().is_some_and(ListState::is_unfinished)
    }

    /// Whether it is a fetch whose full state continues in the next NOTIFY.
    pub(crate) fn is_unfinished_fetch(&self) -> bool {
        self.list()
            .is_some_and(|list| list.is_fetch() && list.is_unfinished())
    }

    /// Whether it is a list that came in the body of the SUBSCRIBE (RFC 5367).
    pub(crate) fn is_of_body(&self) -> bool {
        self.list().is_some_and(ListState::is_of_body)
    }

    /// Whether the appearance it held was given back; then it cannot be refreshed.
    pub(crate) fn is_released(&self) -> bool {
        match self {
            Self::Seizure(seizure) => seizure.is_released(),
            Self::Presentity(_) | Self::List(_) | Self::Watchers(_) => false,
        }
    }

    /// How long the subscription lives beyond what was granted, as phones refresh late (RFC 6665
    /// §4.2.2). A line-seize subscription gets no grace (W:C10.2).
    pub(super) fn grace(&self, options: &Options) -> Duration {
        match self {
            Self::Seizure(_) => Duration::ZERO,
            Self::Presentity(_) | Self::List(_) | Self::Watchers(_) => options.expiry_grace,
        }
    }

    /// Whether the subscribed resource exists in this directory. A list that came in a body always
    /// does.
    pub(crate) fn exists(&self, aor: &Aor, directory: &Directory) -> bool {
        match self {
            Self::List(list) if list.is_of_body() => true,
            Self::List(_) => directory.exists(aor) && directory.is_list(aor),
            Self::Presentity(_) | Self::Watchers(_) | Self::Seizure(_) => directory.exists(aor),
        }
    }

    /// Whether it is a list of all users of a domain by this directory.
    pub(crate) fn has_whole_domain(&self, aor: &Aor, directory: &Directory) -> bool {
        let list = self.list().and_then(|_| directory.list(aor));
        list.is_some_and(|list| list.has_whole_domain())
    }
}
