//! What a swarm receives: NOTIFYs to check and to answer, responses to its own requests, answers of
//! call_state.htm.

use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

use super::Stage;
use super::Swarm;
use super::exchange::Exchange;
use super::exchange::Purpose;
use super::exchange::Ticket;
use super::judge::Fault;
use super::requests::RETRY_AFTER_DEFAULT;
use super::subscription;
use super::subscription::Heard;
use crate::measure::latency::Measure;
use crate::net::ports::Outbox;
use crate::scenario::PublicationOf;
use crate::wire::dialog_info::Lamp;
use crate::wire::digest::Challenge;
use crate::wire::message;
use crate::wire::message::Incoming;
use crate::wire::message::Start;
use crate::wire::second_opinion;
use crate::wire::second_opinion::Expected;

/// How often one subscription lets itself be put off.
const DEFERRALS_MAX: u8 = 10;
/// The longest a 503 can put off.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);
/// The first NOTIFYs and the first responses are all read in full.
const SAMPLED_AT_FIRST: u64 = 100;

impl Swarm {
    /// Takes one message.
    pub(crate) fn handle(&mut self, port: u32, bytes: &[u8], now: Instant, outbox: &mut Outbox) {
        if port >= self.scenario.ports() {
            self.handle_call_state(port, bytes, now, outbox);
            return;
        }
        if self.random.percent(self.scenario.loss) {
            self.tally.dropped += 1;
            return;
        }
        self.messages += 1;
        let message = match message::scan(bytes) {
            Ok(message) => message,
            Err(fault) => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
                self.tally
                    .foreign(|| format!("unreadable ({fault:?}): {text:?}"));
                return;
            }
        };
        match message.start {
            Start::Response(status) => self.handle_response(status, &message, bytes, now, outbox),
            Start::Request {
                method: b"NOTIFY", ..
            } => self.handle_notify(port, &message, bytes, now, outbox),
            Start::Request { method, uri } => {
                let [method, uri] = [method, uri].map(String::from_utf8_lossy);
                self.tally
                    .foreign(|| format!("a request nobody asked for: {method} {uri}"));
                let status = "SIP/2.0 405 Method Not Allowed";
                outbox.push(port, |out| message.answer(status, out));
            }
        }
    }

    fn handle_notify(
        &mut self,
        port: u32,
        notify: &Incoming<'_>,
        bytes: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let life = self.names.life_of_call_id(notify.call_id);
        let life = life.filter(|life| {
            (life.subscription as usize) < self.subscriptions.len()
                && self.port(life.subscription) == port
        });
        let Some(life) = life else {
            let call_id = String::from_utf8_lossy(notify.call_id);
            self.tally
                .foreign(|| format!("NOTIFY at port {port} for no subscription of it: {call_id}"));
            outbox.push(port, |out| answer_481(notify, out));
            return;
        };
        let number = life.subscription;
        if life.generation < self.subscriptions[number as usize].generation {
            self.tally.orphans += 1;
            outbox.push(port, |out| answer_481(notify, out));
            return;
        }
        let ours = self.names.life_of_tag(notify.to_tag) == Some(life);
        let heard = self.subscriptions[number as usize].hear(notify, ours);
        if heard == Heard::Stranger {
            self.fault(Fault::Wrong("a tag"), number, notify);
            outbox.push(port, |out| answer_481(notify, out));
            return;
        }
        let withheld =
            heard != Heard::Retransmission && self.random.percent(self.scenario.withhold);
        if withheld {
            self.tally.withheld += 1;
        } else {
            outbox.push(port, |out| notify.answer("SIP/2.0 200 OK", out));
            self.tally.acknowledged += u64::from(heard != Heard::Retransmission);
        }
        let Heard::Next {
            first,
            out_of_order,
            ended,
            wrong,
        } = heard
        else {
            self.tally.repeated += u64::from(heard == Heard::Retransmission);
            if heard == Heard::AfterTheEnd {
                self.fault(Fault::Duplicate, number, notify);
            }
            return;
        };
        self.tally.notifies += 1;
        self.progress = now;
        if out_of_order {
            self.fault(Fault::OutOfOrder, number, notify);
        }
        match wrong {
            Some(subscription::Wrong::Package) => {
                self.fault(Fault::Wrong("the package"), number, notify);
            }
            Some(subscription::Wrong::SubscriptionState) => {
                self.fault(Fault::Wrong("Subscription-State"), number, notify);
            }
            None => {}
        }
        if self.is_sampled() || self.tally.notifies <= SAMPLED_AT_FIRST {
            self.sample_notify(number, notify, bytes);
        }
        if !(ended && notify.body.is_empty()) {
            match self.scenario.list_size {
                0 => self.judge_document(number, notify, now),
                _ => self.judge_list(number, first, notify, now),
            }
        }
        let subscription = &mut self.subscriptions[number as usize];
        if let Some(asked) = subscription.asked.take() {
            let measure = match (first, ended) {
                (true, _) => Some(Measure::SubscribeNotify),
                (false, false) => Some(Measure::RefreshNotify),
                (false, true) => None,
            };
            if let Some(measure) = measure {
                self.latencies
                    .record(measure, now.saturating_duration_since(asked));
            }
        }
        self.advance(number);
    }

    /// The subscription has come as far as is waited for, if it has.
    fn advance(&mut self, number: u32) {
        let subscription = &self.subscriptions[number as usize];
        if !subscription.answered {
            return;
        }
        match subscription.stage {
            subscription::Stage::Active
                if subscription.is_notified() && subscription.asked.is_none() =>
            {
                self.satisfy(number);
            }
            subscription::Stage::Ended => self.satisfy(number),
            _ => {}
        }
    }

    // ---- Answers

    fn handle_response(
        &mut self,
        status: u16,
        response: &Incoming<'_>,
        bytes: &[u8],
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let Some(ticket) = self.exchanges.find(response.branch) else {
            // The answer to a retransmission whose first answer came after all.
            return;
        };
        self.sample_response(ticket, response, bytes);
        if status < 200 {
            return;
        }
        let Some(exchange) = self.exchanges.finish(ticket) else {
            return;
        };
        self.progress = now;
        let purpose = exchange.purpose;
        let answers = &mut self.tally.answers;
        *answers.entry((purpose.method(), status)).or_insert(0) += 1;
        match status {
            200..=299 => {
                self.accept(&exchange, response, now);
                self.go_on_telling(purpose, now, outbox);
            }
            401 if self.target.password.is_some() => {
                match Challenge::choose(response.challenges()) {
                    Some(challenge) if !exchange.authorized || challenge.stale => {
                        self.log_in(purpose, challenge);
                        self.send(purpose, exchange.scheduled, now, outbox);
                    }
                    _ => self.refused(purpose, status, now, outbox),
                }
            }
            481 if matches!(purpose, Purpose::Refresh(_)) => {
                // The phone does as RFC 6665 says: a new dialog. The old one was lost nevertheless.
                let (Purpose::Refresh(number) | Purpose::Subscribe(number)) = purpose else {
                    return;
                };
                self.tally.subscribes_failed += 1;
                self.tally
                    .example(|| format!("subscription {number}: its refresh was answered 481"));
                self.begin_anew(number, exchange.scheduled, now, outbox);
            }
            503 if self.may_defer(purpose) => {
                let wait = response
                    .retry_after
                    .map(|seconds| Duration::from_secs(seconds.into()));
                let wait = wait.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX);
                self.defer(purpose, exchange.scheduled, now + wait);
            }
            _ => self.refused(purpose, status, now, outbox),
        }
        self.exchanges.recycle(exchange.bytes);
    }

    fn refused(&mut self, purpose: Purpose, status: u16, now: Instant, outbox: &mut Outbox) {
        self.tally
            .example(|| format!("{purpose:?} was answered {status}"));
        self.fail(purpose);
        self.go_on_telling(purpose, now, outbox);
    }

    fn may_defer(&mut self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Subscribe(number)
            | Purpose::Refresh(number)
            | Purpose::Unsubscribe(number) => {
                let subscription = &mut self.subscriptions[number as usize];
                subscription.deferrals = subscription.deferrals.saturating_add(1);
                subscription.deferrals <= DEFERRALS_MAX
            }
            Purpose::Publish(_) | Purpose::Withdraw(_) => true,
        }
    }

    /// A 2xx: learns from it what the next request needs.
    fn accept(&mut self, exchange: &Exchange, response: &Incoming<'_>, now: Instant) {
        let latency = now.saturating_duration_since(exchange.scheduled);
        let granted = response.expires;
        let fair = granted.is_some_and(|granted| (1..=self.expires()).contains(&granted));
        match exchange.purpose {
            Purpose::Subscribe(number) | Purpose::Refresh(number) => {
                let begins = matches!(exchange.purpose, Purpose::Subscribe(_));
                let subscription = &mut self.subscriptions[number as usize];
                subscription.answered = true;
                subscription.ticket = None;
                subscription.deferrals = 0;
                let same_tag = subscription.learn_tag(response.to_tag);
                if begins || !response.contact.is_empty() {
                    subscription.remote_target = String::from_utf8_lossy(response.contact).into();
                }
                let no_contact = begins && response.contact.is_empty();
                if begins {
                    self.latencies.record(Measure::SubscribeAnswer, latency);
                    self.tally.subscribes += 1;
                    self.tally.established += u64::from(subscription.generation == 0);
                } else {
                    self.latencies.record(Measure::RefreshAnswer, latency);
                    self.tally.refreshes += 1;
                }
                if !same_tag || no_contact || !fair {
                    self.wrong_answer(exchange.purpose, response);
                }
                self.advance(number);
            }
            Purpose::Unsubscribe(number) => {
                let subscription = &mut self.subscriptions[number as usize];
                subscription.answered = true;
                self.tally.subscribes += 1;
                if !subscription.learn_tag(response.to_tag) || granted != Some(0) {
                    self.wrong_answer(exchange.purpose, response);
                }
                self.advance(number);
            }
            Purpose::Publish(user) | Purpose::Withdraw(user) => {
                if matches!(self.stage, Stage::Load | Stage::Drain) {
                    self.latencies.record(Measure::PublishAnswer, latency);
                }
                self.tally.publishes += 1;
                self.tally.changes += 1;
                let entity_tag = String::from_utf8_lossy(response.entity_tag).into_owned();
                let withdraws = matches!(exchange.purpose, Purpose::Withdraw(_));
                if !withdraws && (entity_tag.is_empty() || !fair) {
                    self.wrong_answer(exchange.purpose, response);
                }
                let presentity = &mut self.presentities[user as usize];
                let of_call = self.scenario.publication_of == PublicationOf::Call;
                let ended = withdraws || (of_call && presentity.lamp() == Lamp::Off);
                presentity.entity_tag = (!ended).then_some(entity_tag);
                presentity.uncertain = false;
            }
        }
    }

    fn wrong_answer(&mut self, purpose: Purpose, response: &Incoming<'_>) {
        self.tally.wrong += 1;
        let tag = String::from_utf8_lossy(response.to_tag).into_owned();
        let expires = response.expires;
        self.tally
            .example(|| format!("2xx to {purpose:?}: tag {tag:?}, Expires {expires:?}"));
    }

    fn handle_call_state(&mut self, port: u32, bytes: &[u8], now: Instant, outbox: &mut Outbox) {
        let Some((change, status)) = self.feeder.handle(port, bytes, outbox) else {
            self.tally
                .foreign(|| "an HTTP response nobody asked for".to_owned());
            return;
        };
        self.progress = now;
        *self.tally.answers.entry(("GET", status)).or_insert(0) += 1;
        let presentity = &mut self.presentities[change.presentity as usize];
        presentity.telling = false;
        presentity.uncertain = status != 200;
        if status == 200 {
            self.tally.http_requests += 1;
            self.tally.changes += 1;
            if matches!(self.stage, Stage::Load | Stage::Drain) {
                let latency = now.saturating_duration_since(change.scheduled);
                self.latencies.record(Measure::HttpAnswer, latency);
            }
        } else {
            self.tally.changes_failed += 1;
            let user = self.names.user(change.presentity);
            self.tally
                .example(|| format!("call_state.htm of {user} was answered {status}"));
        }
        self.tell(change.presentity, now, outbox);
    }

    /// Where a connection that was closed is to be opened again: those of call states are, because a
    /// server may close one that rests.
    pub(crate) fn server_of(&self, port: u32) -> Option<SocketAddr> {
        self.target.http.filter(|_| port >= self.scenario.ports())
    }

    /// A connection was closed, and perhaps opened again.
    pub(crate) fn handle_closed(
        &mut self,
        port: u32,
        opened: bool,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        match opened {
            true => self.tally.reopened += 1,
            false => self.tally.connections_closed += 1,
        }
        if port < self.scenario.ports() {
            return;
        }
        if let Some(change) = self.feeder.closed(port, opened, outbox) {
            self.tally.changes_failed += 1;
            let presentity = &mut self.presentities[change.presentity as usize];
            (presentity.telling, presentity.uncertain) = (false, true);
            self.tell(change.presentity, now, outbox);
        }
    }

    // ---- The second opinion

    /// Has `rsip` read a NOTIFY.
    fn sample_notify(&mut self, number: u32, notify: &Incoming<'_>, bytes: &[u8]) {
        let life = self.life(number);
        let expected = Expected {
            call_id: &self.names.call_id(life),
            from_tag: &self.subscriptions[number as usize].remote_tag,
            to_tag: Some(&self.names.tag(life)),
            sequence: notify.sequence,
            method: rsip::Method::Notify,
        };
        let opinion = second_opinion::check(bytes, &expected);
        self.take_opinion(opinion);
    }

    /// Has `rsip` read a response, if it is its turn.
    fn sample_response(&mut self, ticket: Ticket, response: &Incoming<'_>, bytes: &[u8]) {
        let Some(exchange) = self.exchanges.get(ticket) else {
            return;
        };
        if !self.tally.answers.is_empty() && !self.is_sampled() {
            return;
        }
        let (call_id, from_tag, sequence, method) = match exchange.purpose {
            Purpose::Subscribe(number)
            | Purpose::Refresh(number)
            | Purpose::Unsubscribe(number) => {
                let life = self.life(number);
                (
                    self.names.call_id(life),
                    self.names.tag(life),
                    self.subscriptions[number as usize].sequence,
                    rsip::Method::Subscribe,
                )
            }
            Purpose::Publish(user) | Purpose::Withdraw(user) => {
                let sequence = self.presentities[user as usize].sequence;
                (
                    self.names.publish_call_id(user),
                    format!("p{sequence}"),
                    sequence,
                    rsip::Method::Publish,
                )
            }
        };
        let to_tag = std::str::from_utf8(response.to_tag).unwrap_or("");
        let expected = Expected {
            call_id: &call_id,
            from_tag: &from_tag,
            to_tag: Some(to_tag),
            sequence,
            method,
        };
        let opinion = second_opinion::check(bytes, &expected);
        self.take_opinion(opinion);
    }

    fn is_sampled(&self) -> bool {
        self.messages
            .is_multiple_of(u64::from(self.scenario.sample))
    }

    fn take_opinion(&mut self, opinion: Result<(), String>) {
        self.tally.sampled += 1;
        if let Err(fault) = opinion {
            self.tally.foreign(|| format!("rsip: {fault}"));
        }
    }
}

impl Purpose {
    const fn method(self) -> &'static str {
        match self {
            Self::Subscribe(_) | Self::Refresh(_) | Self::Unsubscribe(_) => "SUBSCRIBE",
            Self::Publish(_) | Self::Withdraw(_) => "PUBLISH",
        }
    }
}

fn answer_481(notify: &Incoming<'_>, out: &mut Vec<u8>) {
    notify.answer("SIP/2.0 481 Subscription does not exist", out);
}
