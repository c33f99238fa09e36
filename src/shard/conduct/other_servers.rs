//! Other servers: the users that connectors subscribe to and that relays publish, and what the operator orders.

use std::time::Duration;

use crate::shard::conduct::Engine;
use crate::shard::conduct::operator::batch;
use crate::shard::contract::command::Reply;
use crate::shard::contract::connector::ConnectorOrder;
use crate::shard::contract::ids::PresentityId;
use crate::shard::contract::relay::{RelayOutcome, RelayedState};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;

/// How long connectors and relays wait for recorded presentities before they look again.
const RECOVERY_PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Takes the connectors and the relays of the directory, once recorded presentities are there.
    pub(crate) fn take_other_servers(&mut self, turn: &mut Turn<'_>) {
        if self.compositor.is_recovering() {
            turn.wheel.arm(turn.now + RECOVERY_PAUSE, Timer::Connectors);
            return;
        }
        self.connectors.take_directory(&mut self.uac, turn);
        if !std::mem::replace(&mut self.has_other_servers, true) {
            let recovered = self.compositor.said_by_connectors();
            self.connectors.take_recovered(recovered, turn);
        }
        self.relays.take_directory(&mut self.uac, turn);
        self.settle_all_relayed();
    }

    /// Users of connectors come and go.
    pub(crate) fn go_on_with_connectors(&mut self, turn: &mut Turn<'_>) {
        if !self.has_other_servers {
            return self.take_other_servers(turn);
        }
        let compositor = &self.compositor;
        self.connectors.handle_timer(
            |aor, but| compositor.is_watched(aor, but),
            |domain, but| compositor.watched_in(domain, but),
            &mut self.uac,
            turn,
        );
    }

    /// Has the re-evaluation settle what relays publish of each presentity.
    pub(crate) fn settle_all_relayed(&mut self) {
        if !self.relays.is_empty() {
            self.reevaluate_presentities();
        }
    }

    /// Brings what relays publish of a presentity in line with the configuration.
    pub(crate) fn settle_relayed(&mut self, id: PresentityId, turn: &mut Turn<'_>) {
        self.compositor.drop_unrelayed(id, turn);
        if !self.relays.is_empty()
            && let Some(presentity) = self.compositor.relayed_at(id, turn)
        {
            self.relays.settle(presentity, &mut self.uac, turn);
        }
    }

    /// The state of a presentity changed that a relay publishes.
    pub(crate) fn relay(&mut self, state: RelayedState, turn: &mut Turn<'_>) {
        self.relays.take(state, &mut self.uac, turn);
    }

    /// What became of a publication.
    pub(crate) fn note_relayed(&mut self, outcome: RelayOutcome, turn: &mut Turn<'_>) {
        if self.relays.note_outcome(&outcome) {
            self.compositor.note_published(outcome, turn);
        }
    }

    /// The connectors, with their users among the next clients.
    pub(crate) fn list_connectors(&self, from: u32, turn: &Turn<'_>) -> Reply {
        let (places, next) = batch(from, self.uac.places());
        let reports = self.connectors.reports(places, &self.uac, turn.now);
        Reply::Connectors(reports, next)
    }

    /// The relays, with their users among the next clients.
    pub(crate) fn list_relays(&self, from: u32, turn: &Turn<'_>) -> Reply {
        let (places, next) = batch(from, self.uac.places());
        let reports = self.relays.reports(places, &self.uac, turn.now);
        Reply::SipRelays(reports, next)
    }

    /// The users of a connector among the next clients.
    pub(crate) fn list_users(&self, name: &str, from: u32, turn: &Turn<'_>) -> Reply {
        let (places, next) = batch(from, self.uac.places());
        let users = self.connectors.users(name, places, &self.uac, turn.now);
        Reply::ConnectorUsers(users, next)
    }

    /// Starts, stops or restarts a connector. The order may come before the connectors were taken.
    pub(crate) fn order_connector(
        &mut self,
        name: &str,
        order: ConnectorOrder,
        turn: &mut Turn<'_>,
    ) -> Reply {
        if !self.has_other_servers {
            self.take_other_servers(turn);
        }
        match self.connectors.order(name, order, &mut self.uac, turn) {
            true => Reply::Done,
            false => Reply::OverLimit,
        }
    }
}
