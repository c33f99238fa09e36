//! A dialog that subscriptions share.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::presence::profile::Profile;
use crate::shard::contract::ids::{PathId, PhoneId, SubscriptionId};
use crate::sip::dialog::Dialog;

/// Octets of a watcher, of its resource in a list, and of the way to it.
pub(crate) const PLACE_OCTETS: usize = 200;

/// One dialog and what its subscriptions have in common: the way to the phone.
#[derive(Debug)]
pub(crate) struct DialogEntry {
    pub(crate) dialog: Dialog,
    pub(crate) path: PathId,
    /// The stream under it is gone: nothing can be sent until the next SUBSCRIBE (RFC 5626).
    pub(crate) is_cut: bool,
    /// Our tag was sent elsewhere before its phone came by this way.
    pub(crate) has_moved: bool,
    pub(crate) phone: PhoneId,
    /// What its family of User-Agents needs.
    pub(crate) profile: Arc<Profile>,
    /// The URI of its watcher where From does not name it, see `sender`.
    pub(crate) sender: Option<Box<[u8]>>,
    /// More than one only for peers of RFC 3265 (RFC 6665 §4.2.1.4, §4.5.2).
    pub(crate) subscriptions: SmallVec<[SubscriptionId; 1]>,
}

const _: () = assert!(size_of::<DialogEntry>() <= 120);

impl DialogEntry {
    /// Octets it takes.
    pub(crate) fn octets(&self) -> usize {
        let sender = self.sender.as_ref().map_or(0, |sender| sender.len());
        size_of::<Self>() + self.dialog.octets() + sender
    }

    /// The URI of its watcher (RFC 3325).
    pub(crate) fn watcher_uri(&self) -> &[u8] {
        self.sender
            .as_deref()
            .unwrap_or_else(|| self.dialog.remote_uri())
    }
}
