//! How long to wait after a failure: twice as long each time, with jitter.

use std::time::Duration;

use crate::sip::random::Random;

/// After the first failure, before jitter.
const FIRST: Duration = Duration::from_secs(1);
/// At most.
const LONGEST: Duration = Duration::from_secs(300);

/// The wait after so many failures in a row: between half and all of 1 s, 2 s, 4 s ... 5 min.
pub(super) fn delay(failures: u32, random: &mut Random) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let longest = FIRST.saturating_mul(doubled.max(1)).min(LONGEST);
    let half = longest / 2;
    let milliseconds = u32::try_from(half.as_millis()).unwrap_or(u32::MAX);
    half + Duration::from_millis(random.below(milliseconds).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_five_minutes() {
        let mut random = Random::new([1; 32]);
        for (failures, seconds) in [
            (0, 1),
            (1, 1),
            (2, 2),
            (5, 16),
            (9, 256),
            (10, 300),
            (99, 300),
        ] {
            for _ in 0..50 {
                let delay = delay(failures, &mut random);
                let longest = Duration::from_secs(seconds);
                assert!(
                    delay >= longest / 2 && delay <= longest,
                    "{failures}: {delay:?}"
                );
            }
        }
    }
}
