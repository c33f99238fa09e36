//! The subscription table of a shard: dialogs, their subscriptions, and the presentities they
//! watch.
//!
//! Invariants: a subscription and its dialog refer to each other; a subscription and each
//! presentity it watches (one, or the resources of its list) refer to each other; a dialog is
//! removed with its last subscription, and so is a phone; a watched presentity is removed with its
//! last watcher. Our To-tag names the dialog's place, so a lookup is one index and one comparison
//! of octets: there is no map of dialogs that a peer could fill with collisions.

use std::collections::HashMap;
use std::sync::Arc;

use crate::directory::peer_systems::PeerSystemId;
use crate::presence::event::Package;
use crate::presence::{Aor, Composed};
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, End};
use crate::shard::contract::ids::{DialogId, SubscriptionId, WatchSlot, WatchedId};
use crate::shard::contract::mail::NamedWatch;
use crate::shard::contract::options::Options;
use crate::shard::contract::turn::Turn;
use crate::shard::list::state::ListState;
use crate::shard::peer::dials::Dials;
use crate::shard::peer::path::Paths;
use crate::shard::subscription::beginnings::Beginnings;
use crate::shard::subscription::by_domain::DomainCounts;
use crate::shard::subscription::changes::Changes;
use crate::shard::subscription::dialog_entry::{DialogEntry, PLACE_OCTETS};
use crate::shard::subscription::pacing::Phones;
use crate::shard::subscription::queue::Backlog;
use crate::shard::subscription::subject::Subject;
use crate::shard::subscription::watched::{Watched, WatchedPresentities, WatcherSlot};
use crate::shard::subscription::{Names, NewSubscription, Subscription, Wants};
use crate::sip::emit;

/// See [`Expected`].
const A_WATCHER: &str = "a watcher is a subscription";

/// The tables.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) dialogs: Slab<DialogId, DialogEntry>,
    pub(super) subscriptions: Slab<SubscriptionId, Subscription>,
    pub(super) watched: WatchedPresentities,
    pub(super) paths: Paths,
    pub(super) dials: Dials,
    pub(super) phones: Phones,
    /// Subscriptions that may be due a NOTIFY, in order.
    pub(super) queue: Backlog,
    /// Octets of memory used by dialogs and by the names of subscriptions.
    pub(super) octets: usize,
    pub(super) dialogs_by_connection: GrowingMap<ConnectionId, Vec<DialogId>>,
    pub(super) dialogs_by_peer: GrowingMap<End, u32>,
    /// The dialogs to be recorded.
    pub(super) changes: Changes,
    /// Removed subscriptions of which 2xx are still held, and how many.
    pub(super) ignored_releases: HashMap<SubscriptionId, u32>,
    pub(super) beginnings: Beginnings,
    /// How many subscriptions there are of each package, in the order of [`Package::ALL`].
    by_package: [u64; Package::ALL.len()],
    by_domain: DomainCounts,
}

/// A subscription, and everything else that its NOTIFYs need.
#[derive(Debug)]
pub(crate) struct Recipient<'a> {
    pub(crate) subscription: &'a mut Subscription,
    pub(crate) dialog: &'a mut DialogEntry,
    pub(crate) watched: &'a WatchedPresentities,
    pub(crate) paths: &'a mut Paths,
}

impl Table {
    /// Empty tables.
    pub(crate) fn new(options: &Options) -> Self {
        Self {
            dialogs: Slab::default(),
            subscriptions: Slab::default(),
            watched: WatchedPresentities::default(),
            paths: Paths::default(),
            dials: Dials::default(),
            phones: Phones::new(
                options.notify_rate_per_phone,
                options.notify_burst_per_phone,
            ),
            queue: Backlog::new(options.epoch),
            octets: 0,
            dialogs_by_connection: GrowingMap::default(),
            dialogs_by_peer: GrowingMap::default(),
            changes: Changes::new(options.durability),
            ignored_releases: HashMap::new(),
            beginnings: Beginnings::default(),
            by_package: [0; Package::ALL.len()],
            by_domain: DomainCounts::default(),
        }
    }

    #[inline]
    pub(crate) fn dialog(&self, id: DialogId) -> Option<&DialogEntry> {
        self.dialogs.get(id)
    }

    /// The phones that have subscriptions.
    pub(crate) fn phones(&self) -> &Phones {
        &self.phones
    }

    #[inline]
    pub(crate) fn subscription(&self, id: SubscriptionId) -> Option<&Subscription> {
        self.subscriptions.get(id)
    }

    /// All subscriptions, by their ids.
    pub(crate) fn subscriptions(&self) -> impl Iterator<Item = (SubscriptionId, &Subscription)> {
        self.subscriptions.iter()
    }

    /// How many subscriptions there are.
    pub(crate) fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// How many subscriptions there are of each package, in the order of [`Package::ALL`].
    pub(crate) fn subscriptions_by_package(&self) -> [u64; Package::ALL.len()] {
        self.by_package
    }

    /// How many subscriptions there are to each domain.
    pub(crate) fn subscriptions_by_domain(&self) -> &DomainCounts {
        &self.by_domain
    }

    /// One beyond the highest id that a subscription has or had.
    pub(crate) fn subscriptions_end(&self) -> u32 {
        self.subscriptions.end()
    }

    /// A subscription, and everything else that its NOTIFYs need.
    #[inline]
    pub(crate) fn recipient(&mut self, id: SubscriptionId) -> Option<Recipient<'_>> {
        let subscription = self.subscriptions.get_mut(id)?;
        let dialog = self.dialogs.get_mut(subscription.dialog());
        Some(Recipient {
            dialog: dialog.expected("a subscription has a dialog")?,
            subscription,
            watched: &self.watched,
            paths: &mut self.paths,
        })
    }

    #[inline]
    pub(crate) fn subscription_mut(&mut self, id: SubscriptionId) -> Option<&mut Subscription> {
        self.subscriptions.get_mut(id)
    }

    /// The list of a subscription to one.
    #[inline]
    pub(crate) fn list_mut(&mut self, id: SubscriptionId) -> Option<&mut ListState> {
        self.subscription_mut(id)?.list_mut()
    }

    /// A subscription is a fetch; one to a list lasts until all of the list was sent.
    pub(crate) fn fetch(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscription_mut(id) {
            subscription.fetch();
        }
    }

    /// Adds a subscription to one presentity.
    pub(crate) fn add_subscription(
        &mut self,
        dialog: DialogId,
        aor: &Aor,
        new: NewSubscription<'_>,
        turn: &mut Turn<'_>,
    ) -> SubscriptionId {
        let watcher = WatcherSlot {
            subscription: self.next_subscription(),
            resource: WatcherSlot::WHOLE,
        };
        let system = self.system_of(dialog, turn);
        let slot = self.join((aor, system), watcher, turn);
        self.insert_subscription(dialog, slot.into(), new)
    }

    /// The key the next subscription will get.
    pub(crate) fn next_subscription(&self) -> SubscriptionId {
        self.subscriptions.vacant_key()
    }

    /// Adds a subscription whose watchers have joined already, under the name of
    /// [`Self::next_subscription`].
    pub(crate) fn insert_subscription(
        &mut self,
        dialog: DialogId,
        subject: Subject,
        new: NewSubscription<'_>,
    ) -> SubscriptionId {
        let id = self.next_subscription();
        let entry = self.dialogs.get_mut(dialog);
        if let Some(entry) = entry.expected("a subscription has a dialog") {
            entry.subscriptions.push(id);
            self.phones.join(entry.phone);
        }
        if !new.is_recovered {
            self.mark(dialog);
        }
        let names = self.names_of(&subject, new.event, new.entity);
        self.octets += octets_of_names(&names);
        let subscription = Subscription::begin(dialog, subject, names, new);
        self.by_package[subscription.package() as usize] += 1;
        if let Some(aor) = self.aor_of(&subscription).cloned() {
            self.by_domain.add(aor.domain());
        }
        self.subscriptions.insert(subscription);
        id
    }

    /// Approximate octets of memory used by dialogs, subscriptions and watcher slots. Shared names
    /// are counted once for each subscription.
    pub(crate) fn octets_taken(&self) -> usize {
        self.octets
            + self.subscriptions.len() * size_of::<Subscription>()
            + self.watched.watchers() * PLACE_OCTETS
    }

    /// The load that counts against `subscriptions_max`: the number of watched resources, or of
    /// subscriptions if that is higher.
    pub(crate) fn capacity_used(&self) -> usize {
        self.watched.watchers().max(self.subscriptions.len())
    }

    /// The Event value and entity URI of a new subscription: shared with the previous watcher of
    /// the same presentity if they are equal.
    fn names_of(&self, subject: &Subject, event: &[u8], entity: &[u8]) -> Arc<Names> {
        let others = subject.slot().and_then(|slot| {
            let watchers = self.watched(slot.watched)?.watchers();
            let other = watchers.iter().rev().nth(1)?.subscription;
            Some(self.subscription(other)?.names())
        });
        let mut line = Vec::with_capacity(event.len());
        emit::made_one_line(&mut line, event);
        match others {
            Some(names) if *names.event == *line && *names.entity == *entity => Arc::clone(names),
            _ => Arc::new(Names {
                event: line.into_boxed_slice(),
                entity: entity.into(),
            }),
        }
    }

    /// Adds a watcher to a presentity.
    pub(crate) fn join(
        &mut self,
        presentity: (&Aor, Option<PeerSystemId>),
        watcher: WatcherSlot,
        turn: &mut Turn<'_>,
    ) -> WatchSlot {
        self.watched.join(presentity, watcher, turn)
    }

    /// Has the watchers of a subscription be told what the peer system is told that they are, or what all others
    /// are told: the configuration may have changed, or the address of the watcher.
    pub(crate) fn review_system(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        if !turn.directory.has_peer_systems() && !self.watched.has_systems() {
            return;
        }
        let Some(subscription) = self.subscription(id) else {
            return;
        };
        let system = self.system_of(subscription.dialog(), turn);
        for watcher in subscription.subject().watchers(id) {
            let subscription = self.subscription(id);
            let slot = subscription.and_then(|it| it.subject().slot_of(watcher));
            let Some(slot) = slot.expected(A_WATCHER) else {
                continue;
            };
            let watched = self.watched(slot.watched);
            let other = watched.filter(|watched| watched.system() != system);
            let Some(aor) = other.map(|watched| watched.aor().clone()) else {
                continue;
            };
            self.leave(slot, turn);
            let slot = self.join((&aor, system), watcher, turn);
            if let Some(subscription) = self.subscriptions.get_mut(id) {
                subscription.move_slot(watcher.resource, slot);
            }
        }
    }

    /// Removes a watcher from a presentity.
    pub(crate) fn leave(&mut self, slot: WatchSlot, turn: &mut Turn<'_>) {
        if let Some(moved) = self.watched.leave(slot, turn) {
            let subscription = self.subscriptions.get_mut(moved.subscription);
            if let Some(subscription) = subscription.expected(A_WATCHER) {
                subscription.move_slot(moved.resource, slot);
            }
        }
    }

    /// Removes a subscription; also removes the dialog, or a presentity, if this was its last
    /// subscription.
    pub(crate) fn remove_subscription(
        &mut self,
        id: SubscriptionId,
        turn: &mut Turn<'_>,
    ) -> Option<Subscription> {
        let mut subscription = self.subscriptions.remove(id)?;
        self.by_package[subscription.package() as usize] -= 1;
        subscription.confirmed(&mut self.queue);
        if let Some(aor) = self.aor_of(&subscription).cloned() {
            self.by_domain.remove(aor.domain());
        }
        self.octets -= octets_of_names(subscription.names());
        self.ignore_releases(id, subscription.acknowledgements_held());
        self.forget_usage(subscription.dialog(), id);
        for (slot, _) in subscription.subject().slots() {
            self.leave(slot, turn);
        }
        Some(subscription)
    }

    #[inline]
    pub(crate) fn watched(&self, id: WatchedId) -> Option<&Watched> {
        self.watched.get(id)
    }

    /// The watchers of a presentity.
    pub(crate) fn watchers_of(&self, aor: &Aor) -> impl Iterator<Item = WatcherSlot> {
        self.watched.watchers_of(aor)
    }

    /// The presentity or list that was subscribed to.
    pub(crate) fn aor_of<'a>(&'a self, subscription: &'a Subscription) -> Option<&'a Aor> {
        let subject = subscription.subject();
        subject
            .aor()
            .or_else(|| Some(self.watched(subject.slot()?.watched)?.aor()))
    }

    /// Stores the new state of a presentity, received from its owner, and queues the subscriptions
    /// that watch it.
    pub(crate) fn take_state(&mut self, presentity: &NamedWatch, composed: Arc<Composed>) {
        for watcher in self.watched.take_state(presentity, composed) {
            let (id, resource) = (watcher.subscription, watcher.resource);
            let subscription = self.subscriptions.get_mut(id);
            if let Some(subscription) = subscription.expected(A_WATCHER) {
                self.queue.coalesced += u64::from(subscription.wants() > Wants::Nothing);
                subscription.state_changed(resource, id, &mut self.queue);
            }
        }
    }
}

/// Octets of the Event value and the entity URI.
fn octets_of_names(names: &Names) -> usize {
    names.event.len() + names.entity.len()
}
