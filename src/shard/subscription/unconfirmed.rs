//! How many subscriptions have phones that lack the current state, by since when: stale lamps.
//!
//! A subscription is counted from the moment that a NOTIFY is wanted, until a NOTIFY that left nothing
//! unsaid gets a 2xx, the phone turns out to have the state, or the subscription ends. So a NOTIFY that
//! is refused, unanswered, delayed by a limit, or that waits for a stream leaves it counted. One that its
//! phone itself delays (`max-rate`) is not counted.
//!
//! Each subscription keeps the second since which it is counted. What began in the same second is one
//! number; seconds that are long past are one number together. So joining and leaving are one addition
//! each, and reading the count needs no search.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// A lamp is stale after this time: the fifth copy of a NOTIFY was sent (Timer E), and the slowest phones
/// respond in half of it.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(10);

/// Seconds that are counted one by one.
const RECENT: usize = STALE_AFTER.as_secs() as usize + 1;

const SECOND: Duration = Duration::from_secs(1);

/// The second since which a subscription is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since(NonZeroU32);

/// The counts.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    epoch: Instant,
    /// The current second, from 1.
    second: u32,
    /// When it ends.
    ends: Instant,
    /// The subscriptions counted since each of the last seconds.
    recent: [u64; RECENT],
    /// Those counted for longer.
    stale: u64,
}

impl Unconfirmed {
    /// No subscription is counted.
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            second: 1,
            ends: epoch + SECOND,
            recent: [0; RECENT],
            stale: 0,
        }
    }

    /// Notes that the time is `now`.
    #[inline]
    pub(super) fn tick(&mut self, now: Instant) {
        if now >= self.ends {
            self.advance(now);
        }
    }

    fn advance(&mut self, now: Instant) {
        let second = self.second_of(now);
        let passed = second.saturating_sub(self.second);
        for later in 1..=passed.min(RECENT as u32) {
            let place = (self.second.saturating_add(later)) as usize % RECENT;
            self.stale += std::mem::take(&mut self.recent[place]);
        }
        self.second = second;
        self.ends = self.epoch + SECOND * second;
    }

    fn second_of(&self, time: Instant) -> u32 {
        let seconds = time.saturating_duration_since(self.epoch).as_secs();
        u32::try_from(seconds).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// How many are counted since that second.
    #[inline]
    fn count_of(&mut self, second: u32) -> &mut u64 {
        match self.second.saturating_sub(second) as usize {
            0..RECENT => &mut self.recent[second as usize % RECENT],
            _ => &mut self.stale,
        }
    }

    /// Counts a subscription from now on.
    #[inline]
    pub(super) fn join(&mut self) -> Option<Since> {
        *self.count_of(self.second) += 1;
        NonZeroU32::new(self.second).map(Since)
    }

    /// Counts a subscription no more.
    #[inline]
    pub(super) fn leave(&mut self, since: Since) {
        *self.count_of(since.0.get()) -= 1;
    }

    /// Counts a subscription from `time` on: its phone has what was so then.
    pub(super) fn rejoin(&mut self, since: Since, time: Instant) -> Option<Since> {
        self.leave(since);
        let second = self.second_of(time).max(since.0.get());
        *self.count_of(second) += 1;
        NonZeroU32::new(second).map(Since)
    }

    /// How many are counted for longer than [`STALE_AFTER`].
    pub(super) fn stale(&self) -> u64 {
        self.stale
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::random::Random;

    #[test]
    fn a_lamp_is_stale_after_ten_seconds() {
        let epoch = Instant::now();
        let mut unconfirmed = Unconfirmed::new(epoch);
        let at = |milliseconds| epoch + Duration::from_millis(milliseconds);
        unconfirmed.tick(at(300));
        let first = unconfirmed.join().unwrap();
        unconfirmed.tick(at(10_300));
        assert_eq!(unconfirmed.stale(), 0);
        let second = unconfirmed.join().unwrap();
        unconfirmed.tick(at(11_300));
        assert_eq!(unconfirmed.stale(), 1);
        // The response to a NOTIFY of 5 s later, after another change.
        let first = unconfirmed.rejoin(first, at(5_300)).unwrap();
        assert_eq!(unconfirmed.stale(), 0);
        unconfirmed.tick(at(16_000));
        assert_eq!(unconfirmed.stale(), 1);
        unconfirmed.tick(at(1_000_000));
        assert_eq!(unconfirmed.stale(), 2);
        unconfirmed.leave(first);
        unconfirmed.leave(second);
        assert_eq!(unconfirmed.stale(), 0);
        assert_eq!(unconfirmed.recent, [0; RECENT]);
    }

    /// What is counted is what a search would find.
    #[test]
    fn counts_agree_with_a_search() {
        let mut random = Random::new([7; 32]);
        let epoch = Instant::now();
        let mut unconfirmed = Unconfirmed::new(epoch);
        let (mut members, mut now): (Vec<Since>, _) = (Vec::new(), epoch);
        for _ in 0..20_000 {
            now += Duration::from_millis(random.below(2_000).into());
            unconfirmed.tick(now);
            match random.below(3) {
                0 => members.extend(unconfirmed.join()),
                1 if !members.is_empty() => {
                    let index = random.below(members.len() as u32) as usize;
                    unconfirmed.leave(members.swap_remove(index));
                }
                _ if !members.is_empty() => {
                    let index = random.below(members.len() as u32) as usize;
                    let time = now - Duration::from_millis(random.below(40_000).into());
                    members[index] = unconfirmed.rejoin(members[index], time).unwrap();
                }
                _ => {}
            }
            let second = unconfirmed.second_of(now);
            let is_stale = |since: &&Since| second - since.0.get() >= RECENT as u32;
            let stale = members.iter().filter(is_stale).count();
            assert_eq!(unconfirmed.stale(), stale as u64);
            let recent: u64 = unconfirmed.recent.iter().sum();
            assert_eq!(recent as usize + stale, members.len());
        }
        assert!(members.len() > 10, "{}", members.len());
    }
}
