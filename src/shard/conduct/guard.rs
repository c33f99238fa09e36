//! Requests outside dialogs pass the limits before they are served.

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::conduct::Engine;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::rate_limit::network_of;
use crate::shard::overload::rate_limit::offers_proof;
use crate::shard::request::Request;
use crate::shard::request::refusal::Kind;
use crate::shard::request::refusal::Refusal;
use crate::sip::Method;
use std::hash::Hash;

impl Engine {
    /// New subscriptions are refused first, because each costs a NOTIFY at once and more later;
    /// then OPTIONS; what sources say waits (see `postponed`) and is refused never.
    pub(super) fn check_backlog(&self, method: Method<'_>, turn: &Turn<'_>) -> Result<(), Kind> {
        let backlog_max = turn.options.shield.backlog_max;
        let is_behind = match method {
            Method::Subscribe => {
                self.is_congested || self.subscriptions.table.queue.len() >= backlog_max
            }
            Method::Options => {
                self.subscriptions.table.queue.len() >= backlog_max.saturating_mul(2)
            }
            _ => false,
        };
        if is_behind {
            Err(Kind::Backlog)
        } else {
            Ok(())
        }
    }
}

impl Engine {
    /// Serves a request that belongs to no dialog, unless the shield holds it back.
    pub(crate) fn serve_guarded(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        turn: &mut Turn<'_>,
    ) {
        let passed = self.check_pace(request, method, uri, turn);
        if let Err(kind) = passed.and_then(|()| self.check_backlog(method, turn)) {
            return self.uas.refuse(request, &Refusal::Shed(kind), turn);
        }
        if let Some(refusal) = self.uas.shield.kept_refusal(request, uri, turn) {
            turn.counters.refusals_repeated += 1;
            self.uas.forget(request);
            let request = Request {
                transaction: None,
                ..*request
            };
            return self.uas.refuse(&request, &refusal, turn);
        }
        match self.serve(request, method, uri, turn) {
            Ok(()) => self.uas.shield.note_acceptance(request, method, turn),
            Err(refusal) => {
                self.uas.shield.keep_refusal(request, uri, &refusal, turn);
                self.uas.refuse(request, &refusal, turn);
            }
        }
    }

    /// Takes a token of the phone's own bucket, then of its address's: a phone that is stopped at the
    /// first takes none from its neighbours. A request with credentials takes the phone's token once
    /// they are proved, so that a forged From cannot use up that of its user.
    fn check_pace(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        turn: &Turn<'_>,
    ) -> Result<(), Kind> {
        let is_known = self.subscriptions.is_known_phone(request);
        let shield = &mut self.uas.shield;
        let source = network_of(request.flow.peer.ip());
        let source = shield.key(Kind::Source, |hasher| source.hash(hasher));
        let phone = (!offers_proof(request, method)).then(|| shield.phone_key(request, None));
        let paces = shield.paces;
        let held = [
            phone.map(|phone| (Kind::Phone, phone, paces.phone)),
            Some((Kind::Source, source, paces.source.for_known(is_known))),
        ];
        let at = shield.nanos(turn.now);
        for (kind, key, pace) in held.into_iter().flatten() {
            if !shield.buckets.take(key, pace, at)
                && !shield.is_exempt(kind, request, method, uri, turn.directory)
            {
                return Err(kind);
            }
        }
        Ok(())
    }

    /// Takes a token of the presentity's and of the domain's bucket, for a request of `user`, who
    /// proved it, or of a peer that the domain believes (None).
    pub(crate) fn check_shares<'d>(
        &mut self,
        request: &Request<'_>,
        aor: &Aor,
        domain: &Domain,
        user: Option<&str>,
        turn: &Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let is_known = user.is_some() || self.subscriptions.is_known_phone(request);
        let shield = &mut self.uas.shield;
        let (at, paces) = (shield.nanos(turn.now), shield.paces);
        let phone = offers_proof(request, request.message.method());
        let phone = phone.then(|| shield.phone_key(request, user));
        // A request about the domain itself is about no user.
        let presentity = (!aor.user().is_empty())
            .then(|| shield.key(Kind::Presentity, |hasher| aor.as_str().hash(hasher)));
        let of_domain = shield.key(Kind::Domain, |hasher| domain.name.hash(hasher));
        let held = [
            phone.map(|phone| (Kind::Phone, phone, paces.phone)),
            presentity.map(|presentity| (Kind::Presentity, presentity, paces.presentity)),
            Some((Kind::Domain, of_domain, paces.domain)),
        ];
        for (kind, key, pace) in held.into_iter().flatten() {
            let pace = pace.for_known(is_known || kind == Kind::Phone);
            if !self.uas.shield.buckets.take(key, pace, at)
                && !self
                    .uas
                    .shield
                    .may_exceed_share(kind, request, domain, user, turn)
            {
                return Err(Refusal::Shed(kind));
            }
        }
        Ok(())
    }
}
