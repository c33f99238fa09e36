//! The turns in which a shard's streams compute their handshakes.
//!
//! A step of a handshake takes up to a millisecond, and after a power cut thousands of phones want one
//! at once. Lamps come first: between two steps all other tasks run, and sockets are looked at.

use std::cell::Cell;

use glommio::sync::Semaphore;

use crate::runtime::executor_pass::pass;

/// Those of one shard.
#[derive(Debug)]
pub(crate) struct HandshakeTurns {
    turn: Semaphore,
    under_way: Cell<usize>,
}

/// A handshake that is under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'t>(&'t HandshakeTurns);

impl HandshakeTurns {
    /// None is under way.
    pub(crate) fn new() -> Self {
        Self {
            turn: Semaphore::new(1),
            under_way: Cell::new(0),
        }
    }

    /// Begins a handshake, if fewer than that many are under way.
    pub(crate) fn begin(&self, max: usize) -> Option<UnderWay<'_>> {
        (self.under_way.get() < max).then(|| {
            self.under_way.update(|count| count + 1);
            UnderWay(self)
        })
    }

    /// Waits for the turn to compute one step. Turns come in the order in which they were asked for.
    pub(crate) async fn next(&self) {
        // An error would mean that the semaphore was closed, which it never is.
        let _turn = self.turn.acquire_permit(1).await;
        pass().await;
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.update(|count| count - 1);
    }
}
