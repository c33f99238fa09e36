//! Nonces that are too old again and again (W:E3.9): so many 401s with stale=true to one errand of a
//! phone, then 403 until some time has passed. Only who knows the password comes this far; what
//! becomes of wrong ones is `auth_lockout`'s.

use crate::directory::Domain;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;
use crate::sip::HeaderName;
use crate::sip::Status;
use std::hash::Hash;

/// The answer where credentials are not looked at any more.
pub(crate) const TOO_MANY_ATTEMPTS: Refusal<'static> =
    Refusal::Because(Status::FORBIDDEN, "Too Many Attempts");

impl OverloadControl {
    /// The answer to credentials that are right but too old.
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
            // A phone refreshes all its dialogs with one nonce: each may be told once that it is
            // too old.
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
