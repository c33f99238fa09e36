//! NOTIFYs to us (RFC 6665 §4.1.3, §4.4.1): checked, read, and what follows from them.

use std::time::Duration;

use crate::presence::document;
use crate::presence::document::list_state::{NotifiedState, read_notified};
use crate::presence::document::{Document, DocumentFault};
use crate::presence::event::Package;
use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::probe::{ProbeEvent, ServerStatus, UserStatus};
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::{check_extensions, decoded_body};
use crate::shard::request::refusal::Refusal;
use crate::shard::uac::Uac;
use crate::shard::uac::client::{Client, Role};
use crate::shard::uac::purpose::Coverage;
use crate::shard::uac::subscriber::Subscriber;
use crate::sip::dialog::{Dialog, Sequence};
use crate::sip::header::{Event, Parameters, delta_seconds, retry_after};
use crate::sip::uri::Uri;
use crate::sip::{Fault, HeaderName, Message, Status};

/// The shortest time between the ends of subscriptions that the server wants to begin again at once.
const RENEW_DELAY: Duration = Duration::from_secs(1);
/// Octets of a Subscription-State that are shown.
const STATE_OCTETS_MAX: usize = 128;

/// What a NOTIFY says.
struct Notification {
    /// The dialog, if it creates one.
    dialog: Option<Dialog>,
    /// The value of Subscription-State.
    state: Box<str>,
    /// What its body says.
    content: Option<NotifiedState>,
}

/// What Subscription-State says (RFC 6665 §4.1.3).
enum SubscriptionState {
    /// Active, or a state that we do not know, and for how much longer.
    Active(Option<Duration>),
    /// Pending, and for how much longer.
    Pending(Option<Duration>),
    /// Terminated.
    Terminated(End, Option<Duration>),
}

/// Why a subscription ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// `deactivated`, `timeout`: subscribe again at once.
    Renew,
    /// `probation`, `giveup`, or no reason that we know: subscribe again later.
    RenewLater,
    /// `rejected`
    Rejected,
    /// `noresource`
    NoResource,
    /// `invariant`: the state will not change.
    Invariant,
}

impl Uac {
    /// A NOTIFY to a client. On success the caller responds with 200.
    pub(crate) fn handle_notify(
        &mut self,
        id: ClientId,
        request: &Request<'_>,
        turn: &mut Turn<'_>,
    ) -> Result<(), Refusal<'static>> {
        let client = self.clients.get_mut(id);
        let client = client.ok_or(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST))?;
        let taken = client
            .check_waiting_news(turn)
            .and_then(|()| client.read_notify(request, turn));
        match taken {
            Ok(notification) => {
                turn.counters.notifies_received += 1;
                client.take_notification(notification, request.message, turn);
                let status = client.server_status();
                if let Some(link) = client.link() {
                    self.server_notifies(link, status, turn);
                    if let Some(link) = self.links.get_mut(link) {
                        link.counts.notifies += 1;
                    }
                }
            }
            Err(refusal) => {
                let status = refusal.status().0;
                client.purpose.add(ProbeEvent::NotifyRefused(status), turn);
                return Err(refusal);
            }
        }
        self.arm(id, turn);
        Ok(())
    }
}

impl Client {
    /// Checks a NOTIFY in the order of RFC 3261 §12.2.2 and §8.2, and reads it.
    fn read_notify(
        &mut self,
        request: &Request<'_>,
        turn: &Turn<'_>,
    ) -> Result<Notification, Refusal<'static>> {
        let message = request.message;
        let sequence = self.sequence;
        let reads_lists = self.roster().is_some();
        let Role::Subscriber(subscriber) = &mut self.role else {
            return Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST));
        };
        let event = message.header(HeaderName::Event).and_then(Event::parse);
        let event = event.ok_or(Refusal::BadEvent)?;
        if Package::from_token(event.package) != Some(subscriber.package) {
            return Err(Refusal::BadEvent);
        }
        check_dialog(subscriber, message)?;
        check_extensions(message)?;
        let state = message.header(HeaderName::SubscriptionState);
        let state = state.ok_or(Fault::Missing(HeaderName::SubscriptionState))?;
        let content = read_body(subscriber.package, reads_lists, message, turn)?;
        if let (false, Some(NotifiedState::Document(document))) = (reads_lists, &content)
            && let Some(entity) = document.entity()
            && names_another(entity, &self.target)
        {
            return Err(malformed());
        }
        let dialog = match &mut subscriber.dialog {
            None => Some(Dialog::of_notify(message, &request.contact?, sequence)?),
            Some(dialog) => {
                dialog.refresh_target(request.contact)?;
                None
            }
        };
        let shown = state.get(..STATE_OCTETS_MAX).unwrap_or(state);
        Ok(Notification {
            dialog,
            state: String::from_utf8_lossy(shown).into(),
            content,
        })
    }

    fn take_notification(
        &mut self,
        notification: Notification,
        message: &Message<'_>,
        turn: &mut Turn<'_>,
    ) {
        let Role::Subscriber(subscriber) = &mut self.role else {
            return;
        };
        let is_audit = subscriber.dialog.is_some() && !subscriber.is_notified;
        let is_first = !std::mem::replace(&mut subscriber.is_notified, true);
        let Notification {
            dialog,
            state,
            content,
        } = notification;
        let is_new = dialog.is_some();
        if is_new {
            subscriber.dialog = dialog;
        }
        self.purpose.server(ServerStatus::UpAndRunning, turn);
        let mut document = self.take_states(content, is_first.then_some(is_new), turn);
        let user = document
            .as_ref()
            .and_then(|document| self.status_in(document));
        if self.purpose.is_probe() {
            let document = document.take();
            self.purpose
                .add(ProbeEvent::Notify { state, document }, turn);
        }
        self.log_user(user, turn);
        match SubscriptionState::of(message) {
            SubscriptionState::Active(expires) => {
                self.go_on(expires, turn);
                self.heard(document, is_audit, turn);
            }
            SubscriptionState::Pending(expires) => self.go_on(expires, turn),
            SubscriptionState::Terminated(end, delay) => {
                if document.is_some() {
                    self.heard(document, is_audit, turn);
                }
                self.terminated(end, delay, turn);
            }
        }
    }

    /// The status of the user in a document. Of a connector's users what a partial document leaves out is in
    /// no call as far as it says.
    fn status_in(&self, document: &Document) -> Option<UserStatus> {
        let idle = (!self.purpose.is_probe()).then_some(UserStatus::Available);
        UserStatus::of_document(document).or(idle)
    }

    /// The server says what the state of a connector's user is. Without a document it knows of none: so does a
    /// presence server that lost its publications.
    fn heard(&mut self, document: Option<Document>, is_audit: bool, turn: &mut Turn<'_>) {
        let is_leaving = self.is_leaving();
        let Some(upstream) = self.purpose.upstream_mut().filter(|_| !is_leaving) else {
            return;
        };
        (upstream.link.failures, upstream.link.refusals) = (0, 0);
        let Coverage::User(_, status) = &mut upstream.covers else {
            // Its users were told.
            return;
        };
        if document.is_none() {
            *status = UserStatus::Offline;
        }
        let news = document.map_or(UpstreamNews::Gone, UpstreamNews::Document);
        self.tell(news, is_audit, turn);
    }

    fn log_user(&mut self, user: Option<UserStatus>, turn: &mut Turn<'_>) {
        if let Some(user) = user.filter(|_| !self.is_leaving()) {
            self.purpose.user(user, turn);
        }
    }

    /// The subscription lives. Its expiry is what NOTIFY says, which may be less than what the 2xx
    /// granted (RFC 6665 §4.1.3).
    fn go_on(&mut self, expires: Option<Duration>, turn: &mut Turn<'_>) {
        if self.is_leaving() {
            // The NOTIFY that ends it is still to come.
            return;
        }
        let Role::Subscriber(subscriber) = &mut self.role else {
            return;
        };
        self.notify_by = None;
        let known = subscriber
            .expires_at
            .map(|end| end.saturating_duration_since(turn.now));
        let left = match (expires, known) {
            (Some(notified), Some(known)) => notified.min(known),
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return,
        };
        let refresh_at = subscriber.granted(left, turn);
        // Only ever earlier: NOTIFYs that come one after the other must not put it off.
        let scheduled = self.request_at.unwrap_or(refresh_at);
        self.request_at = Some(scheduled.min(refresh_at));
    }

    /// The subscription ended.
    fn terminated(&mut self, end: End, delay: Option<Duration>, turn: &mut Turn<'_>) {
        self.notify_by = None;
        let is_leaving = self.is_leaving();
        match end {
            _ if is_leaving => self.end(Some(UserStatus::NotRequested), turn),
            End::Rejected => {
                self.end(Some(UserStatus::AccessDenied), turn);
                // The server does not want to be asked again.
                self.request_at = None;
            }
            End::NoResource => self.end(Some(UserStatus::NotFound), turn),
            End::Invariant => self.end(None, turn),
            End::Renew => {
                self.begin_anew(turn);
                self.request_at = Some(turn.now + RENEW_DELAY);
            }
            End::RenewLater => {
                self.begin_anew(turn);
                self.purpose.user(UserStatus::Error, turn);
                self.retry_after(delay, turn);
            }
        }
    }
}

/// Another fork has another tag: there is one dialog, and its NOTIFYs come in order (RFC 6665
/// §4.4.1, RFC 3261 §12.2.2).
fn check_dialog(
    subscriber: &mut Subscriber,
    message: &Message<'_>,
) -> Result<(), Refusal<'static>> {
    let Some(dialog) = &mut subscriber.dialog else {
        return Ok(());
    };
    let local = message.to().and_then(|to| to.tag()).unwrap_or_default();
    let remote = message
        .from()
        .and_then(|from| from.tag())
        .unwrap_or_default();
    if !dialog.matches(message.call_id(), local, remote) {
        return Err(Refusal::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST));
    }
    let number = message.cseq().map_or(0, |cseq| cseq.number);
    match subscriber.take_sequence(number) {
        Sequence::Next => Ok(()),
        Sequence::OutOfOrder => Err(Refusal::Because(
            Status::SERVER_INTERNAL_ERROR,
            "CSeq Out Of Order",
        )),
    }
}

fn read_body(
    package: Package,
    reads_lists: bool,
    message: &Message<'_>,
    turn: &Turn<'_>,
) -> Result<Option<NotifiedState>, Refusal<'static>> {
    if message.body().is_empty() {
        return Ok(None);
    }
    let body = decoded_body(message)?;
    if body.len() > turn.options.body_octets_max {
        return Err(Refusal::Plain(Status::REQUEST_ENTITY_TOO_LARGE));
    }
    let content_type = message.header(HeaderName::ContentType).unwrap_or_default();
    let content_type = String::from_utf8_lossy(content_type);
    let read = match reads_lists {
        true => read_notified(package, &content_type, &body),
        false => document::read(package, &content_type, &body).map(NotifiedState::Document),
    };
    read.map(Some).map_err(|fault| match fault {
        DocumentFault::UnsupportedType => Refusal::MediaType(document::accepted(package)),
        DocumentFault::TooLarge => Refusal::Plain(Status::REQUEST_ENTITY_TOO_LARGE),
        DocumentFault::Malformed | DocumentFault::WrongEntity => malformed(),
    })
}

fn malformed() -> Refusal<'static> {
    Refusal::Because(Status::BAD_REQUEST, "Malformed Body")
}

/// Whether a document is about another user than the subscription. Servers name themselves in many ways: the
/// host, and an entity that is no SIP URI with a user, show nothing.
fn names_another(entity: &str, target: &str) -> bool {
    let user = |uri: &str| {
        let mut user = String::new();
        let is_valid = Uri::parse(uri.as_bytes()).ok()?.write_user(&mut user);
        is_valid.then_some(user)
    };
    matches!((user(entity), user(target)), (Some(of_entity), Some(own)) if of_entity != own)
}

impl SubscriptionState {
    /// Reads Subscription-State. A state that we do not know counts as active (RFC 6665 §4.1.3).
    fn of(message: &Message<'_>) -> Self {
        let value = message.header(HeaderName::SubscriptionState);
        let value = value.unwrap_or_default();
        let end = value.iter().position(|octet| *octet == b';');
        let (state, parameters) = value.split_at(end.unwrap_or(value.len()));
        let parameters = Parameters(parameters);
        if !state.trim_ascii().eq_ignore_ascii_case(b"terminated") {
            let expires = parameters.get("expires").and_then(delta_seconds);
            let expires = expires.map(|seconds| Duration::from_secs(u64::from(seconds)));
            return match state.trim_ascii().eq_ignore_ascii_case(b"pending") {
                true => Self::Pending(expires),
                false => Self::Active(expires),
            };
        }
        let reason = parameters.get("reason").unwrap_or_default();
        let delay = parameters.get("retry-after").and_then(retry_after);
        Self::Terminated(End::of(reason), delay)
    }
}

impl End {
    /// The end that a reason means (RFC 6665 §4.1.3). One that we do not know, or none, means to try
    /// again later.
    pub(super) fn of(reason: &[u8]) -> Self {
        let ends: [(&str, Self); 7] = [
            ("deactivated", Self::Renew),
            ("timeout", Self::Renew),
            ("probation", Self::RenewLater),
            ("giveup", Self::RenewLater),
            ("rejected", Self::Rejected),
            ("noresource", Self::NoResource),
            ("invariant", Self::Invariant),
        ];
        let is_named = |(name, _): &(&str, Self)| reason.eq_ignore_ascii_case(name.as_bytes());
        let named = ends.into_iter().find(is_named);
        named.map_or(Self::RenewLater, |(_, end)| end)
    }
}
