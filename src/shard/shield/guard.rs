//! What a request must pass before anybody looks into it: the buckets of its phone, whom it is
//! about, its address and the domain it is for (W:A1.24, B1.11), the backlog (W:A1.21), and the
//! refusals that are given again.
//!
//! Everything passes here but what belongs to a dialog. A dialog feeder is held to no pace of its
//! own (W:B1.11): a PBX that is trusted, or whose account says so. An address that the domain
//! trusts (an SBC) is not held to one address's pace, because thousands of phones are behind it;
//! each of those still is to its own.

use std::hash::Hash;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::shard::Shard;
use crate::shard::checks::address_of_record;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Directory;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::shield::Shield;
use crate::sip::Method;
use crate::sip::Uri;

/// Whose bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// An address and whom From names.
    Phone,
    /// Whom a request is about.
    Presentity,
    /// An IP address.
    Source,
    /// The domain a request is for.
    Domain,
    /// Nobody's: the shard is behind with its NOTIFYs.
    Backlog,
}

impl Shard {
    /// Serves a request that belongs to no dialog, unless the shield holds it back.
    pub(crate) fn serve_guarded(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        now: Instant,
        out: &mut Outbox,
    ) {
        let directory = Arc::clone(&self.directory);
        let passed = self.check_pace(request, method, uri, &directory, now);
        if let Err(kind) = passed.and_then(|()| self.check_backlog(method)) {
            return self.refuse(request, &Refusal::Shed(kind), now, out);
        }
        if let Some(refusal) = self.kept_refusal(request, uri, &directory, now) {
            self.counters.refusals_repeated += 1;
            self.forget(request);
            let request = Request {
                transaction: None,
                ..*request
            };
            return self.refuse(&request, &refusal, now, out);
        }
        match self.serve(request, method, uri, &directory, now, out) {
            Ok(()) => self.note_acceptance(request, method, now, out),
            Err(refusal) => {
                self.keep_refusal(request, uri, &refusal, now);
                self.refuse(request, &refusal, now, out);
            }
        }
    }

    /// Takes a token of each bucket that is meant, the phone's own first: whoever is stopped there
    /// takes none of those he shares.
    fn check_pace(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        directory: &Directory,
        now: Instant,
    ) -> Result<(), Kind> {
        let uri = Uri::parse(uri).ok();
        let host = uri.as_ref().map_or(&b""[..], |uri| uri.host);
        let user = uri.as_ref().and_then(|uri| uri.user);
        let from = request.message.from().map(|from| from.uri);
        let ip = request.flow.peer.ip();
        let shield = &mut self.shield;
        let (at, paces) = (shield.nanos(now), shield.paces);
        let phone = shield.key(Kind::Phone, |hasher| (ip, from).hash(hasher));
        let source = shield.key(Kind::Source, |hasher| network_of(ip).hash(hasher));
        let domain = shield.key(Kind::Domain, |hasher| {
            host.iter()
                .for_each(|octet| hasher.write_u8(octet.to_ascii_lowercase()));
        });
        // What is about the domain itself (a keepalive) is about nobody.
        let presentity = user.map(|user| {
            let key = shield.key(Kind::Presentity, |hasher| (domain, user).hash(hasher));
            (Kind::Presentity, key, paces.presentity)
        });
        let held = [
            Some((Kind::Phone, phone, paces.phone)),
            presentity,
            Some((Kind::Source, source, paces.source)),
            Some((Kind::Domain, domain, paces.domain)),
        ];
        for (kind, key, pace) in held.into_iter().flatten() {
            if !shield.buckets.take(key, pace, at)
                && !shield.is_exempt(kind, request, method, uri.as_ref(), directory)
            {
                return Err(kind);
            }
        }
        Ok(())
    }
}

impl Shield {
    /// Whether an empty bucket does not hold for a request. Asked last, because most find their
    /// bucket full.
    fn is_exempt(
        &mut self,
        kind: Kind,
        request: &Request<'_>,
        method: Method<'_>,
        uri: Option<&Uri<'_>>,
        directory: &Directory,
    ) -> bool {
        let ip = request.flow.peer.ip().to_canonical();
        let exempt = &self.options.exempt;
        if exempt.iter().any(|network| network.contains(&ip)) {
            return true;
        }
        let Some(uri) = uri else { return false };
        self.host.clear();
        uri.write_host(&mut self.host);
        let Some(domain) = directory.domain(&self.host) else {
            return false;
        };
        let is_believed = domain.believes(ip);
        let feeds = matches!(method, Method::Publish | Method::Register);
        let is_feeding = || feeds && (is_believed || claims_to_feed(request, directory));
        match kind {
            Kind::Phone => is_feeding(),
            Kind::Presentity => domain.auth == AuthMode::None || is_feeding(),
            Kind::Source => is_believed,
            Kind::Domain => domain.auth == AuthMode::None || feeds && is_believed,
            Kind::Backlog => false,
        }
    }
}

/// The network that counts as one address: a single host may have all of an IPv6 /64.
fn network_of(ip: IpAddr) -> u128 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u32::from(ip).into(),
        IpAddr::V6(ip) => u128::from(ip) >> 64 << 64,
    }
}

/// Whether From names an account that feeds its domain. It has yet to prove that it is that one;
/// until then its address's bucket holds.
fn claims_to_feed(request: &Request<'_>, directory: &Directory) -> bool {
    let from = request.message.from().map(|from| from.uri);
    let aor = from.and_then(|from| address_of_record(from, directory));
    aor.is_some_and(|aor| directory.is_feeder(Some(&aor), aor.domain()))
}
