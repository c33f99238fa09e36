//! How bodies are written for a family of User-Agents.

use crate::presence::call::CallState;
use crate::presence::fixed_hash::SipHash13;

/// How `dialog-info` shows an idle presentity (W:C0.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idle {
    /// One terminated dialog.
    #[default]
    Terminated,
    /// No dialog.
    Empty,
}

/// Which attribute carries a parameter's value in `dialog-info` (RFC 4235 §4.1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ParameterValue {
    /// `pval`, as the schema says.
    #[default]
    Pval,
    /// Both `pval` and `pvalue`.
    Both,
}

/// How a user without a registered contact is shown, if a registrar reports on the user (W:C0.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unregistered {
    /// Idle, like any user without a call.
    #[default]
    Idle,
    /// A document without a dialog: a lamp that shows idle in green turns off.
    Empty,
}

/// How a lamp shows do-not-disturb while the user has no call. RFC 4235 does not provide for it,
/// but a receptionist who transfers calls sees only lamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DoNotDisturbLamp {
    /// Idle, like any user without a call.
    #[default]
    None,
    /// As if in a call.
    Confirmed,
    /// As if ringing.
    Early,
}

impl DoNotDisturbLamp {
    /// The state of the call that is shown; None if no call is shown.
    #[must_use]
    pub const fn state(self) -> Option<CallState> {
        match self {
            Self::None => None,
            Self::Confirmed => Some(CallState::Confirmed),
            Self::Early => Some(CallState::Early),
        }
    }
}

/// How bodies are written for a family of User-Agents. It is part of the key of cached bodies, so it
/// is small and compares fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rendering {
    /// See [`Idle`].
    pub idle: Idle,
    /// Show every call, not only the one that a lamp should show (W:C0.3).
    pub all_dialogs: bool,
    /// Show an outgoing call as confirmed from its first INVITE (W:C0.4).
    pub caller_early_is_confirmed: bool,
    /// Show a second, ringing call before the answered one (W:C0.3).
    pub ringing_over_in_use: bool,
    /// See [`ParameterValue`].
    pub parameter_value: ParameterValue,
    /// Show a call parked in an orbit as ringing, for phones without a lamp for hold (W:C8.1).
    pub parked_is_early: bool,
    /// See [`Unregistered`].
    pub unregistered: Unregistered,
    /// See [`DoNotDisturbLamp`]; None for the setting of the user's domain.
    pub do_not_disturb: Option<DoNotDisturbLamp>,
    /// Omit `(0/0)` after message counts (W:B7.2).
    pub omits_zero_urgent: bool,
    /// Also write the namespaces of older clients (W:B2.9).
    pub legacy_namespaces: bool,
}

impl Rendering {
    /// Adds all that it says to a hash that outlives the process.
    pub(crate) fn add_to(self, hash: &mut SipHash13) {
        let Self {
            idle,
            all_dialogs,
            caller_early_is_confirmed,
            ringing_over_in_use,
            parameter_value,
            parked_is_early,
            unregistered,
            do_not_disturb,
            omits_zero_urgent,
            legacy_namespaces,
        } = self;
        let lamp = do_not_disturb.map_or(u8::MAX, |lamp| lamp as u8);
        let words = [idle as u8, parameter_value as u8, unregistered as u8, lamp];
        let switches = [
            all_dialogs,
            caller_early_is_confirmed,
            ringing_over_in_use,
            parked_is_early,
            omits_zero_urgent,
            legacy_namespaces,
        ];
        hash.raw(&words);
        hash.raw(&switches.map(u8::from));
    }
}

impl Rendering {
    /// The default for phones without a profile (W:C0).
    pub const GENERIC: Self = Self {
        idle: Idle::Terminated,
        all_dialogs: false,
        caller_early_is_confirmed: true,
        ringing_over_in_use: true,
        parameter_value: ParameterValue::Pval,
        parked_is_early: false,
        unregistered: Unregistered::Idle,
        do_not_disturb: None,
        omits_zero_urgent: false,
        legacy_namespaces: false,
    };
}

impl Default for Rendering {
    fn default() -> Self {
        Self::GENERIC
    }
}
