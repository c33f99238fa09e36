//! The pace of requests to a service that limits them.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Gives each request its time.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    next: Cell<Option<Instant>>,
}

impl Pace {
    /// So many requests a second at most.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.max(1),
            next: Cell::new(None),
        }
    }

    /// Waits until it is the caller's turn.
    pub(super) async fn turn(&self) {
        let now = Instant::now();
        let at = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(at.checked_add(self.interval));
        sleep_until(at).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn turns_are_as_far_apart_as_the_rate_says() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        let elapsed = runtime.block_on(async {
            let (pace, begin) = (Pace::new(50), Instant::now());
            for _ in 0..6 {
                pace.turn().await;
            }
            begin.elapsed()
        });
        assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
    }
}
