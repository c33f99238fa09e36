//! Operator commands, and the questions of pages.

use std::ops::Range;

use crate::directory::decide::WatcherIdentity;
use crate::directory::peer_systems::PeerSystemId;
use crate::presence::event::Package;
use crate::presence::origin::Origin;
use crate::presence::policy::Handling;
use crate::presence::source::StateUpdate;
use crate::presence::{Aor, DataSubject};
use crate::shard::conduct::Engine;
use crate::shard::contract::command::{Command, CommandId, Reply};
use crate::shard::contract::commit::{Acknowledgement, Durability};
use crate::shard::contract::counters::Counted;
use crate::shard::contract::ids::{PresentityId, SubscriptionId};
use crate::shard::contract::report::ForgottenMentions;
use crate::shard::contract::turn::Turn;

/// Places of the tables that one command looks at.
const PLACES_PER_COMMAND: u32 = 2_000;

/// The next places of a table that ends at `end`, and the place behind them if there are more.
pub(super) fn batch(from: u32, end: u32) -> (Range<u32>, Option<u32>) {
    batch_of(PLACES_PER_COMMAND, from, end)
}

/// [`batch`] of that many places.
fn batch_of(places: u32, from: u32, end: u32) -> (Range<u32>, Option<u32>) {
    let next = from.saturating_add(places.clamp(1, PLACES_PER_COMMAND));
    (from..next.min(end), (next < end).then_some(next))
}

impl Engine {
    /// Executes an operator command and replies. What changed state is acknowledged once its record is
    /// durable, if acknowledgements wait for that.
    pub(crate) fn execute(&mut self, id: CommandId, command: Command, turn: &mut Turn<'_>) {
        let is_change = command.is_change();
        let reply = self.handle_command(command, turn);
        let durability = turn.options.durability;
        let waits = match reply {
            Reply::Done | Reply::Updated(_) => is_change && durability == Durability::Synced,
            // What was erased must not come back.
            Reply::Forgotten(_) | Reply::MentionsForgotten(..) => durability != Durability::None,
            _ => false,
        };
        if waits {
            turn.commits.hold(Acknowledgement::Reply(id, reply));
        } else {
            turn.out.replies.push((id, reply));
        }
    }

    fn handle_command(&mut self, command: Command, turn: &mut Turn<'_>) -> Reply {
        match command {
            Command::UpdateState {
                aor,
                update,
                origin,
            } => match self.takes_update(&aor, (update, origin), turn) {
                true => Reply::Done,
                false => Reply::OverLimit,
            },
            Command::UpdateStates { updates, origin } => {
                self.take_statements(updates, origin, turn)
            }
            Command::Forget(aor) => Reply::Forgotten(self.compositor.forget(&aor, turn)),
            Command::ForgetMentions { erased, from } => self.forget_mentions(&erased, from, turn),
            Command::Stated { from } => self.stated(from, turn),
            Command::Why(aor) => Reply::Why(self.compositor.why(&aor, turn)),
            Command::Parked { watcher, orbits } => self.parked(&watcher, orbits, turn),
            Command::States { aors, peer_system } => {
                Reply::States(self.compositor.states(aors, peer_system, turn))
            }
            Command::KnownStates {
                from,
                places,
                peer_system,
            } => self.known_states(from, places, peer_system, turn),
            Command::Watchers(aor) => Reply::Watchers(self.subscriptions.watchers(&aor, turn)),
            Command::Subscriptions { from } => self.reports(from, turn),
            Command::NotifyAnew(aor) => Reply::NotifiedAnew(self.subscriptions.notify_anew(&aor)),
            // The turn already has it.
            Command::TellChanges(..) => Reply::Done,
            Command::Loops => Reply::Loops(self.uas.loops(turn)),
            Command::Refusals => Reply::Refusals(self.uas.refusals_listed(turn)),
            Command::Lockouts => Reply::Lockouts(self.uas.lockouts(turn)),
            Command::LiftLockouts(lifted) => Reply::Lifted(self.uas.lift_lockouts(&lifted, turn)),
            // The turn already has the new directory.
            Command::Reload(_) => {
                self.take_directory(turn);
                Reply::Done
            }
            Command::SetClock(_) => {
                self.begin_reevaluation(turn);
                Reply::Done
            }
            Command::Drain => {
                self.subscriptions.drain(turn);
                Reply::Outstanding(self.subscriptions.count() + self.notifier.outstanding())
            }
            Command::BeginProbe(order) => self.uac.begin(*order, turn),
            Command::ReadProbe { id, seen } => Reply::Probe(self.uac.read(id, seen, turn)),
            Command::ReportUpstreams(reports) => {
                for report in reports {
                    self.compositor.handle_upstream(report, turn);
                }
                Reply::Done
            }
            Command::Connectors { from } => self.list_connectors(from, turn),
            Command::SipRelays { from } => self.list_relays(from, turn),
            Command::ConnectorUsers { name, from } => self.list_users(&name, from, turn),
            Command::OrderConnector { name, order } => self.order_connector(&name, order, turn),
            Command::Counters => Reply::Counters(self.count(turn)),
        }
    }

    /// Erases people where the state of others names them, and a domain with its presentities, in the next
    /// places of the tables.
    fn forget_mentions(&mut self, erased: &DataSubject, from: u32, turn: &mut Turn<'_>) -> Reply {
        if self.subscriptions.is_recovering() {
            return Reply::OverLimit;
        }
        let mut mentions = ForgottenMentions::default();
        if from == 0 {
            mentions.waiting = self.subscriptions.forget_waiting_of(erased, turn);
        }
        let end = self.subscriptions.end().max(self.compositor.places());
        let (places, next) = batch(from, end);
        for place in places {
            let id = SubscriptionId(place);
            let is_ended = self.subscriptions.forget_watcher(id, erased, turn);
            mentions.subscriptions += usize::from(is_ended);
            let id = PresentityId(place);
            let is_gone = self.compositor.forget_of_domain(id, erased, turn);
            mentions.presentities += usize::from(is_gone);
            mentions.calls += self.compositor.forget_party(id, erased, turn);
        }
        if next.is_none() {
            mentions.watchers = self.subscriptions.watchers_of(erased);
        }
        Reply::MentionsForgotten(mentions, next)
    }

    /// The statements of the operator about the presentities in the next places of the table.
    fn stated(&self, from: u32, turn: &Turn<'_>) -> Reply {
        let (places, next) = batch(from, self.compositor.places());
        let stated = places.filter_map(|place| self.compositor.stated(PresentityId(place), turn));
        Reply::Stated(stated.collect(), next)
    }

    /// The subscriptions in the next places of the table.
    fn reports(&self, from: u32, turn: &Turn<'_>) -> Reply {
        let (places, next) = batch(from, self.subscriptions.end());
        let places = places.map(SubscriptionId);
        Reply::Subscriptions(self.subscriptions.reports(places, turn), next)
    }

    /// The states of the presentities in the next places of the table.
    fn known_states(
        &self,
        from: u32,
        places: u32,
        peer_system: Option<PeerSystemId>,
        turn: &Turn<'_>,
    ) -> Reply {
        let (places, next) = batch_of(places, from, self.compositor.places());
        let state = |place| {
            let id = PresentityId(place);
            self.compositor.state_at(id, peer_system, turn)
        };
        Reply::KnownStates(places.filter_map(state).collect(), next)
    }

    /// Updates the state of a presentity. Whether it was taken.
    fn takes_update(
        &mut self,
        aor: &Aor,
        update: (StateUpdate, Option<Origin>),
        turn: &mut Turn<'_>,
    ) -> bool {
        !turn.sheds_acknowledgement() && self.compositor.take_statement(aor, update, turn)
    }

    /// Updates the states of presentities, one after the other. Whether each was taken.
    fn take_statements(
        &mut self,
        updates: Vec<(Aor, StateUpdate)>,
        origin: Option<Origin>,
        turn: &mut Turn<'_>,
    ) -> Reply {
        let take = |(aor, update): (Aor, _)| self.takes_update(&aor, (update, origin), turn);
        Reply::Updated(updates.into_iter().map(take).collect())
    }

    /// The calls in orbits, as the watcher would be notified of them.
    fn parked(&self, watcher: &Aor, orbits: Vec<Aor>, turn: &Turn<'_>) -> Reply {
        if self.compositor.is_recovering() {
            return Reply::OverLimit;
        }
        let identity = WatcherIdentity {
            aor: Some(watcher),
            is_trusted_peer: false,
            is_authenticated: true,
        };
        let parked = orbits.into_iter().filter_map(|orbit| {
            let at = turn.wall_clock();
            let directory = turn.directory;
            let decision = directory.decide(identity, &orbit, Package::Dialog, at);
            let is_allowed = decision.handling == Handling::Allow;
            let privacy = is_allowed.then_some(decision.privacy)?;
            self.compositor.parked_in(orbit, privacy, turn)
        });
        Reply::Parked(parked.collect())
    }

    /// All counters, and the sizes of the tables.
    fn count(&self, turn: &mut Turn<'_>) -> Counted {
        let mut counters = turn.counters.snapshot();
        counters.extend(self.uas.refusals_counted());
        counters.extend([
            (
                "responses_evicted_early",
                self.uas.responses_evicted_early(),
            ),
            ("subscriptions", self.subscriptions.count() as u64),
            ("presentities", self.compositor.len() as u64),
            ("notifies_outstanding", self.notifier.outstanding() as u64),
            ("acknowledgements_waiting", turn.commits.held() as u64),
            ("clients", self.uac.clients() as u64),
            ("timers", turn.wheel.len() as u64),
            ("phones_looping", self.uas.loops(turn).len() as u64),
        ]);
        counters.extend(self.subscriptions.counters());
        Counted {
            values: counters,
            subscriptions: self.subscriptions.count_by_event(),
            domains: self.subscriptions.count_by_domain(),
            transports: turn.counters.transports,
            notify_outcomes: self.notifier.outcomes(),
        }
    }
}
