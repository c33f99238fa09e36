//! The pace of requests to a service that limits them.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// Gives each request its time.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Cell<Duration>,
    next: Cell<Option<Instant>>,
}

impl Pace {
    /// So many requests a second at most.
    pub(super) fn new(rate: u32) -> Self {
        Self {
            interval: Cell::new(interval(rate)),
            next: Cell::new(None),
        }
    }

    /// So many at most, from now on, if that are fewer.
    fn slow_down(&self, rate: u32) {
        self.interval.set(self.interval.get().max(interval(rate)));
    }

    /// Waits until it is the caller's turn.
    pub(super) async fn turn(&self) {
        let now = Instant::now();
        let at = self.next.get().map_or(now, |next| next.max(now));
        self.next.set(at.checked_add(self.interval.get()));
        sleep_until(at).await;
    }
}

fn interval(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}

/// The paces of services that limit several relays together, by what the service knows them by.
#[derive(Debug, Default)]
pub(super) struct Paces(HashMap<String, Weak<Pace>>);

impl Paces {
    /// The pace that all relays of a service share: that of the slowest.
    pub(super) fn of(&mut self, service: String, rate: u32) -> Rc<Pace> {
        self.0.retain(|_, pace| pace.strong_count() > 0);
        let shared = self.0.get(&service).and_then(Weak::upgrade);
        let pace = shared.unwrap_or_else(|| Rc::new(Pace::new(rate)));
        pace.slow_down(rate);
        self.0.insert(service, Rc::downgrade(&pace));
        pace
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

    #[test]
    fn relays_of_one_service_share_its_pace() {
        let mut paces = Paces::default();
        let [one, two] = [100, 50].map(|rate| paces.of("tenant".to_owned(), rate));
        assert!(Rc::ptr_eq(&one, &two));
        assert_eq!(one.interval.get(), Duration::from_millis(20), "the slowest");
        assert!(!Rc::ptr_eq(&one, &paces.of("other".to_owned(), 100)));
        drop([one, two]);
        let next = paces.of("tenant".to_owned(), 100);
        assert_eq!(next.interval.get(), Duration::from_millis(10));
    }
}
