//! From a UDP socket to the engine: batches while there are any, then waiting.

use std::io;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use crate::net::junk;
use crate::net::junk::Kind;
use crate::net::receive;
use crate::net::receive::Received;
use crate::net::stun;
use crate::net::udp::UdpPort;
use crate::runtime::core::Core;
use crate::runtime::core::Turn;
use crate::runtime::linger;
use crate::shard::Input;

/// How long a socket is left alone while the core is congested or the socket fails.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether a turn left datagrams behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Backlog {
    /// The socket was empty, asking again would only cost a call.
    None,
    /// There were more than fit.
    Likely,
}

/// Feeds the engine from one socket. Never ends.
pub(crate) async fn serve(core: Rc<Core>, port: Rc<UdpPort>) {
    loop {
        if core.is_congested() {
            core.counters.congested.add(1);
            glommio::timer::sleep(PAUSE).await;
            continue;
        }
        match receive_batch(&core, &port) {
            Ok(Some(backlog)) if core.pace.get().is_frequent() => {
                linger::linger(&core, backlog).await;
            }
            Ok(Some(Backlog::Likely)) => {}
            Ok(_) => {
                if let Err(error) = port.readable().await {
                    pause(&core, &error).await;
                }
            }
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
/// have waited for so long that what they answer is sent again. Tells what [`receive_batch`] does.
pub(crate) fn due_turn(core: &Core) -> Option<Backlog> {
    let mut received = None;
    if !core.is_congested() {
        for port in core.udp_ports.iter().flatten() {
            // What fails here is left to the port's own task, which meets it again and waits.
            received = received.max(receive_batch(core, port).ok().flatten());
        }
    }
    if received.is_none() {
        core.turn(|_| ());
    }
    received
}

/// One turn with what is there; none when nothing is.
fn receive_batch(core: &Core, port: &UdpPort) -> io::Result<Option<Backlog>> {
    let mut batch = port.receive()?;
    if !batch.is_left() {
        return Ok(None);
    }
    let came = Instant::now();
    let backlog = core.turn(|turn| {
        let mut count = 0;
        while count < receive::BATCH
            && let Some(received) = batch.next_datagram()
        {
            take(core, turn, port, &received);
            count += 1;
        }
        core.counters.receive_batches.add(1);
        core.counters.datagrams_received.add(count as u64);
        if batch.is_more_likely() {
            turn.expect_more();
            Backlog::Likely
        } else {
            Backlog::None
        }
    });
    core.pace.set(core.pace.get().after(came, Instant::now()));
    Ok(Some(backlog))
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
