//! Limits how often a line is logged while its cause lasts.

use std::time::{Duration, Instant};

/// Lets one line pass, and the next one only after an interval.
#[derive(Debug)]
pub struct Throttle {
    interval: Duration,
    last: Option<Instant>,
}

impl Throttle {
    /// Nothing has passed yet.
    #[must_use]
    pub const fn new(interval: Duration) -> Self {
        Self {
            interval,
            last: None,
        }
    }

    /// Whether a line may pass now.
    pub fn is_due(&mut self, now: Instant) -> bool {
        let is_early = |last: Instant| now.saturating_duration_since(last) < self.interval;
        if self.last.is_some_and(is_early) {
            return false;
        }
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_passes_in_each_interval() {
        let start = Instant::now();
        let mut throttle = Throttle::new(Duration::from_secs(10));
        let mut at = |seconds| throttle.is_due(start + Duration::from_secs(seconds));
        assert!(at(0));
        assert!(!at(0));
        assert!(!at(9));
        assert!(at(10));
        assert!(!at(19));
    }
}
