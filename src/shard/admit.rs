//! Admission: from octets to a request that may be served (W:A1, evaluated top-down, the first
//! failure answers).

use std::net::SocketAddr;

use crate::presence::Aor;
use crate::presence::fixed_hash::fnv1a;
use crate::presence::subscription::Package;
use crate::shard::checks::address_of_record;
use crate::shard::checks::check_extensions;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Domain;
use crate::shard::directory::DomainRealm;
use crate::shard::engine::Engine;
use crate::shard::flow::Flow;
use crate::shard::flow::ShardId;
use crate::shard::hop::response_flow;
use crate::shard::mail::Mail;
use crate::shard::mark::Mark;
use crate::shard::respond::Refusal;
use crate::shard::respond::Request;
use crate::shard::shield::Shield;
use crate::shard::shield::TOO_MANY_ATTEMPTS;
use crate::shard::shield::auth_lockout::Attempt;
use crate::shard::table::Table;
use crate::shard::turn::Turn;
use crate::shard::uas::Uas;
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
use crate::sip::message::Framing;
use crate::sip::message::PlainAnswer;
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

impl Engine {
    /// A datagram, or a message cut from a stream, and what it says if it is a plain 200: nearly all
    /// of those answer a NOTIFY of ours, the rest is read in full.
    pub(crate) fn handle_octets(
        &mut self,
        flow: Flow,
        octets: &[u8],
        answer: Option<PlainAnswer<'_>>,
        is_forwarded: bool,
        turn: &mut Turn<'_>,
    ) {
        if answer.is_some_and(|answer| {
            self.notifier
                .handle_answer(&answer, &flow, &mut self.subscriptions, turn)
        }) {
            return;
        }
        let framing = if flow.transport.is_reliable() {
            Framing::Stream
        } else {
            Framing::Datagram
        };
        let Ok(message) = Message::parse(octets, framing) else {
            turn.counters.messages_unreadable += 1;
            return;
        };
        turn.counters.messages_received += 1;
        if !is_forwarded
            && let Some(shard) = self.subscriptions.table.home_of(&message, &flow, turn)
        {
            turn.counters.messages_misdirected += 1;
            turn.out.mail.push((
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
                self.notifier
                    .handle_response(&message, code, &flow, &mut self.subscriptions, turn)
            }
            StartLine::Request { method, uri } => {
                self.handle_request(&message, method, uri, flow, turn)
            }
        }
    }

    fn handle_request(
        &mut self,
        message: &Message<'_>,
        method: Method<'_>,
        uri: &[u8],
        flow: Flow,
        turn: &mut Turn<'_>,
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
                self.uas.refuse(&request, &Refusal::Fault(fault), turn);
            } else {
                turn.counters.messages_unreadable += 1;
            }
            return;
        }
        if matches!(
            method,
            Method::Subscribe | Method::Publish | Method::Register
        ) {
            let (key, arrival) = self.uas.transactions.begin(message, turn.now);
            match arrival {
                Arrival::New => request.transaction = Some(key),
                Arrival::UnderWay => {
                    turn.counters.requests_retransmitted += 1;
                    return;
                }
                Arrival::Answered(response) => {
                    turn.counters.requests_retransmitted += 1;
                    let start = turn.out.arena.len();
                    turn.out.arena.extend_from_slice(response);
                    let end = turn.out.arena.len();
                    turn.transmit(response_flow(&request), start..end, 0..0);
                    return;
                }
                Arrival::Merged => {
                    return self
                        .uas
                        .refuse(&request, &Refusal::Plain(Status::LOOP_DETECTED), turn);
                }
            }
        }
        let is_in_dialog =
            method == Method::Subscribe && message.to().is_some_and(|to| to.tag().is_some());
        if !is_in_dialog && method != Method::Cancel {
            return self.serve_guarded(&request, method, uri, turn);
        }
        if let Err(refusal) = self.serve(&request, method, uri, turn) {
            self.uas.refuse(&request, &refusal, turn);
        }
    }

    /// Serves a well-formed request, or says why not.
    pub(crate) fn serve<'d>(
        &mut self,
        request: &Request<'_>,
        method: Method<'_>,
        uri: &[u8],
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        match method {
            Method::Subscribe => {
                if let Some(tag) = request.message.to().and_then(|to| to.tag()) {
                    return self.serve_in_dialog(request, tag, turn);
                }
                let target = resolve(uri, &request.flow, turn)?;
                self.serve_subscribe(request, target, turn)
            }
            Method::Publish => {
                let target = resolve(uri, &request.flow, turn)?;
                self.serve_publish(request, target, turn)
            }
            Method::Register => self.serve_register(request, uri, turn),
            Method::Options => {
                let domain = match resolve(uri, &request.flow, turn)? {
                    Target::Presentity { domain, .. } => Some(domain),
                    Target::Server => None,
                };
                let believes = |domain: &Domain| domain.believes(request.flow.peer.ip());
                let is_stranger = !domain.is_some_and(believes);
                let is_registrar = domain.is_some_and(|domain| domain.is_registrar);
                check_extensions(request.message)?;
                self.uas
                    .respond_options(request, is_stranger, is_registrar, turn);
                Ok(())
            }
            Method::Notify => self.uas.serve_stray_notify(request, turn),
            Method::Cancel => self.uas.serve_cancel(request, turn),
            Method::Invite => Err(refuse_call(uri, &request.flow, turn)),
            Method::Other(_) => Err(Refusal::Method(Status::NOT_IMPLEMENTED)),
            _ => Err(Refusal::Method(Status::METHOD_NOT_ALLOWED)),
        }
    }

    /// What every request about somebody must pass: it is about somebody, it requires nothing that
    /// we do not know, it says who it is from, and the shares it takes from are not used up.
    pub(crate) fn admit<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<(Aor, &'d Domain, Identity), Refusal<'d>> {
        let Target::Presentity { aor, domain } = target else {
            return Err(Refusal::Plain(Status::NOT_FOUND));
        };
        check_extensions(request.message)?;
        let identity = self.uas.authenticate(request, domain, turn)?;
        let user = match &identity {
            Identity::User(user) => Some(user.as_str()),
            Identity::Believed => None,
        };
        self.check_shares(request, &aor, domain, user, turn)?;
        Ok((aor, domain, identity))
    }
}

impl Table {
    /// The other shard a message belongs to: the one that minted its branch or To-tag, or, on a
    /// crowded flow, the one its Call-ID names.
    fn home_of(&self, message: &Message<'_>, flow: &Flow, turn: &Turn<'_>) -> Option<ShardId> {
        if turn.options.shards < 2 {
            return None;
        }
        let home = match message.start_line() {
            StartLine::Response { .. } => Mark::of_branch(message.via()?.branch?)?.shard,
            StartLine::Request { method, .. } => match message.to()?.tag() {
                Some(tag) => Mark::of_tag(tag)?.shard,
                None if method == Method::Subscribe && self.is_crowded(flow, turn) => {
                    shard_of_call_id(message.call_id(), turn)
                }
                None => return None,
            },
        };
        (home != turn.options.id && home.0 < turn.options.shards).then_some(home)
    }

    /// One busy SBC on one source port must not pin all work to one core.
    fn is_crowded(&self, flow: &Flow, turn: &Turn<'_>) -> bool {
        !flow.transport.is_reliable()
            && self.dialogs_of_peer(flow.peer) >= turn.options.subscriptions_per_flow_home
    }
}

fn shard_of_call_id(call_id: &[u8], turn: &Turn<'_>) -> ShardId {
    ShardId((fnv1a(call_id) % u64::from(turn.options.shards)) as u16)
}

/// No call is routed here. Phones that are registered with us are told so in words, for they
/// have reason to think otherwise.
fn refuse_call<'d>(uri: &[u8], flow: &Flow, turn: &Turn<'d>) -> Refusal<'d> {
    match resolve(uri, flow, turn) {
        Ok(Target::Presentity { domain, .. }) if domain.is_registrar => Refusal::NoCalls,
        _ => Refusal::Method(Status::METHOD_NOT_ALLOWED),
    }
}

/// Whom the Request-URI names (W:A1.3).
pub(crate) fn resolve<'d>(
    uri: &[u8],
    flow: &Flow,
    turn: &Turn<'d>,
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
    if let Some(domain) = turn.directory.domain(&host) {
        let mut user = String::with_capacity(uri.user.map_or(0, <[u8]>::len));
        if !uri.write_user(&mut user) {
            return Err(Fault::RequestUri.into());
        }
        return Ok(Target::Presentity {
            aor: Aor::new(&user, &domain.name),
            domain,
        });
    }
    let is_ourselves = uri
        .ip()
        .is_some_and(|ip| is_local(SocketAddr::new(ip, uri.port.unwrap_or(5060)), flow, turn));
    if is_ourselves {
        Ok(Target::Server)
    } else {
        Err(Refusal::Plain(Status::NOT_FOUND))
    }
}

/// Whether an address is one of our own listeners (W:E2.5), in whatever IPv6 zone: a URI names
/// none.
pub(crate) fn is_local(address: SocketAddr, flow: &Flow, turn: &Turn<'_>) -> bool {
    let is_it = |own: &SocketAddr| own.ip() == address.ip() && own.port() == address.port();
    is_it(&flow.local) || turn.options.local_addresses.iter().any(is_it)
}

/// The address of record in From, when it is of a domain we serve.
pub(crate) fn sender(request: &Request<'_>, turn: &Turn<'_>) -> Option<Aor> {
    address_of_record(request.message.from()?.uri, turn.directory)
}

impl Uas {
    /// Nothing of ours can be cancelled: what is answered stays so (RFC 3261 §9.2; W:A2.15).
    fn serve_cancel<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        if !self.transactions.knows_cancelled(request.message, turn.now) {
            return Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST));
        }
        self.respond_ok(request, turn);
        Ok(())
    }

    /// A NOTIFY for a subscription that we do not have (W:A2.16).
    fn serve_stray_notify<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let event = request
            .message
            .header(HeaderName::Event)
            .and_then(Event::parse)
            .ok_or(Refusal::BadEvent)?;
        if event.package.eq_ignore_ascii_case(b"keep-alive") {
            self.respond_ok(request, turn);
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

    /// Who sends it, by the rules of the domain (W:A1.6, A7).
    pub(crate) fn authenticate<'d>(
        &mut self,
        request: &Request<'_>,
        domain: &'d Domain,
        turn: &mut Turn<'d>,
    ) -> Result<Identity, Refusal<'d>> {
        if domain.believes(request.flow.peer.ip()) {
            return Ok(Identity::Believed);
        }
        if domain.auth == AuthMode::Trusted {
            return Err(Refusal::Plain(Status::FORBIDDEN));
        }
        let uptime = turn.now.saturating_duration_since(turn.options.epoch);
        let realm = DomainRealm {
            directory: turn.directory,
            domain,
        };
        let attempt = self.shield.attempt(request, &realm, turn)?;
        let verdict = self
            .authenticator
            .verify(request.message, &realm, &mut self.replay, uptime);
        match verdict {
            Ok(username) => {
                self.shield.note_proof(attempt, turn);
                Ok(Identity::User(realm.user_of(username)))
            }
            Err(Denied::Stale) => Err(self.shield.refuse_stale(request, domain, turn)),
            Err(Denied::Wrong) => {
                self.shield.note_wrong(attempt, turn);
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
}

impl Shield {
    /// The attempt that a request's credentials are, to be counted; None when it has none or its
    /// sender is exempt. Refuses one that is not to be looked at.
    fn attempt<'d>(
        &mut self,
        request: &Request<'_>,
        realm: &DomainRealm<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<Option<Attempt>, Refusal<'d>> {
        let domain = realm.domain;
        // An account is one, however its name is written.
        let user = Authenticator::claimed_user(request.message, &domain.name);
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

    fn note_proof(&mut self, attempt: Option<Attempt>, turn: &Turn<'_>) {
        let at = self.nanos(turn.now);
        if let Some(attempt) = attempt {
            self.lockouts.succeeded(&attempt, at);
        }
    }

    fn note_wrong(&mut self, attempt: Option<Attempt>, turn: &mut Turn<'_>) {
        turn.counters.attempts_wrong += 1;
        let at = self.nanos(turn.now);
        if let Some(attempt) = attempt {
            let begins = self.lockouts.failed(&attempt, at);
            turn.counters.lockouts += u64::from(begins);
        }
    }
}
