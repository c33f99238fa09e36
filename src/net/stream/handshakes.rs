//! The handshakes of one thread's streams: how many at once, how long each may take, and in which order
//! they compute.
//!
//! A step of a handshake takes up to a millisecond, and after a power cut thousands of clients want one
//! at once. Between two steps all other tasks of the thread run, and sockets are looked at.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::time::{Duration, Instant};

use glommio::sync::Semaphore;

use crate::net::HandshakeLimits;
use crate::net::executor_pass::pass;
use crate::net::stream::transport::{Handshake, StreamTransport};

/// Those of one thread.
#[derive(Debug)]
pub struct Handshakes {
    limits: HandshakeLimits,
    turn: Semaphore,
    under_way: Cell<usize>,
}

/// A handshake that is under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay<'h> {
    handshakes: &'h Handshakes,
    deadline: Instant,
}

/// Why a handshake is not completed. The connection is over.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFault {
    /// Too many are under way.
    #[error("too many handshakes are under way")]
    Refused,
    /// It takes too long.
    #[error("the handshake takes too long")]
    TimedOut,
    /// What came is no handshake, or the two sides do not accept each other.
    #[error(transparent)]
    Failed(io::Error),
}

impl From<io::Error> for HandshakeFault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Failed(error),
        }
    }
}

impl Handshakes {
    /// None is under way.
    #[must_use]
    pub fn new(limits: HandshakeLimits) -> Self {
        Self {
            limits,
            turn: Semaphore::new(1),
            under_way: Cell::new(0),
        }
    }

    /// Begins a handshake.
    ///
    /// # Errors
    /// Too many are under way.
    pub fn begin(&self) -> Result<UnderWay<'_>, HandshakeFault> {
        if self.under_way.get() >= self.limits.at_once_max {
            return Err(HandshakeFault::Refused);
        }
        self.under_way.update(|count| count + 1);
        Ok(UnderWay {
            handshakes: self,
            deadline: Instant::now() + self.limits.timeout,
        })
    }

    /// Does the handshake of a stream that has one. `scratch` is borrowed only while octets are read.
    ///
    /// # Errors
    /// It is refused, fails, or takes too long.
    pub async fn complete(
        &self,
        stream: &RefCell<Box<dyn StreamTransport>>,
        scratch: &RefCell<Box<[u8]>>,
    ) -> Result<(), HandshakeFault> {
        let under_way = self.begin()?;
        loop {
            let patience = under_way.patience()?;
            stream.borrow().set_read_timeout(Some(patience))?;
            let poll = poll_fn(|context| {
                let mut stream = stream.borrow_mut();
                stream.poll_handshake(context, &mut scratch.borrow_mut())
            });
            match poll.await? {
                Handshake::Done => return Ok(()),
                Handshake::Octets => {
                    self.wait_for_turn().await;
                    stream.borrow_mut().advance_handshake()?;
                }
            }
        }
    }

    /// Waits for the turn to compute one step. Turns come in the order in which they were asked for.
    async fn wait_for_turn(&self) {
        // An error would mean that the semaphore was closed, which it never is.
        let _turn = self.turn.acquire_permit(1).await;
        pass().await;
    }
}

impl UnderWay<'_> {
    /// How long to wait for more octets.
    ///
    /// # Errors
    /// The time is over: the peer keeps sending, but not what the handshake needs.
    pub fn patience(&self) -> Result<Duration, HandshakeFault> {
        match self.deadline.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(HandshakeFault::TimedOut),
            patience => Ok(patience.max(Duration::from_millis(1))),
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.handshakes.under_way.update(|count| count - 1);
    }
}
