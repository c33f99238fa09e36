//! The event packages that are served, and what each prescribes (RFC 6665 §5).

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
    /// Do-not-disturb and forwarding, set at the phone (W:C9)
    AsFeatureEvent,
    /// The appearances of a shared line (W:C10.1)
    CallInfo,
    /// Seizing an appearance of a shared line (W:C10.2)
    LineSeize,
}

impl Package {
    /// All packages, in the order of Allow-Events.
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

    /// The package with that name, in any case (W:A1.8).
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

    /// The expiry granted to a SUBSCRIBE without Expires (RFC 3856 §6.2-6.5, RFC 4235 §3.1-3.4, RFC
    /// 3857 §4, RFC 3842, RFC 3680; W:C10.1-2).
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

    /// The maximum expiry, whatever the domain allows (W:C10.1, C10.2).
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

    /// Returns whether a list can be subscribed to with it (RFC 4662 §3): its state must be a
    /// document about one presentity. Features and a seized line belong to one phone, the
    /// appearances of a line are written in a header that a body part cannot have, and watchers are
    /// reported only to their presentity.
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

    /// The package whose watchers this one reports (RFC 3857); None for all packages except
    /// `winfo`.
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

    /// The minimum time between two NOTIFYs of changes, whatever rate the watcher asked for (RFC
    /// 3842 §3.9, RFC 3680 §4.9, RFC 3857 §4.7).
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

#[cfg(test)]
mod tests {
    use super::Package;

    #[test]
    fn a_package_is_named_in_any_case() {
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
    fn the_properties_of_each_package() {
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
