//! What a subscription is to the domain: the package, what it is granted, how it stands, how it ends (RFC 6665; W:A1, A3).

use std::time::Duration;

/// An event package we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// RFC 4235
    Dialog,
    /// RFC 3856
    Presence,
}

impl Package {
    /// All of them, in the order of Allow-Events.
    pub const ALL: [Self; 2] = [Self::Dialog, Self::Presence];

    /// The package a token names, without case (W:A1.8).
    #[must_use]
    pub fn from_token(token: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|package| token.eq_ignore_ascii_case(package.token().as_bytes()))
    }

    /// The token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
            Self::Presence => "presence",
        }
    }

    /// The media type of its bodies.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Dialog => "application/dialog-info+xml",
            Self::Presence => "application/pidf+xml",
        }
    }

    /// Granted when the SUBSCRIBE names no Expires.
    #[must_use]
    pub const fn expires_default(self) -> Duration {
        Duration::from_secs(3600)
    }
}

/// Why a subscription ended (RFC 6665 §4.1.3; W:A3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// We shut down or move: resubscribe now.
    Deactivated,
    /// It ran out, or was ended by the subscriber.
    Timeout,
    /// Policy does not allow it any more.
    Rejected,
    /// The presentity is gone.
    NoResource,
}

impl Termination {
    /// The `reason` parameter.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Deactivated => "deactivated",
            Self::Timeout => "timeout",
            Self::Rejected => "rejected",
            Self::NoResource => "noresource",
        }
    }
}

/// Bounds on a subscription's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryLimits {
    /// Shorter (and not 0) is 423.
    pub min: Duration,
    /// Longer is shortened silently.
    pub max: Duration,
}

/// 423: the shortest expiry we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBrief(pub Duration);

impl ExpiryLimits {
    /// What is granted for `requested` seconds (None: no Expires header): never more than asked, never 423 for 0 or for an
    /// hour and more (W:A1.12-A1.14).
    pub fn grant(&self, requested: Option<u32>, default: Duration) -> Result<Duration, TooBrief> {
        todo!()
    }
}

/// How much of a presentity's calls a watcher is shown (W:B3.12). Each level adds to the one before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Privacy {
    /// State, id and direction only.
    #[default]
    StateOnly,
    /// And that there is a party: `sip:anonymous@anonymous.invalid`.
    AnonymousParty,
    /// And who it is.
    Party,
    /// And the call's identifiers and targets: pickup is possible.
    Pickup,
}
