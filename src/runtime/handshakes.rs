//! The handshakes of stream connections, counted.

use std::rc::Rc;

use crate::net::stream::connection::Connection;
use crate::net::stream::handshakes::HandshakeFault;
use crate::runtime::core::Core;

/// Completes the handshake of a connection, if its transport has one. False if it fails: the connection
/// is over.
pub(crate) async fn complete(core: &Rc<Core>, connection: &Connection) -> bool {
    if !connection.has_handshake() {
        return true;
    }
    let is_trusted = core.turn(|turn| turn.trusts(&connection.flow));
    let handshake = connection.complete_handshake(is_trusted, &core.handshakes, &core.scratch);
    let Err(fault) = handshake.await else {
        core.counters.handshakes_completed.add(1);
        return true;
    };
    let counter = match fault {
        HandshakeFault::Refused => &core.counters.handshakes_refused,
        HandshakeFault::TimedOut => &core.counters.handshakes_timed_out,
        HandshakeFault::Failed(_) => &core.counters.handshakes_failed,
    };
    counter.add(1);
    let flow = connection.flow;
    tracing::debug!(peer = %flow.peer, via = flow.transport.via_token(), %fault, "a handshake failed");
    false
}
