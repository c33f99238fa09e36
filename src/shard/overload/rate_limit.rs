//! Rate limits of requests by phone, presentity, domain and source address: their keys and
//! exemptions.

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

impl OverloadControl {
    /// Whether an authenticated or believed request passes although a bucket is empty.
    pub(crate) fn may_exceed_share(
        &self,
        limit: OverloadLimit,
        request: &Request<'_>,
        domain: &Domain,
        user: Option<&str>,
        turn: &Turn<'_>,
    ) -> bool {
        let feeds = matches!(request.message.method(), Method::Publish | Method::Register);
        let is_believed = domain.accepts_unauthenticated(request.flow.peer.ip());
        let is_feeder = || {
            let user = user.map(|user| Aor::new(user, &domain.name));
            is_believed || turn.directory.is_feeder(user.as_ref(), &domain.name)
        };
        let is_open = domain.auth == AuthMode::None;
        let may = match limit {
            OverloadLimit::Phone => feeds && is_feeder(),
            OverloadLimit::Presentity => is_open || feeds && is_feeder(),
            OverloadLimit::Domain => is_open || feeds && is_believed,
            OverloadLimit::Source | OverloadLimit::Path | OverloadLimit::Backlog => false,
        };
        may || self.is_exempt_address(request)
    }
}

impl OverloadControl {
    /// Takes a token from one bucket of that limit. `is_known` allows more to those that have proved
    /// who they are; a phone's own bucket is the same for all. False if the bucket is empty.
    pub(crate) fn take_token(
        &mut self,
        limit: OverloadLimit,
        key: u64,
        is_known: bool,
        now: Instant,
    ) -> bool {
        let rates = &self.rates;
        let rate = match limit {
            OverloadLimit::Phone => rates.phone,
            OverloadLimit::Source => rates.source.for_known(is_known),
            OverloadLimit::Presentity => rates.presentity.for_known(is_known),
            OverloadLimit::Domain => rates.domain.for_known(is_known),
            OverloadLimit::Path | OverloadLimit::Backlog => {
                debug_assert!(false, "this limit has no token buckets");
                return true;
            }
        };
        let at = self.nanos(now);
        self.buckets.take(key, rate, at)
    }

    /// The key of a phone's own bucket: its IP address, and the authenticated user or else the URI
    /// in From.
    pub(crate) fn phone_key(&self, request: &Request<'_>, user: Option<&str>) -> u64 {
        let ip = request.flow.peer.ip();
        let from = request.message.from().map(|from| from.uri);
        self.key(OverloadLimit::Phone, |hasher| match user {
            Some(user) => (ip, user).hash(hasher),
            None => (ip, from).hash(hasher),
        })
    }

    /// Whether the operator exempts the source address from all rate limits.
    pub(crate) fn is_exempt_address(&self, request: &Request<'_>) -> bool {
        self.options.exempts(request.flow.peer.ip())
    }

    /// Whether a request passes although the bucket of its phone or source address is empty. Call
    /// it only then, because it looks up the domain.
    pub(crate) fn is_exempt(
        &mut self,
        limit: OverloadLimit,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        directory: &Directory,
    ) -> bool {
        if self.is_exempt_address(request) {
            return true;
        }
        let Ok(uri) = Uri::parse(uri) else {
            return false;
        };
        self.host.clear();
        uri.write_host(&mut self.host);
        let Some(domain) = directory.domain(&self.host) else {
            return false;
        };
        let is_believed = domain.accepts_unauthenticated(request.flow.peer.ip());
        let feeds = matches!(method, Method::Publish | Method::Register);
        match limit {
            OverloadLimit::Phone => feeds && (is_believed || claims_to_feed(request, directory)),
            OverloadLimit::Source => is_believed,
            OverloadLimit::Presentity
            | OverloadLimit::Domain
            | OverloadLimit::Path
            | OverloadLimit::Backlog => false,
        }
    }
}

/// Whether a request carries credentials and its method requires authentication.
pub(crate) fn offers_proof(request: &Request<'_>, method: Method<'_>) -> bool {
    matches!(
        method,
        Method::Subscribe | Method::Publish | Method::Register
    ) && request.message.header(HeaderName::Authorization).is_some()
}

/// The network that counts as one source: an IPv4 address, or an IPv6 /64, all of which one host
/// may own.
pub(crate) fn network_of(ip: IpAddr) -> u128 {
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
