//! Phones that repeat a request with a stale nonce (W:E3.9): after `stale_max` 401 responses with
//! stale=true the request gets 403 for the cool-down time. Only correct credentials are
//! handled here; `auth_lockout` handles wrong ones.

use crate::directory::Domain;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::sip::{HeaderName, Status};
use std::hash::Hash;

/// 403 to credentials that are no longer checked.
pub(crate) const TOO_MANY_ATTEMPTS: Refusal<'static> =
    Refusal::Because(Status::FORBIDDEN, "Too Many Attempts");

impl OverloadControl {
    /// The refusal of correct credentials with a stale nonce.
    pub(crate) fn refuse_stale<'d>(
        &mut self,
        request: &Request<'_>,
        domain: &'d Domain,
        turn: &mut Turn<'d>,
    ) -> Refusal<'d> {
        let overload = self;
        let fingerprint = overload.fingerprint(("stale", overload.generation), request);
        let key = overload.key(fingerprint, |hasher| {
            let message = request.message;
            message.header(HeaderName::Event).hash(hasher);
            // A phone refreshes all its dialogs with one nonce; each of them may get its own 401.
            let is_in_dialog = message.to().is_some_and(|to| to.tag().is_some());
            is_in_dialog.then(|| message.call_id()).hash(hasher);
        });
        let (at, rate) = (overload.nanos(turn.now), overload.rates.stale);
        if overload.buckets.take(key, rate, at) {
            return Refusal::Challenge {
                domain,
                stale: true,
            };
        }
        turn.counters.attempts_forbidden += 1;
        TOO_MANY_ATTEMPTS
    }
}
