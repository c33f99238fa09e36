//! SUBSCRIBEs that may come twice, because the process ended between the record of their dialog and
//! the 200: a retransmission is answered in the dialog that the SUBSCRIBE began, with its To-tag, and
//! begins no second one (RFC 3261 §17.2.2).
//!
//! They are known by Call-ID, From-tag and CSeq, which only retransmissions share (RFC 3261
//! §8.2.2.2), and by where they come from: another phone can copy the headers. Of the records only
//! young ones count: a phone gives up at Timer F. While records are still to come, a retransmission may
//! precede its record. Then the phone has the 200 of a new dialog, and the record is removed; but only
//! if that dialog has the watcher and the source of the record, and has not ended: a phone that had the
//! first 200 as well refuses the new dialog, and knows the one of the record.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Instant;

use crate::presence::fixed_hash::SipHash13;
use crate::record::dialog::DialogRecord;
use crate::shard::contract::flow::{Address, Flow};
use crate::shard::contract::ids::{Beginning, DialogId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::dialog_entry::DialogEntry;
use crate::shard::subscription::table::Table;
use crate::sip::dialog::Dialog;
use crate::sip::transaction::TIMER_F;
use crate::sip::{Message, Method, StartLine, Transport};

/// Where the dialog of a SUBSCRIBE is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It came back.
    Recovered(DialogId),
    /// It came back to another shard.
    Elsewhere(Address),
}

/// SUBSCRIBEs that may come twice. Empty but for a minute or so after a restart.
#[derive(Debug, Default)]
pub(super) struct Beginnings {
    is_recovering: bool,
    /// When the last of them is given up by its phone.
    until: Option<Instant>,
    places: HashMap<Beginning, Place>,
    /// SUBSCRIBEs that began a dialog after the restart, while records were still to come.
    begun: HashSet<Begun>,
}

/// A SUBSCRIBE, its watcher, and its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Begun(Beginning, u64);

impl Begun {
    /// `watcher`: the URI of the watcher. `peer`: where the SUBSCRIBE came from.
    fn new(dialog: &Dialog, watcher: &[u8], transport: Transport, peer: SocketAddr) -> Self {
        let mut hash = SipHash13::new();
        hash.field(watcher);
        hash.field(peer.ip().to_canonical().to_string().as_bytes());
        // A stream ended with the process, and another has another port.
        let port = if transport.is_reliable() {
            0
        } else {
            peer.port()
        };
        hash.number(port.into());
        Self(Beginning::of_dialog(dialog), hash.finish())
    }
}

impl Beginning {
    /// That of a SUBSCRIBE outside a dialog; None for any other message.
    fn of_message(message: &Message<'_>) -> Option<Self> {
        let StartLine::Request { method, .. } = message.start_line() else {
            return None;
        };
        let is_outside = message.to()?.tag().is_none();
        let from_tag = message.from()?.tag().unwrap_or_default();
        let sequence = message.cseq()?.number;
        (method == Method::Subscribe && is_outside)
            .then(|| Self::hash(message.call_id(), from_tag, sequence))
    }

    /// That of the last SUBSCRIBE in a dialog.
    fn of_dialog(dialog: &Dialog) -> Self {
        let sequence = dialog.remote_sequence();
        Self::hash(dialog.call_id(), dialog.remote_tag(), sequence)
    }

    fn hash(call_id: &[u8], from_tag: &[u8], sequence: u32) -> Self {
        let mut hash = SipHash13::new();
        hash.field(call_id);
        hash.field(from_tag);
        hash.number(sequence.into());
        Self(hash.finish())
    }
}

impl Beginnings {
    /// Records will come.
    pub(super) fn begin_recovery(&mut self) {
        self.is_recovering = true;
    }

    /// There are no more records.
    pub(super) fn end_recovery(&mut self, now: Instant) {
        self.is_recovering = false;
        self.until = Some(now + TIMER_F);
    }

    /// Forgets all once no phone repeats them any more.
    fn expire(&mut self, now: Instant) {
        if !self.is_recovering && self.until.is_some_and(|until| until <= now) {
            *self = Self::default();
        }
    }
}

impl Table {
    /// Whether recorded dialogs are still to come.
    pub(crate) fn is_recovering(&self) -> bool {
        self.beginnings.is_recovering
    }

    /// A dialog began while records are still to come: its SUBSCRIBE may be in one of them.
    pub(super) fn note_begun(&mut self, id: DialogId) {
        if self.beginnings.is_recovering
            && let Some(entry) = self.dialogs.get(id)
            && let Some(begun) = self.begun_by(entry)
        {
            self.beginnings.begun.insert(begun);
        }
    }

    /// A dialog ended. If it began while records are still to come, and no other SUBSCRIBE came in it, its
    /// phone may know the dialog of a record.
    pub(super) fn note_ended(&mut self, entry: &DialogEntry) {
        if !self.beginnings.begun.is_empty()
            && let Some(begun) = self.begun_by(entry)
        {
            self.beginnings.begun.remove(&begun);
        }
    }

    fn begun_by(&self, entry: &DialogEntry) -> Option<Begun> {
        let flow = self.flow_of(entry)?;
        let watcher = entry.watcher_uri();
        Some(Begun::new(
            &entry.dialog,
            watcher,
            flow.transport,
            flow.peer,
        ))
    }

    /// A dialog is about to come back whose record is so young that its SUBSCRIBE may be repeated. False
    /// if that began another dialog already.
    pub(crate) fn note_young(
        &mut self,
        id: DialogId,
        record: &DialogRecord<'_>,
        turn: &mut Turn<'_>,
    ) -> bool {
        let (dialog, flow) = (&*record.dialog, record.flow);
        let watcher = record.sender.as_deref();
        let watcher = watcher.unwrap_or_else(|| dialog.remote_uri());
        let begun = Begun::new(dialog, watcher, flow.transport, flow.peer);
        if self.beginnings.begun.contains(&begun) {
            return false;
        }
        let Begun(beginning, _) = begun;
        let places = &mut self.beginnings.places;
        places.insert(beginning, Place::Recovered(id));
        if turn.options.shards > 1 {
            let holder = turn.here();
            turn.send_to_all(|| Mail::Begun { beginning, holder });
        }
        true
    }

    /// The dialog of that SUBSCRIBE is on another shard.
    pub(crate) fn note_begun_elsewhere(&mut self, beginning: Beginning, holder: Address) {
        let places = &mut self.beginnings.places;
        places.entry(beginning).or_insert(Place::Elsewhere(holder));
    }

    /// Our tag in the dialog that a SUBSCRIBE outside a dialog began before a restart.
    pub(crate) fn tag_of_repeated(
        &mut self,
        message: &Message<'_>,
        flow: &Flow,
        now: Instant,
    ) -> Option<&[u8]> {
        if self.beginnings.places.is_empty() {
            return None;
        }
        self.beginnings.expire(now);
        let place = self
            .beginnings
            .places
            .get(&Beginning::of_message(message)?)?;
        let Place::Recovered(id) = *place else {
            return None;
        };
        // Its place may be that of another dialog by now.
        let entry = self.dialog(id)?;
        let dialog = &entry.dialog;
        let from_tag = message.from()?.tag().unwrap_or_default();
        let is_it = dialog.call_id() == message.call_id() && dialog.remote_tag() == from_tag;
        let is_its_phone = self.flow_of(entry)?.peer.ip() == flow.peer.ip();
        (is_it && is_its_phone).then(|| dialog.local_tag())
    }

    /// The other shard that holds the dialog of a repeated SUBSCRIBE.
    pub(super) fn holder_of_repeated(&self, message: &Message<'_>) -> Option<Address> {
        if self.beginnings.places.is_empty() {
            return None;
        }
        match self
            .beginnings
            .places
            .get(&Beginning::of_message(message)?)?
        {
            Place::Elsewhere(holder) => Some(*holder),
            Place::Recovered(_) => None,
        }
    }
}
