//! The phones: their subscriptions, the SUBSCRIBEs they send, the NOTIFYs they check, and the state
//! of every BLF key.

mod judge;
mod subscription;

use crate::measure::latency::Measure;
use crate::scenario::ListBy;
use crate::swarm::client::{Client, FinalResponse, Outcome, Planned, Purpose, Request};
use crate::swarm::key::{Key, SubscriptionKey, Table};
use crate::swarm::phones::judge::{Fault, Judge};
use crate::swarm::phones::subscription::{Heard, NextNotify, Phase, Subscription};
use crate::swarm::plan::Plan;
use crate::swarm::turn::{Received, Turn};
use crate::swarm::users::{Sight, Users};
use crate::wire::names::Life;
use crate::wire::second_opinion::Expected;
use crate::wire::{rlmi, second_opinion};

/// The first NOTIFYs are all parsed by the second parser.
const SAMPLED_AT_FIRST: u64 = 100;

/// The phones.
pub(super) struct Phones {
    subscriptions: Table<SubscriptionKey, Subscription>,
    /// What each subscription shows: one sight per user of its list, or one.
    sights: Vec<Sight>,
    /// Number of subscriptions for which the run waits.
    awaited: u64,
}

/// What a phone does with a subscription after a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    GoesOn,
    /// The server has lost it; the phone begins another dialog (RFC 6665).
    Lost,
    Failed,
}

impl Phones {
    pub(super) fn new(plan: &Plan) -> Self {
        let scenario = plan.scenario();
        let subscriptions = scenario.subscriptions() as usize;
        let sights = subscriptions * scenario.sights_per_subscription() as usize;
        Self {
            subscriptions: vec![Subscription::default(); subscriptions]
                .into_iter()
                .collect(),
            sights: vec![Sight::default(); sights],
            awaited: 0,
        }
    }

    /// Returns whether every SUBSCRIBE has its 2xx and its NOTIFY.
    pub(super) const fn is_idle(&self) -> bool {
        self.awaited == 0
    }

    pub(super) fn is_active(&self, key: SubscriptionKey) -> bool {
        self.subscriptions[key].is_active()
    }

    /// Returns whether a subscription is active and waits for nothing.
    pub(super) fn may_refresh(&self, key: SubscriptionKey) -> bool {
        let subscription = &self.subscriptions[key];
        subscription.is_active() && !subscription.is_awaited()
    }

    /// Sights of active subscriptions that do not show the newest state yet: each subscription is
    /// returned once per such sight.
    pub(super) fn behind(&self, users: &Users, plan: &Plan) -> Vec<SubscriptionKey> {
        let mut behind = Vec::new();
        for (key, _) in self.subscriptions.iter().filter(|(_, one)| one.is_active()) {
            for (place, sight) in (0..).zip(&self.sights[plan.sights(key)]) {
                if !users.is_shown_by(plan.watched(key, place), sight) {
                    behind.push(key);
                }
            }
        }
        behind
    }

    /// Stops waiting. Returns the subscriptions for which the run waited.
    pub(super) fn abandon(&mut self) -> Vec<SubscriptionKey> {
        self.awaited = 0;
        let awaited = |(key, subscription): (_, &mut Subscription)| {
            subscription.stop_awaiting().then_some(key)
        };
        self.subscriptions.iter_mut().filter_map(awaited).collect()
    }

    // ---- SUBSCRIBE

    /// Begins, refreshes or ends a subscription, as scheduled by the scenario.
    pub(super) fn start(
        &mut self,
        key: SubscriptionKey,
        planned: Planned,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        self.awaited += u64::from(self.subscriptions[key].await_it());
        turn.record(Measure::StartLag, planned.scheduled);
        self.send(key, planned, client, turn);
    }

    /// The phone loses a subscription without ending it. The next SUBSCRIBE begins another dialog.
    pub(super) fn lose(
        &mut self,
        key: SubscriptionKey,
        users: &mut Users,
        client: &mut Client,
        plan: &Plan,
    ) {
        self.leave(key, users, plan);
        let ticket = self.subscriptions[key].lose();
        client.forget(key, ticket);
    }

    /// Sends a SUBSCRIBE.
    pub(super) fn send(
        &mut self,
        key: SubscriptionKey,
        planned: Planned,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        let (plan, purpose) = (turn.plan, planned.purpose);
        let begins = matches!(purpose, Purpose::Subscribe(_));
        let phase = if purpose.is_last() {
            Phase::Ending
        } else {
            Phase::Active
        };
        let life = self.life(key);
        let subscription = &mut self.subscriptions[key];
        subscription.begin_subscribe(phase, planned.scheduled);
        let remote = subscription.remote();
        let (to_tag, request_uri) = match begins {
            true => (String::new(), plan.asked_uri(key)),
            false => (format!(";tag={}", remote.tag), remote.target.to_owned()),
        };
        let (lines, body) = match begins && has_list_in_body(plan) {
            true => (LIST_IN_BODY, list_of(key, plan)),
            false => ("", Vec::new()),
        };
        let request = Request {
            request_uri: &request_uri,
            from_tag: &plan.names().tag(life),
            to_user: &plan.asked_user(key),
            to_tag: &to_tag,
            call_id: &plan.names().call_id(life),
            sequence: subscription.sequence(),
            lines,
            body: &body,
        };
        let ticket = client.send(planned, &request, turn);
        subscription.sent(ticket);
    }

    /// Handles the response to a SUBSCRIBE. Returns what the phone does with the subscription.
    pub(super) fn handle_response(
        &mut self,
        key: SubscriptionKey,
        response: &FinalResponse<'_>,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) -> Fate {
        let planned = response.planned;
        let is_refresh = matches!(planned.purpose, Purpose::Refresh(_));
        let refused = match response.outcome {
            Outcome::Accepted => {
                self.accept(key, response, turn);
                return Fate::GoesOn;
            }
            Outcome::Challenged => {
                self.send(key, planned, client, turn);
                return Fate::GoesOn;
            }
            Outcome::RetryAfter(wait) if self.subscriptions[key].may_defer() => {
                client.defer(planned, wait, turn);
                return Fate::GoesOn;
            }
            Outcome::Refused(481) if is_refresh => {
                turn.tally().subscribes_failed += 1;
                turn.tally()
                    .example(|| format!("subscription {key}: its refresh got 481"));
                return Fate::Lost;
            }
            Outcome::RetryAfter(_) => 503,
            Outcome::Refused(status) => status,
        };
        turn.note_refusal(&planned.purpose, refused);
        Fate::Failed
    }

    /// A SUBSCRIBE was refused or timed out.
    pub(super) fn fail(&mut self, key: SubscriptionKey, users: &mut Users, turn: &mut Turn<'_>) {
        self.subscriptions[key].failed();
        self.leave(key, users, turn.plan);
        self.stop_awaiting(key);
        turn.tally().subscribes_failed += 1;
    }

    /// A 2xx to a SUBSCRIBE.
    fn accept(&mut self, key: SubscriptionKey, response: &FinalResponse<'_>, turn: &mut Turn<'_>) {
        let (planned, response) = (response.planned, response.message);
        let subscription = &mut self.subscriptions[key];
        let is_right_tag = subscription.accepted(response.to_tag, response.contact);
        let is_right = match planned.purpose {
            Purpose::Subscribe(_) => {
                let is_first = subscription.generation() == 0;
                turn.record(Measure::SubscribeResponse, planned.scheduled);
                turn.tally().subscribes += 1;
                turn.tally().established += u64::from(is_first);
                turn.is_fair_expires(response) && !response.contact.is_empty()
            }
            Purpose::Refresh(_) => {
                turn.record(Measure::RefreshResponse, planned.scheduled);
                turn.tally().refreshes += 1;
                turn.is_fair_expires(response)
            }
            _ => {
                turn.tally().subscribes += 1;
                response.expires == Some(0)
            }
        };
        if !is_right_tag || !is_right {
            turn.note_wrong_response(&planned.purpose, response);
        }
        self.advance(key);
    }

    // ---- NOTIFY

    /// Checks a NOTIFY and responds to it.
    pub(super) fn handle_notify(
        &mut self,
        received: &Received<'_>,
        users: &mut Users,
        turn: &mut Turn<'_>,
    ) {
        let notify = &received.message;
        let Some(life) = self.find(received, turn) else {
            return respond_481(received, turn);
        };
        let key = SubscriptionKey::from_number(life.subscription);
        let is_our_tag = turn.plan.names().life_of_tag(notify.to_tag) == Some(life);
        let subscription = &mut self.subscriptions[key];
        let heard = subscription.hear(notify, is_our_tag);
        let mut judge = Judge {
            key,
            subscription,
            sights: &mut self.sights[turn.plan.sights(key)],
            notify,
        };
        match heard {
            Heard::WrongTag => {
                judge.fault(Fault::Wrong("a tag"), turn);
                respond_481(received, turn);
            }
            Heard::Retransmission => {
                respond_200(received, turn);
                turn.tally().repeated += 1;
            }
            Heard::AfterTheEnd => {
                respond_or_withhold(received, turn);
                judge.fault(Fault::Duplicate, turn);
            }
            Heard::Next(next) => {
                respond_or_withhold(received, turn);
                turn.tally().notifies += 1;
                turn.note_news();
                if turn.is_sampled() || turn.results.tally.notifies <= SAMPLED_AT_FIRST {
                    sample(life, judge.subscription, received, turn);
                }
                judge.judge(&next, users, turn);
                self.settle(key, &next, turn);
            }
        }
    }

    /// The dialog of a NOTIFY; None if it is not a current dialog of a phone behind that port.
    fn find(&self, received: &Received<'_>, turn: &mut Turn<'_>) -> Option<Life> {
        let (call_id, port) = (received.message.call_id, received.port);
        let life = turn.plan.names().life_of_call_id(call_id);
        let found = life.and_then(|life| {
            let key = SubscriptionKey::from_number(life.subscription);
            let subscription = self.subscriptions.get(key)?;
            (turn.plan.port(key) == port).then_some((life, subscription))
        });
        let Some((life, subscription)) = found else {
            let call_id = String::from_utf8_lossy(call_id);
            turn.tally()
                .foreign(|| format!("NOTIFY at port {port} for no subscription of it: {call_id}"));
            return None;
        };
        if life.generation < subscription.generation() {
            turn.tally().orphans += 1;
            return None;
        }
        Some(life)
    }

    /// Records the latency of the SUBSCRIBE that caused this NOTIFY, and stops waiting for it.
    fn settle(&mut self, key: SubscriptionKey, next: &NextNotify, turn: &mut Turn<'_>) {
        if let Some(asked) = self.subscriptions[key].take_asked() {
            match (next.is_first, next.ends) {
                (true, _) => turn.record(Measure::SubscribeNotify, asked),
                (false, false) => turn.record(Measure::RefreshNotify, asked),
                (false, true) => {}
            }
        }
        self.advance(key);
    }

    // ---- Waiting

    /// Stops waiting for a subscription once its 2xx and NOTIFY have both arrived.
    fn advance(&mut self, key: SubscriptionKey) {
        if self.subscriptions[key].has_settled() {
            self.stop_awaiting(key);
        }
    }

    fn stop_awaiting(&mut self, key: SubscriptionKey) {
        self.awaited -= u64::from(self.subscriptions[key].stop_awaiting());
    }

    /// The sights of a subscription no longer show anything.
    fn leave(&mut self, key: SubscriptionKey, users: &mut Users, plan: &Plan) {
        for (place, sight) in (0..).zip(&mut self.sights[plan.sights(key)]) {
            users.leave(plan.watched(key, place), sight);
        }
    }

    /// The current dialog of a subscription.
    fn life(&self, key: SubscriptionKey) -> Life {
        Life {
            subscription: key.number(),
            generation: self.subscriptions[key].generation(),
        }
    }
}

/// Headers of a SUBSCRIBE that contains its list (RFC 5367).
const LIST_IN_BODY: &str = "Require: recipient-list-subscribe\r\n\
                            Content-Type: application/resource-lists+xml\r\n\
                            Content-Disposition: recipient-list\r\n";

fn has_list_in_body(plan: &Plan) -> bool {
    plan.is_of_lists() && plan.scenario().list_by == ListBy::Body
}

/// The document with the users to which a subscription subscribes.
fn list_of(key: SubscriptionKey, plan: &Plan) -> Vec<u8> {
    let places = 0..plan.scenario().list_size;
    rlmi::write_list(places.map(|place| plan.user_uri(plan.watched(key, place))))
}

/// Responds to a NOTIFY with 200; for the percentage of NOTIFYs set in the scenario, only when it
/// is retransmitted.
fn respond_or_withhold(received: &Received<'_>, turn: &mut Turn<'_>) {
    if turn.random.percent(turn.plan.scenario().withhold) {
        turn.tally().withheld += 1;
    } else {
        respond_200(received, turn);
        turn.tally().acknowledged += 1;
    }
}

fn respond_200(received: &Received<'_>, turn: &mut Turn<'_>) {
    respond(received, "SIP/2.0 200 OK", turn);
}

fn respond_481(received: &Received<'_>, turn: &mut Turn<'_>) {
    respond(received, "SIP/2.0 481 Subscription does not exist", turn);
}

fn respond(received: &Received<'_>, status_line: &str, turn: &mut Turn<'_>) {
    let write = |out: &mut Vec<u8>| received.message.respond(status_line, out);
    turn.outbox.push(received.port, write);
}

/// Lets the second parser read a NOTIFY.
fn sample(life: Life, subscription: &Subscription, received: &Received<'_>, turn: &mut Turn<'_>) {
    let names = turn.plan.names();
    let expected = Expected {
        call_id: &names.call_id(life),
        from_tag: subscription.remote().tag,
        to_tag: Some(&names.tag(life)),
        sequence: received.message.sequence,
        method: rsip::Method::Notify,
    };
    let opinion = second_opinion::check(received.bytes, &expected);
    turn.take_second_opinion(opinion);
}
