//! From octets to the call that serves them: parse, forward to another shard, match the
//! transaction, apply overload control, dispatch by method.

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::conduct::Engine;
use crate::shard::contract::flow::Arrived;
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::check_extensions;
use crate::shard::request::phone_key::phone_key;
use crate::shard::request::privacy::check_privacy;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::request::sender::Authentication;
use crate::shard::request::target::{Target, refuse_call, resolve};

use crate::sip::message::PlainResponse;
use crate::sip::{Message, Method, StartLine, Status};

/// An admitted request.
#[derive(Debug)]
pub(crate) struct Admission<'d> {
    /// The presentity that it is about.
    pub(crate) aor: Aor,
    pub(crate) domain: &'d Domain,
    /// Who sent it.
    pub(crate) authentication: Authentication,
}

impl Engine {
    /// Handles a datagram or a message cut from a stream. `response` is the message already parsed
    /// if it is a plain 200; nearly all of those answer a NOTIFY of ours. Any other message is
    /// parsed here.
    pub(crate) fn handle_octets(
        &mut self,
        arrived: Arrived,
        octets: &[u8],
        response: Option<PlainResponse<'_>>,
        is_forwarded: bool,
        turn: &mut Turn<'_>,
    ) {
        let Arrived { flow, at } = arrived;
        if response.is_some_and(|response| {
            self.notifier
                .handle_plain_response(&response, &flow, &mut self.subscriptions, turn)
        }) {
            return;
        }
        let Ok(message) = Message::parse(octets, flow.transport.framing()) else {
            turn.counters.messages_unreadable += 1;
            return;
        };
        turn.counters.count_received(flow.transport);
        if !is_forwarded
            && let Some(shard) = self.subscriptions.home_of(&message, &flow, turn)
            && !self.began_here(&message, turn)
        {
            turn.counters.messages_misdirected += 1;
            let misdirected = Mail::Misdirected {
                flow,
                at,
                bytes: octets.into(),
                certified: turn.certificates.of(flow.connection).cloned(),
            };
            turn.send(shard, misdirected);
            return;
        }
        match message.start_line() {
            StartLine::Response { code, .. } => {
                let is_ours = self.notifier.handle_response(
                    &message,
                    code,
                    &flow,
                    &mut self.subscriptions,
                    turn,
                ) || self.uac.handle_response(&message, code, &flow, turn);
                turn.counters.responses_unmatched += u64::from(!is_ours);
            }
            StartLine::Request { method, uri } => {
                self.handle_request(&message, method, uri, arrived, turn)
            }
        }
    }

    /// Whether a message is the retransmission of an initial SUBSCRIBE that is served here. Its flow
    /// may have become crowded since, but a copy must meet its transaction.
    fn began_here(&mut self, message: &Message<'_>, turn: &Turn<'_>) -> bool {
        let is_initial = matches!(message.start_line(), StartLine::Request { .. })
            && message.to().is_some_and(|to| to.tag().is_none());
        is_initial && self.uas.knows(message, turn.now)
    }

    fn handle_request(
        &mut self,
        message: &Message<'_>,
        method: Method<'_>,
        uri: &[u8],
        arrived: Arrived,
        turn: &mut Turn<'_>,
    ) {
        if method == Method::Ack {
            return;
        }
        if let Some(fault) = message.fault() {
            if message.is_answerable() {
                let request = Request::new(message, arrived, None);
                self.uas.refuse(&request, &Refusal::Fault(fault), turn);
            } else {
                turn.counters.messages_unreadable += 1;
            }
            return;
        }
        let is_to_client = method == Method::Notify && self.client_of(message, turn).is_some();
        let has_transaction = is_to_client
            || matches!(
                method,
                Method::Subscribe | Method::Publish | Method::Register
            );
        let mut transaction = None;
        if has_transaction {
            transaction = self.uas.begin_transaction(message, arrived, turn);
            if transaction.is_none() {
                return;
            }
        }
        let mut request = Request::new(message, arrived, transaction);
        let is_in_dialog =
            method == Method::Subscribe && message.to().is_some_and(|to| to.tag().is_some());
        if !is_in_dialog && !is_to_client && method != Method::Cancel {
            if let Ok(contact) = &request.contact {
                let key = phone_key(&arrived.flow, &contact.uri);
                request.phone_key = Some(key);
                request.is_known = self.subscriptions.is_known_phone(key);
            }
            return self.serve_guarded(&request, method, uri, turn);
        }
        if let Err(refusal) = self.serve(&request, method, uri, turn) {
            self.uas.refuse(&request, &refusal, turn);
        }
    }

    /// Serves a well-formed request.
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
                let began =
                    self.subscriptions
                        .tag_of_repeated(request.message, &request.flow, turn.now);
                if let Some(tag) = began {
                    return self.serve_in_dialog(request, &tag, turn);
                }
                let target = resolve(uri, &request.flow, turn)?;
                let admission = self.admit(request, target, turn)?;
                self.serve_subscribe(request, admission, turn)
            }
            Method::Publish => {
                let target = resolve(uri, &request.flow, turn)?;
                let admission = self.admit(request, target, turn)?;
                self.serve_publish(request, admission, turn)
            }
            Method::Register => self.serve_register(request, uri, turn),
            Method::Options => {
                let domain = match resolve(uri, &request.flow, turn)? {
                    Target::Presentity { domain, .. } => Some(domain),
                    Target::Server => None,
                };
                let is_registrar = domain.is_some_and(|domain| domain.is_registrar);
                check_extensions(request.message)?;
                self.uas.respond_options(request, is_registrar, turn);
                Ok(())
            }
            Method::Notify => self.serve_notify(request, turn),
            Method::Cancel => self.uas.serve_cancel(request, turn),
            Method::Invite => Err(refuse_call(uri, &request.flow, turn)),
            Method::Other(_) => Err(Refusal::Method(Status::NOT_IMPLEMENTED)),
            _ => Err(Refusal::Method(Status::METHOD_NOT_ALLOWED)),
        }
    }

    /// Serves a NOTIFY: to a subscription of ours, or to none (RFC 6665 §4.1.3).
    fn serve_notify<'d>(
        &mut self,
        request: &Request<'_>,
        turn: &mut Turn<'d>,
    ) -> Result<(), Refusal<'d>> {
        let Some(client) = self.client_of(request.message, turn) else {
            return self.uas.serve_stray_notify(request, turn);
        };
        self.uac.handle_notify(client, request, turn)?;
        self.uas.respond_ok(request, turn);
        Ok(())
    }

    /// The subscription of ours that a NOTIFY is for.
    fn client_of(&self, notify: &Message<'_>, turn: &Turn<'_>) -> Option<ClientId> {
        let tag = notify.to()?.tag()?;
        self.uac.find(notify, tag, turn)
    }

    /// The checks of every request about a presentity: target, Require, Privacy, authentication, rate limits
    /// of presentity and domain.
    pub(crate) fn admit<'d>(
        &mut self,
        request: &Request<'_>,
        target: Target<'d>,
        turn: &mut Turn<'d>,
    ) -> Result<Admission<'d>, Refusal<'d>> {
        let Target::Presentity { aor, domain } = target else {
            return Err(Refusal::Plain(Status::NOT_FOUND));
        };
        check_extensions(request.message)?;
        check_privacy(request.message)?;
        let authentication = self.uas.admit(request, (&aor, domain), turn)?;
        Ok(Admission {
            aor,
            domain,
            authentication,
        })
    }
}

impl Engine {
    /// The limit that a request of that method meets, from any sender. Sheds load while NOTIFYs are
    /// queued: first new subscriptions, because each needs a NOTIFY at once and more later, then
    /// OPTIONS. PUBLISHes are not shed for that but deferred (`publish`).
    /// What would have to wait for the store is shed while too much waits already, or while recorded
    /// presentities are still to come.
    fn backlog_met_by(&self, method: Method<'_>, turn: &Turn<'_>) -> Option<OverloadLimit> {
        let must_wait = match method {
            Method::Subscribe => turn.is_store_behind(),
            Method::Publish | Method::Register => {
                turn.is_store_behind() || self.compositor.is_recovering()
            }
            _ => false,
        };
        if must_wait {
            return Some(OverloadLimit::Store);
        }
        let backlog_max = turn.options.overload.backlog_max;
        let queued = self.subscriptions.queued();
        let is_behind = match method {
            Method::Subscribe => self.is_congested || queued >= backlog_max,
            Method::Options => queued >= backlog_max.saturating_mul(2),
            _ => false,
        };
        is_behind.then_some(OverloadLimit::Backlog)
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
        let backlog = self.backlog_met_by(method, turn);
        if self.uas.guard(request, uri, backlog, turn) {
            let served = self.serve(request, method, uri, turn);
            self.uas.conclude(request, uri, served, turn);
        }
    }
}
