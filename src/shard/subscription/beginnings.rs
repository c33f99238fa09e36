//! SUBSCRIBEs that may come twice, because the process ended between the record of their dialog and
//! the 200: a retransmission is answered in the dialog that the SUBSCRIBE began, with its To-tag, and
//! begins no second one (RFC 3261 §17.2.2).
//!
//! They are known by Call-ID, From-tag and CSeq, which only retransmissions share (RFC 3261
//! §8.2.2.2). Of the records only young ones count: a phone gives up at Timer F. While records are
//! still to come, a retransmission may precede its record. Then the phone has the 200 of a new dialog,
//! and the record is removed.

use std::collections::HashMap;
use std::time::Instant;

use crate::presence::fixed_hash::SipHash13;
use crate::shard::contract::flow::Address;
use crate::shard::contract::ids::{Beginning, DialogId};
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::subscription::table::Table;
use crate::sip::dialog::Dialog;
use crate::sip::transaction::TIMER_F;
use crate::sip::{Message, Method, StartLine};

/// Where the dialog of a SUBSCRIBE is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It began after the restart, while records were still to come.
    Begun,
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
    /// A dialog began while records are still to come: its SUBSCRIBE may be in one of them.
    pub(super) fn note_begun(&mut self, id: DialogId) {
        if self.beginnings.is_recovering
            && let Some(entry) = self.dialogs.get(id)
        {
            let beginning = Beginning::of_dialog(&entry.dialog);
            let places = &mut self.beginnings.places;
            places.insert(beginning, Place::Begun);
        }
    }

    /// A dialog is about to come back whose record is so young that its SUBSCRIBE may be repeated. False
    /// if that began another dialog already.
    pub(crate) fn note_young(
        &mut self,
        id: DialogId,
        dialog: &Dialog,
        turn: &mut Turn<'_>,
    ) -> bool {
        let beginning = Beginning::of_dialog(dialog);
        let places = &mut self.beginnings.places;
        if matches!(places.get(&beginning), Some(Place::Begun)) {
            return false;
        }
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
    pub(crate) fn tag_of_repeated(&mut self, message: &Message<'_>, now: Instant) -> Option<&[u8]> {
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
        let dialog = &self.dialog(id)?.dialog;
        let from_tag = message.from()?.tag().unwrap_or_default();
        let is_it = dialog.call_id() == message.call_id() && dialog.remote_tag() == from_tag;
        is_it.then(|| dialog.local_tag())
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
            Place::Begun | Place::Recovered(_) => None,
        }
    }
}
