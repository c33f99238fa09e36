//! The phones whose dialogs came back last. The keys of a phone subscribe one after the other, so what is
//! found out for one of its dialogs holds for the next: the path, the profile, and who the watcher is.
//!
//! Only phones that send datagrams: what is known of a stream changes when it ends. All are forgotten when
//! the directory changes, and at the end of the recovery.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::presence::Aor;
use crate::presence::profile::Profile;
use crate::record::dialog::{DialogRecord, FlowRecord};
use crate::shard::contract::flow::Flow;
use crate::shard::subscription::dialog_entry::DialogEntry;
use crate::shard::subscription::dialogs::Seat;

/// Phones that are known at a time, a power of two. Phones that subscribe at once are that many at most,
/// or some of their keys are found out anew.
const PHONES: usize = 256;

/// The phones, each at a place that its address and port give.
#[derive(Debug, Default)]
pub(super) struct RecoveredPhones(Vec<Option<RecoveredPhone>>);

/// What the dialogs of a phone have in common.
#[derive(Clone, Debug)]
pub(super) struct KnownPhone {
    /// Its profile.
    pub(super) profile: Arc<Profile>,
    /// The flow of its last SUBSCRIBE.
    pub(super) flow: Flow,
    /// Whether the flow reaches the phone.
    pub(super) is_there: bool,
    /// The address of record of its watcher.
    pub(super) watcher: Option<Aor>,
    /// Its place in the tables; None before its first dialog is there.
    pub(super) seat: Option<Seat>,
}

#[derive(Debug)]
struct RecoveredPhone {
    flow: FlowRecord,
    destination: SocketAddr,
    /// Its Contact.
    target: Box<[u8]>,
    /// The URI of its watcher.
    watcher_uri: Box<[u8]>,
    known: KnownPhone,
}

impl RecoveredPhones {
    /// What is known of the phone of a record, if that says the same as an earlier one.
    pub(super) fn find(&self, record: &DialogRecord<'_>) -> Option<&KnownPhone> {
        let phone = self.0.get(place_of(record.flow.peer))?.as_ref()?;
        let is_it = phone.flow == record.flow
            && phone.destination == record.destination
            && *phone.known.profile.name == *record.profile
            && *phone.target == *record.dialog.remote_target()
            && *phone.watcher_uri == *watcher_uri(record);
        is_it.then_some(&phone.known)
    }

    /// Remembers what is known of the phone of a dialog that came back.
    pub(super) fn remember(
        &mut self,
        (flow, destination): (FlowRecord, SocketAddr),
        entry: &DialogEntry,
        known: KnownPhone,
    ) {
        if flow.transport.is_reliable() {
            return;
        }
        if self.0.is_empty() {
            self.0.resize_with(PHONES, || None);
        }
        if let Some(place) = self.0.get_mut(place_of(flow.peer)) {
            *place = Some(RecoveredPhone {
                flow,
                destination,
                target: entry.dialog().remote_target().into(),
                watcher_uri: entry.watcher_uri().into(),
                known,
            });
        }
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0 = Vec::new();
    }
}

/// The URI of the watcher of a dialog (RFC 3325).
pub(super) fn watcher_uri<'r>(record: &'r DialogRecord<'_>) -> &'r [u8] {
    let sender = record.sender.as_deref();
    sender.unwrap_or_else(|| record.dialog.remote_uri())
}

/// Phones at one address differ in their ports, and phones on one port in their addresses.
fn place_of(peer: SocketAddr) -> usize {
    let ip = match peer.ip() {
        IpAddr::V4(ip) => ip.to_bits() as usize,
        IpAddr::V6(ip) => ip.to_bits() as usize,
    };
    (ip ^ ip >> 8 ^ usize::from(peer.port())) % PHONES
}
