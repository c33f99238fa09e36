//! From a UDP socket to the engine: batches while there are any, then waiting.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::net::junk;
use crate::net::junk::Kind;
use crate::net::receive;
use crate::net::receive::Received;
use crate::net::stun;
use crate::net::udp::UdpPort;
use crate::runtime::core::Core;
use crate::runtime::core::Turn;
use crate::shard::Input;

/// How long a socket is left alone while the core is congested or the socket fails.
const PAUSE: Duration = Duration::from_millis(1);

/// Feeds the engine from one socket. Never ends.
pub(crate) async fn serve(core: Rc<Core>, port: Rc<UdpPort>) {
    loop {
        if core.is_congested() {
            core.counters.congested.add(1);
            glommio::timer::sleep(PAUSE).await;
            continue;
        }
        match receive_batch(&core, &port) {
            // A batch that is not full has emptied the socket; asking again would only cost a call.
            Ok(count) if count < receive::BATCH => {
                if let Err(error) = port.readable().await {
                    pause(&core, &error).await;
                }
            }
            Ok(_) => glommio::yield_if_needed().await,
            Err(error) => pause(&core, &error).await,
        }
    }
}

async fn pause(core: &Core, error: &io::Error) {
    core.counters.receive_errors.add(1);
    tracing::debug!(%error, "receiving failed");
    glommio::timer::sleep(PAUSE).await;
}

/// A turn because something is due, or mail waits: with what is there to be read, if anything is.
/// The executor would look at the sockets only once nobody has anything to do; by then answers may
/// have waited for so long that what they answer is sent again.
pub(crate) fn due_turn(core: &Core) {
    let mut has_turned = false;
    if !core.is_congested() {
        for port in core.udp_ports.iter().flatten() {
            // What fails here is left to the port's own task, which meets it again and waits.
            has_turned |= receive_batch(core, port).is_ok_and(|count| count > 0);
        }
    }
    if !has_turned {
        core.turn(|_| ());
    }
}

/// One turn with what is there; none when nothing is.
fn receive_batch(core: &Core, port: &UdpPort) -> io::Result<usize> {
    let mut batch = core.received.borrow_mut();
    let count = port.receive(&mut batch)?;
    if count > 0 {
        core.counters.receive_batches.add(1);
        core.counters.datagrams_received.add(count as u64);
        core.turn(|turn| {
            if count == receive::BATCH {
                turn.expect_more();
            }
            batch
                .datagrams()
                .for_each(|received| take(core, turn, port, &received))
        });
    }
    Ok(count)
}

fn take(core: &Core, turn: &mut Turn<'_>, port: &UdpPort, received: &Received<'_>) {
    core.counters
        .datagram_octets_received
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
    match junk::classify(received.bytes) {
        Kind::Sip => turn.handle(Input::Datagram {
            flow,
            bytes: received.bytes,
        }),
        Kind::Stun if turn.answer(flow, |out| stun::answer(received.bytes, received.peer, out)) => {
            core.counters.stun_answered.add(1)
        }
        Kind::Stun | Kind::Filler => core.counters.datagrams_junk.add(1),
    }
}
