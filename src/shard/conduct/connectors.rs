//! Connectors: their users, and what the operator orders.

use std::time::Duration;

use crate::shard::conduct::Engine;
use crate::shard::contract::command::Reply;
use crate::shard::contract::connector::ConnectorOrder;
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;

/// How long connectors wait for recorded presentities before they look again.
const RECOVERY_PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// Takes the connectors of the directory, once recorded presentities are there.
    pub(crate) fn take_connectors(&mut self, turn: &mut Turn<'_>) {
        if self.compositor.is_recovering() {
            turn.wheel.arm(turn.now + RECOVERY_PAUSE, Timer::Connectors);
            return;
        }
        self.has_connectors = true;
        self.connectors.take_directory(&mut self.uac, turn);
    }

    /// Users of connectors come and go.
    pub(crate) fn go_on_with_connectors(&mut self, turn: &mut Turn<'_>) {
        if !self.has_connectors {
            return self.take_connectors(turn);
        }
        let compositor = &self.compositor;
        self.connectors.handle_timer(
            |aor, but| compositor.is_watched(aor, but),
            |domain, but| compositor.watched_in(domain, but),
            &mut self.uac,
            turn,
        );
    }

    /// Starts, stops or restarts a connector.
    pub(crate) fn order_connector(
        &mut self,
        name: &str,
        order: ConnectorOrder,
        turn: &mut Turn<'_>,
    ) -> Reply {
        match self.connectors.order(name, order, &mut self.uac, turn) {
            true => Reply::Done,
            false => Reply::OverLimit,
        }
    }
}
