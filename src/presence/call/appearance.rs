//! The appearances of a shared line (W:C10): the state of each of its keys.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

/// Valid indexes of an appearance.
pub const INDEXES: RangeInclusive<u8> = 1..=32;

/// The state of an appearance (W:C10.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AppearanceState {
    /// Not in use.
    #[default]
    Idle,
    /// A phone has seized it and is dialing.
    Seized,
    /// Calling.
    Progressing,
    /// Ringing.
    Alerting,
    /// In a call.
    Active,
    /// On hold; any phone of the line may retrieve it.
    Held,
    /// On hold; only its phone may retrieve it.
    HeldPrivate,
    /// Bridged and in a call.
    BridgeActive,
    /// Bridged and on hold.
    BridgeHeld,
}

impl AppearanceState {
    /// All states.
    pub const ALL: [Self; 9] = [
        Self::Idle,
        Self::Seized,
        Self::Progressing,
        Self::Alerting,
        Self::Active,
        Self::Held,
        Self::HeldPrivate,
        Self::BridgeActive,
        Self::BridgeHeld,
    ];

    /// The state of an appearance, given by the sources of its line that report one.
    #[must_use]
    pub fn of(appearances: &[Appearance], index: u8) -> Self {
        appearances
            .iter()
            .find(|appearance| appearance.index == index)
            .map_or(Self::Idle, |appearance| appearance.state)
    }

    /// The value of `appearance-state`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Seized => "seized",
            Self::Progressing => "progressing",
            Self::Alerting => "alerting",
            Self::Active => "active",
            Self::Held => "held",
            Self::HeldPrivate => "held-private",
            Self::BridgeActive => "bridge-active",
            Self::BridgeHeld => "bridge-held",
        }
    }
}

/// An appearance that is not idle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Appearance {
    /// Its index, from 1.
    pub index: u8,
    /// Its state.
    pub state: AppearanceState,
    /// The other party: a name-addr as written into `appearance-uri`; None if unknown.
    pub party: Option<Box<str>>,
}
