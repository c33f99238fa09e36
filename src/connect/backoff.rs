//! How long to wait before a PBX is tried again.

use std::time::Duration;

use crate::connect::protocol::Fault;
use crate::sip::random::Random;

/// After the first failure, before jitter.
const FIRST: Duration = Duration::from_secs(1);
/// At most; and always if the PBX refuses us, which only an operator can change.
const LONGEST: Duration = Duration::from_secs(60);

/// The wait after so many failures in a row: between half and all of 1 s, 2 s, 4 s ... 1 min.
pub(super) fn delay(fault: &Fault, failures: u32, random: &mut Random) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let longest = match fault {
        Fault::Forbidden(_) => LONGEST,
        _ => FIRST.saturating_mul(1 << doublings).min(LONGEST),
    };
    let half = longest / 2;
    let milliseconds = u32::try_from(half.as_millis()).unwrap_or(u32::MAX);
    half + Duration::from_millis(random.below(milliseconds).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_a_minute_and_a_refusal_waits_long() {
        let mut random = Random::new([1; 32]);
        let refusal = Fault::Forbidden(String::new());
        for (fault, failures, seconds) in [
            (&Fault::Closed, 1, 1),
            (&Fault::Closed, 3, 4),
            (&Fault::Closed, 7, 60),
            (&Fault::Closed, u32::MAX, 60),
            (&refusal, 1, 60),
        ] {
            let delay = delay(fault, failures, &mut random);
            let longest = Duration::from_secs(seconds);
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?}");
        }
    }
}
