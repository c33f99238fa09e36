//! From octets to the call that serves them: parse, forward to another shard, match the
//! transaction, dispatch by method.

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::conduct::Engine;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::mail::Mail;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::check_extensions;
use crate::shard::request::principal::Principal;
use crate::shard::request::refusal::Refusal;
use crate::shard::request::response_flow::response_flow;
use crate::shard::request::target::{Target, refuse_call, resolve};
use crate::sip::message::PlainResponse;
use crate::sip::transaction::server::Arrival;
use crate::sip::{Message, Method, StartLine, Status};

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
        if !is_in_dialog && !is_to_client && method != Method::Cancel {
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
    ) -> Result<(Aor, &'d Domain, Principal), Refusal<'d>> {
        let Target::Presentity { aor, domain } = target else {
            return Err(Refusal::Plain(Status::NOT_FOUND));
        };
        check_extensions(request.message)?;
        let principal = self.uas.authenticate(request, domain, turn)?;
        let user = match &principal {
            Principal::User(user) => Some(user.as_str()),
            Principal::Believed => None,
        };
        self.check_shares(request, &aor, domain, user, turn)?;
        Ok((aor, domain, principal))
    }
}
