//! Credentials that fail again and again (W:E3.9, A7.10): so many 401s to one errand of a phone,
//! then 403 until some time has passed.
//!
//! It is asked after the credentials were judged: right ones always pass, so that nobody who forges
//! an address can lock its phone out. Nonces that are too old and passwords that are wrong have
//! buckets of their own for the same reason: only who knows the password can empty the first.

use std::hash::Hash;
use std::time::Instant;

use crate::shard::Shard;
use crate::shard::directory::Domain;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::sip::HeaderName;
use crate::sip::Status;

impl Shard {
    /// The answer to credentials that are right but too old (`stale`), or wrong.
    pub(crate) fn refuse_credentials<'d>(
        &mut self,
        request: &Request<'_>,
        domain: &'d Domain,
        stale: bool,
        now: Instant,
    ) -> Refusal<'d> {
        let shield = &mut self.shield;
        let errand = shield.errand(("credentials", stale, shield.generation), request);
        let key = shield.key(errand, |hasher| {
            let message = request.message;
            message.header(HeaderName::Event).hash(hasher);
            // A phone refreshes all its dialogs with one nonce: each may be told once that it is
            // too old.
            let is_in_dialog = message.to().is_some_and(|to| to.tag().is_some());
            is_in_dialog.then(|| message.call_id()).hash(hasher);
        });
        let paces = shield.paces;
        let pace = if stale { paces.stale } else { paces.wrong };
        let at = shield.nanos(now);
        if shield.buckets.take(key, pace, at) {
            return Refusal::Challenge { domain, stale };
        }
        self.counters.attempts_forbidden += 1;
        Refusal::Because(Status::FORBIDDEN, "Too Many Attempts")
    }
}
