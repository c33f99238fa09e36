//! What may be sent to addresses that have proved nothing, for all of them together (W:E3.8).
//!
//! A response over UDP is at most one and a half times as long as its request, so what a sender
//! gains for a victim by a forged source address is in the NOTIFYs. Each octet of a NOTIFY on a path
//! that is not proven, retransmissions included, is lent from one allowance. A path that proves
//! itself returns what it was lent, so phones that answer use none of it; what a silent address was
//! lent comes back with time only.
//!
//! Guarantee: however many requests arrive from however many addresses, the NOTIFYs to addresses
//! that never answer have no more octets than a minute of the allowance at once, then its rate. One
//! NOTIFY that has begun may exceed it.
//!
//! It is one number, the time at which the allowance is complete again (generic cell rate algorithm).

use std::time::{Duration, Instant};

/// How much may be lent at once: what comes back in this time.
const BURST: Duration = Duration::from_secs(60);

/// The allowance of a shard.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    /// When all of it is there again; None if nothing was ever lent.
    full_at: Option<Instant>,
}

/// What was lent to one path, as the time in which it comes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lent(Duration);

impl Allowance {
    /// Whether anything is left at `now`; `rate` is in octets per second.
    pub(crate) fn has_left(&self, rate: u64, now: Instant) -> bool {
        let back_in = self.full_at.map(|at| at.saturating_duration_since(now));
        rate > 0 && back_in.unwrap_or_default() < BURST
    }

    /// Lends octets to a path, which may have been lent some before.
    pub(crate) fn lend(&mut self, lent: &mut Lent, octets: usize, rate: u64, now: Instant) {
        let nanos = (octets as u64).saturating_mul(1_000_000_000);
        let time = Duration::from_nanos(nanos.checked_div(rate).unwrap_or_default());
        lent.0 += time;
        self.full_at = Some(self.full_at.map_or(now, |at| at.max(now)) + time);
    }

    /// The path has proved itself: takes back what it was lent.
    pub(crate) fn take_back(&mut self, lent: Lent) {
        self.full_at = self.full_at.and_then(|at| at.checked_sub(lent.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u64 = 1_000;

    fn lend_all(allowance: &mut Allowance, now: Instant) -> (usize, Lent) {
        let (mut octets, mut lent) = (0, Lent::default());
        while allowance.has_left(RATE, now) {
            allowance.lend(&mut lent, 100, RATE, now);
            octets += 100;
        }
        (octets, lent)
    }

    #[test]
    fn a_minute_at_once_and_then_the_rate() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        assert_eq!(lend_all(&mut allowance, now).0, 60_000);
        let later = now + Duration::from_secs(5);
        assert_eq!(lend_all(&mut allowance, later).0, 5_000);
        let much_later = now + Duration::from_secs(1_000);
        assert_eq!(lend_all(&mut allowance, much_later).0, 60_000);
    }

    #[test]
    fn what_is_returned_can_be_lent_again_and_no_more() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        let mut first = Lent::default();
        allowance.lend(&mut first, 10_000, RATE, now);
        assert_eq!(lend_all(&mut allowance, now).0, 50_000);
        allowance.take_back(first);
        let (octets, rest) = lend_all(&mut allowance, now);
        assert_eq!(octets, 10_000);
        // It came back with time already.
        let later = now + Duration::from_secs(120);
        allowance.take_back(rest);
        assert_eq!(lend_all(&mut allowance, later).0, 60_000);
    }

    #[test]
    fn without_a_rate_there_is_none() {
        assert!(!Allowance::default().has_left(0, Instant::now()));
    }
}
