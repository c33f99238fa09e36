//! A pass of the executor: all other tasks run, and it looks at its rings.
//!
//! The executor has no call for that: a yield does not look at the rings, and a timer of zero does not
//! even yield.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use glommio::timer::Timer;

/// A timer that expires before the executor looks at it, but not at once.
const PASS: Duration = Duration::from_micros(2);

/// Gives the executor a pass. On a busy machine a timer may expire before it is looked at for the first
/// time, which would give none: then a longer one is set.
pub async fn pass() {
    let (mut timer, mut length) = (Timer::new(PASS), PASS);
    let mut has_waited = false;
    poll_fn(|context| {
        while Pin::new(&mut timer).poll(context).is_ready() {
            if has_waited {
                return Poll::Ready(());
            }
            length *= 2;
            timer.reset(length);
        }
        has_waited = true;
        Poll::Pending
    })
    .await;
}
