//! The pause after a NOTIFY with a 503 and Retry-After: one second, doubled with each consecutive
//! 503, or as long as Retry-After says if that is longer.

use crate::invariants::NotifyResponse;
use crate::network::{Micros, SECOND};

const DOUBLINGS_MAX: u32 = 6;

/// The pauses of one subscription.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses {
    in_a_row: u32,
    over_at: Micros,
}

impl Pauses {
    /// A NOTIFY got this final response.
    pub(crate) fn note(&mut self, now: Micros, response: NotifyResponse) {
        match (response.status, response.retry_after) {
            (200..300, _) => self.in_a_row = 0,
            (503, Some(retry_after)) => self.begin(now, retry_after),
            _ => {}
        }
    }

    fn begin(&mut self, now: Micros, retry_after: u64) {
        let shortest = SECOND << self.in_a_row.min(DOUBLINGS_MAX);
        self.over_at = now + shortest.max(retry_after * SECOND);
        self.in_a_row += 1;
    }

    /// Another NOTIFY leaves. A NOTIFY caused by a SUBSCRIBE does not wait for the end of the
    /// pause.
    pub(crate) fn end(&mut self, now: Micros) {
        self.over_at = self.over_at.min(now);
    }

    /// When the last pause ends; 0 if there was none.
    pub(crate) fn over_at(self) -> Micros {
        self.over_at
    }
}
