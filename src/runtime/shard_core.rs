//! The main task of a shard's thread: opens its sockets, runs the tasks that serve them, and closes
//! everything at the end.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::Task;
use ipnet::IpNet;

use crate::directory::Directory;
use crate::net::listener::{ListenerSocket, Port, Service};
use crate::net::readiness::Readiness;
use crate::net::stream::StreamListener;
use crate::net::{Limits, executor_pass};
use crate::runtime::changes::ChangeSender;
use crate::runtime::core::{Core, Outlets, Outward, Sockets};
use crate::runtime::heir::Heir;
use crate::runtime::mesh::{Mesh, Woken};
use crate::runtime::shard_sockets::{ContinuedStream, ShardSockets};
use crate::runtime::streams::Acceptor;
use crate::runtime::{adaptive_poll, datagrams, dialer, lookups, streams, timekeeper};
use crate::shard::{Options, Shard};
use crate::store::writer::StoreHandle;
use crate::telemetry::CoreCounters;

/// How long the readers of stream connections may take to notice that their connection has ended.
const STREAMS_END: Duration = Duration::from_millis(500);
/// Streams that are left to the next process at once.
const STREAMS_AT_ONCE: usize = 64;
/// Batches that are read from a socket that is about to be closed: more than its buffer holds.
const SURPLUS_BATCHES_MAX: u32 = 10_000;
/// How long sockets are left unread at the start for the presentities of an earlier process. They are
/// nearly always here by then. If not, new subscriptions are notified once more when they are.
const RECOVERY_PATIENCE: Duration = Duration::from_millis(50);
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
    /// Its sockets.
    pub(crate) sockets: ShardSockets,
    /// What is served on them, by listener.
    pub(crate) services: Arc<[Service]>,
    /// The proxies that forward connections to them, by listener.
    pub(crate) proxies: Arc<[Vec<IpNet>]>,
    /// Where it leaves its streams at the end, if another process is to continue them.
    pub(crate) heir: Arc<Heir>,
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
    pub(crate) changes: ChangeSender,
    /// What it opens streams with.
    pub(crate) outward: Outward,
}

impl ShardCore {
    /// Serves until it is ordered to end: a turn whenever mail or a command waits, and other tasks for
    /// the sockets and the timer.
    pub(crate) async fn run(mut self) {
        let heir = Arc::clone(&self.heir);
        let surplus = std::mem::take(&mut self.sockets.surplus);
        let streams = std::mem::take(&mut self.sockets.streams);
        let (limits, services) = (self.limits.clone(), Arc::clone(&self.services));
        let proxies = Arc::clone(&self.proxies);
        let (core, mut acceptors) = self.assemble();
        let has_begun = begin(&core).await;
        // Before the dialogs on them are back and send NOTIFYs.
        continue_streams(&core, streams);
        if has_begun && recover(&core).await {
            core.begin_reading();
            tracing::debug!(shard = core.id.0, "serving");
            for ((listener, socket), service) in with_services(surplus, &services) {
                let port = socket.open(listener, service, &limits);
                acceptors.extend(
                    port.ok()
                        .and_then(|port| drain(&core, listener, port, &proxies)),
                );
            }
            serve(&core, acceptors).await;
        }
        settle(&core).await;
        if core.has_paused() {
            hand_over_streams(&core, &heir).await;
        }
        end_streams(&core).await;
    }

    fn assemble(self) -> (Rc<Core>, Vec<Acceptor>) {
        let mut datagram_ports = Vec::with_capacity(self.sockets.listening.len());
        let mut acceptors = Vec::new();
        let listening = (0u16..).zip(self.sockets.listening);
        for ((listener, socket), service) in with_services(listening, &self.services) {
            let mut datagram_port = None;
            match socket.open(listener, service, &self.limits) {
                Ok(Port::Datagram(port)) => datagram_port = Some(Rc::new(port)),
                Ok(Port::Stream(socket)) => {
                    acceptors.push(acceptor(listener, socket, &self.proxies));
                }
                Err(error) => {
                    tracing::error!(%error, listener, "cannot use a listening socket");
                }
            }
            datagram_ports.push(datagram_port);
        }
        let id = self.options.id;
        let shard = Shard::new(self.options, self.directory, self.seed);
        let sockets = Sockets {
            continued: self.sockets.continued,
            datagram_ports,
            readiness: self.readiness,
            limits: self.limits,
        };
        let outlets = Outlets {
            mesh: self.mesh,
            store: self.store,
            changes: self.changes,
            outward: self.outward,
        };
        let core = Core::new(id, shard, outlets, self.counters, sockets);
        (core, acceptors)
    }
}

fn acceptor(listener: u16, socket: Box<dyn StreamListener>, proxies: &[Vec<IpNet>]) -> Acceptor {
    let proxies = proxies.get(usize::from(listener)).cloned();
    debug_assert!(proxies.is_some(), "a socket is of a listener");
    Acceptor {
        listener,
        socket,
        proxies: proxies.unwrap_or_default(),
    }
}

/// Sockets with the indexes of their listeners, and what is served on each.
fn with_services(
    sockets: impl IntoIterator<Item = (u16, ListenerSocket)>,
    services: &[Service],
) -> impl Iterator<Item = ((u16, ListenerSocket), &Service)> {
    let with_service = |(listener, socket)| {
        let service = services.get(usize::from(listener));
        debug_assert!(service.is_some(), "a socket is of a listener");
        Some(((listener, socket), service?))
    };
    sockets.into_iter().filter_map(with_service)
}

/// Waits until the core has something to do.
async fn wait(core: &Core) -> Woken {
    let has_paused = core.has_paused();
    poll_fn(|context| core.mesh.poll(core.id, has_paused, context)).await
}

/// Waits until the engine knows how much an earlier process recorded; the records come while it
/// serves. False if the core is to end.
async fn begin(core: &Core) -> bool {
    while !core.has_begun() {
        if wait(core).await != Woken::Work {
            return false;
        }
        core.turn(|_| ());
        glommio::executor().yield_task_queue_now().await;
    }
    true
}

/// Waits for the presentities of an earlier process, but not long. Its dialogs come while SIP is served.
/// False if the core is to end.
async fn recover(core: &Core) -> bool {
    let deadline = Instant::now() + RECOVERY_PATIENCE;
    while !core.has_presentities() && Instant::now() < deadline {
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

/// Serves until the core is to end.
async fn serve(core: &Rc<Core>, acceptors: Vec<Acceptor>) {
    let timekeeper = glommio::spawn_local(timekeeper::keep(Rc::clone(core)));
    let mut readers = read(core, acceptors);
    loop {
        match wait(core).await {
            Woken::Work => {
                datagrams::due_turn(core);
                if core.is_recovering() {
                    // There is work all the time: streams must not wait until all dialogs are back.
                    executor_pass::pass().await;
                }
            }
            Woken::Pause => {
                core.stop_reading();
                cancel(readers.split_off(0)).await;
                datagrams::take_left(core);
                core.turn(|_| ());
            }
            Woken::Stop => break,
        }
        glommio::yield_if_needed().await;
    }
    readers.push(timekeeper);
    cancel(readers).await;
}

/// Tasks and core reference each other: only cancelling the tasks frees them and the ports.
async fn cancel(tasks: Vec<Task<()>>) {
    for task in tasks {
        task.cancel().await;
    }
}

/// Reads what a socket without a shard of its own still holds, and closes it. A listening socket is
/// kept: connections that wait in it would be lost.
fn drain(core: &Rc<Core>, listener: u16, port: Port, proxies: &[Vec<IpNet>]) -> Option<Acceptor> {
    match port {
        Port::Datagram(port) => {
            let has_more = |_: &u32| matches!(datagrams::receive_batch(core, &port), Ok(Some(_)));
            let batches = (0..SURPLUS_BATCHES_MAX).take_while(has_more).count();
            tracing::debug!(
                listener,
                batches,
                "read a socket that has no shard any more"
            );
            None
        }
        Port::Stream(socket) => Some(acceptor(listener, socket, proxies)),
    }
}

fn continue_streams(core: &Rc<Core>, streams: Vec<ContinuedStream>) {
    for stream in streams {
        if let Some(connection) = core.turn(|turn| turn.continue_stream(stream)) {
            glommio::spawn_local(streams::read_on(Rc::clone(core), connection)).detach();
        }
    }
}

/// The tasks that read sockets.
fn read(core: &Rc<Core>, acceptors: Vec<Acceptor>) -> Vec<Task<()>> {
    let mut tasks = Vec::new();
    for port in core.datagram_ports.iter().flatten() {
        let task = adaptive_poll::serve(Rc::clone(core), Rc::clone(port));
        tasks.push(glommio::spawn_local(task));
    }
    let has_streams = !acceptors.is_empty();
    for acceptor in acceptors {
        let task = streams::accept(Rc::clone(core), acceptor);
        tasks.push(glommio::spawn_local(task));
    }
    tasks.push(glommio::spawn_local(dialer::serve(Rc::clone(core))));
    tasks.push(glommio::spawn_local(lookups::serve(Rc::clone(core))));
    tasks.push(glommio::spawn_local(lookups::find_servers(Rc::clone(core))));
    if has_streams {
        tasks.push(glommio::spawn_local(streams::sweep(Rc::clone(core))));
    }
    tasks
}

/// Leaves streams to the next process, few at a time: until its reader has ended, each takes a second
/// descriptor.
async fn hand_over_streams(core: &Core, heir: &Heir) {
    loop {
        let streams = core.hand_over_streams(STREAMS_AT_ONCE);
        if streams.is_empty() {
            return;
        }
        heir.leave(streams);
        glommio::executor().yield_task_queue_now().await;
    }
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
