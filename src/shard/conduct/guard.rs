//! Overload control of requests outside dialogs, before they are served.

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::conduct::Engine;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::rate_limit::{network_of, offers_proof};
use crate::shard::request::Request;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::sip::Method;
use std::hash::Hash;

impl Engine {
    /// Sheds load while NOTIFYs are queued: first new subscriptions, because each needs a NOTIFY at
    /// once and more later, then OPTIONS. PUBLISHes are never shed here but deferred (`postponed`).
    pub(super) fn check_backlog(
        &self,
        method: Method<'_>,
        turn: &Turn<'_>,
    ) -> Result<(), OverloadLimit> {
        let backlog_max = turn.options.overload.backlog_max;
        let is_behind = match method {
            Method::Subscribe => {
                self.is_congested || self.subscriptions.table().queued() >= backlog_max
            }
            Method::Options => self.subscriptions.table().queued() >= backlog_max.saturating_mul(2),
            _ => false,
        };
        if is_behind {
            Err(OverloadLimit::Backlog)
        } else {
            Ok(())
        }
    }
}

impl Engine {
    /// Serves a request outside a dialog unless overload control sheds it.
    pub(crate) fn serve_guarded(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let passed = self.check_rates(request, method, uri, turn);
        if let Err(limit) = passed.and_then(|()| self.check_backlog(method, turn)) {
            return self.uas.refuse(request, &Refusal::Shed(limit), turn);
        }
        if let Some(refusal) = self.uas.overload_mut().kept_refusal(request, uri, turn) {
            turn.counters.refusals_repeated += 1;
            self.uas.forget(request);
            let request = Request {
                transaction: None,
                ..*request
            };
            return self.uas.refuse(&request, &refusal, turn);
        }
        match self.serve(request, method, uri, turn) {
            Ok(()) => self
                .uas
                .overload_mut()
                .note_acceptance(request, method, turn),
            Err(refusal) => {
                self.uas
                    .overload_mut()
                    .keep_refusal(request, uri, &refusal, turn);
                self.uas.refuse(request, &refusal, turn);
            }
        }
    }

    /// Takes a token from the phone's bucket, then from the bucket of its source address: a phone
    /// that exceeds its own limit takes no token from its neighbours. A request with credentials
    /// takes the phone's token only after authentication, so that a forged From cannot use up the
    /// tokens of that user.
    fn check_rates(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        turn: &Turn<'_>,
    ) -> Result<(), OverloadLimit> {
        let is_known = self.subscriptions.is_known_phone(request);
        let overload = self.uas.overload_mut();
        let source = network_of(request.flow.peer.ip());
        let source = overload.key(OverloadLimit::Source, |hasher| source.hash(hasher));
        let phone = (!offers_proof(request, method)).then(|| overload.phone_key(request, None));
        let held = [
            phone.map(|phone| (OverloadLimit::Phone, phone)),
            Some((OverloadLimit::Source, source)),
        ];
        for (limit, key) in held.into_iter().flatten() {
            if !overload.take_token(limit, key, is_known, turn.now)
                && !overload.is_exempt(limit, request, method, uri, turn.directory)
            {
                return Err(limit);
            }
        }
        Ok(())
    }

    /// Takes a token from the buckets of presentity and domain. `user` is the authenticated user;
    /// None for a believed peer.
    pub(crate) fn check_shares<'d>(
        &mut self,
        request: &Request<'_>,
        aor: &Aor,
        domain: &Domain,
        user: Option<&str>,
        turn: &Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let is_known = user.is_some() || self.subscriptions.is_known_phone(request);
        let overload = self.uas.overload_mut();
        let phone = offers_proof(request, request.message.method());
        let phone = phone.then(|| overload.phone_key(request, user));
        // A request about the domain itself has no presentity.
        let presentity = (!aor.user().is_empty()).then(|| {
            overload.key(OverloadLimit::Presentity, |hasher| {
                aor.as_str().hash(hasher)
            })
        });
        let of_domain = overload.key(OverloadLimit::Domain, |hasher| domain.name.hash(hasher));
        let held = [
            phone.map(|phone| (OverloadLimit::Phone, phone)),
            presentity.map(|presentity| (OverloadLimit::Presentity, presentity)),
            Some((OverloadLimit::Domain, of_domain)),
        ];
        for (limit, key) in held.into_iter().flatten() {
            if !overload.take_token(limit, key, is_known, turn.now)
                && !overload.may_exceed_share(limit, request, domain, user, turn)
            {
                return Err(Refusal::Shed(limit));
            }
        }
        Ok(())
    }
}
