//! Serves a datagram port by adaptive polling: while datagrams come often, the thread waits for the next one itself instead of
//! falling asleep in its executor.
//!
//! The executor needs some ten microseconds to fall asleep and to wake, several times as much as a
//! plain wait for sockets. Where datagrams come often but one by one, as the responses of phones do,
//! this would be most of their cost. So as long as each one comes soon after the last, the thread
//! waits for sockets, and gives the executor a pass now and then: for streams, whose completion also
//! ends a wait, and for timers.
//!
//! As network cards do, it also lets datagrams gather before it takes the next batch: one wake for
//! each would still cost more than the datagrams do. An isolated datagram is never delayed: both
//! take a run of batches, which a request and the responses it brings about are not.
//!
//! While the thread polls, streams wait for the next pass, and the engine's timer may be a
//! millisecond late.

use std::rc::Rc;
use std::time::{Duration, Instant};
use std::{io, thread};

use crate::net::datagram::port::DatagramPort;
use crate::net::executor_pass::pass;
use crate::net::readiness::Waited;
use crate::runtime::arrival_pattern::PATIENCE;
use crate::runtime::core::Core;
use crate::runtime::datagrams;
use crate::runtime::datagrams::Unread;

/// How long a port is left alone while the core is congested or the socket fails.
const PAUSE: Duration = Duration::from_millis(1);
/// How long the executor goes without a pass while there are datagrams; streams wait no longer than
/// this. A pass costs as much as a datagram.
const PASS_EVERY: Duration = Duration::from_micros(250);

/// Feeds the engine from one port. Never returns.
pub(crate) async fn serve(core: Rc<Core>, port: Rc<DatagramPort>) {
    loop {
        if core.is_congested() {
            core.counters.congested.add(1);
            glommio::timer::sleep(PAUSE).await;
            continue;
        }
        match datagrams::receive_batch(&core, &port) {
            Ok(Some(unread)) if core.arrivals.get().is_frequent() => {
                poll(&core, unread).await;
                core.mesh.leave_to_main_task(core.id);
            }
            Ok(Some(Unread::Likely)) => {}
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

/// Serves datagrams, mail and the engine's timer as long as the next datagram is worth waiting for.
/// `unread` is what the last turn left.
async fn poll(core: &Core, mut unread: Unread) {
    let mut is_worth_it = true;
    while std::mem::take(&mut is_worth_it) {
        pass().await;
        let start = Instant::now();
        while start.elapsed() < PASS_EVERY && !core.is_congested() {
            let gathering = core.arrivals.get().gathering(Instant::now());
            if unread == Unread::None && !gathering.is_zero() {
                thread::sleep(gathering);
            } else if unread == Unread::None && !core.is_due() {
                match core
                    .readiness
                    .wait(PATIENCE, || core.mesh.has_work(core.id))
                {
                    Waited::Ready => {}
                    Waited::Interrupted => {
                        is_worth_it = true;
                        break;
                    }
                    Waited::TimedOut => return,
                }
            }
            let received = datagrams::due_turn(core);
            is_worth_it |= received.is_some();
            unread = received.unwrap_or(Unread::None);
        }
    }
}
