//! The appearances of a shared line (W:C10): which of its keys does what.

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
