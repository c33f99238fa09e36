//! What a request must pass before anybody looks into it: the buckets of its phone, its address
//! and the domain it is for (W:A1.24, B1.11), the backlog (W:A1.21), and the refusals that are
//! given again.
//!
//! Everything passes here but what belongs to a dialog. A dialog feeder is held to no pace of its
//! own (W:B1.11): a PBX that is trusted, or whose account says so. An address that the domain
//! trusts (an SBC) is not held to one address's pace, because thousands of phones are behind it;
//! each of those still is to its own.

use std::hash::Hash;
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
        let host = Uri::parse(uri).ok();
        let host = host.as_ref();
        let from = request.message.from().map(|from| from.uri);
        let ip = request.flow.peer.ip();
        let shield = &mut self.shield;
        let at = shield.nanos(now);
        let paces = shield.paces;
        for (kind, pace) in [
            (Kind::Phone, paces.phone),
            (Kind::Source, paces.source),
            (Kind::Domain, paces.domain),
        ] {
            let key = shield.key(kind, |hasher| match kind {
                Kind::Phone | Kind::Backlog => (ip, from).hash(hasher),
                Kind::Source => ip.hash(hasher),
                Kind::Domain => host.map(|uri| uri.host).hash(hasher),
            });
            if !shield.buckets.take(key, pace, at)
                && !shield.is_exempt(kind, request, method, host, directory)
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
        let believes_all = domain.auth == AuthMode::None;
        let is_believed = believes_all || domain.trusts(ip);
        let feeds = matches!(method, Method::Publish | Method::Register);
        match kind {
            Kind::Phone => feeds && (is_believed || claims_to_feed(request, directory)),
            Kind::Source => is_believed,
            Kind::Domain => believes_all || feeds && is_believed,
            Kind::Backlog => false,
        }
    }
}

/// Whether From names an account that feeds its domain. It has yet to prove that it is that one;
/// until then its address's bucket holds.
fn claims_to_feed(request: &Request<'_>, directory: &Directory) -> bool {
    let from = request.message.from().map(|from| from.uri);
    let aor = from.and_then(|from| address_of_record(from, directory));
    aor.is_some_and(|aor| directory.is_feeder(Some(&aor), aor.domain()))
}
