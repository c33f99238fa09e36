//! The client side: when to send a request again and when to give up (W:A4.1). A state machine without a clock or a buffer.

use std::time::Instant;

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send the request again.
    Retransmit,
    /// Timer F fired: nobody answered, 408 locally.
    TimedOut,
}

/// Timers E and F of one request.
#[derive(Clone, Copy, Debug)]
pub struct ClientTransaction { /* private */ }

impl ClientTransaction {
    /// Starts with the first transmission at `now`.
    #[must_use]
    pub fn new(now: Instant, reliable: bool) -> Self {
        todo!()
    }

    /// A 1xx came: from now on retransmit every T2 (W:A4.1).
    pub fn handle_provisional(&mut self) {
        todo!()
    }

    /// When [`Self::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        todo!()
    }

    /// What is due at `now`; None when called early.
    pub fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        todo!()
    }
}
