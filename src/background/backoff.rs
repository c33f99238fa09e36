//! How long to wait after a failure: twice as long each time, with jitter.

use std::time::Duration;

use crate::sip::random::Random;

/// The waits of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    /// After the first failure, before jitter.
    pub(crate) first: Duration,
    /// At most.
    pub(crate) longest: Duration,
}

impl Backoff {
    /// The wait after so many failures in a row: between half and all of 1, 2, 4 ... times the first one.
    pub(crate) fn delay(self, failures: u32, random: &mut Random) -> Duration {
        let times = 2_u32.saturating_pow(failures.saturating_sub(1));
        let longest = self.first.saturating_mul(times).min(self.longest);
        let half = longest / 2;
        let milliseconds = u32::try_from(half.as_millis()).unwrap_or(u32::MAX);
        half + Duration::from_millis(random.below(milliseconds).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest() {
        let mut random = Random::new([1; 32]);
        for (longest, failures, seconds) in [
            (300, 0, 1),
            (300, 1, 1),
            (300, 2, 2),
            (300, 5, 16),
            (300, 9, 256),
            (300, 10, 300),
            (300, 99, 300),
            (60, 1, 1),
            (60, 3, 4),
            (60, 7, 60),
            (60, u32::MAX, 60),
        ] {
            let backoff = Backoff {
                first: Duration::from_secs(1),
                longest: Duration::from_secs(longest),
            };
            for _ in 0..50 {
                let delay = backoff.delay(failures, &mut random);
                let longest = Duration::from_secs(seconds);
                assert!(
                    delay >= longest / 2 && delay <= longest,
                    "{failures}: {delay:?}"
                );
            }
        }
    }
}
