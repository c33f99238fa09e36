//! What a request must pass before it creates work: the buckets of its phone, its address, the
//! presentity it is about and the domain it is for (W:A1.24, B1.11), the backlog (W:A1.21), and the
//! refusals that are given again.
//!
//! Everything passes here but what belongs to a dialog. A request is charged in two steps. Before it
//! is looked into it takes from its sender's own buckets, phone and address. Only once its identity
//! is proved, or the domain asks for no proof, does it take from the buckets it shares with others,
//! presentity and domain: a flood without credentials cannot empty those.
//!
//! A quarter of each bucket that is shared (address, presentity, domain) is kept for phones with a
//! live subscription and for users who proved who they are, so that new senders cannot crowd them
//! out.
//!
//! A dialog feeder is held to no pace of its own (W:B1.11): a PBX that is trusted, or whose account
//! says so. An address that the domain trusts (an SBC) is not held to one address's pace, because
//! thousands of phones are behind it; each of those still is to its own.

use std::hash::Hash;
use std::net::IpAddr;

use crate::presence::Aor;
use crate::shard::checks::address_of_record;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
use crate::shard::engine::Engine;
use crate::shard::hop::phone_key;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::shield::Shield;
use crate::shard::subscriptions::Subscriptions;
use crate::shard::turn::Turn;
use crate::sip::HeaderName;
use crate::sip::Method;
use crate::sip::Uri;
use crate::sip::header::NameAddr;

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
    /// An address that has yet to show that it gets what we send: too many wait for that.
    Path,
    /// Nobody's: the shard is behind with its NOTIFYs.
    Backlog,
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
        let uri = Uri::parse(uri).ok();
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
                && !shield.is_exempt(kind, request, method, uri.as_ref(), turn.directory)
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

impl Shield {
    /// Whether a request of a sender whose identity is known passes although a bucket is empty.
    fn may_exceed_share(
        &self,
        kind: Kind,
        request: &Request<'_>,
        domain: &Domain,
        user: Option<&str>,
        turn: &Turn<'_>,
    ) -> bool {
        let feeds = matches!(request.message.method(), Method::Publish | Method::Register);
        let is_believed = domain.believes(request.flow.peer.ip());
        let is_feeder = || {
            let user = user.map(|user| Aor::new(user, &domain.name));
            is_believed || turn.directory.is_feeder(user.as_ref(), &domain.name)
        };
        let is_open = domain.auth == AuthMode::None;
        let may = match kind {
            Kind::Phone => feeds && is_feeder(),
            Kind::Presentity => is_open || feeds && is_feeder(),
            Kind::Domain => is_open || feeds && is_believed,
            Kind::Source | Kind::Path | Kind::Backlog => false,
        };
        may || self.is_exempt_address(request)
    }
}

impl Subscriptions {
    /// Whether the phone a request comes from, by its address, port and Contact, has a live
    /// subscription.
    fn is_known_phone(&self, request: &Request<'_>) -> bool {
        let contact = request.message.header(HeaderName::Contact);
        let target = contact.and_then(NameAddr::parse).map(|contact| contact.uri);
        target.is_some_and(|target| {
            let key = phone_key(&request.flow, target);
            self.phones.find(key).is_some()
        })
    }
}

impl Shield {
    /// The key of a phone's own bucket: its IP address, and the user it proved to be or else whoever
    /// From names.
    fn phone_key(&self, request: &Request<'_>, user: Option<&str>) -> u64 {
        let ip = request.flow.peer.ip();
        let from = request.message.from().map(|from| from.uri);
        self.key(Kind::Phone, |hasher| match user {
            Some(user) => (ip, user).hash(hasher),
            None => (ip, from).hash(hasher),
        })
    }

    /// Whether the operator exempts an address from all paces.
    pub(crate) fn is_exempt_address(&self, request: &Request<'_>) -> bool {
        self.options.exempts(request.flow.peer.ip())
    }

    /// Whether a request passes although its own bucket is empty. Asked last, because most requests
    /// find theirs full.
    fn is_exempt(
        &mut self,
        kind: Kind,
        request: &Request<'_>,
        method: Method<'_>,
        uri: Option<&Uri<'_>>,
        directory: &Directory,
    ) -> bool {
        if self.is_exempt_address(request) {
            return true;
        }
        let Some(uri) = uri else { return false };
        self.host.clear();
        uri.write_host(&mut self.host);
        let Some(domain) = directory.domain(&self.host) else {
            return false;
        };
        let is_believed = domain.believes(request.flow.peer.ip());
        let feeds = matches!(method, Method::Publish | Method::Register);
        match kind {
            Kind::Phone => feeds && (is_believed || claims_to_feed(request, directory)),
            Kind::Source => is_believed,
            Kind::Presentity | Kind::Domain | Kind::Path | Kind::Backlog => false,
        }
    }
}

/// Whether a request offers credentials that its method is asked for.
fn offers_proof(request: &Request<'_>, method: Method<'_>) -> bool {
    matches!(
        method,
        Method::Subscribe | Method::Publish | Method::Register
    ) && request.message.header(HeaderName::Authorization).is_some()
}

/// The network that counts as one address: a single host may have all of an IPv6 /64.
pub(super) fn network_of(ip: IpAddr) -> u128 {
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
