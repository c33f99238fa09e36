//! The pause after a NOTIFY that was answered 503 with Retry-After: a second, which doubles with
//! each such answer in a row, or as long as Retry-After says if that is longer.

use crate::network::{Micros, SECOND};

const DOUBLINGS_MAX: u32 = 6;

/// The pauses of one subscription.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses {
    in_a_row: u32,
    over_at: Micros,
}

impl Pauses {
    /// A NOTIFY was answered with 503 and a Retry-After of that many seconds.
    pub(crate) fn begin(&mut self, now: Micros, retry_after: u64) {
        let shortest = SECOND << self.in_a_row.min(DOUBLINGS_MAX);
        self.over_at = now + shortest.max(retry_after * SECOND);
        self.in_a_row += 1;
    }

    /// Another NOTIFY leaves. One that a SUBSCRIBE asked for does not wait for the end of the
    /// pause.
    pub(crate) fn end(&mut self, now: Micros) {
        self.over_at = self.over_at.min(now);
    }

    /// A NOTIFY was answered with 2xx.
    pub(crate) fn forget_refusals(&mut self) {
        self.in_a_row = 0;
    }

    /// When the last pause is over; 0 if there was none.
    pub(crate) fn over_at(self) -> Micros {
        self.over_at
    }
}
