//! Bookkeeping of refusals: counted, listed for the operator, and logged if authentication failed.

use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::shard::uas::Uas;

impl Uas {
    /// Whether a refusal is a 401 that well-behaved phones get daily: the request has no
    /// credentials, or correct ones with a stale nonce.
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

impl Uas {
    /// Counts a refusal, lists it, and logs it if authentication failed.
    pub(crate) fn note_refusal(
        &mut self,
        request: &Request<'_>,
        refusal: &Refusal<'_>,
        turn: &mut Turn<'_>,
    ) {
        let method = request.message.method();
        self.refusal_counters.count(method, refusal.status());
        if matches!(refusal, Refusal::Shed(_)) || self.is_ordinary_challenge(request, refusal) {
            return;
        }
        self.overload.report_failure(request, refusal, turn);
        self.overload.list_refusal(request, refusal, turn);
    }
}
