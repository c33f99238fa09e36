//! The subscription table of a shard: dialogs, their subscriptions, and the presentities they watch.
//!
//! Invariants: a subscription and its dialog refer to each other; a subscription and each
//! presentity it watches (one, or the resources of its list) refer to each other; a dialog is
//! removed with its last subscription, and so is a phone; a watched presentity is removed with its
//! last watcher. Our To-tag names the dialog's place, so a lookup is one index and one comparison of
//! octets: there is no map of dialogs that a peer could fill with collisions.

use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::presence::profile::Profile;
use crate::presence::{Aor, Composed};
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialogId, SubscriptionId, WatchSlot, WatchedId};
use crate::shard::contract::options::Options;
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::list::state::ListState;
use crate::shard::peer::path::{Path, Paths};
use crate::shard::subscription::dialog_entry::{DialogEntry, PLACE_OCTETS};
use crate::shard::subscription::dialogs::NewDialog;
use crate::shard::subscription::pacing::Phones;
use crate::shard::subscription::queue::Backlog;
use crate::shard::subscription::subject::Subject;
use crate::shard::subscription::watched::{Watched, WatchedPresentities, WatcherSlot};
use crate::shard::subscription::{Names, NewSubscription, Subscription};
use crate::sip::{Fault, Message, emit};

/// The tables.
#[derive(Debug)]
pub(crate) struct Table {
    pub(super) dialogs: Slab<DialogId, DialogEntry>,
    pub(super) subscriptions: Slab<SubscriptionId, Subscription>,
    pub(super) watched: WatchedPresentities,
    pub(super) paths: Paths,
    pub(super) phones: Phones,
    /// Subscriptions that may be due a NOTIFY, in order.
    pub(super) queue: Backlog,
    /// What dialogs and the names of subscriptions take.
    octets: usize,
    dialogs_by_connection: GrowingMap<ConnectionId, Vec<DialogId>>,
    dialogs_by_peer: GrowingMap<SocketAddr, u32>,
}

/// A subscription, and what a NOTIFY to it needs besides.
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
            phones: Phones::new(
                options.notify_rate_per_phone,
                options.notify_burst_per_phone,
            ),
            queue: Backlog::default(),
            octets: 0,
            dialogs_by_connection: GrowingMap::default(),
            dialogs_by_peer: GrowingMap::default(),
        }
    }

    /// The key the next dialog will get; its To-tag must contain it.
    pub(crate) fn next_dialog(&self) -> DialogId {
        self.dialogs.vacant_key()
    }

    /// Adds a dialog; [`Self::insert_subscription`] must follow at once.
    pub(crate) fn add_dialog(
        &mut self,
        new: NewDialog,
        profile: Arc<Profile>,
        turn: &Turn<'_>,
    ) -> DialogId {
        let entry = DialogEntry {
            dialog: new.dialog,
            path: self.paths.join(new.path),
            is_cut: false,
            has_moved: false,
            phone: self.phones.add(new.phone_key, &profile, turn.now),
            profile,
            sender: None,
            subscriptions: SmallVec::new(),
        };
        self.octets += entry.octets();
        let id = self.dialogs.insert(entry);
        let place = Place::of(id.0, turn.options);
        debug_assert_eq!(place, new.place, "the To-tag names the dialog's place");
        self.bind(new.path.flow, id);
        id
    }

    #[inline]
    pub(crate) fn dialog(&self, id: DialogId) -> Option<&DialogEntry> {
        self.dialogs.get(id)
    }

    pub(crate) fn dialog_mut(&mut self, id: DialogId) -> Option<&mut DialogEntry> {
        self.dialogs.get_mut(id)
    }

    /// The phones that have subscriptions.
    pub(crate) fn phones(&self) -> &Phones {
        &self.phones
    }

    /// How the last SUBSCRIBE of a dialog came.
    pub(crate) fn flow_of(&self, entry: &DialogEntry) -> Flow {
        self.path_of(entry).flow
    }

    /// How the last SUBSCRIBE in the dialog of a subscription came.
    pub(crate) fn flow_of_subscription(&self, id: SubscriptionId) -> Option<Flow> {
        let entry = self.dialog(self.subscription(id)?.dialog())?;
        Some(self.flow_of(entry))
    }

    /// How NOTIFYs of a dialog reach the phone.
    #[inline]
    pub(crate) fn path_of(&self, entry: &DialogEntry) -> &Path {
        self.paths.of(entry.path)
    }

    /// The dialog's way to the phone, as its newest SUBSCRIBE shows it; whether it is another than
    /// before.
    pub(crate) fn take_path(&mut self, id: DialogId, path: Path) -> bool {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("the dialog was found by a message in it") else {
            return false;
        };
        entry.is_cut = false;
        let before = *self.paths.of(entry.path);
        if before == path {
            return false;
        }
        self.paths.leave(entry.path);
        entry.path = self.paths.join(path);
        entry.has_moved = true;
        if before.flow != path.flow {
            self.unbind(before.flow, id);
            self.bind(path.flow, id);
        }
        true
    }

    /// Dialogs whose SUBSCRIBEs came over that UDP 4-tuple.
    pub(crate) fn dialogs_of_peer(&self, peer: SocketAddr) -> usize {
        self.dialogs_by_peer
            .get(&peer)
            .map_or(0, |count| *count as usize)
    }

    /// Marks the dialogs on a closed connection as disconnected, and returns them.
    pub(crate) fn cut(&mut self, connection: ConnectionId) -> Vec<DialogId> {
        let dialogs = self
            .dialogs_by_connection
            .remove(&connection)
            .unwrap_or_default();
        for id in &dialogs {
            if let Some(entry) = self.dialogs.get_mut(*id) {
                entry.is_cut = true;
            }
        }
        dialogs
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

    /// One beyond the highest id that a subscription has or had.
    pub(crate) fn subscriptions_end(&self) -> u32 {
        self.subscriptions.end()
    }

    /// A subscription, and what a NOTIFY to it needs besides.
    #[inline]
    pub(crate) fn recipient(&mut self, id: SubscriptionId) -> Option<Recipient<'_>> {
        let subscription = self.subscriptions.get_mut(id)?;
        let dialog = self.dialogs.get_mut(subscription.dialog());
        debug_assert!(dialog.is_some(), "a subscription has a dialog");
        Some(Recipient {
            dialog: dialog?,
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
        watched: WatchedId,
        new: NewSubscription<'_>,
    ) -> SubscriptionId {
        let subscription = self.next_subscription();
        let resource = WatcherSlot::WHOLE;
        let slot = self.join(
            watched,
            WatcherSlot {
                subscription,
                resource,
            },
        );
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
        let names = self.names_of(&subject, new.event, new.entity);
        self.octets += octets_of_names(&names);
        let subscription = Subscription::begin(dialog, subject, names, new);
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

    /// Sets the URI of the watcher if it differs from From (P-Asserted-Identity, digest account).
    pub(crate) fn take_sender(&mut self, id: DialogId, sender: Option<Box<[u8]>>) {
        self.change_dialog(id, |entry| entry.sender = sender);
    }

    /// Updates the remote target from the Contact of an in-dialog request or of a response (RFC
    /// 6665 §4.4.1, RFC 3261 §12.2).
    pub(crate) fn refresh_target(
        &mut self,
        id: DialogId,
        message: &Message<'_>,
    ) -> Result<(), Fault> {
        self.change_dialog(id, |entry| entry.dialog.refresh_target(message))
            .unwrap_or(Ok(()))
    }

    /// Changes what a dialog holds, and takes note of what that takes.
    fn change_dialog<T>(
        &mut self,
        id: DialogId,
        change: impl FnOnce(&mut DialogEntry) -> T,
    ) -> Option<T> {
        let entry = self.dialogs.get_mut(id)?;
        let before = entry.octets();
        let outcome = change(entry);
        self.octets = self.octets - before + entry.octets();
        Some(outcome)
    }

    /// The load that counts against `subscriptions_max`: the number of watched resources, or of
    /// subscriptions if that is higher.
    pub(crate) fn capacity_used(&self) -> usize {
        self.watched.watchers().max(self.subscriptions.len())
    }

    /// The names its newest watcher but one has for the same presentity, when they are these.
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
    pub(crate) fn join(&mut self, watched: WatchedId, watcher: WatcherSlot) -> WatchSlot {
        self.watched.join(watched, watcher)
    }

    /// Removes a watcher from a presentity. Returns the presentity if that was the last.
    pub(crate) fn leave(&mut self, slot: WatchSlot) -> Option<Watched> {
        let (moved, unwatched) = self.watched.leave(slot);
        if let Some(moved) = moved {
            self.subscriptions[moved.subscription].move_slot(moved.resource, slot.index);
        }
        unwatched
    }

    /// Removes a subscription; also removes the dialog, or a presentity, if this was its last
    /// subscription.
    pub(crate) fn remove_subscription(&mut self, id: SubscriptionId) -> Option<Removed> {
        let subscription = self.subscriptions.remove(id)?;
        self.octets -= octets_of_names(subscription.names());
        self.forget_usage(subscription.dialog(), id);
        let slots = subscription.subject().slots();
        let unwatched = slots.filter_map(|(slot, _)| self.leave(slot)).collect();
        Some(Removed {
            subscription,
            unwatched,
        })
    }

    /// The watched presentity, and whether it was not watched before.
    pub(crate) fn watch(&mut self, aor: &Aor) -> (WatchedId, bool) {
        self.watched.watch(aor)
    }

    #[inline]
    pub(crate) fn watched(&self, id: WatchedId) -> Option<&Watched> {
        self.watched.get(id)
    }

    pub(crate) fn watched_by_aor(&self, aor: &Aor) -> Option<&Watched> {
        self.watched.find(aor)
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
    pub(crate) fn take_state(&mut self, aor: &Aor, composed: Arc<Composed>) {
        for watcher in self.watched.take_state(aor, composed) {
            let (id, resource) = (watcher.subscription, watcher.resource);
            self.subscriptions[id].state_changed(resource, id, &mut self.queue);
        }
    }

    /// A dialog has a subscription less, and goes with its last.
    fn forget_usage(&mut self, id: DialogId, subscription: SubscriptionId) {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return;
        };
        self.phones.leave(entry.phone);
        entry.subscriptions.retain(|usage| *usage != subscription);
        if entry.subscriptions.is_empty()
            && let Some(entry) = self.dialogs.remove(id)
        {
            self.octets -= entry.octets();
            self.unbind(self.flow_of(&entry), id);
            self.paths.leave(entry.path);
        }
    }

    fn bind(&mut self, flow: Flow, id: DialogId) {
        if flow.transport.is_reliable() {
            self.dialogs_by_connection
                .entry(flow.connection)
                .or_default()
                .push(id);
        } else {
            *self.dialogs_by_peer.entry(flow.peer).or_default() += 1;
        }
    }

    fn unbind(&mut self, flow: Flow, id: DialogId) {
        if flow.transport.is_reliable() {
            if let Some(dialogs) = self.dialogs_by_connection.get_mut(&flow.connection) {
                dialogs.retain(|bound| *bound != id);
                if dialogs.is_empty() {
                    self.dialogs_by_connection.remove(&flow.connection);
                }
            }
        } else if let Some(count) = self.dialogs_by_peer.get_mut(&flow.peer) {
            *count -= 1;
            if *count == 0 {
                self.dialogs_by_peer.remove(&flow.peer);
            }
        }
    }
}

/// What was removed together with a subscription.
#[derive(Debug)]
pub(crate) struct Removed {
    pub(crate) subscription: Subscription,
    /// Presentities that have no watcher on this shard any more.
    pub(crate) unwatched: SmallVec<[Watched; 1]>,
}

/// Octets of the Event value and the entity URI.
fn octets_of_names(names: &Names) -> usize {
    names.event.len() + names.entity.len()
}
