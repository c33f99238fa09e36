//! The subscription table of a shard: dialogs, their subscriptions, and the presentities they watch.
//!
//! Invariants: a subscription and its dialog refer to each other; a subscription and each
//! presentity it watches (one, or the resources of its list) refer to each other; a dialog is
//! removed with its last subscription; a watched presentity is removed with its last watcher. Our
//! To-tag names the dialog's place, so a lookup is one index and one comparison of octets: there is no map of dialogs that a peer could
//! fill with collisions.

use std::net::SocketAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::presence::profile::Profile;
use crate::presence::{Aor, Composed};
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::commit::Durability;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialogId, PhoneId, SubscriptionId, WatchSlot, WatchedId};
use crate::shard::list::state::ListState;
use crate::shard::peer::path::{Path, Paths};
use crate::shard::subscription::changes::Changes;
use crate::shard::subscription::dialog_entry::{DialogEntry, PLACE_OCTETS};
use crate::shard::subscription::dialogs::RecoveredDialog;
use crate::shard::subscription::queue::Backlog;
use crate::shard::subscription::recorded::Recorded;
use crate::shard::subscription::subject::Subject;
use crate::shard::subscription::watched::{Watched, WatchedPresentities, WatcherSlot};
use crate::shard::subscription::{Names, NewSubscription, Subscription};
use crate::sip::dialog::{Dialog, Sequence};
use crate::sip::{Fault, Message, emit};

/// The tables.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(super) dialogs: Slab<DialogId, DialogEntry>,
    pub(super) subscriptions: Slab<SubscriptionId, Subscription>,
    pub(super) watched: WatchedPresentities,
    pub(super) paths: Paths,
    /// Subscriptions that may be due a NOTIFY, in order.
    pub(super) queue: Backlog,
    /// What dialogs and the names of subscriptions take.
    octets: usize,
    dialogs_by_connection: GrowingMap<ConnectionId, Vec<DialogId>>,
    dialogs_by_peer: GrowingMap<SocketAddr, u32>,
    /// The dialogs to be recorded.
    pub(super) changes: Changes,
    /// Removed subscriptions of which a 2xx is still held, once for each.
    pub(super) passed_over: Vec<SubscriptionId>,
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
    /// No dialogs yet.
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            changes: Changes::new(durability),
            ..Self::default()
        }
    }

    /// Keeps the first `indexes` keys from new dialogs.
    pub(crate) fn withhold_dialogs(&mut self, indexes: u32) {
        self.dialogs.withhold(indexes);
    }

    /// The keys that are still withheld are free.
    pub(crate) fn release_dialogs(&mut self) {
        self.dialogs.release();
    }

    /// The key the next dialog will get; its To-tag must contain it.
    pub(crate) fn next_dialog(&self) -> DialogId {
        self.dialogs.vacant_key()
    }

    pub(crate) fn add_dialog(
        &mut self,
        dialog: Dialog,
        path: Path,
        phone: PhoneId,
        profile: Arc<Profile>,
    ) -> DialogId {
        let subscriptions = SmallVec::new();
        let entry = DialogEntry {
            dialog,
            path: self.paths.join(path),
            is_cut: false,
            has_moved: false,
            phone,
            profile,
            sender: None,
            subscriptions,
            recorded: Recorded::NOT,
        };
        self.octets += entry.octets();
        let id = self.dialogs.insert(entry);
        self.bind(path.flow, id);
        id
    }

    /// Whether a dialog may still come back to this key.
    pub(crate) fn is_withheld(&self, id: DialogId) -> bool {
        self.dialogs.is_withheld(id)
    }

    /// Takes back a dialog to its key, which is withheld for it. Its tag may have gone another way than
    /// NOTIFYs go now, and proves nothing.
    pub(crate) fn recover_dialog(&mut self, id: DialogId, recovered: RecoveredDialog) {
        let path = self.paths.join(recovered.path);
        if recovered.is_path_proven {
            self.prove_path(path);
        }
        let sequence = recovered.dialog.local_sequence();
        let entry = DialogEntry {
            dialog: recovered.dialog,
            path,
            is_cut: recovered.is_cut,
            has_moved: true,
            phone: recovered.phone,
            profile: recovered.profile,
            sender: recovered.sender,
            subscriptions: SmallVec::new(),
            recorded: Recorded::recovered(sequence),
        };
        self.octets += entry.octets();
        self.bind(recovered.path.flow, id);
        let is_back = self.dialogs.insert_at(id, entry);
        debug_assert!(is_back, "the key was withheld");
    }

    #[inline]
    pub(crate) fn dialog(&self, id: DialogId) -> Option<&DialogEntry> {
        self.dialogs.get(id)
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
        self.mark(id);
        let entry = &mut self.dialogs[id];
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
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.subscriptions.push(id);
        }
        self.mark(dialog);
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
        self.mark(id);
    }

    /// Updates the remote target from the Contact of an in-dialog request or of a response (RFC
    /// 6665 §4.4.1, RFC 3261 §12.2).
    pub(crate) fn refresh_target(
        &mut self,
        id: DialogId,
        message: &Message<'_>,
    ) -> Result<(), Fault> {
        let refreshed = self.change_dialog(id, |entry| entry.dialog.refresh_target(message));
        if refreshed.unwrap_or(Ok(false))? {
            self.mark(id);
        }
        Ok(())
    }

    /// Checks the CSeq of an in-dialog request, and stores it if it is higher.
    pub(crate) fn take_sequence(&mut self, id: DialogId, number: u32) -> Sequence {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("the request was found to be in this dialog") else {
            return Sequence::Next;
        };
        let sequence = entry.dialog.take_sequence(number);
        if sequence == Sequence::Next {
            self.mark(id);
        }
        sequence
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
        self.pass_over(id, subscription.acknowledgements_held());
        let phone = self.forget_usage(subscription.dialog(), id);
        let slots = subscription.subject().slots();
        let unwatched = slots.filter_map(|(slot, _)| self.leave(slot)).collect();
        Some(Removed {
            subscription,
            phone,
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

    /// A dialog has a subscription less, and goes with its last; whose it was.
    fn forget_usage(&mut self, id: DialogId, subscription: SubscriptionId) -> Option<PhoneId> {
        let entry = self.dialogs.get_mut(id)?;
        let phone = entry.phone;
        entry.subscriptions.retain(|usage| *usage != subscription);
        if entry.subscriptions.is_empty() {
            let entry = self.dialogs.remove(id)?;
            if entry.recorded.is_there {
                self.changes.left_record(id);
            }
            self.octets -= entry.octets();
            self.unbind(self.flow_of(&entry), id);
            self.paths.leave(entry.path);
        }
        Some(phone)
    }

    fn bind(&mut self, flow: Flow, id: DialogId) {
        if flow.connection == ConnectionId::GONE {
            // Such a stream does not end again.
        } else if flow.transport.is_reliable() {
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
    /// The phone it belonged to.
    pub(crate) phone: Option<PhoneId>,
    /// Presentities that have no watcher on this shard any more.
    pub(crate) unwatched: SmallVec<[Watched; 1]>,
}

/// Octets of the Event value and the entity URI.
fn octets_of_names(names: &Names) -> usize {
    names.event.len() + names.entity.len()
}
