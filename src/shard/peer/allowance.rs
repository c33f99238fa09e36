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
//! Time brings back the same part of every loan, so a path that proves itself returns what of its loans
//! is still out. It must not return more: what came back with time has been lent to others meanwhile,
//! and an attacker that answers late could free it for its victims a second time. Instead of all loans,
//! one number is kept: what part is left of a loan that was made when the era began. An era ends when
//! all is back.

use std::time::{Duration, Instant};

/// How much may be lent at once: what comes back in this time.
const BURST: Duration = Duration::from_secs(60);
/// When so little is left of the first loans of an era, another begins: no earlier loan is returned.
const LEFT_MIN: f64 = 1e-9;

/// The allowance of a shard.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// What is lent at `at`, as the seconds in which it comes back.
    out: f64,
    /// None if nothing was ever lent.
    at: Option<Instant>,
    /// What part is left at `at` of a loan that was made when the era began.
    left: f64,
    era: u64,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            out: 0.0,
            at: None,
            left: 1.0,
            era: 0,
        }
    }
}

/// What was lent to one path.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lent {
    /// The loans of its era, as the loan at the beginning of the era of which as much would be left, in
    /// seconds.
    at_first: f64,
    era: u64,
}

impl Allowance {
    /// Whether anything is left at `now`; `rate` is in octets per second.
    pub(crate) fn has_left(&self, rate: u64, now: Instant) -> bool {
        rate > 0 && self.out - self.elapsed(now) < BURST.as_secs_f64()
    }

    /// Lends octets to a path, which may have been lent some before.
    pub(crate) fn lend(&mut self, lent: &mut Lent, octets: usize, rate: u64, now: Instant) {
        self.advance(now);
        let time = octets as f64 / rate.max(1) as f64;
        let before = if lent.era == self.era {
            lent.at_first
        } else {
            0.0
        };
        *lent = Lent {
            at_first: before + time / self.left,
            era: self.era,
        };
        self.out += time;
    }

    /// The path has proved itself: takes back what it was lent and is still out.
    pub(crate) fn take_back(&mut self, lent: Lent, now: Instant) {
        self.advance(now);
        if lent.era == self.era {
            self.out = (self.out - lent.at_first * self.left).max(0.0);
        }
    }

    fn elapsed(&self, now: Instant) -> f64 {
        let elapsed = self.at.map(|at| now.saturating_duration_since(at));
        elapsed.unwrap_or_default().as_secs_f64()
    }

    /// Takes what has come back until `now`.
    fn advance(&mut self, now: Instant) {
        let still_out = (self.out - self.elapsed(now)).max(0.0);
        self.left *= match self.out > 0.0 {
            true => still_out / self.out,
            false => 0.0,
        };
        if self.left < LEFT_MIN {
            self.left = 1.0;
            self.era += 1;
        }
        self.out = still_out;
        self.at = Some(self.at.map_or(now, |at| at.max(now)));
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
        allowance.take_back(first, now);
        let (octets, rest) = lend_all(&mut allowance, now);
        assert_eq!(octets, 10_000);
        // It came back with time already.
        let later = now + Duration::from_secs(120);
        allowance.take_back(rest, later);
        assert_eq!(lend_all(&mut allowance, later).0, 60_000);
        allowance.take_back(rest, later);
        assert_eq!(lend_all(&mut allowance, later).0, 0, "of an earlier era");
    }

    /// What came back with time was lent to others: an address that answers late does not free it again.
    #[test]
    fn a_late_answer_returns_what_is_still_out() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        let (_, late) = lend_all(&mut allowance, now);
        let later = now + Duration::from_secs(30);
        let (octets, silent) = lend_all(&mut allowance, later);
        assert_eq!(octets, 30_000);
        let much_later = now + Duration::from_secs(40);
        // Of 60 seconds 10 came back, half from each: 25 are returned, besides those 10.
        allowance.take_back(late, much_later);
        assert_eq!(lend_all(&mut allowance, much_later).0, 35_000);
        allowance.take_back(silent, much_later);
        assert_eq!(lend_all(&mut allowance, much_later).0, 25_000);
    }

    /// Under a flood that lasts for an hour, what silent addresses get stays within the guarantee.
    #[test]
    fn an_era_that_lasts_ends() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        let mut octets = 0;
        for second in 0..3_600 {
            let now = now + Duration::from_secs(second);
            let mut prompt = Lent::default();
            allowance.lend(&mut prompt, 700, RATE, now);
            allowance.take_back(prompt, now);
            octets += lend_all(&mut allowance, now).0;
        }
        assert!(allowance.era > 0);
        assert!((3_650_000..=3_660_000).contains(&octets), "{octets}");
    }

    #[test]
    fn without_a_rate_there_is_none() {
        assert!(!Allowance::default().has_left(0, Instant::now()));
    }
}
