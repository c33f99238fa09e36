//! A phone, or a proxy in front of it, that refuses NOTIFYs for a while with 503 and Retry-After.

use super::Phone;
use crate::network::{Micros, Net, SECOND};
use crate::sip_text::Text;
use crate::world::Bench;

/// Until when it refuses NOTIFYs, and with which Retry-After.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Busy {
    until: Micros,
    retry_after: u64,
}

impl Busy {
    /// Most have the value 0, which requests no delay.
    pub(super) fn begin(net: &mut Net) -> Self {
        Self {
            until: net.now + net.rng.between(1, 60) * SECOND,
            retry_after: net.rng.pick(&[0, 0, 0, 1, 5]),
        }
    }

    pub(super) fn is_on(self, now: Micros) -> bool {
        now < self.until
    }
}

impl Phone {
    /// It refuses without reading the NOTIFY.
    pub(super) fn refuse(&mut self, notify: &Text<'_>, bench: &mut Bench) {
        let retry_after = format!("Retry-After: {}\r\n", self.busy.retry_after);
        self.respond(notify, 503, &retry_after, bench);
    }
}
