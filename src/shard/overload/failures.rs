//! Authentication failures for the log, one line each, in a form that fail2ban can match. The lines
//! are rate limited, so that password guessing does not fill the disk.

use std::time::Duration;

use crate::shard::contract::report::AuthenticationFailure;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::overload::bucket::RateLimit;
use crate::shard::overload::stale_nonces::TOO_MANY_ATTEMPTS;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::sip::digest;

/// Lines at once.
const BURST: u32 = 10;

/// Time per line after the burst.
const INTERVAL: Duration = Duration::from_millis(200);

impl OverloadControl {
    /// Reports a refusal to the log if it is an authentication failure. Do not call it for an
    /// ordinary challenge.
    pub(crate) fn report_failure(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(reason) = failure(refusal) else {
            return;
        };
        let at = self.nanos(turn.now);
        if !RateLimit::new(INTERVAL, BURST).take(&mut self.failures_full_at, at) {
            turn.counters.failures_unlogged += 1;
            return;
        }
        let from = || request.message.from().map_or(&b""[..], |from| from.uri);
        let user = digest::named_user(request.message);
        turn.out.failures.push(AuthenticationFailure {
            address: request.flow.peer.ip().to_canonical(),
            transport: request.flow.transport,
            user: user.unwrap_or_else(|| super::refusals::text(from())),
            reason,
        });
    }
}

/// The reason for the log if a refusal is an authentication failure; else None.
fn failure(refusal: &Refusal<'_>) -> Option<&'static str> {
    match refusal {
        Refusal::Challenge { .. } => Some("wrong credentials"),
        Refusal::Because(..) if refusal.reason() == TOO_MANY_ATTEMPTS.reason() => {
            Some("too many attempts")
        }
        Refusal::ForeignFrom => Some("From of another user"),
        _ => None,
    }
}
