//! The main task of a shard's thread: opens its sockets, runs the tasks that serve them, and closes
//! everything at the end.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::Task;

use crate::directory::Directory;
use crate::net::Limits;
use crate::net::listener::{ListenerSocket, Port};
use crate::net::readiness::Readiness;
use crate::runtime::core::{Core, Outlets, Sockets};
use crate::runtime::mesh::{Mesh, Woken};
use crate::runtime::streams::Acceptor;
use crate::runtime::{adaptive_poll, datagrams, streams, timekeeper};
use crate::shard::{Options, Shard};
use crate::store::history::HistoryHandle;
use crate::store::writer::StoreHandle;
use crate::telemetry::CoreCounters;

/// How long the readers of stream connections may take to notice that their connection has ended.
const STREAMS_END: Duration = Duration::from_millis(500);
/// How long the last records may take to become durable. The store commits them later in any case,
/// but what they acknowledge is not sent then.
const RECORDS_END: Duration = Duration::from_secs(3);

/// The parts of a shard's core, ready to move into its thread.
#[derive(Debug)]
pub(crate) struct ShardCore {
    /// The engine's options.
    pub(crate) options: Options,
    /// Domains and accounts.
    pub(crate) directory: Arc<Directory>,
    /// The seed of the engine's random numbers.
    pub(crate) seed: [u8; 32],
    /// Its sockets by listener.
    pub(crate) sockets: Vec<ListenerSocket>,
    /// With which its thread waits for datagrams outside the executor.
    pub(crate) readiness: Readiness,
    /// Its mail to and from the other shards.
    pub(crate) mesh: Arc<Mesh>,
    /// Its counters.
    pub(crate) counters: Arc<CoreCounters>,
    /// The limits of its sockets.
    pub(crate) limits: Limits,
    /// Where its records go. If there is a store, the shard begins with what that holds.
    pub(crate) store: Option<StoreHandle>,
    /// Where changes of composed states go.
    pub(crate) history: Option<HistoryHandle>,
}

impl ShardCore {
    /// Serves until it is ordered to end: a turn whenever mail or a command waits, and other tasks for
    /// the sockets and the timer.
    pub(crate) async fn run(self) {
        let (core, acceptors) = self.assemble();
        let mut tasks = Vec::new();
        if begin(&core).await {
            tasks = serve(&core, acceptors);
            while wait(&core).await == Woken::Work {
                datagrams::due_turn(&core);
                glommio::yield_if_needed().await;
            }
        }
        // Tasks and core reference each other: only cancelling the tasks frees them and the ports.
        for task in tasks {
            task.cancel().await;
        }
        settle(&core).await;
        end_streams(&core).await;
    }

    fn assemble(self) -> (Rc<Core>, Vec<Acceptor>) {
        let mut datagram_ports = Vec::with_capacity(self.sockets.len());
        let mut acceptors = Vec::new();
        for (listener, socket) in (0u16..).zip(self.sockets) {
            let mut datagram_port = None;
            match socket.open(listener, &self.limits) {
                Ok(Port::Datagram(port)) => datagram_port = Some(Rc::new(port)),
                Ok(Port::Stream(socket)) => acceptors.push(Acceptor { listener, socket }),
                Err(error) => {
                    tracing::error!(%error, listener, "cannot use a listening socket");
                }
            }
            datagram_ports.push(datagram_port);
        }
        let id = self.options.id;
        let shard = Shard::new(self.options, self.directory, self.seed);
        let sockets = Sockets {
            datagram_ports,
            readiness: self.readiness,
            limits: self.limits,
        };
        let outlets = Outlets {
            mesh: self.mesh,
            store: self.store,
            history: self.history,
        };
        let core = Core::new(id, shard, outlets, self.counters, sockets);
        (core, acceptors)
    }
}

/// Waits until the core has something to do.
async fn wait(core: &Core) -> Woken {
    poll_fn(|context| core.mesh.poll(core.id, context)).await
}

/// Waits until the engine knows how much an earlier process recorded; the records come while it
/// serves. False if the core is to end.
async fn begin(core: &Core) -> bool {
    while !core.has_begun() {
        if wait(core).await == Woken::Stop {
            return false;
        }
        core.turn(|_| ());
        glommio::executor().yield_task_queue_now().await;
    }
    true
}

/// Waits until the last records are durable, and sends what waited for them.
async fn settle(core: &Core) {
    let deadline = Instant::now() + RECORDS_END;
    while !core.is_settled() && Instant::now() < deadline {
        glommio::timer::sleep(Duration::from_millis(1)).await;
        core.turn(|_| ());
    }
}

fn serve(core: &Rc<Core>, acceptors: Vec<Acceptor>) -> Vec<Task<()>> {
    let mut tasks = vec![glommio::spawn_local(timekeeper::keep(Rc::clone(core)))];
    for port in core.datagram_ports.iter().flatten() {
        let task = adaptive_poll::serve(Rc::clone(core), Rc::clone(port));
        tasks.push(glommio::spawn_local(task));
    }
    let has_streams = !acceptors.is_empty();
    for acceptor in acceptors {
        let task = streams::accept(Rc::clone(core), acceptor);
        tasks.push(glommio::spawn_local(task));
    }
    if has_streams {
        tasks.push(glommio::spawn_local(streams::sweep(Rc::clone(core))));
    }
    tasks
}

async fn end_streams(core: &Core) {
    let deadline = Instant::now() + STREAMS_END;
    loop {
        let is_done = core.end_streams();
        // io_uring cancels the operations that the tasks waited for; otherwise they would keep the
        // ports bound after the executor has ended.
        glommio::timer::sleep(Duration::from_millis(1)).await;
        if is_done || Instant::now() >= deadline {
            break;
        }
    }
}
