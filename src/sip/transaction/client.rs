//! Client transactions: when to retransmit a request and when to give up (RFC 3261 §17.1.2.2). A
//! state machine without a clock or a buffer.
//!
//! The schedule is relative to the first transmission, so a late call does not delay later
//! retransmissions; a call so late that the next retransmission is also due sends once, not twice.
//! Matching a response to its request is left to the caller.

use std::time::{Duration, Instant};

use super::{T1, T2, TIMER_F};

/// The action that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the request again.
    Retransmit,
    /// Timer F fired without a final response: treated as a 408 (RFC 3261 §8.1.3.1).
    TimedOut,
}

/// Timers E and F of one request.
#[derive(Clone, Copy, Debug)]
pub struct ClientTransaction {
    started: Instant,
    /// When Timer E fires, in milliseconds since the start; it does not fire at or after Timer F.
    retransmit_at_ms: u16,
    /// The interval in milliseconds for which Timer E is set when it fires.
    interval_ms: u16,
    retransmissions: u8,
}

const T1_MS: u16 = T1.as_millis() as u16;
const T2_MS: u16 = T2.as_millis() as u16;
const TIMER_F_MS: u16 = TIMER_F.as_millis() as u16;

/// Timer E of a transport that retransmits by itself: later than Timer F.
const NEVER_MS: u16 = u16::MAX;

const _: () = assert!(TIMER_F.as_millis() + T2.as_millis() < NEVER_MS as u128);
const _: () = assert!(size_of::<ClientTransaction>() <= 24);

impl ClientTransaction {
    /// Starts with the first transmission at `now`.
    #[must_use]
    pub fn new(now: Instant, reliable: bool) -> Self {
        let retransmit_at_ms = if reliable { NEVER_MS } else { T1_MS };
        Self {
            started: now,
            retransmit_at_ms,
            interval_ms: 2 * T1_MS,
            retransmissions: 0,
        }
    }

    /// A 1xx arrived: from now on retransmit every T2. The running Timer E is left unchanged; it is
    /// reset to T2 when it fires (RFC 3261 §17.1.2.2).
    pub fn handle_provisional(&mut self) {
        self.interval_ms = T2_MS;
    }

    /// The time of the first transmission.
    #[inline]
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// The number of retransmissions.
    #[must_use]
    pub fn retransmissions(&self) -> u8 {
        self.retransmissions
    }

    /// The next time at which [`Self::handle_timeout`] must be called. After [`Due::TimedOut`] it
    /// stays in the past: the transaction is over.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.started + milliseconds(self.retransmit_at_ms.min(TIMER_F_MS))
    }

    /// The action due at `now`; None if it is too early. Timer F takes precedence over Timer E.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        let elapsed = now.saturating_duration_since(self.started);
        if elapsed >= TIMER_F {
            return Some(Due::TimedOut);
        }
        if elapsed < milliseconds(self.retransmit_at_ms) {
            return None;
        }
        self.reset_timer_e(elapsed);
        self.retransmissions = self.retransmissions.saturating_add(1);
        Some(Due::Retransmit)
    }

    /// Sets Timer E again after it fired at `elapsed` (less than Timer F) since the start.
    fn reset_timer_e(&mut self, elapsed: Duration) {
        let scheduled_ms = self.retransmit_at_ms + self.interval_ms;
        let elapsed_ms = elapsed.as_millis() as u16;
        self.retransmit_at_ms = if scheduled_ms > elapsed_ms {
            scheduled_ms
        } else {
            elapsed_ms + self.interval_ms
        };
        self.interval_ms = (2 * self.interval_ms).min(T2_MS);
    }
}

fn milliseconds(count: u16) -> Duration {
    Duration::from_millis(u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls the transaction at each of its deadlines, delayed by `late`, and returns the times of
    /// all transmissions and of the timeout, in milliseconds.
    fn run(
        mut transaction: ClientTransaction,
        start: Instant,
        late: Duration,
    ) -> (Vec<u128>, u128) {
        let mut sent = vec![0];
        loop {
            let deadline = transaction.deadline();
            if deadline > start {
                assert_eq!(
                    transaction.handle_timeout(deadline - Duration::from_nanos(1)),
                    None
                );
            }
            let now = deadline + late;
            match transaction.handle_timeout(now) {
                Some(Due::Retransmit) => sent.push((now - start).as_millis()),
                Some(Due::TimedOut) => return (sent, (now - start).as_millis()),
                None => panic!("nothing is due at the deadline"),
            }
        }
    }

    #[test]
    fn eleven_transmissions_then_timer_f() {
        let start = Instant::now();
        let (sent, timed_out) = run(ClientTransaction::new(start, false), start, Duration::ZERO);
        assert_eq!(
            sent,
            [
                0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
            ]
        );
        assert_eq!(timed_out, 32_000);
    }

    #[test]
    fn a_late_call_does_not_push_the_schedule_back() {
        let start = Instant::now();
        let late = Duration::from_millis(7);
        let (sent, timed_out) = run(ClientTransaction::new(start, false), start, late);
        assert_eq!(
            sent,
            [
                0, 507, 1507, 3507, 7507, 11507, 15507, 19507, 23507, 27507, 31507
            ]
        );
        assert_eq!(timed_out, 32_007);
    }

    #[test]
    fn a_very_late_call_sends_once() {
        let start = Instant::now();
        let mut transaction = ClientTransaction::new(start, false);
        let now = start + Duration::from_secs(10);
        assert_eq!(transaction.handle_timeout(now), Some(Due::Retransmit));
        assert_eq!(transaction.handle_timeout(now), None);
        assert_eq!(transaction.deadline(), now + Duration::from_secs(1));
    }

    #[test]
    fn reliable_runs_timer_f_alone() {
        let start = Instant::now();
        let (sent, timed_out) = run(ClientTransaction::new(start, true), start, Duration::ZERO);
        assert_eq!(sent, [0]);
        assert_eq!(timed_out, 32_000);
    }

    #[test]
    fn after_a_provisional_every_t2() {
        let start = Instant::now();
        let mut transaction = ClientTransaction::new(start, false);
        transaction.handle_provisional();
        let (sent, timed_out) = run(transaction, start, Duration::ZERO);
        assert_eq!(
            sent,
            [0, 500, 4500, 8500, 12500, 16500, 20500, 24500, 28500]
        );
        assert_eq!(timed_out, 32_000);
    }

    #[test]
    fn a_provisional_in_the_middle_changes_the_next_interval_only() {
        let start = Instant::now();
        let mut transaction = ClientTransaction::new(start, false);
        assert_eq!(
            transaction.handle_timeout(start + T1),
            Some(Due::Retransmit)
        );
        transaction.handle_provisional();
        assert_eq!(transaction.deadline(), start + Duration::from_millis(1500));
        assert_eq!(
            transaction.handle_timeout(transaction.deadline()),
            Some(Due::Retransmit)
        );
        assert_eq!(transaction.deadline(), start + Duration::from_millis(5500));
    }

    #[test]
    fn timer_f_stays_due() {
        let start = Instant::now();
        let mut transaction = ClientTransaction::new(start, false);
        assert_eq!(
            transaction.handle_timeout(start + TIMER_F),
            Some(Due::TimedOut)
        );
        assert_eq!(
            transaction.handle_timeout(start + TIMER_F),
            Some(Due::TimedOut)
        );
    }

    #[test]
    fn a_timeout_before_the_start_does_nothing() {
        let start = Instant::now() + Duration::from_secs(5);
        let mut transaction = ClientTransaction::new(start, false);
        assert_eq!(
            transaction.handle_timeout(start - Duration::from_secs(5)),
            None
        );
    }
}
