//! A dialog, and what its subscriptions share.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::presence::profile::Profile;
use crate::shard::contract::ids::{PathId, PhoneId, SubscriptionId};
use crate::shard::subscription::recorded::Recorded;
use crate::sip::dialog::Dialog;

/// Octets of a watcher, of its resource in a list, and of the path to it.
pub(crate) const PLACE_OCTETS: usize = 200;

/// One dialog, and what its subscriptions share: the path to the phone, its profile and its watcher.
#[derive(Debug)]
pub(crate) struct DialogEntry {
    pub(super) dialog: Dialog,
    pub(super) path: PathId,
    /// The stream under it is closed: nothing can be sent before the next SUBSCRIBE (RFC 5626), or
    /// before we have opened another.
    pub(super) is_cut: bool,
    /// It waits for a stream that is to be opened.
    pub(super) awaits_stream: bool,
    /// Its path changed since our tag was sent, so the tag proves nothing about the path.
    pub(super) has_moved: bool,
    pub(super) phone: PhoneId,
    /// The device, if its Contact named it, and which of its flows it used (RFC 5626); 0 otherwise.
    pub(super) instance: u32,
    /// What the phone's family of User-Agents needs.
    pub(super) profile: Arc<Profile>,
    /// Boxed, as nearly no dialog has one.
    pub(super) standing: Option<Box<Standing>>,
    /// More than one only for peers of RFC 3265 (RFC 6665 §4.2.1.4, §4.5.2).
    pub(super) subscriptions: SmallVec<[SubscriptionId; 1]>,
    pub(super) recorded: Recorded,
}

const _: () = assert!(size_of::<DialogEntry>() <= 128);

/// Who its watcher is, if From and the source address do not say all.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// The URI of its watcher, if From does not name it.
    pub(crate) uri: Option<Box<[u8]>>,
    /// The name in the certificate of the peer for which the domain trusted the last SUBSCRIBE.
    pub(crate) voucher: Option<Arc<str>>,
}

impl Standing {
    /// None if there is nothing to say.
    pub(super) fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    fn octets(&self) -> usize {
        size_of::<Self>() + self.uri.as_ref().map_or(0, |uri| uri.len())
    }
}

impl DialogEntry {
    #[inline]
    pub(crate) fn dialog(&self) -> &Dialog {
        &self.dialog
    }

    /// The dialog, to be counted on by a request. Changes of its size go through the table.
    #[inline]
    pub(crate) fn dialog_mut(&mut self) -> &mut Dialog {
        &mut self.dialog
    }

    #[inline]
    pub(crate) fn path(&self) -> PathId {
        self.path
    }

    /// Whether the stream under it is closed.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    #[inline]
    pub(crate) fn phone(&self) -> PhoneId {
        self.phone
    }

    /// The device, if its Contact named it, and which of its flows it used.
    pub(crate) fn instance(&self) -> Option<u32> {
        (self.instance != 0).then_some(self.instance)
    }

    #[inline]
    pub(crate) fn profile(&self) -> &Arc<Profile> {
        &self.profile
    }

    /// Approximate memory, in octets.
    pub(crate) fn octets(&self) -> usize {
        let standing = self.standing.as_ref().map_or(0, |it| it.octets());
        size_of::<Self>() + self.dialog.octets() + standing
    }

    /// The URI of its watcher, if From does not name it.
    pub(super) fn sender(&self) -> Option<&[u8]> {
        self.standing.as_ref()?.uri.as_deref()
    }

    /// The name in the certificate of the peer for which the domain trusted the last SUBSCRIBE.
    pub(crate) fn voucher(&self) -> Option<&Arc<str>> {
        self.standing.as_ref()?.voucher.as_ref()
    }

    /// The URI of its watcher (RFC 3325).
    pub(crate) fn watcher_uri(&self) -> &[u8] {
        self.sender().unwrap_or_else(|| self.dialog.remote_uri())
    }
}
