//! What a swarm sends: SUBSCRIBE, un-SUBSCRIBE, PUBLISH, call states, and all of them again when it
//! must be.

use std::time::Duration;
use std::time::Instant;

use super::Phase;
use super::Swarm;
use crate::call_state::Change;
use crate::dialog_info;
use crate::dialog_info::Lamp;
use crate::dialog_info::PublishedCall;
use crate::digest::Challenge;
use crate::digest::Credentials;
use crate::exchange::Due;
use crate::exchange::Purpose;
use crate::phone::Expectation;
use crate::phone::Stage;
use crate::ports::Outbox;
use crate::template::Values;

impl Swarm {
    /// Starts the phase's request of that number.
    pub(super) fn start(
        &mut self,
        number: u32,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let purpose = match self.phases[self.phase] {
            Phase::Subscribe => {
                self.await_subscription(number);
                Purpose::Subscribe(number)
            }
            Phase::Unsubscribe => {
                if self.subscriptions[number as usize].stage != Stage::Active {
                    return;
                }
                self.await_subscription(number);
                Purpose::Unsubscribe(number)
            }
            Phase::Publish(lamp) => {
                self.expect(number, lamp, scheduled);
                let presentity = &mut self.presentities[number as usize];
                presentity.call += u32::from(lamp == Lamp::Ringing);
                Purpose::Publish(number)
            }
            Phase::Withdraw => Purpose::Withdraw(number),
            Phase::CallState { busy } => {
                let lamp = if busy { Lamp::Busy } else { Lamp::Off };
                self.expect(number, lamp, scheduled);
                self.report.publishes += 1;
                let user = self.names.user(number);
                self.feeder.send(
                    Change {
                        presentity: number,
                        busy,
                    },
                    &user,
                    outbox,
                );
                return;
            }
        };
        self.send(purpose, None, scheduled, now, outbox);
    }

    /// From now on the watchers of that presentity must come to show `lamp`.
    fn expect(&mut self, presentity: u32, lamp: Lamp, scheduled: Instant) {
        let state = &mut self.presentities[presentity as usize];
        state.expectation = Expectation {
            now: lamp,
            before: state.expectation.now,
        };
        state.changed = scheduled;
        if state.expectation.now == state.expectation.before {
            return;
        }
        for watcher in self.watchers(presentity) {
            if self.subscriptions[watcher as usize].stage == Stage::Active {
                self.await_subscription(watcher);
            }
        }
    }

    fn await_subscription(&mut self, subscription: u32) {
        let subscription = &mut self.subscriptions[subscription as usize];
        if !std::mem::replace(&mut subscription.pending, true) {
            self.waiting += 1;
        }
    }

    /// Sends the request of a purpose, with an answer to the challenge when there is one.
    pub(super) fn send(
        &mut self,
        purpose: Purpose,
        challenge: Option<&Challenge>,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        match purpose {
            Purpose::Subscribe(number) | Purpose::Unsubscribe(number) => {
                self.send_subscribe(purpose, number, challenge, scheduled, now, outbox);
            }
            Purpose::Publish(number) | Purpose::Withdraw(number) => {
                self.send_publish(purpose, number, challenge, scheduled, now, outbox);
            }
        }
    }

    fn send_subscribe(
        &mut self,
        purpose: Purpose,
        number: u32,
        challenge: Option<&Challenge>,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let ends = matches!(purpose, Purpose::Unsubscribe(_));
        let subscription = &mut self.subscriptions[number as usize];
        subscription.begin_subscribe(if ends { Stage::Ending } else { Stage::Active });
        let subscription = &self.subscriptions[number as usize];
        let watched = self.names.user(subscription.presentity);
        let watcher = self.arguments.username.clone();
        let watcher = watcher.unwrap_or_else(|| self.names.user(subscription.watcher));
        let request_uri = if ends {
            subscription.remote_target.to_string()
        } else {
            self.names.uri(&watched)
        };
        let to_tag = if ends {
            format!(";tag={}", subscription.remote_tag)
        } else {
            String::new()
        };
        let lines = self.authorization(challenge, &watcher, "SUBSCRIBE", &request_uri);
        let values = Values {
            request_uri: &request_uri,
            sent_by: &self.addresses[subscription.port as usize],
            branch: "",
            from_user: &watcher,
            from_tag: &self.names.tag(number),
            to_user: &watched,
            to_tag: &to_tag,
            call_id: &self.names.call_id(number),
            sequence: subscription.sequence,
            contact_user: &format!("{watcher}-{number:x}"),
            expires: if ends { 0 } else { self.arguments.expires },
            lines: &lines,
            body: b"",
        };
        let template = &self.subscribe;
        let port = subscription.port;
        let write = |branch: &str, out: &mut Vec<u8>| {
            template.fill(&Values { branch, ..values }, out);
        };
        let exchange =
            self.exchanges
                .start(purpose, port, challenge.is_some(), scheduled, now, write);
        outbox.push(port, |out| out.extend_from_slice(&exchange.bytes));
    }

    fn send_publish(
        &mut self,
        purpose: Purpose,
        number: u32,
        challenge: Option<&Challenge>,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let withdraws = matches!(purpose, Purpose::Withdraw(_));
        if challenge.is_none() {
            self.report.publishes += 1;
        }
        let user = self.names.user(number);
        let presentity = &mut self.presentities[number as usize];
        presentity.sequence += 1;
        presentity.version += 1;
        let body = if withdraws {
            Vec::new()
        } else {
            dialog_info::write(&PublishedCall {
                address: &self.names.address(&user),
                number: presentity.call,
                run: self.names.run(),
                version: presentity.version,
                lamp: presentity.expectation.now,
            })
        };
        let mut lines = String::new();
        if let Some(entity_tag) = &presentity.entity_tag {
            lines = format!("SIP-If-Match: {entity_tag}\r\n");
        }
        let (entity, sequence) = (presentity.entity.clone(), presentity.sequence);
        let account = self.arguments.username.as_deref().unwrap_or(&user);
        lines.push_str(&self.authorization(challenge, account, "PUBLISH", &entity));
        let port = number % self.arguments.ports;
        let values = Values {
            request_uri: &entity,
            sent_by: &self.addresses[port as usize],
            branch: "",
            from_user: account,
            from_tag: &format!("p{sequence}"),
            to_user: &user,
            to_tag: "",
            call_id: &self.names.publish_call_id(number),
            sequence,
            contact_user: "",
            expires: if withdraws { 0 } else { self.arguments.expires },
            lines: &lines,
            body: &body,
        };
        let template = if withdraws {
            &self.withdraw
        } else {
            &self.publish
        };
        let write = |branch: &str, out: &mut Vec<u8>| {
            template.fill(&Values { branch, ..values }, out);
        };
        let exchange =
            self.exchanges
                .start(purpose, port, challenge.is_some(), scheduled, now, write);
        outbox.push(port, |out| out.extend_from_slice(&exchange.bytes));
    }

    /// The Authorization line, or nothing without a challenge.
    fn authorization(
        &self,
        challenge: Option<&Challenge>,
        username: &str,
        method: &str,
        uri: &str,
    ) -> String {
        let password = self.arguments.password.as_deref().unwrap_or("");
        challenge.map_or_else(String::new, |challenge| {
            let credentials = Credentials { username, password };
            let client_nonce = format!("{:x}", self.random ^ self.messages);
            challenge.authorization(credentials, method, uri, &client_nonce)
        })
    }

    /// Sends again what nobody answered, and gives up what nobody ever will.
    pub(super) fn retransmit(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(due) = self.exchanges.handle_timeout(now) {
            match due {
                Due::Retransmit(ticket) => {
                    let Some(exchange) = self.exchanges.get(ticket) else {
                        continue;
                    };
                    outbox.push(exchange.port, |out| out.extend_from_slice(&exchange.bytes));
                    self.report.requests_retransmitted += 1;
                }
                Due::TimedOut(exchange) => {
                    self.report.requests_timed_out += 1;
                    let purpose = exchange.purpose;
                    self.report
                        .example(|| format!("{purpose:?}: no answer in 32 s"));
                    self.fail(purpose);
                }
            }
        }
    }

    /// A 503 asks to come back later.
    pub(super) fn defer(&mut self, purpose: Purpose, scheduled: Instant, until: Instant) {
        self.deferrals += 1;
        self.report.deferred += 1;
        self.deferred
            .insert((until, self.deferrals), (purpose, scheduled));
    }

    /// Sends what was put off until now.
    pub(super) fn resume_deferred(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(entry) = self.deferred.first_entry() {
            if entry.key().0 > now {
                return;
            }
            let (purpose, scheduled) = entry.remove();
            self.progress = now;
            self.send(purpose, None, scheduled, now, outbox);
        }
    }

    /// A request that was refused or never answered.
    pub(super) fn fail(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Subscribe(number) | Purpose::Unsubscribe(number) => {
                self.subscriptions[number as usize].stage = Stage::Failed;
                self.satisfy(number);
                self.report.failed += 1;
            }
            Purpose::Publish(number) => {
                self.forgive(number);
                self.report.publishes_failed += 1;
            }
            Purpose::Withdraw(_) => self.report.publishes_failed += 1,
        }
    }

    /// The change was never taken, so nobody can be told of it.
    pub(super) fn forgive(&mut self, presentity: u32) {
        let expectation = &mut self.presentities[presentity as usize].expectation;
        expectation.now = expectation.before;
        for watcher in self.watchers(presentity) {
            self.satisfy(watcher);
        }
    }
}

/// How long to stay away when a 503 does not say.
pub(super) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
