//! How long a subscription is granted for (RFC 6665 §4.2.1.1).

use std::time::Duration;

/// Bounds on the expiry of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryLimits {
    /// A shorter one, unless 0, is refused with 423.
    pub min: Duration,
    /// A longer one is shortened without an error.
    pub max: Duration,
}

/// 423, with the minimum expiry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooBrief(pub Duration);

impl ExpiryLimits {
    /// The expiry granted for `requested` seconds (None without an Expires header): never more than
    /// requested, and never 423 for 0 or for an hour or more (W:A1.12-A1.14).
    pub fn grant(&self, requested: Option<u32>, default: Duration) -> Result<Duration, TooBrief> {
        /// A subscription for this long is never too brief (RFC 6665 §4.2.1.1).
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ExpiryLimits, TooBrief};

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
    fn the_expiry_that_is_granted() {
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
}
