//! Dialogs: created by a SUBSCRIBE, found by our To-tag (RFC 3261 §12, RFC 6665 §4.4), and the
//! paths to their phones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use smallvec::SmallVec;

use crate::presence::profile::Profile;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, End, Flow};
use crate::shard::contract::ids::{DialogId, PathId, PhoneId, SubscriptionId};
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;
use crate::shard::peer::next_hop::{next_hop, numeric_address};
use crate::shard::peer::path::Path;
use crate::shard::peer::routing_token::{Kind, RoutingToken};
use crate::shard::request::Request;
use crate::shard::request::headers::any_address_of_record;
use crate::shard::request::phone_key::{instance_key, phone_key};
use crate::shard::request::refusal::Refusal;
use crate::shard::request::target::is_local;
use crate::shard::subscription::dialog_entry::{DialogEntry, Standing};
use crate::shard::subscription::recorded::Recorded;
use crate::shard::subscription::table::Table;
use crate::sip::dialog::{Contact, Dialog, Sequence};
use crate::sip::{Fault, Message, Status, Uri};

/// Initial CSeq numbers stay this far below 2^31 (RFC 3261 §12.2.1.1).
const INITIAL_SEQUENCE_MAX: u32 = (1 << 31) - (1 << 24);

/// A dialog that a SUBSCRIBE begins, until it is added to the table.
#[derive(Debug)]
pub(crate) struct NewDialog {
    dialog: Dialog,
    /// Its future place, which its To-tag names.
    place: Place,
    standing: Standing,
    /// The path of its NOTIFYs.
    pub(crate) path: Path,
    /// The key of its phone.
    pub(crate) phone_key: u64,
    /// The key of the device that its Contact names; 0 if it names none.
    pub(crate) instance: u32,
}

/// A dialog that comes back after a restart.
#[derive(Debug)]
pub(crate) struct RecoveredDialog {
    pub(crate) dialog: Dialog,
    pub(crate) path: Path,
    pub(crate) is_path_proven: bool,
    pub(crate) is_cut: bool,
    /// As in [`NewDialog`].
    pub(crate) instance: u32,
    pub(crate) profile: Arc<Profile>,
    pub(crate) standing: Standing,
    /// Where another dialog of its phone is, over the same path.
    pub(crate) seat: Option<Seat>,
}

/// Where a dialog has its path and its phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seat {
    path: PathId,
    phone: PhoneId,
    /// The key of the phone.
    key: u64,
}

impl Table {
    /// Creates a dialog whose To-tag contains its future key.
    pub(crate) fn accept_dialog<'d>(
        &mut self,
        request: &Request<'_>,
        standing: Standing,
        turn: &mut Turn<'d>,
    ) -> Result<NewDialog, Refusal<'d>> {
        let token = RoutingToken::mint(
            Kind::NotifierDialog,
            self.next_dialog().0,
            turn.options,
            turn.random,
        );
        let sequence = 1 + turn.random.below(INITIAL_SEQUENCE_MAX);
        let contact = request.contact?;
        let dialog = Dialog::accept(request.message, &contact, &token.octets(), sequence)?;
        let flow = request.flow;
        check_not_ourselves(&contact.uri, &flow, turn)?;
        let destination = next_hop(request, &dialog);
        let phone_key = request.phone_key;
        let phone_key = phone_key.expected("a SUBSCRIBE with a Contact comes from a phone");
        Ok(NewDialog {
            place: token.place,
            standing,
            path: Path { flow, destination },
            phone_key: phone_key.unwrap_or_default(),
            instance: instance_key(&contact),
            dialog,
        })
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
            awaits_stream: false,
            has_moved: false,
            phone: self.phones.add(new.phone_key, &profile, turn.now),
            instance: new.instance,
            profile,
            standing: new.standing.boxed(),
            subscriptions: SmallVec::new(),
            recorded: Recorded::NOT,
        };
        self.octets += entry.octets();
        let id = self.dialogs.insert(entry);
        let place = Place::of(id.0, turn.options);
        debug_assert_eq!(place, new.place, "the To-tag names the dialog's place");
        self.bind(new.path.flow, id);
        self.note_begun(id);
        id
    }

    /// The To-tag gives the index; tags and Call-ID must match (RFC 3261 §12.2.2).
    pub(crate) fn find_dialog(
        &self,
        message: &Message<'_>,
        tag: &[u8],
        turn: &Turn<'_>,
    ) -> Option<DialogId> {
        let token = RoutingToken::of_tag(tag)?;
        let shards = turn.options.shards;
        let id = DialogId(token.place.index(shards));
        // An RFC 2543 client may send no From tag (RFC 3261 §12.1.1).
        let remote_tag = message.from()?.tag().unwrap_or_default();
        let dialog = &self.dialog(id)?.dialog;
        let is_here = token.kind == Kind::NotifierDialog && token.holder(shards) == turn.here();
        (is_here && dialog.matches(message.call_id(), tag, remote_tag)).then_some(id)
    }

    /// The place of the dialog that a tag of ours names, if it may still be recovered.
    pub(crate) fn unrecovered(&self, tag: &[u8], turn: &Turn<'_>) -> Option<Place> {
        let shards = turn.options.shards;
        let token = RoutingToken::of_tag(tag).filter(|token| token.holder(shards) == turn.here());
        let token = token.filter(|token| token.kind == Kind::NotifierDialog);
        let place = token?.place;
        let id = DialogId(place.index(shards));
        self.dialogs.is_withheld(id).then_some(place)
    }

    /// Whether two subscriptions have the same watcher, so that one account cannot end the
    /// subscriptions of another.
    pub(crate) fn have_one_watcher(
        &self,
        one: SubscriptionId,
        other: SubscriptionId,
        turn: &Turn<'_>,
    ) -> bool {
        let watcher = |id| {
            let subscription = self.subscription(id)?;
            let entry = self.dialog(subscription.dialog())?;
            any_address_of_record(entry.watcher_uri(), turn.directory)
        };
        watcher(one) == watcher(other)
    }

    /// Updates the remote target from the Contact of an in-dialog request or of a response (RFC
    /// 6665 §4.4.1, RFC 3261 §12.2).
    pub(crate) fn refresh_target(
        &mut self,
        id: DialogId,
        contact: Result<Contact<'_>, Fault>,
    ) -> Result<(), Fault> {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("the message is in this dialog") else {
            return Ok(());
        };
        let before = entry.octets();
        let refreshed = entry.dialog.refresh_target(contact);
        self.octets = self.octets - before + entry.octets();
        if refreshed? {
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

    /// Notes for which name in the certificate of its peer the domain trusts the newest SUBSCRIBE of a
    /// dialog. Returns whether it is another than before.
    pub(crate) fn take_voucher(&mut self, id: DialogId, voucher: Option<&Arc<str>>) -> bool {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("the dialog was found by a message in it") else {
            return false;
        };
        if entry.voucher() == voucher {
            return false;
        }
        let before = entry.octets();
        let standing = entry.standing.take().map(|standing| *standing);
        let standing = Standing {
            voucher: voucher.cloned(),
            ..standing.unwrap_or_default()
        };
        entry.standing = standing.boxed();
        self.octets = self.octets - before + entry.octets();
        self.mark(id);
        true
    }

    /// Removes a subscription from its dialog, and the dialog with its last subscription.
    pub(super) fn forget_usage(&mut self, id: DialogId, subscription: SubscriptionId) {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("a subscription has a dialog") else {
            return;
        };
        self.phones.leave(entry.phone);
        entry.subscriptions.retain(|usage| *usage != subscription);
        if entry.subscriptions.is_empty()
            && let Some(entry) = self.dialogs.remove(id)
        {
            if entry.recorded.is_there() {
                self.changes.left_record(id);
            }
            self.note_ended(&entry);
            self.octets -= entry.octets();
            if let Some(flow) = self.flow_of(&entry) {
                self.unbind(flow, id);
            }
            self.paths.leave(entry.path);
        }
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
            *self.dialogs_by_peer.entry(End(flow.peer)).or_default() += 1;
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
        } else if let Some(count) = self.dialogs_by_peer.get_mut(&End(flow.peer)) {
            *count -= 1;
            if *count == 0 {
                self.dialogs_by_peer.remove(&End(flow.peer));
            }
        }
    }
}

// The paths of dialogs.
impl Table {
    /// How the last SUBSCRIBE of a dialog came.
    pub(crate) fn flow_of(&self, entry: &DialogEntry) -> Option<Flow> {
        Some(self.path_of(entry)?.flow)
    }

    /// How the last SUBSCRIBE in the dialog of a subscription came.
    pub(crate) fn flow_of_subscription(&self, id: SubscriptionId) -> Option<Flow> {
        let entry = self.dialog(self.subscription(id)?.dialog())?;
        self.flow_of(entry)
    }

    /// How NOTIFYs of a dialog reach the phone.
    #[inline]
    pub(crate) fn path_of(&self, entry: &DialogEntry) -> Option<&Path> {
        self.paths.of(entry.path)
    }

    /// Sets the path of a dialog to that of its newest SUBSCRIBE. Returns whether it changed.
    pub(crate) fn take_path(&mut self, id: DialogId, path: Path) -> bool {
        let entry = self.dialogs.get_mut(id);
        let Some(entry) = entry.expected("the dialog was found by a message in it") else {
            return false;
        };
        entry.is_cut = false;
        entry.awaits_stream = false;
        let before = self.paths.of(entry.path).copied();
        if before == Some(path) {
            return false;
        }
        self.paths.leave(entry.path);
        entry.path = self.paths.join(path);
        entry.has_moved = true;
        self.mark(id);
        if let Some(before) = before.filter(|before| before.flow != path.flow) {
            self.unbind(before.flow, id);
            self.bind(path.flow, id);
        }
        true
    }

    /// Dialogs whose SUBSCRIBEs came over that UDP 4-tuple.
    pub(crate) fn dialogs_of_peer(&self, peer: SocketAddr) -> usize {
        self.dialogs_by_peer
            .get(&End(peer))
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
}

// Recovery.
impl Table {
    /// Keeps the first `indexes` keys from new dialogs.
    pub(crate) fn withhold_dialogs(&mut self, indexes: u32) {
        self.dialogs.withhold(indexes);
        self.beginnings.begin_recovery();
    }

    /// A key that is still withheld is free.
    pub(crate) fn release_dialog(&mut self, id: DialogId) {
        self.dialogs.release_one(id);
    }

    /// The keys that are still withheld are free.
    pub(crate) fn release_dialogs(&mut self, now: Instant) {
        self.dialogs.release();
        self.beginnings.end_recovery(now);
    }

    /// Whether a dialog may still come back to this key.
    pub(crate) fn is_withheld(&self, id: DialogId) -> bool {
        self.dialogs.is_withheld(id)
    }

    /// Takes back a dialog to its key, which is withheld for it; [`Self::insert_subscription`] must
    /// follow at once. Its tag may have gone another way than NOTIFYs go now, and proves nothing.
    pub(crate) fn recover_dialog(
        &mut self,
        id: DialogId,
        recovered: RecoveredDialog,
        turn: &Turn<'_>,
    ) -> Seat {
        let seat = self.take_seat(&recovered, turn);
        if recovered.is_path_proven {
            self.prove_path(seat.path, turn);
        }
        let sequence = recovered.dialog.local_sequence();
        let entry = DialogEntry {
            dialog: recovered.dialog,
            path: seat.path,
            is_cut: recovered.is_cut,
            awaits_stream: false,
            has_moved: true,
            phone: seat.phone,
            instance: recovered.instance,
            profile: recovered.profile,
            standing: recovered.standing.boxed(),
            subscriptions: SmallVec::new(),
            recorded: Recorded::recovered(sequence),
        };
        self.octets += entry.octets();
        self.bind(recovered.path.flow, id);
        let is_back = self.dialogs.insert_at(id, entry);
        debug_assert!(is_back, "the key was withheld");
        seat
    }

    /// Adds a dialog that comes back to its path and its phone: to those of the other dialog, if these
    /// are still there.
    fn take_seat(&mut self, recovered: &RecoveredDialog, turn: &Turn<'_>) -> Seat {
        if let Some(seat) = recovered.seat
            && self.phones.is_at(seat.phone, seat.key)
            && self.paths.join_at(seat.path, &recovered.path)
        {
            return seat;
        }
        let target = Uri::parse(recovered.dialog.remote_target());
        let key = target.map_or(0, |target| phone_key(&recovered.path.flow, &target));
        Seat {
            path: self.paths.join(recovered.path),
            phone: self.phones.add(key, &recovered.profile, turn.now),
            key,
        }
    }
}

/// A NOTIFY to ourselves would come back as a request (W:E2.4, E2.5).
fn check_not_ourselves<'d>(
    contact: &Uri<'_>,
    flow: &Flow,
    turn: &Turn<'d>,
) -> Result<(), Refusal<'d>> {
    let address = numeric_address(contact, flow.transport);
    if address.is_some_and(|address| is_local(address, &flow.local, turn)) {
        return Err(Refusal::Because(
            Status::BAD_REQUEST,
            "Contact Is This Server",
        ));
    }
    Ok(())
}
