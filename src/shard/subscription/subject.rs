//! What a subscription is to: one presentity, a list, watchers, an appearance of a line.

use crate::shard::contract::ids::WatchSlot;
use crate::shard::list::state::ListState;
use crate::shard::subscription::Wants;
use crate::shard::subscription::audience::Audience;
use crate::shard::subscription::seizure::Seizure;

/// What a subscription is to.
#[derive(Debug)]
pub(crate) enum Subject {
    /// One presentity.
    Presentity(WatchSlot),
    /// A list of them.
    List(Box<ListState>),
    /// The watchers of one (RFC 3857).
    Watchers(Box<Audience>),
    /// An appearance of a shared line, which it holds (W:C10.2).
    Seizure(Box<Seizure>),
}

impl Subject {
    /// A NOTIFY was sent. What is still to be told: all, if its body was withheld; of a list, what
    /// did not fit.
    pub(super) fn sent(&mut self, is_withheld: bool) -> Wants {
        if let Self::Watchers(audience) = self {
            audience.sent(is_withheld);
        }
        match self {
            _ if is_withheld => Wants::Notify,
            Self::List(list) if list.is_marked() => Wants::Change,
            Self::List(_) | Self::Presentity(_) | Self::Seizure(_) | Self::Watchers(_) => {
                Wants::Nothing
            }
        }
    }

    /// The phone accepted that NOTIFY.
    pub(super) fn delivered(&mut self) {
        if let Self::Watchers(audience) = self {
            audience.delivered();
        }
    }

    /// The list, if it is one.
    pub(crate) fn list(&self) -> Option<&ListState> {
        match self {
            Self::List(list) => Some(list),
            Self::Presentity(_) | Self::Seizure(_) | Self::Watchers(_) => None,
        }
    }

    /// The list, to change it, if it is one.
    pub(crate) fn list_mut(&mut self) -> Option<&mut ListState> {
        match self {
            Self::List(list) => Some(list),
            Self::Presentity(_) | Self::Seizure(_) | Self::Watchers(_) => None,
        }
    }

    /// Its place with the one presentity it watches; None for others.
    pub(crate) fn slot(&self) -> Option<WatchSlot> {
        match self {
            Self::Presentity(slot) => Some(*slot),
            Self::Seizure(seizure) => Some(seizure.slot),
            Self::List(_) | Self::Watchers(_) => None,
        }
    }
}
