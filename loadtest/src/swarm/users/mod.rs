//! The watched users: the changes of each are reported to the server one at a time, by PUBLISH or
//! by call_state.htm, and its watchers' documents are checked against them.

mod call_state;
mod presentity;

use std::time::Instant;

use crate::measure::latency::Measure;
use crate::scenario::{Feed, PublicationOf};
use crate::swarm::client::{Client, FinalResponse, Outcome, Planned, Purpose, Request};
use crate::swarm::key::{Key, Table, UserKey};
use crate::swarm::plan::Plan;
use crate::swarm::stage::Stage;
use crate::swarm::turn::Turn;
use crate::swarm::users::call_state::{Change, Feeder};
use crate::swarm::users::presentity::Presentity;
pub(super) use crate::swarm::users::presentity::{Shown, Sight, Wanted};
use crate::wire::dialog_info;
use crate::wire::dialog_info::{DialogInfo, Lamp, PublishedCall};
use crate::wire::message::Incoming;

/// The users.
pub(super) struct Users {
    presentities: Table<UserKey, Presentity>,
    feeder: Feeder,
}

/// Where and how call states are reported over HTTP.
pub(super) struct CallStates<'a> {
    /// The Host header.
    pub(super) host: &'a str,
    pub(super) domain: &'a str,
    pub(super) password: &'a str,
    /// Numbers of the HTTP connections.
    pub(super) links: &'a [u32],
}

impl Users {
    pub(super) fn new(plan: &Plan, call_states: &CallStates<'_>, now: Instant) -> Self {
        let CallStates {
            host,
            domain,
            password,
            links,
        } = *call_states;
        let presentity = |user| Presentity::new(plan.user_uri(user), now);
        Self {
            presentities: plan.users().map(presentity).collect(),
            feeder: Feeder::new(host, domain, password, links),
        }
    }

    // ---- What watchers see

    /// The URI that a user's documents must name.
    pub(super) fn entity(&self, user: UserKey) -> &str {
        self.presentities[user].entity()
    }

    /// The number of sights that show a user.
    pub(super) fn watchers(&self, user: UserKey) -> u32 {
        self.presentities[user].watchers()
    }

    /// The user's lamp after all queued changes.
    pub(super) fn lamp_wanted(&self, user: UserKey) -> Lamp {
        self.presentities[user].lamp_wanted()
    }

    /// A watcher received a document of a user: updates its sight, and returns what the document
    /// means for it.
    pub(super) fn see(
        &mut self,
        user: UserKey,
        sight: &mut Sight,
        document: &DialogInfo<'_>,
        plan: &Plan,
    ) -> Shown {
        let call = plan.names().call_of_call_id(document.call_id);
        self.presentities[user].see(sight, document.lamp, call)
    }

    /// Returns whether a sight shows the newest state.
    pub(super) fn is_shown_by(&self, user: UserKey, sight: &Sight) -> bool {
        self.presentities[user].is_shown_by(sight)
    }

    /// A watcher has unsubscribed; its sight is empty again.
    pub(super) fn leave(&mut self, user: UserKey, sight: &mut Sight) {
        self.presentities[user].leave(sight);
    }

    // ---- Changes

    /// Reports a change once there is a response to the one before.
    pub(super) fn change(
        &mut self,
        user: UserKey,
        wanted: Wanted,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        turn.record(Measure::StartLag, wanted.scheduled);
        let is_queued = self.presentities[user].want(wanted);
        turn.tally().held_back += u64::from(!is_queued);
        self.report_next(user, client, turn);
    }

    /// Turns a user's lamp off at the end of the run: ends its publication, if it has one that lasts.
    pub(super) fn withdraw(
        &mut self,
        user: UserKey,
        scheduled: Instant,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        let scenario = turn.plan.scenario();
        let presentity = &self.presentities[user];
        let lasts = scenario.publication_of == PublicationOf::User;
        let withdraws = lasts && presentity.is_published();
        let is_lamp_reported = !lasts || scenario.feed == Feed::Http;
        if withdraws || (is_lamp_reported && presentity.lamp() != Lamp::Off) {
            let wanted = Wanted {
                lamp: Lamp::Off,
                scheduled,
                measured: false,
                withdraws,
            };
            self.change(user, wanted, client, turn);
        }
    }

    /// Drops all queued changes except the newest of each user. Returns their number.
    pub(super) fn keep_newest(&mut self) -> u64 {
        let all = self.presentities.iter_mut();
        all.map(|(_, presentity)| presentity.keep_newest()).sum()
    }

    /// Returns whether no change waits for an HTTP response.
    pub(super) fn is_idle(&self) -> bool {
        self.feeder.is_idle()
    }

    /// Gives up on all queued changes. Returns the number of those without an HTTP response.
    pub(super) fn abandon(&mut self) -> u64 {
        for (_, presentity) in self.presentities.iter_mut() {
            presentity.abandon();
        }
        self.feeder.abandon()
    }

    // ---- PUBLISH

    /// Sends a user's PUBLISH.
    pub(super) fn send(
        &mut self,
        user: UserKey,
        planned: Planned,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        let (plan, withdraws) = (turn.plan, planned.purpose.is_last());
        let name = plan.user_name(user);
        let publication = self.presentities[user].next_publication();
        let body = if withdraws {
            Vec::new()
        } else {
            dialog_info::write(&PublishedCall {
                address: &plan.names().address(&name),
                number: publication.call,
                run: plan.names().run(),
                version: publication.version,
                lamp: publication.lamp,
            })
        };
        let condition = |tag| format!("SIP-If-Match: {tag}\r\n");
        let request = Request {
            request_uri: publication.entity,
            from_tag: &format!("p{}", publication.sequence),
            to_user: &name,
            to_tag: "",
            call_id: &plan.names().publish_call_id(user.number()),
            sequence: publication.sequence,
            lines: &publication.entity_tag.map_or_else(String::new, condition),
            body: &body,
        };
        client.send(planned, &request, turn);
    }

    /// Handles the response to a user's PUBLISH.
    pub(super) fn handle_response(
        &mut self,
        user: UserKey,
        response: &FinalResponse<'_>,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        let planned = response.planned;
        match response.outcome {
            Outcome::Accepted => {
                self.accept(user, planned, response.message, turn);
                self.report_next(user, client, turn);
            }
            Outcome::Challenged => self.send(user, planned, client, turn),
            Outcome::RetryAfter(wait) => client.defer(planned, wait, turn),
            Outcome::Refused(status) => {
                turn.note_refusal(&planned.purpose, status);
                self.handle_failure(user, client, turn);
            }
        }
    }

    /// A PUBLISH was refused or timed out: the next change is reported anyway.
    pub(super) fn handle_failure(
        &mut self,
        user: UserKey,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        self.fail(user, turn);
        self.report_next(user, client, turn);
    }

    /// Counts a change that failed.
    pub(super) fn fail(&mut self, user: UserKey, turn: &mut Turn<'_>) {
        self.presentities[user].failed();
        turn.tally().changes_failed += 1;
    }

    /// A 2xx to a PUBLISH.
    fn accept(
        &mut self,
        user: UserKey,
        planned: Planned,
        response: &Incoming<'_>,
        turn: &mut Turn<'_>,
    ) {
        if is_load(turn.stage) {
            turn.record(Measure::PublishResponse, planned.scheduled);
        }
        turn.tally().publishes += 1;
        turn.tally().changes += 1;
        let entity_tag = String::from_utf8_lossy(response.entity_tag).into_owned();
        let withdraws = planned.purpose.is_last();
        if !withdraws && (entity_tag.is_empty() || !turn.is_fair_expires(response)) {
            turn.note_wrong_response(&planned.purpose, response);
        }
        let ends_with_call = turn.plan.scenario().publication_of == PublicationOf::Call;
        let presentity = &mut self.presentities[user];
        let has_ended = withdraws || (ends_with_call && presentity.lamp() == Lamp::Off);
        presentity.accepted((!has_ended).then_some(entity_tag));
    }

    /// Reports the user's next change, if there is a response to the one before.
    fn report_next(&mut self, user: UserKey, client: &mut Client, turn: &mut Turn<'_>) {
        let Some(wanted) = self.presentities[user].begin() else {
            return;
        };
        let scheduled = wanted.scheduled;
        match turn.plan.scenario().feed {
            Feed::Publish => {
                let purpose = match wanted.withdraws {
                    true => Purpose::Withdraw(user),
                    false => Purpose::Publish(user),
                };
                self.send(user, Planned { purpose, scheduled }, client, turn);
            }
            Feed::Http => {
                let change = Change {
                    user,
                    busy: wanted.lamp != Lamp::Off,
                    scheduled,
                };
                let name = turn.plan.user_name(user);
                self.feeder.send(change, &name, turn.outbox);
            }
        }
    }

    // ---- call_state.htm

    /// Handles an HTTP response.
    pub(super) fn handle_call_state(
        &mut self,
        port: u32,
        bytes: &[u8],
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        let Some((change, status)) = self.feeder.handle(port, bytes, turn.outbox) else {
            turn.tally()
                .foreign(|| "an HTTP response without a request".to_owned());
            return;
        };
        turn.note_news();
        *turn.tally().responses.entry(("GET", status)).or_insert(0) += 1;
        if status == 200 {
            self.presentities[change.user].accepted(None);
            turn.tally().http_requests += 1;
            turn.tally().changes += 1;
            if is_load(turn.stage) {
                turn.record(Measure::HttpResponse, change.scheduled);
            }
        } else {
            self.fail(change.user, turn);
            let user = turn.plan.user_name(change.user);
            turn.tally()
                .example(|| format!("call_state.htm of {user} got {status}"));
        }
        self.report_next(change.user, client, turn);
    }

    /// An HTTP connection was closed, and possibly reopened.
    pub(super) fn handle_closed(
        &mut self,
        port: u32,
        is_open_again: bool,
        client: &mut Client,
        turn: &mut Turn<'_>,
    ) {
        if let Some(change) = self.feeder.closed(port, is_open_again, turn.outbox) {
            self.handle_failure(change.user, client, turn);
        }
    }
}

/// Returns whether latencies of responses to changes are recorded.
const fn is_load(stage: Stage) -> bool {
    matches!(stage, Stage::Load | Stage::Drain)
}
