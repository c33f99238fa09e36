//! What a response to a request of ours means (RFC 6665 §4.1.2, RFC 3903 §4, RFC 3261 §22), and what
//! follows from it.

use std::time::Duration;

use crate::presence::presentity::UpstreamNews;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::ClientId;
use crate::shard::contract::probe::{ProbeEvent, ServerStatus, UserStatus};
use crate::shard::contract::turn::Turn;
use crate::shard::uac::Uac;
use crate::shard::uac::client::{Client, Role};
use crate::sip::digest::client::ReceivedChallenge;
use crate::sip::header::{delta_seconds, retry_after};
use crate::sip::transaction::TIMER_F;
use crate::sip::{HeaderName, Message, StartLine};

/// The wait before the next attempt if the server names none. It never tries again sooner than
/// that, whatever a shorter time Retry-After names.
pub(super) const RETRY_DELAY: Duration = Duration::from_secs(10);
/// The longest expiry that we ask for because a 423 says so.
const MIN_EXPIRES_MAX: u32 = 24 * 3600;
/// The longest expiry that we ask for because a 423 names no minimum.
const BARE_EXPIRES_MAX: u32 = 3600;
/// How often one request is challenged: for the server and a proxy, each once with a stale nonce.
const CHALLENGES_MAX: u8 = 4;
/// Octets of a reason phrase that are shown.
const REASON_OCTETS_MAX: usize = 128;

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome<'m> {
    /// A final response with that status code.
    Response(&'m Message<'m>, u16),
    /// No final response: 408 for us (RFC 3261 §8.1.3.1).
    Unanswered,
    /// It was not sent: too many requests of ours wait for a response.
    NotSent,
}

/// What a client does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It sends a request at once.
    Send,
    /// It waits for its timer, or it is over.
    Wait,
}

impl Uac {
    /// The request that was under way has ended.
    pub(super) fn take_outcome(&mut self, id: ClientId, outcome: Outcome<'_>, turn: &mut Turn<'_>) {
        let client = self.clients.get_mut(id);
        let Some(client) = client.expected("a client ends its transaction when it is removed")
        else {
            return;
        };
        client.transaction = None;
        client.tell_outcome(outcome, turn);
        if self.take_link_outcome(id, outcome, turn) {
            return;
        }
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        let next = client.settle(outcome, turn);
        self.count_outcome(id, outcome, next, turn);
        let Some(client) = self.clients.get_mut(id) else {
            return;
        };
        if client.is_leaving() && !client.is_removing {
            self.go_on_leaving(id, turn);
        } else if next == Next::Send {
            self.send_request(id, turn);
        } else {
            self.arm(id, turn);
        }
    }

    /// What the response to a user of a connector means for the link, beside that the server answers.
    fn count_outcome(
        &mut self,
        id: ClientId,
        outcome: Outcome<'_>,
        next: Next,
        turn: &mut Turn<'_>,
    ) {
        let (Some(client), Outcome::Response(_, code)) = (self.clients.get(id), outcome) else {
            return;
        };
        let (is_own, is_list) = (client.is_own(), client.roster().is_some());
        let is_published = matches!(client.role, Role::Publisher(_)) && code < 300;
        let Some(link) = client.link() else {
            return;
        };
        if let Some(link) = self.links.get_mut(link) {
            link.counts.failures += u64::from(code >= 300 && next == Next::Wait);
            link.counts.published += u64::from(is_published);
        }
        match code {
            420 | 421 if is_list => {
                self.server_answers(link, ServerStatus::ListsNotSupported, turn)
            }
            200..=299 if is_own => self.credentials_found(link, turn.now),
            404 if is_own => self.server_answers(link, ServerStatus::CredentialsNotFound, turn),
            401 | 403 | 407 | 603 if next == Next::Wait => self.take_refusal(id, turn),
            _ => {}
        }
    }
}

impl Client {
    fn tell_outcome(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_>) {
        if !self.purpose.is_probe() {
            return;
        }
        let event = match outcome {
            Outcome::NotSent => ProbeEvent::NotSent,
            Outcome::Unanswered => ProbeEvent::TimedOut,
            Outcome::Response(message, code) => ProbeEvent::Response {
                code,
                reason: reason_of(message),
                expires: expires_of(message).filter(|_| code < 300),
            },
        };
        self.purpose.add(event, turn);
    }

    fn settle(&mut self, outcome: Outcome<'_>, turn: &mut Turn<'_>) -> Next {
        let (message, code) = match outcome {
            Outcome::Response(message, code) => (message, code),
            Outcome::NotSent => return self.retry(None, turn),
            Outcome::Unanswered => {
                self.purpose.server(ServerStatus::ConnectionError, turn);
                return self.elsewhere(None, turn);
            }
        };
        if code != 503 {
            self.stay();
        }
        if matches!(code, 401 | 407) {
            return self.authenticate(message, code, turn);
        }
        self.challenged = 0;
        match code {
            200..=299 => self.accepted(message, turn),
            // Asterisk declines everything of a peer that may not subscribe.
            403 | 603 => self.denied(turn),
            404 => self.not_found(turn),
            412 if self.is_established(turn.now) => self.forgotten(turn),
            // Without a dialog, 481 says nothing about a subscription that could begin again.
            481 if self.is_established(turn.now) => self.forgotten(turn),
            423 => self.too_brief(message, turn),
            489 if !self.is_removing && self.take_next_package(turn) => Next::Send,
            503 => {
                self.purpose.server(ServerStatus::ConnectionError, turn);
                self.elsewhere(retry_after_of(message), turn)
            }
            408 | 480 | 500..=599 => {
                self.purpose.server(ServerStatus::UpAndRunning, turn);
                self.retry(retry_after_of(message), turn)
            }
            _ => {
                self.purpose.server(ServerStatus::UpAndRunning, turn);
                self.failed(UserStatus::Error, turn)
            }
        }
    }

    fn accepted(&mut self, message: &Message<'_>, turn: &mut Turn<'_>) -> Next {
        self.purpose.server(ServerStatus::UpAndRunning, turn);
        let expires = expires_of(message).unwrap_or(self.expires);
        let expires = Duration::from_secs(u64::from(expires));
        match &mut self.role {
            Role::Subscriber(subscriber) => {
                if !subscriber.is_notified {
                    self.notify_by = Some(turn.now + TIMER_F);
                }
                if !self.is_removing {
                    let refresh_at = subscriber.granted(expires, turn);
                    // The first NOTIFY creates the dialog that a refresh is sent in.
                    if subscriber.dialog.is_some() {
                        self.request_at = Some(refresh_at);
                    }
                }
            }
            Role::Publisher(_) if self.is_removing => {
                if !self.is_leaving() {
                    self.begin_anew(turn);
                    return Next::Send;
                }
                self.end(Some(UserStatus::NotRequested), turn);
            }
            Role::Publisher(publisher) => {
                let entity_tag = message.header(HeaderName::SipEtag);
                let refresh_at = publisher.granted(entity_tag, expires, turn);
                if publisher.entity_tag.is_none() {
                    // It could be neither refreshed nor removed (RFC 3903 §11.3.1).
                    return self.failed(UserStatus::Error, turn);
                }
                self.purpose.user(UserStatus::Published, turn);
                self.request_at = Some(refresh_at);
                if let Some(link) = self.purpose.link_mut() {
                    (link.failures, link.refusals) = (0, 0);
                }
                self.tell_published(turn);
            }
        }
        Next::Wait
    }

    /// 401 or 407. The same request is sent with credentials, unless they were refused.
    fn authenticate(&mut self, message: &Message<'_>, code: u16, turn: &mut Turn<'_>) -> Next {
        let Some(received) = ReceivedChallenge::of(message, code) else {
            return self.authenticate_anew(turn);
        };
        let known = &mut self.challenges[usize::from(code == 407)];
        let is_new = self.challenged == 0 || known.is_none() || received.is_stale;
        if self.login.is_none() || !is_new || self.challenged >= CHALLENGES_MAX {
            return self.denied(turn);
        }
        *known = Some(received);
        self.challenged += 1;
        Next::Send
    }

    /// 401 or 407 without a challenge. Some servers answer an old nonce so: a request without credentials
    /// gets a new one.
    fn authenticate_anew(&mut self, turn: &mut Turn<'_>) -> Next {
        let has_credentials = self.challenges.iter().any(Option::is_some);
        if self.login.is_none() || !has_credentials || self.challenged >= CHALLENGES_MAX {
            return self.denied(turn);
        }
        self.challenges = [None, None];
        self.challenged += 1;
        Next::Send
    }

    fn denied(&mut self, turn: &mut Turn<'_>) -> Next {
        self.purpose.server(ServerStatus::Forbidden, turn);
        self.failed(UserStatus::AccessDenied, turn)
    }

    /// Whether its user is the one that the credentials are of.
    fn is_own(&self) -> bool {
        self.login.is_some() && self.from == self.target
    }

    fn not_found(&mut self, turn: &mut Turn<'_>) -> Next {
        let server = match self.is_own() {
            true => ServerStatus::CredentialsNotFound,
            false => ServerStatus::UpAndRunning,
        };
        self.purpose.server(server, turn);
        self.failed(UserStatus::NotFound, turn)
    }

    /// The server no longer has what the request refreshes or removes: it is over, or begins again.
    fn forgotten(&mut self, turn: &mut Turn<'_>) -> Next {
        self.purpose.server(ServerStatus::UpAndRunning, turn);
        self.begin_anew(turn);
        if self.is_leaving() {
            self.end(Some(UserStatus::NotRequested), turn);
            return Next::Wait;
        }
        Next::Send
    }

    fn too_brief(&mut self, message: &Message<'_>, turn: &mut Turn<'_>) -> Next {
        self.purpose.server(ServerStatus::UpAndRunning, turn);
        let min = message.header(HeaderName::MinExpires);
        // Asterisk names no minimum: twice as long may be long enough.
        let doubled = || self.expires.saturating_mul(2).min(BARE_EXPIRES_MAX);
        let min = min.and_then(delta_seconds).unwrap_or_else(doubled);
        // The end of its time is its own: it is not too brief.
        if self.is_removing || min <= self.expires || min > MIN_EXPIRES_MAX {
            return self.failed(UserStatus::Error, turn);
        }
        self.expires = min;
        Next::Send
    }

    /// The server does not serve the request: another location of it may.
    fn elsewhere(&mut self, delay: Option<Duration>, turn: &mut Turn<'_>) -> Next {
        self.challenged = 0;
        match self.move_on(turn) {
            true => Next::Send,
            false => self.retry(delay, turn),
        }
    }

    /// The request failed for now.
    fn retry(&mut self, delay: Option<Duration>, turn: &mut Turn<'_>) -> Next {
        self.challenged = 0;
        if self.is_removing {
            return self.failed(UserStatus::Error, turn);
        }
        self.purpose.user(UserStatus::Error, turn);
        self.retry_after(delay, turn);
        Next::Wait
    }

    /// The next attempt waits as long as the server says.
    pub(super) fn retry_after(&mut self, delay: Option<Duration>, turn: &mut Turn<'_>) {
        let own = match self.purpose.is_probe() {
            true => RETRY_DELAY,
            false => {
                self.report(UpstreamNews::Stale, turn);
                self.failure_pause(turn)
            }
        };
        self.request_at = Some(turn.now + delay.unwrap_or_default().max(own));
    }

    /// The request failed for good.
    fn failed(&mut self, status: UserStatus, turn: &mut Turn<'_>) -> Next {
        self.end(Some(status), turn);
        Next::Wait
    }
}

fn reason_of(message: &Message<'_>) -> Box<str> {
    let StartLine::Response { reason, .. } = message.start_line() else {
        return Box::default();
    };
    let shown = reason.get(..REASON_OCTETS_MAX).unwrap_or(reason);
    String::from_utf8_lossy(shown).into()
}

fn expires_of(message: &Message<'_>) -> Option<u32> {
    message.header(HeaderName::Expires).and_then(delta_seconds)
}

/// Retry-After; None if the server names none.
pub(super) fn retry_after_of(message: &Message<'_>) -> Option<Duration> {
    message.header(HeaderName::RetryAfter).and_then(retry_after)
}
