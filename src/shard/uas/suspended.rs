//! Suspended requests: they arrived on this shard and wait for the outcome from the owner of their
//! presentity.

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Arrived;
use crate::shard::contract::ids::SuspendedId;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::EventPlaces;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::sender::Sender;
use crate::shard::uas::Uas;
use crate::sip::Message;
use crate::sip::transaction::TIMER_F;
use crate::sip::transaction::server::TransactionKey;

/// A request that waits for its outcome.
#[derive(Debug)]
pub(crate) struct SuspendedRequest {
    pub(crate) octets: Box<[u8]>,
    arrived: Arrived,
    pub(crate) transaction: Option<TransactionKey>,
    phone_key: Option<u64>,
    pub(crate) package: Package,
    /// Only of a SUBSCRIBE that asks for an appearance.
    pub(crate) seizing: Option<Box<Seizing>>,
    /// Its place in the table, and how many were suspended before it. A place is used again, a
    /// number is not: the outcome of a request that timed out must not continue another one.
    number: u64,
    timer: TimerHandle,
}

/// What was read of a SUBSCRIBE that asks for an appearance. It is not read again.
#[derive(Debug)]
pub(crate) struct Seizing {
    /// The line.
    pub(crate) aor: Aor,
    pub(crate) sender: Sender<'static>,
    /// The salt of the nonce that its credentials carry.
    pub(crate) salt: Option<u32>,
    pub(crate) event: EventPlaces,
}

/// Requests suspended at once. Beyond it: 503.
const SUSPENDED_MAX: usize = 65_536;
/// Places of the table.
const PLACES: u64 = SUSPENDED_MAX as u64;

impl SuspendedRequest {
    /// Calls `serve` with the request. Its message is parsed again, as the parts of a parsed message
    /// borrow its octets.
    pub(crate) fn with_request(&self, serve: impl FnOnce(&Request<'_>)) {
        let message = Message::parse(&self.octets, self.arrived.flow.transport.framing());
        debug_assert!(message.is_ok(), "only a parsed request is suspended");
        if let Ok(message) = message {
            serve(&Request {
                phone_key: self.phone_key,
                ..Request::new(&message, self.arrived, self.transaction)
            });
        }
    }
}

impl Uas {
    /// Removes a suspended request to continue it. None if it timed out: the outcome may arrive
    /// later than Timer F, so this is no error.
    pub(crate) fn resume(&mut self, number: u64, turn: &mut Turn<'_>) -> Option<SuspendedRequest> {
        let suspended = self.take_suspended(number)?;
        turn.wheel.cancel(suspended.timer);
        Some(suspended)
    }

    fn take_suspended(&mut self, number: u64) -> Option<SuspendedRequest> {
        let place = SuspendedId((number % PLACES) as u32);
        let is_it = self.suspended.get(place)?.number == number;
        is_it.then(|| self.suspended.remove(place))?
    }

    /// A suspended request timed out.
    pub(crate) fn handle_suspended_timer(&mut self, number: u64) {
        let _ = self
            .take_suspended(number)
            .expected("its timer goes with a suspended request");
    }

    /// Suspends a request until the owner reports its outcome, at most for Timer F. Returns its
    /// number for the mail to the owner.
    pub(crate) fn suspend<'d>(
        &mut self,
        request: &Request<'_>,
        package: Package,
        seizing: Option<Box<Seizing>>,
        turn: &mut Turn<'d>,
    ) -> Result<u64, Refusal<'d>> {
        if self.suspended.len() >= SUSPENDED_MAX {
            return Err(Refusal::OverLimit);
        }
        let number = self.suspensions * PLACES + u64::from(self.suspended.vacant_key().0);
        self.suspensions += 1;
        let timer = turn
            .wheel
            .arm(turn.now + TIMER_F, Timer::SuspendedRequest(number));
        let octets = request.message.bytes().into();
        self.suspended.insert(SuspendedRequest {
            octets,
            arrived: request.arrived(),
            transaction: request.transaction,
            phone_key: request.phone_key,
            package,
            seizing,
            number,
            timer,
        });
        Ok(number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
