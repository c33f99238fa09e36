//! What a swarm sends: SUBSCRIBE, refresh, un-SUBSCRIBE, PUBLISH, call states, and all of them again
//! when it must be.

use std::time::Duration;
use std::time::Instant;

use super::Login;
use super::Stage;
use super::Swarm;
use super::Task;
use super::call_state::Change;
use super::exchange::Due;
use super::exchange::Purpose;
use super::presentity::Wanted;
use super::subscription;
use crate::measure::latency::Measure;
use crate::net::ports::Outbox;
use crate::scenario::Feed;
use crate::scenario::ListBy;
use crate::scenario::PublicationOf;
use crate::wire::dialog_info;
use crate::wire::dialog_info::Lamp;
use crate::wire::dialog_info::PublishedCall;
use crate::wire::digest::Challenge;
use crate::wire::digest::Credentials;
use crate::wire::rlmi;
use crate::wire::template::Values;

/// How long to stay away when a 503 does not say.
pub(super) const RETRY_AFTER_DEFAULT: Duration = Duration::from_secs(1);
/// The account of everybody, when there is one.
const SHARED_ACCOUNT: u32 = u32::MAX;

impl Swarm {
    /// Starts the stage's request of that number.
    pub(super) fn start(
        &mut self,
        number: u32,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        match self.stage {
            Stage::Subscribe => {
                self.await_subscription(number);
                self.send_first(Purpose::Subscribe(number), scheduled, now, outbox);
            }
            Stage::Leave => {
                let subscription = &self.subscriptions[number as usize];
                if subscription.stage == subscription::Stage::Active {
                    self.await_subscription(number);
                    self.send_first(Purpose::Unsubscribe(number), scheduled, now, outbox);
                }
            }
            Stage::Withdraw => self.withdraw(number, scheduled, now, outbox),
            Stage::Search | Stage::Load | Stage::Drain | Stage::Done => {}
        }
    }

    fn withdraw(&mut self, user: u32, scheduled: Instant, now: Instant, outbox: &mut Outbox) {
        let presentity = &self.presentities[user as usize];
        let of_user = self.scenario.publication_of == PublicationOf::User;
        let withdraws = of_user && presentity.entity_tag.is_some();
        let busy = !of_user || self.scenario.feed == Feed::Http;
        if withdraws || (busy && presentity.lamp() != Lamp::Off) {
            let wanted = Wanted {
                lamp: Lamp::Off,
                scheduled,
                measured: false,
                withdraws,
            };
            self.want(user, wanted, now, outbox);
        }
    }

    /// That user's state is to become another, as soon as the change before is answered.
    pub(super) fn want(&mut self, user: u32, wanted: Wanted, now: Instant, outbox: &mut Outbox) {
        self.lag(wanted.scheduled, now);
        let presentity = &mut self.presentities[user as usize];
        self.tally.held_back += u64::from(!presentity.want(wanted));
        self.tell(user, now, outbox);
    }

    /// Tells the server what changed next.
    pub(super) fn tell(&mut self, user: u32, now: Instant, outbox: &mut Outbox) {
        let Some(wanted) = self.presentities[user as usize].begin() else {
            return;
        };
        match (self.scenario.feed, wanted.withdraws) {
            (Feed::Publish, withdraws) => {
                let purpose = match withdraws {
                    true => Purpose::Withdraw(user),
                    false => Purpose::Publish(user),
                };
                self.send_first(purpose, wanted.scheduled, now, outbox);
            }
            (Feed::Http, _) => {
                let change = Change {
                    presentity: user,
                    busy: wanted.lamp != Lamp::Off,
                    scheduled: wanted.scheduled,
                };
                let name = self.names.user(user);
                self.feeder.send(change, &name, outbox);
            }
        }
    }

    pub(super) fn await_subscription(&mut self, subscription: u32) {
        let subscription = &mut self.subscriptions[subscription as usize];
        if !std::mem::replace(&mut subscription.pending, true) {
            self.waiting += 1;
        }
    }

    pub(super) fn refresh(
        &mut self,
        number: u32,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        self.await_subscription(number);
        self.send_first(Purpose::Refresh(number), scheduled, now, outbox);
    }

    /// The phone has lost its subscription and does not know it: it subscribes as if for the first
    /// time.
    pub(super) fn begin_anew(
        &mut self,
        number: u32,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        for (place, at) in self.places(number).enumerate() {
            let watched = self.watched(number, place as u32) as usize;
            self.presentities[watched].leave(&mut self.sights[at]);
        }
        let subscription = &mut self.subscriptions[number as usize];
        if let Some(exchange) = subscription
            .ticket
            .and_then(|ticket| self.exchanges.finish(ticket))
        {
            self.exchanges.recycle(exchange.bytes);
        }
        let is_of = |purpose: Purpose| matches!(purpose, Purpose::Subscribe(one) | Purpose::Refresh(one) if one == number);
        self.agenda
            .retain(|_, task| !matches!(task, Task::Retry(purpose, _) if is_of(*purpose)));
        subscription.forget();
        self.await_subscription(number);
        self.send_first(Purpose::Subscribe(number), scheduled, now, outbox);
    }

    fn lag(&mut self, scheduled: Instant, now: Instant) {
        let lag = now.saturating_duration_since(scheduled);
        self.latencies.record(Measure::StartLag, lag);
    }

    fn send_first(
        &mut self,
        purpose: Purpose,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        // A change that waited for the one before is late because of the server, not of us.
        if !matches!(purpose, Purpose::Publish(_) | Purpose::Withdraw(_)) {
            self.lag(scheduled, now);
        }
        self.send(purpose, scheduled, now, outbox);
    }

    /// Sends the request of a purpose.
    pub(super) fn send(
        &mut self,
        purpose: Purpose,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        match purpose {
            Purpose::Subscribe(number)
            | Purpose::Refresh(number)
            | Purpose::Unsubscribe(number) => {
                self.send_subscribe(purpose, number, scheduled, now, outbox);
            }
            Purpose::Publish(number) | Purpose::Withdraw(number) => {
                self.send_publish(purpose, number, scheduled, now, outbox);
            }
        }
    }

    /// The URI that a subscription asks for.
    pub(super) fn asked_uri(&self, number: u32) -> String {
        self.names.uri(&self.asked_user(number))
    }

    fn asked_user(&self, number: u32) -> String {
        match (self.scenario.list_size, self.scenario.list_by) {
            (0, _) => self.names.user(self.watched(number, 0)),
            (_, ListBy::Body) => self.scenario.list_user.clone(),
            (_, ListBy::Name) => format!("{}{number}", self.scenario.list_user),
        }
    }

    fn send_subscribe(
        &mut self,
        purpose: Purpose,
        number: u32,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let (stage, begins) = match purpose {
            Purpose::Unsubscribe(_) => (subscription::Stage::Ending, false),
            Purpose::Refresh(_) => (subscription::Stage::Active, false),
            _ => (subscription::Stage::Active, true),
        };
        let ends = stage == subscription::Stage::Ending;
        let subscription = &mut self.subscriptions[number as usize];
        subscription.begin_subscribe(stage, scheduled);
        let sequence = subscription.sequence;
        let (remote_tag, remote_target) = match begins {
            true => (String::new(), self.asked_uri(number)),
            false => {
                let one = &self.subscriptions[number as usize];
                (
                    format!(";tag={}", one.remote_tag),
                    one.remote_target.to_string(),
                )
            }
        };
        let asked = self.asked_user(number);
        let user = self.watcher(number);
        let account = self.account(user);
        let (mut lines, mut body) = (String::new(), Vec::new());
        if begins && self.scenario.list_size > 0 && self.scenario.list_by == ListBy::Body {
            lines.push_str(
                "Require: recipient-list-subscribe\r\n\
                 Content-Type: application/resource-lists+xml\r\n\
                 Content-Disposition: recipient-list\r\n",
            );
            let uri = |place| {
                self.names
                    .uri(&self.names.user(self.watched(number, place)))
            };
            body = rlmi::write_list((0..self.scenario.list_size).map(uri));
        }
        let login = self.authorization(user, &account, "SUBSCRIBE", &remote_target);
        lines.push_str(&login);
        let life = self.life(number);
        let port = self.port(number);
        let values = Values {
            request_uri: &remote_target,
            sent_by: &self.addresses[port as usize],
            branch: "",
            from_user: &account,
            from_tag: &self.names.tag(life),
            to_user: &asked,
            to_tag: &remote_tag,
            call_id: &self.names.call_id(life),
            sequence,
            contact_user: &format!("{account}-{number:x}"),
            expires: if ends { 0 } else { self.expires() },
            lines: &lines,
            body: &body,
        };
        let template = &self.subscribe;
        let write = |branch: &str, out: &mut Vec<u8>| {
            template.fill(&Values { branch, ..values }, out);
        };
        let authorized = !login.is_empty();
        let (ticket, exchange) = self
            .exchanges
            .start(purpose, port, authorized, scheduled, now, write);
        outbox.push(port, |out| out.extend_from_slice(&exchange.bytes));
        self.subscriptions[number as usize].ticket = Some(ticket);
    }

    fn send_publish(
        &mut self,
        purpose: Purpose,
        user: u32,
        scheduled: Instant,
        now: Instant,
        outbox: &mut Outbox,
    ) {
        let withdraws = matches!(purpose, Purpose::Withdraw(_));
        let name = self.names.user(user);
        let presentity = &mut self.presentities[user as usize];
        presentity.sequence += 1;
        presentity.version += 1;
        let body = if withdraws {
            Vec::new()
        } else {
            dialog_info::write(&PublishedCall {
                address: &self.names.address(&name),
                number: presentity.call,
                run: self.names.run(),
                version: presentity.version,
                lamp: presentity.lamp(),
            })
        };
        let mut lines = String::new();
        if let Some(entity_tag) = &presentity.entity_tag {
            lines = format!("SIP-If-Match: {entity_tag}\r\n");
        }
        let (entity, sequence) = (presentity.entity.clone(), presentity.sequence);
        let account = self.account(user);
        let login = self.authorization(user, &account, "PUBLISH", &entity);
        lines.push_str(&login);
        let port = user % self.scenario.ports();
        let values = Values {
            request_uri: &entity,
            sent_by: &self.addresses[port as usize],
            branch: "",
            from_user: &account,
            from_tag: &format!("p{sequence}"),
            to_user: &name,
            to_tag: "",
            call_id: &self.names.publish_call_id(user),
            sequence,
            contact_user: "",
            expires: if withdraws { 0 } else { self.expires() },
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
        let authorized = !login.is_empty();
        let (_, exchange) = self
            .exchanges
            .start(purpose, port, authorized, scheduled, now, write);
        outbox.push(port, |out| out.extend_from_slice(&exchange.bytes));
    }

    pub(super) fn expires(&self) -> u32 {
        self.scenario.expires.as_secs().min(u64::from(u32::MAX)) as u32
    }

    // ---- Who answers challenges

    fn account(&self, user: u32) -> String {
        let shared = self.target.username.clone();
        shared.unwrap_or_else(|| self.names.user(user))
    }

    fn login_key(&self, user: u32) -> u32 {
        match self.target.username {
            Some(_) => SHARED_ACCOUNT,
            None => user,
        }
    }

    /// The Authorization line, or nothing before the first challenge.
    fn authorization(&mut self, user: u32, account: &str, method: &str, uri: &str) -> String {
        let key = self.login_key(user);
        let client_nonce = format!("{:x}", self.random.next());
        let password = self.target.password.as_deref().unwrap_or("");
        let Some(login) = self.logins.get_mut(&key) else {
            return String::new();
        };
        login.count += 1;
        let credentials = Credentials {
            username: account,
            password,
        };
        let count = login.count;
        login
            .challenge
            .authorization(credentials, method, uri, &client_nonce, count)
    }

    /// Keeps a challenge for all requests to come.
    pub(super) fn log_in(&mut self, purpose: Purpose, challenge: Challenge) {
        let user = match purpose {
            Purpose::Publish(user) | Purpose::Withdraw(user) => user,
            Purpose::Subscribe(number)
            | Purpose::Refresh(number)
            | Purpose::Unsubscribe(number) => self.watcher(number),
        };
        let login = Login {
            challenge,
            count: 0,
        };
        self.logins.insert(self.login_key(user), login);
    }

    // ---- What goes wrong

    /// Sends again what nobody answered, and gives up what nobody ever will.
    pub(super) fn retransmit(&mut self, now: Instant, outbox: &mut Outbox) {
        while let Some(due) = self.exchanges.handle_timeout(now) {
            match due {
                Due::Retransmit(ticket) => {
                    let Some(exchange) = self.exchanges.get(ticket) else {
                        continue;
                    };
                    outbox.push(exchange.port, |out| out.extend_from_slice(&exchange.bytes));
                    self.tally.retransmitted += 1;
                }
                Due::TimedOut(exchange) => {
                    self.tally.timed_out += 1;
                    let purpose = exchange.purpose;
                    self.tally
                        .example(|| format!("{purpose:?}: no answer in 32 s"));
                    self.fail(purpose);
                    self.go_on_telling(purpose, now, outbox);
                }
            }
        }
    }

    /// A 503 asks to come back later.
    pub(super) fn defer(&mut self, purpose: Purpose, scheduled: Instant, until: Instant) {
        self.tally.deferred += 1;
        self.remember(until, Task::Retry(purpose, scheduled));
    }

    /// A request that was refused or never answered.
    pub(super) fn fail(&mut self, purpose: Purpose) {
        match purpose {
            Purpose::Subscribe(number)
            | Purpose::Refresh(number)
            | Purpose::Unsubscribe(number) => {
                self.subscriptions[number as usize].stage = subscription::Stage::Failed;
                for (place, at) in self.places(number).enumerate() {
                    let watched = self.watched(number, place as u32) as usize;
                    self.presentities[watched].leave(&mut self.sights[at]);
                }
                self.satisfy(number);
                self.tally.subscribes_failed += 1;
            }
            Purpose::Publish(user) | Purpose::Withdraw(user) => {
                let presentity = &mut self.presentities[user as usize];
                presentity.uncertain = true;
                presentity.telling = false;
                presentity.entity_tag = None;
                self.tally.changes_failed += 1;
            }
        }
    }

    /// The change is answered, one way or the other: the next one.
    pub(super) fn go_on_telling(&mut self, purpose: Purpose, now: Instant, outbox: &mut Outbox) {
        if let Purpose::Publish(user) | Purpose::Withdraw(user) = purpose {
            self.presentities[user as usize].telling = false;
            self.tell(user, now, outbox);
        }
    }

    /// Nothing more is waited for at that subscription.
    pub(super) fn satisfy(&mut self, number: u32) {
        let subscription = &mut self.subscriptions[number as usize];
        if std::mem::take(&mut subscription.pending) {
            self.waiting -= 1;
        }
    }
}
