//! The handshakes of one thread's streams: how many at once, how long each may take, and in which order
//! they compute.
//!
//! Guarantee: peers at one address that no domain trusts hold at most half of the places, and a quarter while
//! more than half are taken. So a flood from a few addresses does not keep all other phones out, and after a
//! power cut the phones behind one NAT still come back many at a time.
//!
//! A step of a handshake takes up to a millisecond, and after a power cut thousands of clients want one
//! at once. Between two steps all other tasks of the thread run, and sockets are looked at.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use glommio::sync::Semaphore;

use crate::net::HandshakeLimits;
use crate::net::connection_limits::{ConnectionCount, ConnectionLimits};
use crate::net::executor_pass::pass;
use crate::net::stream::transport::{Handshake, StreamTransport};

/// Those of one thread.
#[derive(Debug)]
pub struct Handshakes {
    limits: HandshakeLimits,
    turn: Semaphore,
    under_way: RefCell<ConnectionCount>,
}

/// A handshake that is under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay<'h> {
    handshakes: &'h Handshakes,
    peer: IpAddr,
    deadline: Instant,
}

/// Why a handshake is not completed. The connection is over.
#[derive(Debug, thiserror::Error)]
pub enum HandshakeFault {
    /// Too many are under way, in total or at the peer's address.
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
        let places = ConnectionLimits {
            connections_max: limits.at_once_max,
            per_address_max: limits.at_once_max.div_ceil(4),
        };
        Self {
            limits,
            turn: Semaphore::new(1),
            under_way: RefCell::new(ConnectionCount::new(places)),
        }
    }

    /// Begins a handshake. `is_exempt`: the limit of an address does not hold, because a domain trusts the
    /// peer (an SBC with a connection for each phone), or because it is a proxy, which forwards those of many.
    ///
    /// # Errors
    /// Too many are under way, in total or at that address.
    pub fn begin(&self, peer: IpAddr, is_exempt: bool) -> Result<UnderWay<'_>, HandshakeFault> {
        let mut under_way = self.under_way.borrow_mut();
        let is_half_free = under_way.open() < self.limits.at_once_max.div_ceil(2);
        if !under_way.has_room(peer, |_| is_exempt || is_half_free) {
            return Err(HandshakeFault::Refused);
        }
        under_way.join(peer);
        Ok(UnderWay {
            handshakes: self,
            peer,
            deadline: Instant::now() + self.limits.timeout,
        })
    }

    /// Does the handshake of a stream that has one; for `is_exempt` see [`Self::begin`]. `scratch` is borrowed
    /// only while octets are read.
    ///
    /// # Errors
    /// It is refused, fails, or takes too long.
    pub async fn complete(
        &self,
        (peer, is_exempt): (IpAddr, bool),
        stream: &RefCell<Box<dyn StreamTransport>>,
        scratch: &RefCell<Box<[u8]>>,
    ) -> Result<(), HandshakeFault> {
        let under_way = self.begin(peer, is_exempt)?;
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
        self.handshakes.under_way.borrow_mut().leave(self.peer);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at_most(at_once_max: usize) -> Handshakes {
        Handshakes::new(HandshakeLimits {
            at_once_max,
            timeout: Duration::from_secs(10),
        })
    }

    #[test]
    fn a_flood_from_two_addresses_leaves_room_for_others() {
        let handshakes = at_most(16);
        let begin = |last: u8| handshakes.begin([192, 0, 2, last].into(), false);
        let flood = |last| std::iter::from_fn(move || begin(last).ok()).collect::<Vec<_>>();
        let first = flood(1);
        assert_eq!(first.len(), 8);
        let second = flood(2);
        assert_eq!(second.len(), 4);
        let others: Vec<_> = (3..7).map(|last| begin(last).unwrap()).collect();
        assert!(begin(7).is_err());
        drop((first, second, others));
        let begin = || handshakes.begin([192, 0, 2, 1].into(), true);
        let exempt = std::iter::from_fn(|| begin().ok());
        assert_eq!(exempt.collect::<Vec<_>>().len(), 16);
    }

    #[test]
    fn the_only_place_can_be_taken() {
        let handshakes = at_most(1);
        let begin = |last: u8| handshakes.begin([192, 0, 2, last].into(), false);
        let begun = begin(1).unwrap();
        assert!(begin(2).is_err());
        drop(begun);
        assert!(begin(2).is_ok());
    }
}
