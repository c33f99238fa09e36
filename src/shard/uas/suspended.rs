//! Requests that wait for the word of a presentity's owner.

use crate::presence::event::Package;
use crate::shard::container::timer_wheel::TimerHandle;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;
use crate::sip::transaction::TIMER_F;
use crate::sip::transaction::server::TransactionKey;

/// A request whose outcome another shard decides.
#[derive(Debug)]
pub(crate) struct SuspendedRequest {
    pub(crate) octets: Box<[u8]>,
    pub(crate) flow: Flow,
    pub(crate) transaction: Option<TransactionKey>,
    /// The URI of its sender where From does not name it.
    pub(crate) sender: Option<Box<[u8]>>,
    pub(crate) package: Package,
    timer: TimerHandle,
}

/// Requests that may wait for other shards at once; one more is 503.
const SUSPENDED_MAX: usize = 65_536;

impl Uas {
    /// The request waits no longer; None when it gave up.
    pub(crate) fn resume(&mut self, place: u32, turn: &mut Turn<'_>) -> Option<SuspendedRequest> {
        let suspended = self.suspended.try_remove(place as usize)?;
        turn.wheel.cancel(suspended.timer);
        Some(suspended)
    }

    /// Keeps a request until its owner has spoken.
    pub(crate) fn suspend<'d>(
        &mut self,
        request: &Request<'_>,
        sender: Option<&[u8]>,
        package: Package,
        turn: &mut Turn<'d>,
    ) -> Result<u32, Refusal<'d>> {
        if self.suspended.len() >= SUSPENDED_MAX {
            return Err(Refusal::OverLimit);
        }
        let place = self.suspended.vacant_key() as u32;
        let timer = turn
            .wheel
            .arm(turn.now + TIMER_F, Timer::SuspendedRequest(place));
        let octets = request.message.bytes().into();
        let (flow, transaction) = (request.flow, request.transaction);
        self.suspended.insert(SuspendedRequest {
            octets,
            flow,
            transaction,
            sender: sender.map(Box::from),
            package,
            timer,
        });
        Ok(place)
    }
}
