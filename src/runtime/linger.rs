//! Waiting for the next datagram without letting the thread fall asleep in its executor.
//!
//! The executor needs some ten microseconds to fall asleep and to wake, several times as much as a
//! plain wait for sockets. Where datagrams come often but one by one, as the answers of phones do,
//! this would be most of what they cost. So as long as the next one comes soon after the last, the
//! thread waits for it itself, and gives the executor a pass now and then: for streams, whose
//! completion also ends a wait, and for timers.
//!
//! And as network cards do, it lets datagrams gather before it takes the next: a wake for each would
//! still cost more than they do. A datagram that comes alone never waits for others.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::net::readiness::Waited;
use crate::runtime::core::Core;
use crate::runtime::datagrams;
use crate::runtime::datagrams::Backlog;

/// What comes within this time is worth waiting for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(1);
/// How long the executor does without a pass while there are datagrams: what streams have to wait at
/// most. A pass costs as much as a datagram.
const PASS_EVERY: Duration = Duration::from_micros(250);
/// A timer that is over once the executor looks at it, but not before: it lets everybody else go on,
/// looks at its rings and goes back to whoever waits for this. (It has no call for that: yielding to
/// it stays among the tasks, and a timer of zero is over at once.)
const PASS: Duration = Duration::from_micros(2);
/// From one turn with datagrams to the next, at least, unless more are known to wait: what comes
/// meanwhile is taken together.
const GATHERING: Duration = Duration::from_micros(100);

/// Serves datagrams, mail and the engine's timer as long as the next is worth waiting for. `backlog`
/// is what the last turn left.
pub(crate) async fn linger(core: &Core, mut backlog: Backlog) {
    let mut is_worth_it = true;
    while std::mem::take(&mut is_worth_it) {
        glommio::timer::sleep(PASS).await;
        let start = Instant::now();
        while start.elapsed() < PASS_EVERY && !core.is_congested() {
            let gathering = GATHERING.saturating_sub(core.received_at.get().elapsed());
            if backlog == Backlog::None && !gathering.is_zero() {
                thread::sleep(gathering);
            } else if backlog == Backlog::None && !core.is_due() {
                match core
                    .readiness
                    .wait(PATIENCE, || core.mesh.has_work(core.id))
                {
                    Waited::Ready => {}
                    Waited::Interrupted => {
                        is_worth_it = true;
                        break;
                    }
                    Waited::InVain => return,
                }
            }
            let received = datagrams::due_turn(core);
            is_worth_it |= received.is_some();
            backlog = received.unwrap_or(Backlog::None);
        }
    }
}
