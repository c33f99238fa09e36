//! The one timer of a core: sleeps until the engine wants a turn, and again.
//!
//! A timer of the executor takes half a microsecond to arm, so there is only this one, and it is
//! armed again only if something becomes due before it would fire. If that is no longer due, the timer
//! fires once without effect and is armed for the right time.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use glommio::timer::Timer;

use crate::runtime::core::Core;
use crate::runtime::datagrams;

/// Gives the core a turn whenever one is due. Never returns.
pub(crate) async fn keep(core: Rc<Core>) {
    // The first sleep in an executor takes ten milliseconds or more, whatever its length; so it
    // happens here, before it matters.
    glommio::timer::sleep(Duration::from_millis(1)).await;
    let mut timer = Timer::new(Duration::ZERO);
    loop {
        let due = core.next_due();
        core.arm(due);
        if wait(&core, due, &mut timer).await {
            datagrams::due_turn(&core);
            // The engine may have left work over for the next turn; sockets come in between.
            glommio::executor().yield_task_queue_now().await;
        }
    }
}

/// True at `due`; false as soon as something is due before that.
async fn wait(core: &Core, due: Option<Instant>, timer: &mut Timer) -> bool {
    if let Some(due) = due {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        timer.reset(left);
    }
    poll_fn(|context| {
        if core.poll_rearm(context.waker()) {
            return Poll::Ready(false);
        }
        match due {
            Some(_) => Pin::new(&mut *timer).poll(context).map(|_| true),
            None => Poll::Pending,
        }
    })
    .await
}
