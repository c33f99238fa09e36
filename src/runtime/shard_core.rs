//! The main task of a shard's core: what is made inside its own thread, and how it ends.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use std::time::Instant;

use glommio::Task;

use crate::directory::Directory;
use crate::net::Limits;
use crate::net::readiness::Readiness;
use crate::net::tcp::TcpPort;
use crate::net::udp::UdpPort;
use crate::runtime::boot::Share;
use crate::runtime::core::Core;
use crate::runtime::core::Sockets;
use crate::runtime::datagrams;
use crate::runtime::mesh::Mesh;
use crate::runtime::mesh::Woken;
use crate::runtime::streams;
use crate::runtime::timekeeper;
use crate::shard::Options;
use crate::shard::Shard;
use crate::telemetry::CoreCounters;

/// How long the readers of stream connections may take to notice that these have ended.
const STREAMS_END: Duration = Duration::from_millis(500);

/// All a shard's core is made of, ready to cross into its thread.
#[derive(Debug)]
pub(crate) struct ShardCore {
    /// The engine's options.
    pub(crate) options: Options,
    /// Domains and accounts.
    pub(crate) directory: Arc<Directory>,
    /// The engine's chance.
    pub(crate) seed: [u8; 32],
    /// Its sockets by listener.
    pub(crate) shares: Vec<Share>,
    /// Its waits beside the executor.
    pub(crate) readiness: Readiness,
    /// Its way to the others.
    pub(crate) mesh: Arc<Mesh>,
    /// What it counts.
    pub(crate) counters: Arc<CoreCounters>,
    /// The limits of its sockets.
    pub(crate) limits: Limits,
}

impl ShardCore {
    /// Serves until it is told to end: a turn whenever mail or a command waits, and other tasks for
    /// the sockets and the timer.
    pub(crate) async fn run(self) {
        let id = self.options.id;
        let (core, tcp_ports) = self.assemble();
        let tasks = serve(&core, tcp_ports);
        while poll_fn(|context| core.mesh.poll(id, context)).await == Woken::Work {
            datagrams::due_turn(&core);
            glommio::yield_if_needed().await;
        }
        // The tasks hold the core and the core knows how to wake them: unless they are cancelled,
        // neither would ever be freed, nor the ports.
        for task in tasks {
            task.cancel().await;
        }
        end_streams(&core).await;
    }

    fn assemble(self) -> (Rc<Core>, Vec<TcpPort>) {
        let mut udp_ports = Vec::with_capacity(self.shares.len());
        let mut tcp_ports = Vec::new();
        for (listener, share) in (0u16..).zip(self.shares) {
            udp_ports.push(match share {
                Share::Udp(socket, bound) => {
                    Some(Rc::new(UdpPort::new(socket, listener, bound, &self.limits)))
                }
                Share::Tcp(socket) => {
                    tcp_ports.push(TcpPort::new(socket, listener));
                    None
                }
            });
        }
        let id = self.options.id;
        let shard = Shard::new(self.options, self.directory, self.seed);
        let sockets = Sockets {
            udp_ports,
            readiness: self.readiness,
            limits: self.limits,
        };
        let core = Core::new(id, shard, self.mesh, self.counters, sockets);
        (core, tcp_ports)
    }
}

fn serve(core: &Rc<Core>, tcp_ports: Vec<TcpPort>) -> Vec<Task<()>> {
    let mut tasks = vec![glommio::spawn_local(timekeeper::keep(Rc::clone(core)))];
    for port in core.udp_ports.iter().flatten() {
        let task = datagrams::serve(Rc::clone(core), Rc::clone(port));
        tasks.push(glommio::spawn_local(task));
    }
    let has_streams = !tcp_ports.is_empty();
    for port in tcp_ports {
        tasks.push(glommio::spawn_local(streams::serve(Rc::clone(core), port)));
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
        // The ring withdraws what the tasks waited for, which else would keep the ports bound
        // beyond the life of the executor.
        glommio::timer::sleep(Duration::from_millis(1)).await;
        if is_done || Instant::now() >= deadline {
            break;
        }
    }
}
