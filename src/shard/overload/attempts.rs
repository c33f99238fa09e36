//! Authentication attempts of requests, counted against the lockout limits of `auth_lockout`.

use crate::directory::DomainRealm;
use crate::shard::contract::lockout::{Lifted, LockoutReport};
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::overload::auth_lockout::Attempt;
use crate::shard::overload::stale_nonces::TOO_MANY_ATTEMPTS;
use crate::shard::request::Request;
use crate::shard::request::refusal::Refusal;

impl OverloadControl {
    /// The attempt of a request to authenticate as the user that its credentials name; None if it
    /// has no credentials or its source is exempt.
    ///
    /// Errors: 403 if the sender or the account is locked out; the credentials are not checked.
    pub(crate) fn attempt<'d>(
        &mut self,
        request: &Request<'_>,
        (realm, user): (&DomainRealm<'_>, Option<String>),
        turn: &mut Turn<'d>,
    ) -> Result<Option<Attempt>, Refusal<'d>> {
        let domain = realm.domain;
        // An account has one name here, however the username writes it.
        let user = user.map(|user| realm.user_of(user));
        let Some(user) = user.filter(|_| !self.is_exempt_address(request)) else {
            return Ok(None);
        };
        let peer = request.flow.peer.ip();
        let attempt = self.lockouts.attempt(peer, &domain.name, &user);
        let at = self.nanos(turn.now);
        if self.lockouts.is_locked_out(&attempt, at) {
            turn.counters.attempts_forbidden += 1;
            return Err(TOO_MANY_ATTEMPTS);
        }
        Ok(Some(attempt))
    }

    /// Records that an attempt succeeded.
    pub(crate) fn note_proof(&mut self, attempt: Option<Attempt>, turn: &Turn<'_>) {
        let at = self.nanos(turn.now);
        if let Some(attempt) = attempt {
            self.lockouts.succeeded(&attempt, at);
        }
    }

    /// Records that an attempt of a request to authenticate as that user had wrong credentials.
    pub(crate) fn note_wrong(
        &mut self,
        attempt: Option<Attempt>,
        request: &Request<'_>,
        (realm, user): (&DomainRealm<'_>, Option<String>),
        turn: &mut Turn<'_>,
    ) {
        turn.counters.attempts_wrong += 1;
        let at = self.nanos(turn.now);
        if let Some((attempt, user)) = attempt.zip(user) {
            let user = realm.user_of(user);
            let names = (request.flow.peer.ip(), &*realm.domain.name, &*user);
            let begins = self.lockouts.failed(&attempt, names, at);
            turn.counters.lockouts += u64::from(begins);
        }
    }

    /// The lockouts in force.
    pub(crate) fn lockouts(&self, turn: &Turn<'_>) -> Vec<LockoutReport> {
        let listed = self.lockouts.list(self.nanos(turn.now));
        let report = |(scope, remaining)| LockoutReport {
            shard: Some(turn.options.id),
            scope,
            remaining,
        };
        listed.into_iter().map(report).collect()
    }

    /// Lifts lockouts. How many were in force.
    pub(crate) fn lift_lockouts(&mut self, lifted: &Lifted, turn: &Turn<'_>) -> usize {
        self.lockouts.lift(lifted, self.nanos(turn.now))
    }
}
