//! The endpoints of a run: phones, users, and their shared SIP client. They handle every message
//! and every timer, and know nothing about stages.

use std::time::Instant;

use crate::swarm::client::{Client, Owner, Planned, Purpose};
use crate::swarm::key::{SubscriptionKey, UserKey};
use crate::swarm::phones::{Fate, Phones};
use crate::swarm::stage::Stage;
use crate::swarm::turn::{Received, Turn};
use crate::swarm::users::{Users, Wanted};
use crate::wire::dialog_info::Lamp;
use crate::wire::message;
use crate::wire::message::Start;

/// All senders and receivers.
pub(super) struct Endpoints {
    client: Client,
    users: Users,
    phones: Phones,
}

impl Endpoints {
    pub(super) const fn new(client: Client, users: Users, phones: Phones) -> Self {
        Self {
            client,
            users,
            phones,
        }
    }

    /// The number of requests waiting for a response.
    pub(super) fn in_flight(&self) -> usize {
        self.client.in_flight()
    }

    /// Returns whether every request has its response, and every SUBSCRIBE has its NOTIFY.
    pub(super) fn is_idle(&self) -> bool {
        self.phones.is_idle() && self.client.is_idle() && self.users.is_idle()
    }

    // ---- Messages and timers

    /// Handles one SIP message, or one HTTP response.
    pub(super) fn handle(&mut self, port: u32, bytes: &[u8], turn: &mut Turn<'_>) {
        let scenario = turn.plan.scenario();
        if port >= scenario.ports() {
            let client = &mut self.client;
            return self.users.handle_call_state(port, bytes, client, turn);
        }
        if turn.random.percent(scenario.loss) {
            turn.tally().dropped += 1;
            return;
        }
        turn.results.messages += 1;
        match message::scan(bytes) {
            Ok(message) => {
                let received = Received {
                    port,
                    message,
                    bytes,
                };
                self.handle_message(&received, turn);
            }
            Err(fault) => {
                let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]);
                turn.tally()
                    .foreign(|| format!("unreadable ({fault:?}): {text:?}"));
            }
        }
    }

    /// A connection was closed, and possibly reopened.
    pub(super) fn handle_closed(&mut self, port: u32, is_open_again: bool, turn: &mut Turn<'_>) {
        match is_open_again {
            true => turn.tally().reopened += 1,
            false => turn.tally().connections_closed += 1,
        }
        if port >= turn.plan.scenario().ports() {
            let client = &mut self.client;
            self.users.handle_closed(port, is_open_again, client, turn);
        }
    }

    /// Sends due retransmissions, abandons requests that timed out, and sends deferred requests
    /// that are due.
    pub(super) fn handle_timeout(&mut self, turn: &mut Turn<'_>) {
        while let Some(purpose) = self.client.next_timed_out(turn) {
            match purpose.owner() {
                Owner::Subscription(key) => self.phones.fail(key, &mut self.users, turn),
                Owner::User(user) => self.users.handle_failure(user, &mut self.client, turn),
            }
        }
        while let Some(planned) = self.client.next_deferred(turn.now) {
            turn.note_news();
            match planned.purpose.owner() {
                Owner::Subscription(key) => self.phones.send(key, planned, &mut self.client, turn),
                Owner::User(user) => self.users.send(user, planned, &mut self.client, turn),
            }
        }
    }

    /// The next time at which [`Self::handle_timeout`] must be called.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.client.poll_timeout()
    }

    // ---- The actions of the load

    /// Returns whether a subscription is active and waits for nothing.
    pub(super) fn may_refresh(&self, key: SubscriptionKey) -> bool {
        self.phones.may_refresh(key)
    }

    pub(super) fn subscribe(
        &mut self,
        key: SubscriptionKey,
        scheduled: Instant,
        turn: &mut Turn<'_>,
    ) {
        self.start(key, Purpose::Subscribe(key), scheduled, turn);
    }

    pub(super) fn refresh(
        &mut self,
        key: SubscriptionKey,
        scheduled: Instant,
        turn: &mut Turn<'_>,
    ) {
        self.start(key, Purpose::Refresh(key), scheduled, turn);
    }

    /// Ends a subscription, if it is active.
    pub(super) fn unsubscribe(
        &mut self,
        key: SubscriptionKey,
        scheduled: Instant,
        turn: &mut Turn<'_>,
    ) {
        if self.phones.is_active(key) {
            self.start(key, Purpose::Unsubscribe(key), scheduled, turn);
        }
    }

    /// A phone has lost a subscription without ending it: it subscribes again with a new dialog.
    pub(super) fn start_anew(
        &mut self,
        key: SubscriptionKey,
        scheduled: Instant,
        turn: &mut Turn<'_>,
    ) {
        let (users, client) = (&mut self.users, &mut self.client);
        self.phones.lose(key, users, client, turn.plan);
        self.subscribe(key, scheduled, turn);
    }

    /// The number of sights that show a user.
    pub(super) fn watchers(&self, user: UserKey) -> u32 {
        self.users.watchers(user)
    }

    /// The user's lamp after all queued changes.
    pub(super) fn lamp_wanted(&self, user: UserKey) -> Lamp {
        self.users.lamp_wanted(user)
    }

    /// Reports a change of the user's lamp.
    pub(super) fn change(
        &mut self,
        user: UserKey,
        lamp: Lamp,
        scheduled: Instant,
        turn: &mut Turn<'_>,
    ) {
        let wanted = Wanted {
            lamp,
            scheduled,
            measured: turn.stage == Stage::Load,
            withdraws: false,
        };
        self.users.change(user, wanted, &mut self.client, turn);
    }

    /// Turns a user's lamp off at the end of the run.
    pub(super) fn withdraw(&mut self, user: UserKey, scheduled: Instant, turn: &mut Turn<'_>) {
        let client = &mut self.client;
        self.users.withdraw(user, scheduled, client, turn);
    }

    // ---- Conditions for the end of a stage

    /// Drops all queued changes except the newest of each user.
    pub(super) fn keep_newest(&mut self, turn: &mut Turn<'_>) {
        turn.tally().held_back += self.users.keep_newest();
    }

    /// Subscriptions with sights that do not show the newest state yet: each is returned once per
    /// such sight.
    pub(super) fn behind(&self, turn: &Turn<'_>) -> Vec<SubscriptionKey> {
        let is_first_or_last = matches!(turn.stage, Stage::Subscribe | Stage::Leave);
        if is_first_or_last && !turn.plan.is_of_lists() {
            // These stages wait for one NOTIFY per subscription, not for lamps.
            return Vec::new();
        }
        self.phones.behind(&self.users, turn.plan)
    }

    /// Stops waiting: whatever has not arrived by now is lost.
    pub(super) fn give_up(&mut self, turn: &mut Turn<'_>) {
        let mut lost = self.phones.abandon();
        for key in self.behind(turn) {
            if turn.plan.is_of_lists() || !lost.contains(&key) {
                lost.push(key);
            }
        }
        turn.tally().lost += lost.len() as u64;
        let stage = turn.stage.name();
        for key in lost {
            turn.tally().example(|| {
                format!("subscription {key}: what it waited for in stage {stage} never came")
            });
        }
        for purpose in self.client.abandon(turn) {
            match purpose.owner() {
                Owner::Subscription(key) => self.phones.fail(key, &mut self.users, turn),
                Owner::User(user) => self.users.fail(user, turn),
            }
        }
        turn.tally().changes_failed += self.users.abandon();
    }

    fn start(
        &mut self,
        key: SubscriptionKey,
        purpose: Purpose,
        scheduled: Instant,
        turn: &mut Turn<'_>,
    ) {
        let planned = Planned { purpose, scheduled };
        self.phones.start(key, planned, &mut self.client, turn);
    }

    fn handle_message(&mut self, received: &Received<'_>, turn: &mut Turn<'_>) {
        let message = &received.message;
        match message.start {
            Start::Response(status) => self.handle_response(status, received, turn),
            Start::Request {
                method: b"NOTIFY", ..
            } => self.phones.handle_notify(received, &mut self.users, turn),
            Start::Request { method, uri } => {
                let [method, uri] = [method, uri].map(String::from_utf8_lossy);
                turn.tally()
                    .foreign(|| format!("an unexpected request: {method} {uri}"));
                let write = |out: &mut Vec<u8>| {
                    message.respond("SIP/2.0 405 Method Not Allowed", out);
                };
                turn.outbox.push(received.port, write);
            }
        }
    }

    fn handle_response(&mut self, status: u16, received: &Received<'_>, turn: &mut Turn<'_>) {
        let client = &mut self.client;
        let Some(response) = client.handle_response(status, received, turn) else {
            return;
        };
        match response.planned.purpose.owner() {
            Owner::User(user) => self.users.handle_response(user, &response, client, turn),
            Owner::Subscription(key) => {
                match self.phones.handle_response(key, &response, client, turn) {
                    Fate::GoesOn => {}
                    Fate::Lost => self.start_anew(key, response.planned.scheduled, turn),
                    Fate::Failed => self.phones.fail(key, &mut self.users, turn),
                }
            }
        }
    }
}
