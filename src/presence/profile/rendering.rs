//! How bodies are written for a family of User-Agents.

use crate::presence::call::CallState;

/// How an idle presentity reads in `dialog-info` (W:C0.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Idle {
    /// One dialog that is terminated.
    #[default]
    Terminated,
    /// No dialog.
    Empty,
}

/// Which attribute carries a parameter's value in `dialog-info` (W:B3.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ParameterValue {
    /// `pval`, as the schema says.
    #[default]
    Pval,
    /// Both `pval` and `pvalue`.
    Both,
}

/// What is shown of a user who is registered nowhere, where registrations are told (W:C0.12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unregistered {
    /// Idle, like everybody without a call.
    #[default]
    Idle,
    /// A document without a dialog: the lamp goes off where idle is green.
    Empty,
}

/// What the lamp of a user who does not want to be disturbed shows where there is no call. RFC 4235
/// knows nothing of it, but whoever puts calls through looks at lamps alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DoNotDisturbLamp {
    /// Idle, like everybody without a call.
    #[default]
    None,
    /// As in a call.
    Confirmed,
    /// As if it rang.
    Early,
}

impl DoNotDisturbLamp {
    /// The state of the call that is shown; None when there is none.
    #[must_use]
    pub const fn state(self) -> Option<CallState> {
        match self {
            Self::None => None,
            Self::Confirmed => Some(CallState::Confirmed),
            Self::Early => Some(CallState::Early),
        }
    }
}

/// How bodies are written for a family: part of what a shared body is cached by, so it is small and
/// compares fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rendering {
    /// See [`Idle`].
    pub idle: Idle,
    /// Every call, not only the one a lamp should show (W:C0.3).
    pub all_dialogs: bool,
    /// A call the presentity makes is confirmed from its first INVITE (W:C0.4).
    pub caller_early_is_confirmed: bool,
    /// A second call that rings shows before the one that is answered (W:C0.3).
    pub ringing_over_in_use: bool,
    /// See [`ParameterValue`].
    pub parameter_value: ParameterValue,
    /// A call parked in an orbit blinks, for phones without a lamp for hold (W:C8.1).
    pub parked_is_early: bool,
    /// See [`Unregistered`].
    pub unregistered: Unregistered,
    /// See [`DoNotDisturbLamp`]; None for what the domain of the user says.
    pub do_not_disturb: Option<DoNotDisturbLamp>,
    /// No `(0/0)` behind message counts (W:B7.2).
    pub omits_zero_urgent: bool,
    /// The namespaces of older clients beside those in force (W:B2.9).
    pub legacy_namespaces: bool,
}

impl Rendering {
    /// What every phone gets unless its family needs something else (W:C0).
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
