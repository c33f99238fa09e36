//! Admission: from octets to a request that may be served (W:A1, evaluated top-down, the first
//! failure answers).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::fixed_hash::fnv1a;
use crate::shard::Shard;
use crate::shard::checks::address_of_record;
use crate::shard::checks::check_extensions;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Directory;
use crate::shard::directory::Domain;
use crate::shard::directory::DomainRealm;
use crate::shard::flow::Flow;
use crate::shard::flow::ShardId;
use crate::shard::hop::response_flow;
use crate::shard::mail::Mail;
use crate::shard::mark::Mark;
use crate::shard::outbox::Outbox;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::shield::TOO_MANY_ATTEMPTS;
use crate::shard::shield::auth_lockout::Attempt;
use crate::sip::Fault;
use crate::sip::HeaderName;
use crate::sip::Message;
use crate::sip::Method;
use crate::sip::StartLine;
use crate::sip::Status;
use crate::sip::Uri;
use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::digest::Authenticator;
use crate::sip::digest::Denied;
use crate::sip::header::Event;
use crate::sip::message::PlainResponse;
use crate::sip::transaction::server::Arrival;
use crate::sip::uri::Scheme;

/// Whom a request is for.
#[derive(Debug)]
pub(crate) enum Target<'d> {
    /// The server itself.
    Server,
    /// Somebody of a domain we serve, or the domain itself when there is no user.
    Presentity { aor: Aor, domain: &'d Domain },
}

/// Who a request is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A user of the domain who proved it.
    User(String),
    /// A trusted address, or a domain that believes everybody: who From says.
    Believed,
}

impl Shard {
    /// A datagram, or a message cut from a stream, and what it says if it is a plain 200: nearly all
    /// of those answer a NOTIFY of ours, the rest is read in full.
    pub(crate) fn handle_octets(
        &mut self,
        flow: Flow,
        octets: &[u8],
        answer: Option<PlainResponse<'_>>,
        is_forwarded: bool,
        now: Instant,
        out: &mut Outbox,
    ) {
        if answer.is_some_and(|answer| self.handle_answer(&answer, &flow, now, out)) {
            return;
        }
        let Ok(message) = Message::parse(octets, flow.transport.framing()) else {
            self.counters.messages_unreadable += 1;
            return;
        };
        self.counters.messages_received += 1;
        if !is_forwarded && let Some(shard) = self.home_of(&message, &flow) {
            self.counters.messages_misdirected += 1;
            out.mail.push((
                shard,
                Mail::Misdirected {
                    flow,
                    bytes: octets.into(),
                },
            ));
            return;
        }
        match message.start_line() {
            StartLine::Response { code, .. } => {
                self.handle_response(&message, code, &flow, now, out)
            }
            StartLine::Request { method, uri } => {
                self.handle_request(&message, method, uri, flow, now, out)
            }
        }
    }

    /// The other shard a message belongs to: the one that minted its branch or To-tag, or, on a
    /// crowded flow, the one its Call-ID names.
    fn home_of(&self, message: &Message<'_>, flow: &Flow) -> Option<ShardId> {
        if self.options.shards < 2 {
            return None;
        }
        let home = match message.start_line() {
            StartLine::Response { .. } => Mark::of_branch(message.via()?.branch?)?.shard,
            StartLine::Request { method, .. } => match message.to()?.tag() {
                Some(tag) => Mark::of_tag(tag)?.shard,
                None if method == Method::Subscribe && self.is_crowded(flow) => {
                    self.shard_of_call_id(message.call_id())
                }
                None => return None,
            },
        };
        (home != self.options.id && home.0 < self.options.shards).then_some(home)
    }

    /// One busy SBC on one source port must not pin all work to one core.
    fn is_crowded(&self, flow: &Flow) -> bool {
        !flow.transport.is_reliable()
            && self.table.dialogs_of_peer(flow.peer) >= self.options.subscriptions_per_flow_home
    }

    fn shard_of_call_id(&self, call_id: &[u8]) -> ShardId {
        ShardId((fnv1a(call_id) % u64::from(self.options.shards)) as u16)
    }

    fn handle_request(
        &mut self,
        message: &Message<'_>,
        method: Method<'_>,
        uri: &[u8],
        flow: Flow,
        now: Instant,
        out: &mut Outbox,
    ) {
        if method == Method::Ack {
            return;
        }
        let mut request = Request {
            message,
            flow,
            transaction: None,
        };
        if let Some(fault) = message.fault() {
            if message.is_answerable() {
                self.refuse(&request, &Refusal::Fault(fault), now, out);
            } else {
                self.counters.messages_unreadable += 1;
            }
            return;
        }
        if matches!(
            method,
            Method::Subscribe | Method::Publish | Method::Register
        ) {
            let (key, arrival) = self.transactions.begin(message, now);
            match arrival {
                Arrival::New => request.transaction = Some(key),
                Arrival::UnderWay => {
                    self.counters.requests_retransmitted += 1;
                    return;
                }
                Arrival::Answered(response) => {
                    self.counters.requests_retransmitted += 1;
                    let start = out.arena.len();
                    out.arena.extend_from_slice(response);
                    let end = out.arena.len();
                    self.transmit(response_flow(&request), start..end, 0..0, out);
                    return;
                }
                Arrival::Merged => {
                    return self.refuse(&request, &Refusal::Plain(Status::LOOP_DETECTED), now, out);
                }
            }
        }
        let is_in_dialog =
            method == Method::Subscribe && message.to().is_some_and(|to| to.tag().is_some());
        if !is_in_dialog && method != Method::Cancel {
            return self.serve_guarded(&request, method, uri, now, out);
        }
        let directory = Arc::clone(&self.directory);
        if let Err(refusal) = self.serve(&request, method, uri, &directory, now, out) {
            self.refuse(&request, &refusal, now, out);
        }
    }

    /// Serves a well-formed request, or says why not.
    pub(crate) fn serve<'d>(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        directory: &'d Directory,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        match method {
            Method::Subscribe => {
                if let Some(tag) = request.message.to().and_then(|to| to.tag()) {
                    return self.serve_in_dialog(request, tag, directory, now, out);
                }
                let target = self.resolve(uri, &request.flow, directory)?;
                self.serve_subscribe(request, target, directory, now, out)
            }
            Method::Publish => {
                let target = self.resolve(uri, &request.flow, directory)?;
                self.serve_publish(request, target, directory, now, out)
            }
            Method::Register => self.serve_register(request, uri, directory, now, out),
            Method::Options => {
                let domain = match self.resolve(uri, &request.flow, directory)? {
                    Target::Presentity { domain, .. } => Some(domain),
                    Target::Server => None,
                };
                let believes = |domain: &Domain| domain.believes(request.flow.peer.ip());
                let is_stranger = !domain.is_some_and(believes);
                let is_registrar = domain.is_some_and(|domain| domain.is_registrar);
                check_extensions(request.message)?;
                self.respond_options(request, is_stranger, is_registrar, now, out);
                Ok(())
            }
            Method::Notify => self.serve_stray_notify(request, now, out),
            Method::Cancel => self.serve_cancel(request, now, out),
            Method::Invite => Err(self.refuse_call(uri, &request.flow, directory)),
            Method::Other(_) => Err(Refusal::Method(Status::NOT_IMPLEMENTED)),
            _ => Err(Refusal::Method(Status::METHOD_NOT_ALLOWED)),
        }
    }

    /// No call is routed here. Phones that are registered with us are told so in words, for they
    /// have reason to think otherwise.
    fn refuse_call<'d>(&self, uri: &[u8], flow: &Flow, directory: &'d Directory) -> Refusal<'d> {
        match self.resolve(uri, flow, directory) {
            Ok(Target::Presentity { domain, .. }) if domain.is_registrar => Refusal::NoCalls,
            _ => Refusal::Method(Status::METHOD_NOT_ALLOWED),
        }
    }

    /// Nothing of ours can be cancelled: what is answered stays so (RFC 3261 §9.2; W:A2.15).
    fn serve_cancel<'d>(
        &mut self,
        request: &Request<'_>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        if !self.transactions.knows_cancelled(request.message, now) {
            return Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST));
        }
        self.respond_ok(request, now, out);
        Ok(())
    }

    /// A NOTIFY for a subscription that we do not have (W:A2.16).
    fn serve_stray_notify<'d>(
        &mut self,
        request: &Request<'_>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), Refusal<'d>> {
        let event = request
            .message
            .header(HeaderName::Event)
            .and_then(Event::parse)
            .ok_or(Refusal::BadEvent)?;
        if event.package.eq_ignore_ascii_case(b"keep-alive") {
            self.respond_ok(request, now, out);
            return Ok(());
        }
        if Package::from_token(event.package).is_none() {
            return Err(Refusal::BadEvent);
        }
        if request
            .message
            .header(HeaderName::SubscriptionState)
            .is_none()
        {
            return Err(Fault::Missing(HeaderName::SubscriptionState).into());
        }
        Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST))
    }

    /// Whom the Request-URI names (W:A1.3).
    pub(crate) fn resolve<'d>(
        &self,
        uri: &[u8],
        flow: &Flow,
        directory: &'d Directory,
    ) -> Result<Target<'d>, Refusal<'d>> {
        if uri.len() > URI_OCTETS_MAX {
            return Err(Fault::UriTooLong.into());
        }
        let uri = Uri::parse(uri)?;
        // `sips:` asks for TLS on every hop (W:A1.19), which we do not offer.
        if uri.scheme != Scheme::Sip {
            return Err(Refusal::Plain(Status::UNSUPPORTED_URI_SCHEME));
        }
        let mut host = String::with_capacity(uri.host.len());
        uri.write_host(&mut host);
        if let Some(domain) = directory.domain(&host) {
            let mut user = String::with_capacity(uri.user.map_or(0, <[u8]>::len));
            if !uri.write_user(&mut user) {
                return Err(Fault::RequestUri.into());
            }
            return Ok(Target::Presentity {
                aor: Aor::new(&user, &domain.name),
                domain,
            });
        }
        let port = uri.port.unwrap_or_else(|| flow.transport.default_port());
        let is_ourselves = uri
            .ip()
            .is_some_and(|ip| self.is_local(SocketAddr::new(ip, port), flow));
        if is_ourselves {
            Ok(Target::Server)
        } else {
            Err(Refusal::Plain(Status::NOT_FOUND))
        }
    }

    /// Whether an address is one of our own listeners (W:E2.5), in whatever IPv6 zone: a URI names
    /// none.
    pub(crate) fn is_local(&self, address: SocketAddr, flow: &Flow) -> bool {
        let is_it = |own: &SocketAddr| own.ip() == address.ip() && own.port() == address.port();
        is_it(&flow.local) || self.options.local_addresses.iter().any(is_it)
    }

    /// What every request about somebody must pass: it is about somebody, it requires nothing that
    /// we do not know, it says who it is from, and the shares it takes from are not used up.
    pub(crate) fn admit<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        directory: &'d Directory,
        now: Instant,
    ) -> Result<(Aor, &'d Domain, Identity), Refusal<'d>> {
        let Target::Presentity { aor, domain } = target else {
            return Err(Refusal::Plain(Status::NOT_FOUND));
        };
        check_extensions(request.message)?;
        let identity = self.authenticate(request, domain, directory, now)?;
        let user = match &identity {
            Identity::User(user) => Some(user.as_str()),
            Identity::Believed => None,
        };
        self.check_shares(request, &aor, domain, user, now)?;
        Ok((aor, domain, identity))
    }

    /// Who sends it, by the rules of the domain (W:A1.6, A7).
    pub(crate) fn authenticate<'d>(
        &mut self,
        request: &Request<'_>,
        domain: &'d Domain,
        directory: &'d Directory,
        now: Instant,
    ) -> Result<Identity, Refusal<'d>> {
        if domain.believes(request.flow.peer.ip()) {
            return Ok(Identity::Believed);
        }
        if domain.auth == AuthMode::Trusted {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        let uptime = now.saturating_duration_since(self.options.epoch);
        let realm = DomainRealm { directory, domain };
        let attempt = self.attempt(request, &realm, now)?;
        let verdict = self
            .authenticator
            .verify(request.message, &realm, &mut self.replay, uptime);
        match verdict {
            Ok(username) => {
                self.note_proof(attempt, now);
                Ok(Identity::User(realm.user_of(username)))
            }
            Err(Denied::Stale) => Err(self.refuse_stale(request, domain, now)),
            Err(Denied::Wrong) => {
                self.note_wrong(attempt, now);
                Err(Refusal::Challenge {
                    domain,
                    stale: false,
                })
            }
            Err(Denied::NoCredentials) => Err(Refusal::Challenge {
                domain,
                stale: false,
            }),
            Err(Denied::Malformed) => Err(Fault::Invalid(HeaderName::Authorization).into()),
        }
    }

    /// The attempt that a request's credentials are, to be counted; None when it has none or its
    /// sender is exempt. Refuses one that is not to be looked at.
    fn attempt<'d>(
        &mut self,
        request: &Request<'_>,
        realm: &DomainRealm<'_>,
        now: Instant,
    ) -> Result<Option<Attempt>, Refusal<'d>> {
        let domain = realm.domain;
        // An account is one, however its name is written.
        let user = Authenticator::claimed_user(request.message, &domain.name);
        let user = user.map(|user| realm.user_of(user));
        let Some(user) = user.filter(|_| !self.shield.is_exempt_address(request)) else {
            return Ok(None);
        };
        let peer = request.flow.peer.ip();
        let attempt = self.shield.lockouts.attempt(peer, &domain.name, &user);
        let at = self.shield.nanos(now);
        if self.shield.lockouts.is_locked_out(&attempt, at) {
            self.counters.attempts_forbidden += 1;
            return Err(TOO_MANY_ATTEMPTS);
        }
        Ok(Some(attempt))
    }

    fn note_proof(&mut self, attempt: Option<Attempt>, now: Instant) {
        let at = self.shield.nanos(now);
        if let Some(attempt) = attempt {
            self.shield.lockouts.succeeded(&attempt, at);
        }
    }

    fn note_wrong(&mut self, attempt: Option<Attempt>, now: Instant) {
        self.counters.attempts_wrong += 1;
        let at = self.shield.nanos(now);
        if let Some(attempt) = attempt {
            let begins = self.shield.lockouts.failed(&attempt, at);
            self.counters.lockouts += u64::from(begins);
        }
    }

    /// The address of record in From, when it is of a domain we serve.
    pub(crate) fn sender(&self, request: &Request<'_>, directory: &Directory) -> Option<Aor> {
        address_of_record(request.message.from()?.uri, directory)
    }
}
