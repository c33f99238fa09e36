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
    /// A NOTIFY told it. What is still to be told: of a list, what did not fit.
    pub(super) fn told(&mut self) -> Wants {
        match self {
            Self::List(list) if list.is_marked() => Wants::Change,
            Self::Watchers(audience) => {
                audience.told();
                Wants::Nothing
            }
            Self::List(_) | Self::Presentity(_) | Self::Seizure(_) => Wants::Nothing,
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
