//! Turns with datagrams: from a port to the engine, batch by batch.

use std::io;
use std::time::Instant;

use crate::net::datagram::classify::{DatagramKind, classify};
use crate::net::datagram::port::DatagramPort;
use crate::net::datagram::{BATCH, Received};
use crate::net::stun;
use crate::runtime::core::{Core, Turn};
use crate::shard::Input;

/// Whether a turn left datagrams unread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unread {
    /// The socket was empty; asking again would only cost a call.
    None,
    /// The batch was full; more are probably waiting.
    Likely,
}

/// A turn for due timers or mail, which also receives any waiting datagrams. The executor looks at
/// the sockets only when no task has anything to do; by then responses may have waited so long that
/// their requests would be retransmitted. Returns what [`receive_batch`] does.
pub(crate) fn due_turn(core: &Core) -> Option<Unread> {
    let mut received = None;
    if !core.is_congested() {
        for port in core.datagram_ports.iter().flatten() {
            // A failing socket is left to the port's own task, which meets the error again and waits.
            received = received.max(receive_batch(core, port).ok().flatten());
        }
    }
    if received.is_none() {
        core.turn(|_| ());
    }
    received
}

/// Turns with datagrams that were received and not taken yet; none are received any more.
pub(crate) fn take_left(core: &Core) {
    for port in core.datagram_ports.iter().flatten() {
        while port.is_left() && receive_batch(core, port).is_ok() {}
    }
}

/// One turn with the datagrams that are there; no turn if there are none.
pub(crate) fn receive_batch(core: &Core, port: &DatagramPort) -> io::Result<Option<Unread>> {
    let mut batch = port.receive()?;
    if !batch.is_left() {
        return Ok(None);
    }
    let came = Instant::now();
    let unread = core.turn(|turn| {
        let mut count = 0;
        while count < BATCH
            && let Some(received) = batch.next_datagram()
        {
            take(core, turn, port, &received);
            count += 1;
        }
        core.counters.receive_batches.add(1);
        core.counters.datagrams_received.add(count as u64);
        if batch.is_more_likely() {
            turn.expect_more();
            Unread::Likely
        } else {
            Unread::None
        }
    });
    let arrivals = core.arrivals.get().after(came, Instant::now());
    core.arrivals.set(arrivals);
    Ok(Some(unread))
}

fn take(core: &Core, turn: &mut Turn<'_>, port: &DatagramPort, received: &Received<'_>) {
    core.counters
        .datagrams_received_bytes
        .add(received.bytes.len() as u64);
    if let Some(total) = received.lost {
        core.counters
            .datagrams_lost_in_kernel
            .add(port.newly_lost(total));
    }
    if received.is_truncated {
        core.counters.datagrams_truncated.add(1);
        return;
    }
    let flow = port.flow(received);
    match classify(received.bytes) {
        DatagramKind::Sip => turn.handle(Input::Message {
            flow,
            bytes: received.bytes,
        }),
        DatagramKind::Stun
            if turn.respond(flow, |out| {
                stun::respond(received.bytes, received.peer, out)
            }) =>
        {
            core.counters.stun_answered.add(1);
        }
        DatagramKind::Stun | DatagramKind::Keepalive => core.counters.datagrams_junk.add(1),
    }
}
