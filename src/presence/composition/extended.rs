//! The values with which the styles of W:D2 and W:D3 express more than `open` and `closed`.
//!
//! A document carries them in an element that other clients ignore (W:D2.7).

use crate::presence::composition::{Availability, ForwardedTo};

/// The state of a presentity in the values of its domain's style.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Extended {
    /// W:D2
    Alceo(AlceoStatus),
    /// W:D3
    Imagicle(Tracks),
}

impl Extended {
    /// The value for the whole state.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alceo(status) => status.as_str(),
            Self::Imagicle(tracks) => tracks.combined.as_str(),
        }
    }
}

/// The extended status of W:D2.8-D2.12.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AlceoStatus {
    /// Open: reachable, and not declared otherwise.
    Available,
    /// Open: in a call, or declared busy.
    Busy,
    /// Open: an incoming call is unanswered.
    Ringing,
    /// Closed: declared unavailable.
    DoNotDisturb,
    /// Closed: neither registered nor reachable at another number.
    Unreachable,
}

impl AlceoStatus {
    /// The value as written (W:D2.13).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Busy => "busy",
            Self::Ringing => "ringing",
            Self::DoNotDisturb => "donotdisturb",
            Self::Unreachable => "unreachable",
        }
    }
}

impl From<Availability> for AlceoStatus {
    /// In this style away counts as available, because the lamp shows callers whether to call. It has no
    /// value for forwarded: a user whose calls are forwarded is reachable, and therefore available.
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::DoNotDisturb => Self::DoNotDisturb,
            Availability::Unreachable | Availability::Offline => Self::Unreachable,
            Availability::Ringing => Self::Ringing,
            Availability::Busy => Self::Busy,
            Availability::Away | Availability::Available | Availability::Forwarded(_) => {
                Self::Available
            }
        }
    }
}

/// The two tracks of W:D3.2, and both combined (W:D3.17). A track is None if no source reports on
/// it. The rich track's message is [`super::Composed::note`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tracks {
    /// Both tracks combined.
    pub combined: ImagicleStatus,
    /// What the phone does: calls, registrations, features that are switched on.
    pub telephony: Option<ImagicleStatus>,
    /// What the user declares.
    pub rich: Option<ImagicleStatus>,
}

/// The values of W:D3.14, and the `Away` of W:D3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ImagicleStatus {
    /// Free.
    Available,
    /// Declared away; only in the rich track.
    Away,
    /// In a call, ringing, or declared busy.
    Busy,
    /// Declared, or switched on.
    DoNotDisturb,
    /// Not registered, declared closed, or unknown.
    Offline,
    /// Every call is forwarded to voice mail.
    ForwardedToVoiceMail,
    /// Every call is forwarded to another number.
    ForwardedToNumber,
}

impl ImagicleStatus {
    /// The values as written (W:D3.14).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Away => "Away",
            Self::Busy => "Busy",
            Self::DoNotDisturb => "Do not disturb",
            Self::Offline => "Offline",
            Self::ForwardedToVoiceMail => "Forwarded to voice mail",
            Self::ForwardedToNumber => "Forwarded to phone number",
        }
    }
}

impl From<Availability> for ImagicleStatus {
    fn from(availability: Availability) -> Self {
        match availability {
            Availability::DoNotDisturb => Self::DoNotDisturb,
            Availability::Forwarded(ForwardedTo::VoiceMail) => Self::ForwardedToVoiceMail,
            Availability::Forwarded(ForwardedTo::Number) => Self::ForwardedToNumber,
            Availability::Unreachable | Availability::Offline => Self::Offline,
            Availability::Ringing | Availability::Busy => Self::Busy,
            Availability::Away => Self::Away,
            Availability::Available => Self::Available,
        }
    }
}
