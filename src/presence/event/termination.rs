//! Why a subscription ended, as stated in its last NOTIFY.

/// Why a subscription ended (RFC 6665 §4.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Termination {
    /// The server shuts down or moves: the watcher should resubscribe at once.
    Deactivated,
    /// It expired, or its watcher ended it.
    Timeout,
    /// A policy no longer allows it.
    Rejected,
    /// The presentity no longer exists.
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
