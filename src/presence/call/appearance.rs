//! The appearances of a shared line (W:C10): which of its keys does what.

use std::ops::RangeInclusive;

/// The indexes that an appearance may have.
pub const INDEXES: RangeInclusive<u8> = 1..=32;

/// What an appearance does (W:C10.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AppearanceState {
    /// Nothing.
    #[default]
    Idle,
    /// A phone has taken it and dials.
    Seized,
    /// Calling.
    Progressing,
    /// Ringing.
    Alerting,
    /// In a call.
    Active,
    /// On hold, for everybody to take.
    Held,
    /// On hold, for its phone alone.
    HeldPrivate,
    /// Bridged and in a call.
    BridgeActive,
    /// Bridged and on hold.
    BridgeHeld,
}

impl AppearanceState {
    /// All there are.
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

/// One appearance that is not idle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appearance {
    /// From 1.
    pub index: u8,
    /// What it does.
    pub state: AppearanceState,
    /// The other party: a name-addr as it goes into `appearance-uri`; None when unknown.
    pub party: Option<Box<str>>,
}
