//! What a family of User-Agents needs (W:C0-C6): how its bodies are written, how it is told.

use std::time::Duration;

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

/// A family of User-Agents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Its name, for `watchers`: `yealink`.
    pub name: Box<str>,
    /// How bodies are written.
    pub rendering: Rendering,
    /// `dialog-info` with `state="partial"` after the first (W:B3.8).
    pub partial_dialog_info: bool,
    /// xpidf to whoever asks for it, even when PIDF is accepted too (W:C2.2).
    pub prefers_xpidf: bool,
    /// An empty Accept counts as none at all (W:A1.10).
    pub empty_accept_is_absent: bool,
    /// A list is served to it although it does not say `Supported: eventlist` (W:A1.11).
    pub assumes_eventlist: bool,
    /// Octets of one NOTIFY of a list on UDP, head and all; None for as many as a datagram carries in
    /// fragments (W:B5.10).
    pub list_octets: Option<u32>,
    /// Resources in one NOTIFY's list body (W:C4.3).
    pub list_resources: Option<u16>,
    /// Lists consolidated, always in full (W:B5.19); None for what the list says.
    pub list_is_broadworks: Option<bool>,
    /// Lists of presence as linphone alone reads them: `Event: Presence`, parts named `Content-Id`
    /// without angle brackets, and no names in a list that came in the SUBSCRIBE (W:C6.9, G1).
    pub linphone_lists: bool,
    /// NOTIFYs a second in the long run; None for the server's own.
    pub notify_rate: Option<u32>,
    /// NOTIFYs at once before that rate holds; None for the server's own (W:A3.13).
    pub notify_burst: Option<u32>,
    /// NOTIFYs in a row that may stay unanswered (W:A3.7).
    pub strikes: Option<u8>,
    /// Shortest expiry; None for the domain's.
    pub min_expires: Option<Duration>,
    /// A new subscription ends the older one of the same Contact, presentity and package: it starts
    /// anew without having ended what it had (W:A2.19).
    pub replaces_same_contact: bool,
    /// SIP-ETag in NOTIFYs (RFC 5839).
    pub entity_tags: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            name: "generic".into(),
            rendering: Rendering::GENERIC,
            partial_dialog_info: false,
            prefers_xpidf: false,
            empty_accept_is_absent: false,
            assumes_eventlist: false,
            list_octets: None,
            list_resources: None,
            list_is_broadworks: None,
            linphone_lists: false,
            notify_rate: None,
            notify_burst: None,
            strikes: None,
            min_expires: None,
            replaces_same_contact: false,
            entity_tags: true,
        }
    }
}
