//! Rate limits of requests by phone, presentity, domain and source address: their keys and
//! exemptions. A request that is exempt from a limit takes no token, unless it takes a look-up to
//! find out: then it takes one as long as there are any.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::Instant;

use crate::directory::{AuthMode, Directory, Domain};
use crate::presence::Aor;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;
use crate::shard::request::Request;
use crate::shard::request::headers::address_of_record;
use crate::shard::request::refusal::OverloadLimit;
use crate::sip::{HeaderName, Method, Uri};

/// The sender of a request that passed authentication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmittedSender<'a> {
    pub(crate) request: &'a Request<'a>,
    /// The authenticated user; None for a request accepted without authentication.
    pub(crate) user: Option<&'a str>,
}

impl OverloadControl {
    /// Takes a token from the phone's bucket, then from the bucket of its source address: a phone
    /// that exceeds its own limit takes no token from its neighbours. A request with credentials
    /// takes the phone's token only after authentication, so that a forged From cannot use up the
    /// tokens of that user.
    pub(crate) fn check_rates(
        &mut self,
        request: &Request<'_>,
        uri: &[u8],
        turn: &Turn<'_>,
    ) -> Result<(), OverloadLimit> {
        if self.is_exempt_address(request) {
            return Ok(());
        }
        let is_known = request.is_known;
        let source = network_of(request.flow.peer.ip());
        let source = self.key(OverloadLimit::Source, |hasher| source.hash(hasher));
        let phone = (!offers_proof(request)).then(|| self.phone_key(request, None));
        let held = [
            phone.map(|phone| (OverloadLimit::Phone, phone)),
            Some((OverloadLimit::Source, source)),
        ];
        for (limit, key) in held.into_iter().flatten() {
            if !self.take_token(limit, key, is_known, turn.now)
                && !self.is_exempt(limit, request, uri, turn)
            {
                return Err(limit);
            }
        }
        Ok(())
    }

    /// Takes a token from the buckets of presentity and domain. `user` is the authenticated user;
    /// None for a request accepted without authentication.
    pub(crate) fn check_shares(
        &mut self,
        sender: &AdmittedSender<'_>,
        aor: &Aor,
        domain: &Domain,
        turn: &Turn<'_>,
    ) -> Result<(), OverloadLimit> {
        let AdmittedSender { request, user } = *sender;
        if self.is_exempt_address(request) {
            return Ok(());
        }
        let is_known = user.is_some() || request.is_known;
        let phone = offers_proof(request).then(|| self.phone_key(request, user));
        let is_shared = !may_exceed_shares(request, domain, turn);
        // A request about the domain itself has no presentity.
        let presentity = (is_shared && !aor.user().is_empty()).then(|| {
            self.key(OverloadLimit::Presentity, |hasher| {
                aor.as_str().hash(hasher)
            })
        });
        let of_domain =
            is_shared.then(|| self.key(OverloadLimit::Domain, |hasher| domain.name.hash(hasher)));
        let held = [
            phone.map(|phone| (OverloadLimit::Phone, phone)),
            presentity.map(|presentity| (OverloadLimit::Presentity, presentity)),
            of_domain.map(|of_domain| (OverloadLimit::Domain, of_domain)),
        ];
        for (limit, key) in held.into_iter().flatten() {
            if !self.take_token(limit, key, is_known, turn.now)
                && !is_of_feeder(limit, sender, domain, turn)
            {
                return Err(limit);
            }
        }
        Ok(())
    }
}

impl OverloadControl {
    /// Takes a token from one bucket of that limit. `is_known` allows more to those that have proved
    /// who they are; a phone's own bucket is the same for all. False if the bucket is empty.
    fn take_token(&mut self, limit: OverloadLimit, key: u64, is_known: bool, now: Instant) -> bool {
        let rates = &self.rates;
        let rate = match limit {
            OverloadLimit::Phone => rates.phone,
            OverloadLimit::Source => rates.source.for_known(is_known),
            OverloadLimit::Presentity => rates.presentity.for_known(is_known),
            OverloadLimit::Domain => rates.domain.for_known(is_known),
            OverloadLimit::Path
            | OverloadLimit::Allowance
            | OverloadLimit::Backlog
            | OverloadLimit::Store => {
                debug_assert!(false, "this limit has no token buckets");
                return true;
            }
        };
        let at = self.nanos(now);
        self.buckets.take(key, rate, at)
    }

    /// The key of a phone's own bucket: its IP address, and the authenticated user or else the URI
    /// in From.
    fn phone_key(&self, request: &Request<'_>, user: Option<&str>) -> u64 {
        let ip = request.flow.peer.ip();
        let from = request.message.from().map(|from| from.uri);
        self.key(OverloadLimit::Phone, |hasher| match user {
            Some(user) => (ip, user).hash(hasher),
            None => (ip, from).hash(hasher),
        })
    }

    /// Whether the operator exempts the source address from all rate limits.
    pub(super) fn is_exempt_address(&self, request: &Request<'_>) -> bool {
        self.options.exempts(request.flow.peer.ip())
    }

    /// Whether a request passes although the bucket of its phone or source address is empty. Call
    /// it only then, because it looks up the domain.
    fn is_exempt(
        &mut self,
        limit: OverloadLimit,
        request: &Request<'_>,
        uri: &[u8],
        turn: &Turn<'_>,
    ) -> bool {
        let directory = turn.directory;
        let Ok(uri) = Uri::parse(uri) else {
            return false;
        };
        self.host.clear();
        uri.write_host(&mut self.host);
        let Some(domain) = directory.domain(&self.host) else {
            return false;
        };
        let peer = turn.peer(domain, &request.flow);
        let is_accepted_unauthenticated = domain.accepts_unauthenticated(peer);
        match limit {
            OverloadLimit::Phone => {
                feeds(request)
                    && (is_accepted_unauthenticated || claims_to_feed(request, directory))
            }
            OverloadLimit::Source => is_accepted_unauthenticated,
            OverloadLimit::Presentity
            | OverloadLimit::Domain
            | OverloadLimit::Path
            | OverloadLimit::Allowance
            | OverloadLimit::Backlog
            | OverloadLimit::Store => false,
        }
    }
}

/// Whether a request is of a method by which a PBX reports calls and registrations.
fn feeds(request: &Request<'_>) -> bool {
    matches!(request.message.method(), Method::Publish | Method::Register)
}

/// Whether the limits of presentity and domain do not apply to a request that was authenticated, or
/// accepted without: its domain is open, or a trusted PBX reports.
fn may_exceed_shares(request: &Request<'_>, domain: &Domain, turn: &Turn<'_>) -> bool {
    let is_trusted = || domain.accepts_unauthenticated(turn.peer(domain, &request.flow));
    domain.auth == AuthMode::None || feeds(request) && is_trusted()
}

/// Whether a request passes although the bucket of its phone or presentity is empty, because a feeder
/// sent it.
fn is_of_feeder(
    limit: OverloadLimit,
    sender: &AdmittedSender<'_>,
    domain: &Domain,
    turn: &Turn<'_>,
) -> bool {
    let AdmittedSender { request, user } = *sender;
    let is_for_feeders = matches!(limit, OverloadLimit::Phone | OverloadLimit::Presentity);
    let is_feeder = || {
        let user = user.map(|user| Aor::new(user, &domain.name));
        domain.accepts_unauthenticated(turn.peer(domain, &request.flow))
            || turn.directory.is_feeder(user.as_ref(), &domain.name)
    };
    is_for_feeders && feeds(request) && is_feeder()
}

/// Whether a request carries credentials and its method requires authentication.
fn offers_proof(request: &Request<'_>) -> bool {
    matches!(
        request.message.method(),
        Method::Subscribe | Method::Publish | Method::Register
    ) && request.message.header(HeaderName::Authorization).is_some()
}

/// The network that counts as one source: an IPv4 address, or an IPv6 /64, all of which one host
/// may own.
pub(super) fn network_of(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => u128::from(ip) >> 64 << 64,
    }
}

/// Whether From names a feeder account of its domain. This is unproven; the limit of the source
/// address still applies.
fn claims_to_feed(request: &Request<'_>, directory: &Directory) -> bool {
    let from = request.message.from().map(|from| from.uri);
    let aor = from.and_then(|from| address_of_record(from, directory));
    aor.is_some_and(|aor| directory.is_feeder(Some(&aor), aor.domain()))
}
