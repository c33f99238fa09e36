//! The SIP client shared by all phones and users: completes and sends requests, retransmits them,
//! authenticates, defers requests after a 503, and interprets responses.
//!
//! It knows nothing about subscriptions and publications: a request is composed by its owner, and
//! its owner composes it again after a challenge or a 503, because its CSeq changes.

mod accounts;
mod transactions;

use std::time::{Duration, Instant};

use crate::net::ports::Transport;
use crate::swarm::agenda::Agenda;
use crate::swarm::client::accounts::{Accounts, Protected};
use crate::swarm::client::transactions::{Due, Sent, Transactions};
pub(super) use crate::swarm::client::transactions::{Owner, Planned, Purpose, Ticket};
use crate::swarm::key::{Key, SubscriptionKey, UserKey};
use crate::swarm::plan::Plan;
use crate::swarm::turn::{Received, Turn};
use crate::wire::digest::Challenge;
use crate::wire::message::Incoming;
use crate::wire::second_opinion::Expected;
use crate::wire::template::{Style, Template, Values};
use crate::wire::{message, second_opinion};

/// How long to wait if a 503 has no Retry-After.
const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// The maximum Retry-After that is respected.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

/// The client.
pub(super) struct Client {
    /// Local address of each port.
    addresses: Vec<String>,
    templates: Templates,
    accounts: Accounts,
    transactions: Transactions,
    /// Requests that were deferred by a 503.
    deferred: Agenda<Planned>,
}

/// Our side of the connection to the server under test.
pub(super) struct Identity {
    /// Local address of each port.
    pub(super) addresses: Vec<String>,
    pub(super) domain: String,
    pub(super) transport: Transport,
    /// The account used for authentication; without it every user has its own.
    pub(super) username: Option<String>,
    pub(super) password: Option<String>,
    /// The number of this run, part of every branch.
    pub(super) run: u32,
}

/// A request as composed by its owner. The client adds Via, From, Contact and credentials.
pub(super) struct Request<'a> {
    pub(super) request_uri: &'a str,
    pub(super) from_tag: &'a str,
    /// The user part of To.
    pub(super) to_user: &'a str,
    /// `;tag=...`, or nothing outside a dialog.
    pub(super) to_tag: &'a str,
    pub(super) call_id: &'a str,
    pub(super) sequence: u32,
    /// Complete header lines, each with its line end.
    pub(super) lines: &'a str,
    pub(super) body: &'a [u8],
}

/// A final response to a request.
pub(super) struct FinalResponse<'a> {
    pub(super) planned: Planned,
    pub(super) outcome: Outcome,
    pub(super) message: &'a Incoming<'a>,
}

/// What the owner of a request must do after its final response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Accepted,
    /// Send the request again: there are credentials for it now.
    Challenged,
    /// A 503: try again after this time.
    RetryAfter(Duration),
    Refused(u16),
}

struct Templates {
    subscribe: Template,
    publish: Template,
    withdraw: Template,
}

impl Client {
    pub(super) fn new(identity: Identity, is_of_lists: bool) -> Self {
        let transport = match identity.transport {
            Transport::Udp => rsip::Transport::Udp,
            Transport::Tcp => rsip::Transport::Tcp,
            Transport::Tls => rsip::Transport::Tls,
            Transport::Ws => rsip::Transport::Ws,
            Transport::Wss => rsip::Transport::Wss,
        };
        let style = Style {
            domain: identity.domain,
            transport,
        };
        let is_reliable = identity.transport.is_reliable();
        Self {
            addresses: identity.addresses,
            templates: Templates {
                subscribe: Template::subscribe(&style, is_of_lists),
                publish: Template::publish(&style),
                withdraw: Template::withdraw(&style),
            },
            accounts: Accounts::new(identity.username, identity.password),
            transactions: Transactions::new(identity.run, is_reliable),
            deferred: Agenda::new(),
        }
    }

    /// The number of requests waiting for a response.
    pub(super) fn in_flight(&self) -> usize {
        self.transactions.in_flight()
    }

    /// Returns whether no request is waiting for anything.
    pub(super) fn is_idle(&self) -> bool {
        self.transactions.in_flight() == 0 && self.deferred.is_empty()
    }

    /// Sends a request.
    pub(super) fn send(
        &mut self,
        planned: Planned,
        request: &Request<'_>,
        turn: &mut Turn<'_>,
    ) -> Ticket {
        let purpose = planned.purpose;
        let (user, port) = sender(purpose, turn.plan);
        let account = self.accounts.name(user, turn.plan);
        let protected = Protected {
            user,
            account: &account,
            method: purpose.method(),
            uri: request.request_uri,
        };
        let login = self.accounts.authorization(&protected, turn.random);
        let contact_user = match purpose.owner() {
            Owner::Subscription(key) => contact_user(&account, key),
            Owner::User(_) => String::new(),
        };
        let expires = if purpose.is_last() {
            0
        } else {
            turn.plan.expires()
        };
        let values = Values {
            request_uri: request.request_uri,
            sent_by: &self.addresses[port as usize],
            branch: "",
            from_user: &account,
            from_tag: request.from_tag,
            to_user: request.to_user,
            to_tag: request.to_tag,
            call_id: request.call_id,
            sequence: request.sequence,
            contact_user: &contact_user,
            expires,
            lines: &format!("{}{login}", request.lines),
            body: request.body,
        };
        let template = self.templates.of(purpose);
        let write = |branch: &str, out: &mut Vec<u8>| {
            template.fill(&Values { branch, ..values }, out);
        };
        let sent = Sent {
            planned,
            port,
            is_authorized: !login.is_empty(),
        };
        let (ticket, request) = self.transactions.start(sent, turn.now, write);
        turn.outbox.push(port, |out| out.extend_from_slice(request));
        ticket
    }

    /// Handles a response. Returns it with its request if it is the final response to one of our
    /// requests.
    pub(super) fn handle_response<'a>(
        &mut self,
        status: u16,
        received: &'a Received<'a>,
        turn: &mut Turn<'_>,
    ) -> Option<FinalResponse<'a>> {
        let response = &received.message;
        // The response to a retransmission can arrive after the transaction has ended.
        let (ticket, request) = self.transactions.find(response.branch)?;
        sample(request, received, turn);
        if status < 200 {
            return None;
        }
        let sent = self.transactions.finish(ticket);
        turn.note_news();
        let method = sent.planned.purpose.method();
        *turn.tally().responses.entry((method, status)).or_insert(0) += 1;
        Some(FinalResponse {
            planned: sent.planned,
            outcome: self.judge(status, &sent, response, turn),
            message: response,
        })
    }

    /// Stores a request that was deferred by a 503 until that time.
    pub(super) fn defer(&mut self, planned: Planned, wait: Duration, turn: &mut Turn<'_>) {
        turn.tally().deferred += 1;
        self.deferred.add(turn.now + wait, planned);
    }

    /// Removes the next deferred request that is due; its owner sends it again.
    pub(super) fn next_deferred(&mut self, now: Instant) -> Option<Planned> {
        self.deferred.take(now).map(|(_, planned)| planned)
    }

    /// Sends due retransmissions, until a request has timed out, which is returned.
    pub(super) fn next_timed_out(&mut self, turn: &mut Turn<'_>) -> Option<Purpose> {
        while let Some(due) = self.transactions.handle_timeout(turn.now) {
            match due {
                Due::Retransmit { port, request } => {
                    turn.outbox.push(port, |out| out.extend_from_slice(request));
                    turn.tally().retransmitted += 1;
                }
                Due::TimedOut(sent) => {
                    let purpose = sent.planned.purpose;
                    turn.tally().timed_out += 1;
                    turn.tally()
                        .example(|| format!("{purpose:?}: no response within 32 s"));
                    return Some(purpose);
                }
            }
        }
        None
    }

    /// When the next timer fires or deferred request is due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timers = [self.transactions.poll_timeout(), self.deferred.next()];
        timers.into_iter().flatten().min()
    }

    /// Drops the requests of a subscription that its phone has lost: the one with that ticket, if
    /// it is still in flight, and all deferred requests that begin or refresh it.
    pub(super) fn forget(&mut self, key: SubscriptionKey, ticket: Option<Ticket>) {
        if let Some(ticket) = ticket {
            self.transactions.cancel(ticket);
        }
        let lost = [Purpose::Subscribe(key), Purpose::Refresh(key)];
        self.deferred
            .retain(|planned| !lost.contains(&planned.purpose));
    }

    /// Abandons all requests. Returns those without a response.
    pub(super) fn abandon(&mut self, turn: &mut Turn<'_>) -> Vec<Purpose> {
        let running = self.transactions.abandon();
        turn.tally().timed_out += running.len() as u64;
        let running = running.into_iter().map(|sent| sent.planned);
        let abandoned = running.chain(self.deferred.drain());
        abandoned.map(|planned| planned.purpose).collect()
    }

    fn judge(
        &mut self,
        status: u16,
        sent: &Sent,
        response: &Incoming<'_>,
        turn: &Turn<'_>,
    ) -> Outcome {
        match status {
            200..=299 => Outcome::Accepted,
            401 if self.accounts.have_password() => {
                match Challenge::choose(response.challenges()) {
                    Some(challenge) if !sent.is_authorized || challenge.stale => {
                        let (user, _) = sender(sent.planned.purpose, turn.plan);
                        self.accounts.take_challenge(user, challenge);
                        Outcome::Challenged
                    }
                    _ => Outcome::Refused(status),
                }
            }
            503 => {
                let asked = response.retry_after;
                let asked = asked.map(|seconds| Duration::from_secs(seconds.into()));
                let wait = asked.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX);
                Outcome::RetryAfter(wait)
            }
            _ => Outcome::Refused(status),
        }
    }
}

impl Templates {
    const fn of(&self, purpose: Purpose) -> &Template {
        match purpose {
            Purpose::Subscribe(_) | Purpose::Refresh(_) | Purpose::Unsubscribe(_) => {
                &self.subscribe
            }
            Purpose::Publish(_) => &self.publish,
            Purpose::Withdraw(_) => &self.withdraw,
        }
    }
}

/// The user that sends a request, and its port.
fn sender(purpose: Purpose, plan: &Plan) -> (UserKey, u32) {
    match purpose.owner() {
        Owner::Subscription(key) => (plan.watcher(key), plan.port(key)),
        Owner::User(user) => (user, plan.port_of_user(user)),
    }
}

fn contact_user(account: &str, key: SubscriptionKey) -> String {
    format!("{account}-{:x}", key.number())
}

/// Lets the second parser check the response against its request, if the response is in the sample.
fn sample(request: &[u8], received: &Received<'_>, turn: &mut Turn<'_>) {
    // The first responses are all parsed.
    if !turn.results.tally.responses.is_empty() && !turn.is_sampled() {
        return;
    }
    let Ok(request) = message::scan(request) else {
        unreachable!("our own requests can be read");
    };
    let method = match request.sequence_method {
        b"SUBSCRIBE" => rsip::Method::Subscribe,
        _ => rsip::Method::Publish,
    };
    let [call_id, from_tag, to_tag] = [request.call_id, request.from_tag, received.message.to_tag]
        .map(|text| String::from_utf8_lossy(text));
    let expected = Expected {
        call_id: &call_id,
        from_tag: &from_tag,
        to_tag: Some(&to_tag),
        sequence: request.sequence,
        method,
    };
    let opinion = second_opinion::check(received.bytes, &expected);
    turn.take_second_opinion(opinion);
}
