//! What a swarm receives: NOTIFYs to check and to answer, responses to its own requests, answers of
//! call_state.htm.

use std::time::Duration;
use std::time::Instant;

use super::Swarm;
use super::requests::RETRY_AFTER_DEFAULT;
use crate::digest::Challenge;
use crate::exchange::Exchange;
use crate::exchange::Purpose;
use crate::exchange::Ticket;
use crate::message;
use crate::message::Incoming;
use crate::message::Start;
use crate::phone::Findings;
use crate::phone::Stage;
use crate::phone::Wrong;
use crate::ports::Outbox;
use crate::second_opinion;
use crate::second_opinion::Expected;

/// How often one subscription or presentity lets itself be put off.
const DEFERRALS_MAX: u8 = 10;
/// The longest a 503 can put off.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30);

impl Swarm {
    /// Takes one message.
    pub(super) fn handle(&mut self, port: u32, bytes: &[u8], now: Instant, outbox: &mut Outbox) {
        if port >= self.arguments.ports {
            self.handle_call_state(port, bytes, now, outbox);
            return;
        }
        if self.arguments.loss > 0.0 {
            let drawn = (self.random() >> 11) as f64 / (1_u64 << 53) as f64;
            if drawn * 100.0 < self.arguments.loss {
                self.report.dropped += 1;
                return;
            }
        }
        self.messages += 1;
        let message = match message::scan(bytes) {
            Ok(message) => message,
            Err(fault) => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
                self.foreign(|| format!("unreadable ({fault:?}): {text:?}"));
                return;
            }
        };
        match message.start {
            Start::Response(status) => {
                self.handle_response(status, &message, bytes, now, outbox);
            }
            Start::Request {
                method: b"NOTIFY", ..
            } => {
                self.handle_notify(port, &message, bytes, now, outbox);
            }
            Start::Request { method, uri } => {
                let [method, uri] = [method, uri].map(String::from_utf8_lossy);
                self.foreign(|| format!("a request nobody asked for: {method} {uri}"));
                outbox.push(port, |out| {
                    message.answer("SIP/2.0 405 Method Not Allowed", out)
                });
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
        let number = self.names.subscription_of_call_id(notify.call_id);
        let number = number.filter(|&number| {
            self.subscriptions
                .get(number as usize)
                .is_some_and(|one| one.port == port)
        });
        let Some(number) = number else {
            let call_id = String::from_utf8_lossy(notify.call_id);
            self.foreign(|| format!("NOTIFY at port {port} for no subscription of it: {call_id}"));
            outbox.push(port, |out| message_481(notify, out));
            return;
        };
        let ours = self.names.subscription_of_tag(notify.to_tag) == Some(number);
        let subscription = &mut self.subscriptions[number as usize];
        let presentity = &self.presentities[subscription.presentity as usize];
        let expectation = presentity.expectation;
        let findings = subscription.handle_notify(notify, ours, &presentity.entity, expectation);
        if findings.wrong == Some(Wrong::Tag) {
            outbox.push(port, |out| message_481(notify, out));
        } else {
            outbox.push(port, |out| notify.answer("SIP/2.0 200 OK", out));
        }
        self.count(number, notify, &findings);
        if findings.retransmission {
            return;
        }
        if findings.first || self.is_sampled() {
            self.sample_notify(number, notify, bytes);
        }
        self.progress = now;
        let presentity = self.subscriptions[number as usize].presentity;
        if findings.arrived && self.subscriptions[number as usize].pending {
            self.advance(number);
            let changed = self.presentities[presentity as usize].changed;
            if expectation.now != expectation.before && !findings.ended {
                self.report
                    .notify_latency
                    .record(now.saturating_duration_since(changed));
            }
        } else if findings.first || findings.ended {
            self.advance(number);
        }
    }

    /// Adds what a NOTIFY turned out to be.
    fn count(&mut self, number: u32, notify: &Incoming<'_>, findings: &Findings) {
        let report = &mut self.report;
        if findings.retransmission {
            report.notifies_repeated += 1;
            return;
        }
        report.notifies += 1;
        report.lost += u64::from(findings.lost);
        report.duplicate += u64::from(findings.duplicate);
        report.stale += u64::from(findings.stale);
        report.out_of_order += u64::from(findings.out_of_order);
        report.wrong += u64::from(findings.wrong.is_some());
        let is_good = findings.lost == 0
            && !findings.duplicate
            && !findings.stale
            && !findings.out_of_order
            && findings.wrong.is_none();
        if !is_good {
            let sequence = notify.sequence;
            report.example(|| format!("subscription {number}, CSeq {sequence}: {findings:?}"));
        }
    }

    /// The subscription has come as far as the phase wants it, if it has.
    fn advance(&mut self, number: u32) {
        let subscription = &self.subscriptions[number as usize];
        if !subscription.answered {
            return;
        }
        match subscription.stage {
            Stage::Active if subscription.is_notified() => self.satisfy(number),
            Stage::Ended => self.satisfy(number),
            _ => {}
        }
    }

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
        *self
            .report
            .answers
            .entry((purpose.method(), status))
            .or_insert(0) += 1;
        match status {
            200..=299 => self.accept(&exchange, response, now),
            401 if !exchange.authorized && self.arguments.password.is_some() => {
                match Challenge::choose(response.challenges()) {
                    Some(challenge) => {
                        self.send(purpose, Some(&challenge), exchange.scheduled, now, outbox);
                    }
                    None => self.refused(purpose, status),
                }
            }
            503 if self.may_defer(purpose) => {
                let wait = response
                    .retry_after
                    .map(|seconds| Duration::from_secs(seconds.into()));
                let wait = wait.unwrap_or(RETRY_AFTER_DEFAULT).min(RETRY_AFTER_MAX);
                self.defer(purpose, exchange.scheduled, now + wait);
            }
            _ => self.refused(purpose, status),
        }
    }

    fn refused(&mut self, purpose: Purpose, status: u16) {
        self.report
            .example(|| format!("{purpose:?} was answered {status}"));
        self.fail(purpose);
    }

    fn may_defer(&mut self, purpose: Purpose) -> bool {
        let (Purpose::Subscribe(number) | Purpose::Unsubscribe(number)) = purpose else {
            return false;
        };
        let subscription = &mut self.subscriptions[number as usize];
        subscription.deferrals += 1;
        subscription.deferrals <= DEFERRALS_MAX
    }

    /// A 2xx: learns from it what the next request needs.
    fn accept(&mut self, exchange: &Exchange, response: &Incoming<'_>, now: Instant) {
        self.requests += 1;
        let latency = now.saturating_duration_since(exchange.scheduled);
        let granted = response.expires;
        let asked = self.arguments.expires;
        match exchange.purpose {
            Purpose::Subscribe(number) => {
                self.report.subscribe_latency.record(latency);
                let subscription = &mut self.subscriptions[number as usize];
                subscription.answered = true;
                subscription.remote_target = String::from_utf8_lossy(response.contact).into();
                let same_tag = subscription.learn_tag(response.to_tag);
                self.report.established += 1;
                let fair = granted.is_some_and(|granted| (1..=asked).contains(&granted));
                if !same_tag || response.contact.is_empty() || !fair {
                    self.wrong_answer(exchange.purpose, response);
                }
                self.advance(number);
            }
            Purpose::Unsubscribe(number) => {
                let subscription = &mut self.subscriptions[number as usize];
                subscription.answered = true;
                if !subscription.learn_tag(response.to_tag) || granted != Some(0) {
                    self.wrong_answer(exchange.purpose, response);
                }
                self.advance(number);
            }
            Purpose::Publish(number) => {
                self.report.publish_latency.record(latency);
                let entity_tag = String::from_utf8_lossy(response.entity_tag).into_owned();
                let fair = granted.is_some_and(|granted| (1..=asked).contains(&granted));
                if entity_tag.is_empty() || !fair {
                    self.wrong_answer(exchange.purpose, response);
                }
                self.presentities[number as usize].entity_tag = Some(entity_tag);
            }
            Purpose::Withdraw(number) => {
                self.presentities[number as usize].entity_tag = None;
            }
        }
    }

    fn wrong_answer(&mut self, purpose: Purpose, response: &Incoming<'_>) {
        self.report.wrong += 1;
        let tag = String::from_utf8_lossy(response.to_tag).into_owned();
        let expires = response.expires;
        self.report
            .example(|| format!("2xx to {purpose:?}: tag {tag:?}, Expires {expires:?}"));
    }

    fn handle_call_state(&mut self, port: u32, bytes: &[u8], now: Instant, outbox: &mut Outbox) {
        let Some((change, status)) = self.feeder.handle(port, bytes, outbox) else {
            self.foreign(|| "an HTTP response nobody asked for".to_owned());
            return;
        };
        self.progress = now;
        *self.report.answers.entry(("GET", status)).or_insert(0) += 1;
        if status == 200 {
            self.requests += 1;
            return;
        }
        self.report.publishes_failed += 1;
        self.report
            .example(|| format!("{change:?} was answered {status}"));
        self.forgive(change.presentity);
    }

    /// Has `rsip` read a NOTIFY.
    fn sample_notify(&mut self, number: u32, notify: &Incoming<'_>, bytes: &[u8]) {
        let expected = Expected {
            call_id: &self.names.call_id(number),
            from_tag: &self.subscriptions[number as usize].remote_tag,
            to_tag: Some(&self.names.tag(number)),
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
        let is_first = self.report.answers.is_empty();
        if !is_first && !self.is_sampled() {
            return;
        }
        let (call_id, from_tag, sequence, method) = match exchange.purpose {
            Purpose::Subscribe(number) | Purpose::Unsubscribe(number) => (
                self.names.call_id(number),
                self.names.tag(number),
                self.subscriptions[number as usize].sequence,
                rsip::Method::Subscribe,
            ),
            Purpose::Publish(number) | Purpose::Withdraw(number) => {
                let sequence = self.presentities[number as usize].sequence;
                let call_id = self.names.publish_call_id(number);
                (
                    call_id,
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
            .is_multiple_of(u64::from(self.arguments.sample))
    }

    fn take_opinion(&mut self, opinion: Result<(), String>) {
        self.report.sampled += 1;
        if let Err(fault) = opinion {
            self.foreign(|| format!("rsip: {fault}"));
        }
    }

    fn foreign(&mut self, text: impl FnOnce() -> String) {
        self.report.foreign += 1;
        self.report.example(text);
    }
}

impl Purpose {
    const fn method(self) -> &'static str {
        match self {
            Self::Subscribe(_) | Self::Unsubscribe(_) => "SUBSCRIBE",
            Self::Publish(_) | Self::Withdraw(_) => "PUBLISH",
        }
    }
}

fn message_481(notify: &Incoming<'_>, out: &mut Vec<u8>) {
    notify.answer("SIP/2.0 481 Subscription does not exist", out);
}
