//! Failed authentication, for the log: one line each, which a tool like fail2ban can read.
//!
//! A bucket of the shard limits the lines, so that guessing passwords does not fill the disk.

use std::net::IpAddr;
use std::time::Duration;

use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::shield::Shield;
use crate::shard::shield::TOO_MANY_ATTEMPTS;
use crate::shard::shield::bucket::Pace;
use crate::shard::turn::Turn;
use crate::shard::uas::Uas;
use crate::sip::Transport;
use crate::sip::digest;

/// Lines at once.
const BURST: u32 = 10;
/// Then one in so long.
const INTERVAL: Duration = Duration::from_millis(200);

/// A request whose sender did not prove to be who it claims to be.
#[derive(Clone, Debug)]
pub struct AuthenticationFailure {
    /// The address it came from; IPv4 as IPv4.
    pub address: IpAddr,
    /// How it came.
    pub transport: Transport,
    /// The user of its credentials; its From without any.
    pub user: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl Shield {
    /// Reports a refusal to the log when it is failed authentication. It is no ordinary challenge.
    pub(super) fn report_failure(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Some(reason) = failure(refusal) else {
            return;
        };
        let at = self.nanos(turn.now);
        if !Pace::new(INTERVAL, BURST).take(&mut self.failures_full_at, at) {
            turn.counters.failures_unlogged += 1;
            return;
        }
        let from = || request.message.from().map_or(&b""[..], |from| from.uri);
        let user = digest::named_user(request.message);
        turn.out.failures.push(AuthenticationFailure {
            address: request.flow.peer.ip().to_canonical(),
            transport: request.flow.transport,
            user: user.unwrap_or_else(|| super::refused::text(from())),
            reason,
        });
    }
}

impl Uas {
    /// Whether a refusal is a 401 that well-behaved phones get every day: their request has no
    /// credentials, or right ones whose nonce is too old.
    pub(super) fn is_ordinary_challenge(
        &self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
    ) -> bool {
        match refusal {
            Refusal::Challenge { stale: true, .. } => true,
            Refusal::Challenge { domain, .. } => !self
                .authenticator
                .has_credentials(request.message, &domain.name),
            _ => false,
        }
    }
}

/// What is wrong, when a refusal that is no ordinary challenge is failed authentication.
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
