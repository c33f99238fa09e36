//! From octets to the call that serves them: parse, forward to another shard, match the
//! transaction, apply overload control, dispatch by method.

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::conduct::Engine;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::overload::rate_limit::AdmittedSender;
use crate::shard::request::Request;
use crate::shard::request::headers::check_extensions;
use crate::shard::request::phone_key::phone_key_of;
use crate::shard::request::refusal::{OverloadLimit, Refusal};
use crate::shard::request::sender::Principal;
use crate::shard::request::target::{Target, refuse_call, resolve};
use crate::sip::message::PlainResponse;
use crate::sip::transaction::server::Arrival;
use crate::sip::{Message, Method, StartLine, Status};

/// The presentity that an admitted request is about, its domain, and who sent the request.
pub(crate) type Admission<'d> = (Aor, &'d Domain, Principal);

impl Engine {
    /// Handles a datagram or a message cut from a stream. `response` is the message already parsed
    /// if it is a plain 200; nearly all of those answer a NOTIFY of ours. Any other message is
    /// parsed here.
    pub(crate) fn handle_octets(
        &mut self,
        flow: Flow,
        octets: &[u8],
        response: Option<PlainResponse<'_>>,
        is_forwarded: bool,
        turn: &mut Turn<'_>,
    ) {
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
        turn.counters.messages_received += 1;
        if !is_forwarded
            && let Some(shard) = self.subscriptions.table().home_of(&message, &flow, turn)
            && !self.began_here(&message, turn)
        {
            turn.counters.messages_misdirected += 1;
            let bytes = octets.into();
            turn.send(shard, Mail::Misdirected { flow, bytes });
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
                self.handle_request(&message, method, uri, flow, turn)
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
            phone_key: None,
        };
        if let Some(fault) = message.fault() {
            if message.is_answerable() {
                self.uas.refuse(&request, &Refusal::Fault(fault), turn);
            } else {
                turn.counters.messages_unreadable += 1;
            }
            return;
        }
        let is_to_client = method == Method::Notify && self.client_of(message, turn).is_some();
        if is_to_client
            || matches!(
                method,
                Method::Subscribe | Method::Publish | Method::Register
            )
        {
            let (key, arrival) = self.uas.begin_transaction(message, turn.now);
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
                    turn.transmit(request.response_flow(), start..end, 0..0);
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
        if !is_in_dialog && !is_to_client && method != Method::Cancel {
            request.phone_key = phone_key_of(&request);
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
                let accepts_unauthenticated =
                    |domain: &Domain| domain.accepts_unauthenticated(request.flow.peer.ip());
                let is_stranger = !domain.is_some_and(accepts_unauthenticated);
                let is_registrar = domain.is_some_and(|domain| domain.is_registrar);
                check_extensions(request.message)?;
                self.uas
                    .respond_options(request, is_stranger, is_registrar, turn);
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

    /// The checks of every request about a presentity: target, Require, authentication, rate limits
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
        let principal = self.uas.authenticate(request, domain, turn)?;
        let user = match &principal {
            Principal::User(user) => Some(user.as_str()),
            Principal::Unauthenticated => None,
        };
        let sender = AdmittedSender {
            request,
            user,
            is_known: user.is_some() || self.subscriptions.is_known_phone(request),
        };
        self.uas
            .overload_mut()
            .check_shares(&sender, &aor, domain, turn)
            .map_err(Refusal::Shed)?;
        Ok((aor, domain, principal))
    }
}

impl Engine {
    /// Sheds load while NOTIFYs are queued: first new subscriptions, because each needs a NOTIFY at
    /// once and more later, then OPTIONS. PUBLISHes are not shed for that but deferred (`publish`).
    /// What would have to wait for the store is shed while too much waits already, or while recorded
    /// presentities are still to come.
    pub(super) fn check_backlog(
        &self,
        method: Method<'_>,
        turn: &Turn<'_>,
    ) -> Result<(), OverloadLimit> {
        let must_wait = match method {
            Method::Subscribe => turn.is_store_behind(),
            Method::Publish | Method::Register => {
                turn.is_store_behind() || self.compositor.is_recovering()
            }
            _ => false,
        };
        if must_wait {
            return Err(OverloadLimit::Store);
        }
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
        let is_known = self.subscriptions.is_known_phone(request);
        let overload = self.uas.overload_mut();
        let passed = overload.check_rates(request, uri, is_known, turn);
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
}
