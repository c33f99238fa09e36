//! Why a subscription ended, as its last NOTIFY says.

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
