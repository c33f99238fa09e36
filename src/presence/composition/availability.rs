//! What a presentity is in one word, and which word goes before which.

use std::fmt;

/// What a presentity is, most important first: do-not-disturb > forwarded > unreachable > ringing >
/// busy > away > available, and `Offline` when no source says anything about reachability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Availability {
    /// Declared unavailable.
    DoNotDisturb,
    /// Every call is sent on.
    Forwarded(ForwardedTo),
    /// Known to a registrar, and nowhere to be had.
    Unreachable,
    /// An unanswered incoming call.
    Ringing,
    /// In a call, or says so.
    Busy,
    /// Available but not there.
    Away,
    /// Declared available, or registered.
    Available,
    /// Declared closed, or nobody says anything.
    #[default]
    Offline,
}

/// Where calls are sent on to (W:D3.19).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ForwardedTo {
    /// To one of [`crate::presence::composition::Rules::voicemail`].
    VoiceMail,
    /// To any other number.
    Number,
}

impl Availability {
    /// What decides when several apply, the strongest first (W:D2.13, D3.17). The one place to
    /// change the order.
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

    /// The place in [`Self::PRECEDENCE`].
    pub(super) fn rank(self) -> usize {
        Self::PRECEDENCE
            .iter()
            .position(|&other| other == self)
            .unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DoNotDisturb => "do-not-disturb",
            Self::Forwarded(ForwardedTo::VoiceMail) => "forwarded to voice mail",
            Self::Forwarded(ForwardedTo::Number) => "forwarded to a number",
            Self::Unreachable => "unreachable",
            Self::Ringing => "ringing",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Available => "available",
            Self::Offline => "offline",
        })
    }
}
