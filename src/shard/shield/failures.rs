//! Failed authentication, for the log: one line each, which a tool like fail2ban can read.
//!
//! A bucket of the shard limits the lines, so that guessing passwords does not fill the disk.

use std::net::IpAddr;
use std::time::Duration;
use std::time::Instant;

use crate::shard::Shard;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::shield::bucket::Pace;
use crate::sip::Status;
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

impl Shard {
    /// Reports a refusal that is failed authentication to the log.
    pub(super) fn report_failure(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(reason) = failure(request, refusal) else {
            return;
        };
        let at = self.shield.nanos(now);
        if !Pace::new(INTERVAL, BURST).take(&mut self.shield.failures_full_at, at) {
            self.counters.failures_unlogged += 1;
            return;
        }
        let from = || request.message.from().map_or(&b""[..], |from| from.uri);
        let user = digest::claimed_user(request.message, None);
        out.failures.push(AuthenticationFailure {
            address: request.flow.peer.ip().to_canonical(),
            transport: request.flow.transport,
            user: user.unwrap_or_else(|| super::refused::text(from())),
            reason,
        });
    }
}

/// What is wrong, when the refusal is failed authentication. The challenge to a request without
/// credentials, or to right ones whose nonce is too old, is none.
fn failure(request: &Request<'_>, refusal: &Refusal<'_>) -> Option<&'static str> {
    match refusal {
        Refusal::Challenge { .. } if is_ordinary_challenge(request, refusal) => None,
        Refusal::Challenge { .. } => Some("wrong credentials"),
        Refusal::Because(Status::FORBIDDEN, "Too Many Attempts") => Some("too many attempts"),
        Refusal::ForeignFrom => Some("From of another user"),
        _ => None,
    }
}

/// Whether a refusal is a 401 that well-behaved phones get every day.
pub(super) fn is_ordinary_challenge(request: &Request<'_>, refusal: &Refusal<'_>) -> bool {
    match refusal {
        Refusal::Challenge { stale: true, .. } => true,
        Refusal::Challenge { domain, .. } => {
            digest::claimed_user(request.message, Some(&domain.name)).is_none()
        }
        _ => false,
    }
}
