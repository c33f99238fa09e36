//! Typed keys of the engine's tables, so that an index into one table cannot be used for another.

use std::num::NonZeroU32;

use crate::shard::container::slab::Key;

/// Key of an outstanding NOTIFY: sent, without a final response yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InFlightId(pub(crate) NonZeroU32);

impl Key for InFlightId {
    #[inline]
    fn from_index(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    #[inline]
    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

/// Key of a phone of this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PhoneId(pub(crate) u32);

/// Key of a presentity that this shard owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct PresentityId(pub(crate) u32);

/// Key of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SubscriptionId(pub(crate) u32);

/// Key of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DialogId(pub(crate) u32);

/// Key of a presentity that is watched from this shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WatchedId(pub(crate) u32);

/// Key of a path to a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathId(pub(crate) u32);

/// Key of what a stream is to be opened to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialId(pub(crate) u32);

/// The keys from here on are of the links of connectors.
const LINK_DIALS: u32 = 1 << 31;

impl DialId {
    /// The key of the stream of a link.
    pub(crate) const fn of_link(link: LinkId) -> Self {
        Self(link.0 | LINK_DIALS)
    }

    /// The link whose stream it is; None if it leads to a phone.
    pub(crate) const fn link(self) -> Option<LinkId> {
        if self.0 < LINK_DIALS {
            return None;
        }
        Some(LinkId(self.0 & !LINK_DIALS))
    }
}

/// Key of a subscription or publication of ours at another server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientId(pub(crate) u32);

/// Key of the link of a connector to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(pub(crate) u32);

/// Key of a request that waits for the owner of its presentity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SuspendedId(pub(crate) u32);

/// Key of a client transaction other than that of a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientTransactionId(pub(crate) u32);

/// The watched presentity of a subscription or list resource, and the position of the watcher in
/// that presentity's watcher list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchSlot {
    pub(crate) watched: WatchedId,
    /// Index in the watcher list of `watched`.
    pub(crate) index: u32,
}

/// Implements [`Key`] for a newtype of u32.
macro_rules! slab_key {
    ($($name:ident),*) => {
        $(impl Key for $name {
            #[inline]
            fn from_index(index: u32) -> Self {
                Self(index)
            }

            #[inline]
            fn index(self) -> u32 {
                self.0
            }
        })*
    };
}

slab_key!(
    ClientId,
    ClientTransactionId,
    DialId,
    DialogId,
    LinkId,
    PhoneId,
    PresentityId,
    SubscriptionId,
    WatchedId,
    PathId,
    SuspendedId
);

/// The hash of what identifies the SUBSCRIBE that began a dialog: Call-ID, From-tag and CSeq.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Beginning(pub(crate) u64);
