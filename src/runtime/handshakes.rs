//! The handshakes of stream connections: how many at once, how long each may take, and how often one may
//! compute.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::net::stream::Handshake;
use crate::net::stream::connection::Connection;
use crate::runtime::core::Core;

/// Completes the handshake of a connection, if its transport has one. False if it fails: the connection
/// is over.
pub(crate) async fn complete(core: &Rc<Core>, connection: &Connection) -> bool {
    if !connection.has_handshake() {
        return true;
    }
    let Some(_under_way) = core.handshakes.begin(core.limits.handshakes_max) else {
        core.counters.handshakes_refused.add(1);
        return false;
    };
    match shake_hands(core, connection).await {
        Ok(()) => {
            core.counters.handshakes_completed.add(1);
            true
        }
        Err(error) => {
            let counter = match error.kind() {
                io::ErrorKind::TimedOut => &core.counters.handshakes_timed_out,
                _ => &core.counters.handshakes_failed,
            };
            counter.add(1);
            let flow = connection.flow;
            tracing::debug!(peer = %flow.peer, via = flow.transport.via_token(), %error, "a handshake failed");
            false
        }
    }
}

async fn shake_hands(core: &Core, connection: &Connection) -> io::Result<()> {
    let deadline = Instant::now() + core.limits.handshake_timeout;
    loop {
        let patience = deadline.saturating_duration_since(Instant::now());
        if patience == Duration::ZERO {
            // The peer keeps sending, but not what the handshake needs.
            return Err(io::ErrorKind::TimedOut.into());
        }
        match connection.handshake(&core.scratch, patience).await? {
            Handshake::Done => return Ok(()),
            Handshake::Octets => {
                core.handshakes.next().await;
                connection.advance_handshake()?;
            }
        }
    }
}
