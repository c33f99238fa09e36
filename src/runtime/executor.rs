//! Threads with an executor, pinned to a CPU each.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::thread::JoinHandle;
use std::time::Duration;

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};

use crate::runtime::error::BootError;

/// Locked memory per executor for registered buffers; the minimum, because they are hardly used.
/// The default of 10 MiB would not fit into the usual memlock limit.
const IO_MEMORY: usize = 64 * 1024;
/// How long tasks may run, with nothing new in the rings, before the executor looks at the rings
/// anyway. Not short: see [`HEARTBEAT`]. A shard does not depend on it, since each of its turns
/// takes mail, commands and timers along.
const PREEMPT: Duration = Duration::from_millis(100);
/// How often an executor wakes for nothing. glommio 0.9 can fall asleep with a task ready to run:
/// when the preemption timer, or the event that ended its last sleep, completes between its look at
/// the rings and its first look at the tasks, it misses the ready task. Only the next event wakes
/// it then. It happens only to a core that the system stopped for as long as [`PREEMPT`] at the
/// worst moment; the heartbeat bounds the delay. It is not shorter, because an idle server does
/// nothing else.
const HEARTBEAT: Duration = Duration::from_millis(250);

/// A thread to be started.
#[derive(Clone, Debug)]
pub(crate) struct CoreThread {
    /// `shard-0`, `http`.
    pub(crate) name: String,
    /// Where it runs.
    pub(crate) cpu: usize,
    /// Cores of the whole node, for advice on limits.
    pub(crate) cores: usize,
}

/// Runs the future made by `main` on a new thread, then calls `over(success)`. Returns when the
/// executor is ready.
pub(crate) fn start<M, F>(
    core: CoreThread,
    main: M,
    over: impl FnOnce(bool) + Send + 'static,
) -> Result<JoinHandle<()>, BootError>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let (sender, receiver) = mpsc::sync_channel(1);
    let builder = thread::Builder::new().name(core.name.clone());
    let unstartable = |reason: String| BootError::Core {
        core: core.name.clone(),
        cpu: core.cpu,
        reason,
    };
    let run = {
        let core = core.clone();
        move || {
            let executor = match make(&core) {
                Ok(executor) => executor,
                Err(error) => {
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            let _ = sender.send(Ok(()));
            // The panic hook has already reported it; here only release callers that wait for this
            // core.
            let is_good =
                catch_unwind(AssertUnwindSafe(|| executor.run(with_heartbeat(main)))).is_ok();
            over(is_good);
        }
    };
    let thread = builder
        .spawn(run)
        .map_err(|error| unstartable(error.to_string()))?;
    match receiver.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(unstartable("its thread ended immediately".to_owned())),
    }
}

async fn with_heartbeat<F: Future<Output = ()>>(main: impl FnOnce() -> F) {
    let heartbeat = glommio::spawn_local(async {
        loop {
            glommio::timer::sleep(HEARTBEAT).await;
        }
    });
    main().await;
    // Still wanted: the executor must wake once more to see that this is over.
    heartbeat.detach();
}

fn make(core: &CoreThread) -> Result<LocalExecutor, BootError> {
    LocalExecutorBuilder::new(Placement::Fixed(core.cpu))
        .name(&core.name)
        .io_memory(IO_MEMORY)
        .preempt_timer(PREEMPT)
        // Its helper thread waits for full send buffers, rarely; not on the CPU it would help.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1))
        .make()
        .map_err(|error| BootError::from_executor(&core.name, core.cpu, core.cores, &error))
}
