//! Availability: the state of a presentity as one value, and the order of precedence of these
//! values.

use std::fmt;

/// The availability of a presentity, most important first: do-not-disturb > forwarded > unreachable >
/// ringing > busy > away > available, and `Offline` if no source says anything about reachability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Availability {
    /// Declared unavailable.
    DoNotDisturb,
    /// Every call is forwarded.
    Forwarded(ForwardedTo),
    /// Expected to register, but not reachable.
    Unreachable,
    /// An unanswered incoming call.
    Ringing,
    /// In a call, or declared busy.
    Busy,
    /// Available but away from the phone.
    Away,
    /// Declared available, or registered.
    Available,
    /// Declared closed, or no source says anything.
    #[default]
    Offline,
}

/// Where calls are forwarded to (W:D3.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ForwardedTo {
    /// To one of [`crate::presence::composition::Rules::voicemail`].
    VoiceMail,
    /// To any other number.
    Number,
}

impl Availability {
    /// Which value decides if several apply, the strongest first (W:D2.13, D3.17). This is the only
    /// definition of the order.
    pub(super) const PRECEDENCE: [Self; 9] = [
        Self::DoNotDisturb,
        Self::Forwarded(ForwardedTo::VoiceMail),
        Self::Forwarded(ForwardedTo::Number),
        Self::Unreachable,
        Self::Ringing,
        Self::Busy,
        Self::Away,
        Self::Available,
        Self::Offline,
    ];

    /// The index in [`Self::PRECEDENCE`]: the lower, the stronger.
    pub(super) fn rank(self) -> usize {
        Self::PRECEDENCE
            .iter()
            .position(|&other| other == self)
            .unwrap_or(usize::MAX)
    }

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DoNotDisturb => "do-not-disturb",
            Self::Forwarded(ForwardedTo::VoiceMail) => "forwarded to voice mail",
            Self::Forwarded(ForwardedTo::Number) => "forwarded to a number",
            Self::Unreachable => "unreachable",
            Self::Ringing => "ringing",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Available => "available",
            Self::Offline => "offline",
        }
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
