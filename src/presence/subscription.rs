//! What a subscription is to the domain: the package, what it is granted, how it stands, how it
//! ends (RFC 6665; W:A1, A3).

use std::time::Duration;

/// An event package we serve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Package {
    /// RFC 4235
    Dialog,
    /// RFC 3856
    Presence,
    /// RFC 3842
    MessageSummary,
    /// RFC 3680
    Reg,
    /// RFC 3857, about `presence`
    PresenceWinfo,
    /// RFC 3857, about `dialog`
    DialogWinfo,
    /// Do-not-disturb and forwarding from the phone (W:C9)
    AsFeatureEvent,
    /// The appearances of a shared line (W:C10.1)
    CallInfo,
    /// Taking an appearance of a shared line (W:C10.2)
    LineSeize,
}

impl Package {
    /// All of them, in the order of Allow-Events.
    pub const ALL: [Self; 9] = [
        Self::Dialog,
        Self::Presence,
        Self::MessageSummary,
        Self::Reg,
        Self::PresenceWinfo,
        Self::DialogWinfo,
        Self::AsFeatureEvent,
        Self::CallInfo,
        Self::LineSeize,
    ];

    /// The package a token names, without case (W:A1.8).
    #[must_use]
    pub fn from_token(token: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|package| token.eq_ignore_ascii_case(package.token().as_bytes()))
    }

    /// The token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Dialog => "dialog",
            Self::Presence => "presence",
            Self::MessageSummary => "message-summary",
            Self::Reg => "reg",
            Self::PresenceWinfo => "presence.winfo",
            Self::DialogWinfo => "dialog.winfo",
            Self::AsFeatureEvent => "as-feature-event",
            Self::CallInfo => "call-info",
            Self::LineSeize => "line-seize",
        }
    }

    /// Granted when the SUBSCRIBE names no Expires (W:B2.1, B3.1, B4.1, B7.1, B7.4, C10.1-2).
    #[must_use]
    pub const fn expires_default(self) -> Duration {
        Duration::from_secs(match self {
            Self::Reg => 3761,
            Self::LineSeize => 15,
            Self::Dialog
            | Self::Presence
            | Self::MessageSummary
            | Self::PresenceWinfo
            | Self::DialogWinfo
            | Self::AsFeatureEvent
            | Self::CallInfo => 3600,
        })
    }

    /// Never granted for longer, whatever the domain allows (W:C10.1, C10.2).
    #[must_use]
    pub const fn expires_max(self) -> Option<Duration> {
        match self {
            Self::LineSeize => Some(Duration::from_secs(15)),
            Self::CallInfo => Some(Duration::from_secs(3600)),
            Self::Dialog
            | Self::Presence
            | Self::MessageSummary
            | Self::Reg
            | Self::PresenceWinfo
            | Self::DialogWinfo
            | Self::AsFeatureEvent => None,
        }
    }

    /// Whether a list can be watched in it (RFC 4662 §3): its state is a document, and about one
    /// presentity. A feature to switch and a line to seize are one phone's, the appearances of a line
    /// stand in a header that no part has, and watchers are told to the watched alone.
    #[must_use]
    pub const fn is_for_lists(self) -> bool {
        match self {
            Self::Dialog | Self::Presence | Self::MessageSummary => true,
            Self::Reg
            | Self::PresenceWinfo
            | Self::DialogWinfo
            | Self::AsFeatureEvent
            | Self::CallInfo
            | Self::LineSeize => false,
        }
    }

    /// The package whose watchers this one tells of (RFC 3857); None for all but `winfo`.
    #[must_use]
    pub const fn of_watchers(self) -> Option<Self> {
        match self {
            Self::PresenceWinfo => Some(Self::Presence),
            Self::DialogWinfo => Some(Self::Dialog),
            Self::Dialog
            | Self::Presence
            | Self::MessageSummary
            | Self::Reg
            | Self::AsFeatureEvent
            | Self::CallInfo
            | Self::LineSeize => None,
        }
    }

    /// The least time between two NOTIFYs of changes, whatever was asked for (RFC 3842 §3.9,
    /// RFC 3680 §4.9, RFC 3857 §4.7; W:B7.1, B7.4, B4.4).
    #[must_use]
    pub const fn notify_gap(self) -> Option<Duration> {
        match self {
            Self::MessageSummary => Some(Duration::from_secs(1)),
            Self::Reg | Self::PresenceWinfo | Self::DialogWinfo => Some(Duration::from_secs(5)),
            Self::Dialog
            | Self::Presence
            | Self::AsFeatureEvent
            | Self::CallInfo
            | Self::LineSeize => None,
        }
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
    /// What is granted for `requested` seconds (None: no Expires header): never more than asked,
    /// never 423 for 0 or for an hour and more (W:A1.12-A1.14).
    pub fn grant(&self, requested: Option<u32>, default: Duration) -> Result<Duration, TooBrief> {
        /// Asked for as long as this, a subscription is never too brief (RFC 6665 §4.2.1.1).
        const NEVER_TOO_BRIEF: Duration = Duration::from_secs(3600);
        let Some(seconds) = requested else {
            return Ok(default.min(self.max));
        };
        let requested = Duration::from_secs(seconds.into());
        if !requested.is_zero() && requested < self.min && requested < NEVER_TOO_BRIEF {
            return Err(TooBrief(self.min));
        }
        Ok(requested.min(self.max))
    }
}

/// How much of a presentity's calls a watcher is shown (W:B3.12). Each level adds to the one
/// before.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ExpiryLimits;
    use super::Package;
    use super::TooBrief;

    const LIMITS: ExpiryLimits = ExpiryLimits {
        min: Duration::from_secs(60),
        max: Duration::from_secs(7200),
    };

    fn grant(limits: ExpiryLimits, requested: Option<u32>) -> Result<u64, TooBrief> {
        limits
            .grant(requested, Duration::from_secs(3600))
            .map(|granted| granted.as_secs())
    }

    /// W:A1.12-A1.14
    #[test]
    fn what_is_granted() {
        let too_brief = Err(TooBrief(LIMITS.min));
        let table = [
            (None, Ok(3600)),
            (Some(0), Ok(0)),
            (Some(1), too_brief),
            (Some(59), too_brief),
            (Some(60), Ok(60)),
            (Some(3600), Ok(3600)),
            (Some(7200), Ok(7200)),
            (Some(7201), Ok(7200)),
            (Some(u32::MAX), Ok(7200)),
        ];
        for (requested, granted) in table {
            assert_eq!(grant(LIMITS, requested), granted, "{requested:?}");
        }
    }

    #[test]
    fn an_hour_is_never_too_brief_and_the_default_obeys_the_longest() {
        let long = ExpiryLimits {
            min: Duration::from_secs(5000),
            max: Duration::from_secs(9000),
        };
        assert_eq!(grant(long, Some(3599)), Err(TooBrief(long.min)));
        assert_eq!(grant(long, Some(3600)), Ok(3600));
        let short = ExpiryLimits {
            min: Duration::ZERO,
            max: Duration::from_secs(600),
        };
        assert_eq!(grant(short, None), Ok(600));
        assert_eq!(grant(short, Some(1)), Ok(1));
    }

    #[test]
    fn a_package_is_named_without_case() {
        assert_eq!(Package::from_token(b"DIALOG"), Some(Package::Dialog));
        assert_eq!(Package::from_token(b"presence"), Some(Package::Presence));
        assert_eq!(Package::from_token(b"presence.winfo.winfo"), None);
        assert_eq!(Package::from_token(b""), None);
        for package in Package::ALL {
            let token = package.token().to_ascii_uppercase();
            assert_eq!(Package::from_token(token.as_bytes()), Some(package));
        }
    }

    #[test]
    fn each_package_has_its_default_expiry() {
        let seconds = Package::ALL.map(|package| package.expires_default().as_secs());
        assert_eq!(
            seconds,
            [3600, 3600, 3600, 3761, 3600, 3600, 3600, 3600, 15]
        );
    }

    /// W:B4.1, B4.4, C10.1, C10.2
    #[test]
    fn what_only_some_packages_have() {
        for package in Package::ALL {
            let seconds = package.expires_max().map(|max| max.as_secs());
            let gap = package.notify_gap().map(|gap| gap.as_secs());
            let has = match package {
                Package::LineSeize => (Some(15), None, None),
                Package::CallInfo => (Some(3600), None, None),
                Package::PresenceWinfo => (None, Some(Package::Presence), Some(5)),
                Package::DialogWinfo => (None, Some(Package::Dialog), Some(5)),
                Package::MessageSummary => (None, None, Some(1)),
                Package::Reg => (None, None, Some(5)),
                _ => (None, None, None),
            };
            assert_eq!((seconds, package.of_watchers(), gap), has, "{package:?}");
        }
    }
}
