//! A node: all cores of this process, from the first socket to the last thread.
//!
//! Boot goes from what may be refused to what may not: io_uring, sockets, then threads. A node that does not start leaves nothing behind.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;
use std::time::Instant;

use futures_util::future;

use crate::http;
use crate::http::HttpPlan;
use crate::http::SharedDirectory;
use crate::http::Unavailable;
use crate::net::Limits;
use crate::net::bind;
use crate::net::kernel;
use crate::net::tcp::TcpPort;
use crate::net::udp::UdpPort;
use crate::runtime::commander::Commander;
use crate::runtime::core::Core;
use crate::runtime::datagrams;
use crate::runtime::error::BootError;
use crate::runtime::executor;
use crate::runtime::executor::Seat;
use crate::runtime::mesh::Mesh;
use crate::runtime::mesh::Stop;
use crate::runtime::mesh::Woken;
use crate::runtime::plan::NodePlan;
use crate::runtime::streams;
use crate::runtime::timekeeper;
use crate::shard::Command;
use crate::shard::Directory;
use crate::shard::Options;
use crate::shard::Reply;
use crate::shard::Shard;
use crate::shard::ShardId;
use crate::sip::Transport;
use crate::telemetry;

/// How often a draining node asks whether it is done.
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// How long one command of this room may take before the shard counts as stuck.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the readers of stream connections may take to notice that these have ended.
const STREAMS_END: Duration = Duration::from_millis(500);
/// Descriptors kept back from stream connections: rings, listeners, files, HTTP.
const DESCRIPTORS_RESERVED: u64 = 512;

/// A running node. Dropped without [`Node::stop`] it ends at once.
#[derive(Debug)]
pub struct Node {
    commander: Commander,
    directory: SharedDirectory,
    sip_addresses: Vec<(Transport, SocketAddr)>,
    http_addresses: Vec<SocketAddr>,
    control_socket: Option<PathBuf>,

    mesh: Arc<Mesh>,
    is_ready: Arc<AtomicBool>,
    http_stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
    ended: mpsc::Receiver<CoreEnded>,
}

/// A core that has ended by itself, which none should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreEnded {
    /// `shard-0`, `http`.
    pub core: String,
    /// Whether it panicked.
    pub has_panicked: bool,
}

/// The sockets of one listener, one per shard.
enum Group {
    Udp(Vec<std::net::UdpSocket>),
    Tcp(Vec<std::net::TcpListener>),
}

/// One listener's share of one shard, ready to cross into its thread.
struct Share {
    socket: ShareSocket,
    bound: SocketAddr,
}

enum ShareSocket {
    Udp(std::net::UdpSocket),
    Tcp(std::net::TcpListener),
}

/// Everything bound.
struct Bound {
    groups: Vec<(Group, SocketAddr)>,
    http: Vec<std::net::TcpListener>,
    control: Option<UnixListener>,
}

impl Node {
    /// Binds everything, starts every core, and returns when all of them run.
    pub fn start(plan: NodePlan) -> Result<Self, BootError> {
        let shards = u16::try_from(plan.shards.len())
            .ok()
            .filter(|shards| *shards > 0);
        let shards = shards.ok_or(BootError::Shards(plan.shards.len()))?;
        let cores = plan.shards.len() + 1;
        BootError::check_io_uring(cores)?;
        let bound = Bound::new(&plan)?;
        let mesh = Mesh::new(shards);
        let is_ready = Arc::new(AtomicBool::new(false));
        let (ended_sender, ended) = mpsc::channel();
        let mut node = Self {
            commander: Commander::new(Arc::clone(&mesh), Arc::clone(&is_ready)),
            directory: Arc::new(RwLock::new(Arc::clone(&plan.directory))),
            sip_addresses: bound
                .groups
                .iter()
                .map(|(group, address)| (group.transport(), *address))
                .collect(),
            http_addresses: bound
                .http
                .iter()
                .filter_map(|listener| listener.local_addr().ok())
                .collect(),
            control_socket: plan.control_socket.clone(),
            mesh,
            is_ready,
            http_stop: Arc::default(),
            threads: Vec::with_capacity(cores),
            ended,
        };
        // From here on dropping the node ends what has been started.
        node.start_cores(plan, bound, &ended_sender)?;
        node.is_ready.store(true, Ordering::Release);
        Ok(node)
    }

    /// The addresses SIP is listened on, as bound.
    #[must_use]
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.sip_addresses
    }

    /// The addresses HTTP is listened on, as bound.
    #[must_use]
    pub fn http_addresses(&self) -> &[SocketAddr] {
        &self.http_addresses
    }

    /// A handle to the shards for any thread.
    #[must_use]
    pub fn commander(&self) -> Commander {
        self.commander.clone()
    }

    /// Whether a core has ended by itself: then the node is broken, and should be stopped and the process ended.
    #[must_use]
    pub fn poll_ended(&self) -> Option<CoreEnded> {
        self.ended.try_recv().ok()
    }

    /// Puts new domains and accounts into force, everywhere or, when a shard does not answer, wherever it can.
    pub fn reload(&self, directory: Arc<Directory>) -> Result<(), Unavailable> {
        *self
            .directory
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&directory);
        let replies = self
            .commander
            .ask_all_blocking(PATIENCE, || Command::Reload(Arc::clone(&directory)));
        replies.into_iter().try_for_each(|reply| reply.map(|_| ()))
    }

    /// Ends the node: takes no new subscriptions, ends those there are (the engine tells their phones to subscribe anew), waits until every
    /// phone has answered or `patience` is over, then ends all cores. Gives back how many subscriptions and NOTIFYs were left.
    pub fn stop(self, patience: Duration) -> usize {
        self.is_ready.store(false, Ordering::Release);
        let deadline = Instant::now() + patience;
        loop {
            let outstanding = self.outstanding();
            if outstanding == 0 || Instant::now() >= deadline {
                return outstanding;
            }
            std::thread::sleep(DRAIN_POLL);
        }
    }

    fn outstanding(&self) -> usize {
        let replies = self.commander.ask_all_blocking(PATIENCE, || Command::Drain);
        let outstanding = |reply| match reply {
            Ok(Reply::Outstanding(count)) => count,
            // A shard that does not answer has nothing to wait for.
            Ok(_) | Err(Unavailable) => 0,
        };
        replies.into_iter().map(outstanding).sum()
    }

    fn start_cores(
        &mut self,
        plan: NodePlan,
        bound: Bound,
        ended: &mpsc::Sender<CoreEnded>,
    ) -> Result<(), BootError> {
        let cores = plan.shards.len() + 1;
        let options = Self::options(&plan, &bound)?;
        let limits = limits(&options, plan.shards.len());
        let (http, control) = (bound.http, bound.control);
        let mut groups: Vec<_> = bound
            .groups
            .into_iter()
            .map(|(group, bound)| (group.deal(), bound))
            .collect();
        for (index, cpu) in plan.shards.iter().enumerate() {
            let mut shares = Vec::with_capacity(groups.len());
            for (sockets, bound) in &mut groups {
                let share = |socket| Share {
                    socket,
                    bound: *bound,
                };
                shares.extend(sockets.next().map(share));
            }
            let options = Options {
                id: ShardId(index as u16),
                ..options.clone()
            };
            let seed = kernel::random_octets().map_err(BootError::Random)?;
            let seat = Seat {
                name: format!("shard-{index}"),
                cpu: *cpu,
                cores,
            };
            let (mesh, directory, limits) = (
                Arc::clone(&self.mesh),
                Arc::clone(&plan.directory),
                limits.clone(),
            );
            let main = move || {
                run_shard(
                    Shard::new(options.clone(), directory, seed),
                    options.id,
                    shares,
                    mesh,
                    limits,
                )
            };
            let mesh = Arc::clone(&self.mesh);
            self.spawn(seat, main, ended, move || mesh.close(ShardId(index as u16)))?;
        }
        let last = plan.shards.last().copied().unwrap_or(0);
        let seat = Seat {
            name: "http".to_owned(),
            cpu: plan.http_cpu.unwrap_or(last),
            cores,
        };
        let (engine, directory) = (self.commander.clone(), Arc::clone(&self.directory));
        let plan = HttpPlan {
            listeners: http,
            control,
            engine,
            directory,
        };
        let stop = Arc::clone(&self.http_stop);
        self.spawn(seat, move || run_http(plan, stop), ended, || ())
    }

    fn spawn<M, F>(
        &mut self,
        seat: Seat,
        main: M,
        ended: &mpsc::Sender<CoreEnded>,
        close: impl FnOnce() + Send + 'static,
    ) -> Result<(), BootError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (ended, core) = (ended.clone(), seat.name.clone());
        let over = move |is_good: bool| {
            close();
            // Nobody listens any more when the node is being stopped.
            let _ = ended.send(CoreEnded {
                core,
                has_panicked: !is_good,
            });
        };
        self.threads.push(executor::start(seat, main, over)?);
        Ok(())
    }

    /// The options of every shard, but for its number.
    fn options(plan: &NodePlan, bound: &Bound) -> Result<Options, BootError> {
        let mut options = plan.options.clone();
        options.shards = plan.shards.len() as u16;
        if options.key == [0; 32] {
            options.key = kernel::random_octets().map_err(BootError::Random)?;
        }
        for (listener, (_, address)) in plan.listeners.iter().zip(&bound.groups) {
            options
                .local_addresses
                .extend(listener.local_addresses(*address));
        }
        options.advertise = plan
            .listeners
            .iter()
            .map(|listener| listener.advertise.clone())
            .collect();
        options.local_addresses.sort_unstable();
        options.local_addresses.dedup();
        Ok(options)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.is_ready.store(false, Ordering::Release);
        (0..self.mesh.shards()).for_each(|shard| self.mesh.stop(ShardId(shard)));
        self.http_stop.set();
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        if let Some(path) = &self.control_socket {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Bound {
    fn new(plan: &NodePlan) -> Result<Self, BootError> {
        let mut groups = Vec::with_capacity(plan.listeners.len());
        for listener in &plan.listeners {
            let (group, bound) = match listener.transport {
                Transport::Udp => {
                    let (bound, sockets) = bind::udp(listener.address, plan.shards.len())?;
                    (Group::Udp(sockets), bound)
                }
                Transport::Tcp => {
                    let (bound, sockets) = bind::tcp(listener.address, plan.shards.len())?;
                    (Group::Tcp(sockets), bound)
                }
            };
            groups.push((group, bound));
        }
        let http = plan
            .http_listen
            .iter()
            .map(|address| bind::http(*address))
            .collect::<Result<_, _>>()?;
        let control = plan
            .control_socket
            .as_deref()
            .map(bind_control)
            .transpose()?;
        Ok(Self {
            groups,
            http,
            control,
        })
    }
}

impl Group {
    fn transport(&self) -> Transport {
        match self {
            Self::Udp(_) => Transport::Udp,
            Self::Tcp(_) => Transport::Tcp,
        }
    }

    /// The sockets, one for each shard in turn.
    fn deal(self) -> Box<dyn Iterator<Item = ShareSocket>> {
        match self {
            Self::Udp(sockets) => Box::new(sockets.into_iter().map(ShareSocket::Udp)),
            Self::Tcp(sockets) => Box::new(sockets.into_iter().map(ShareSocket::Tcp)),
        }
    }
}

/// The limits of a shard's sockets: those of its engine's options, and what the process may open.
fn limits(options: &Options, shards: usize) -> Limits {
    let mut limits = Limits::default();
    limits.message_octets_max = limits
        .message_octets_max
        .max(limits.head_octets_max + options.body_octets_max);
    if let Some(files) = kernel::raise_open_files_limit() {
        let each = files.saturating_sub(DESCRIPTORS_RESERVED) / shards as u64;
        limits.connections_max = limits
            .connections_max
            .min(usize::try_from(each).unwrap_or(usize::MAX));
    }
    limits
}

/// Binds the control socket for this user and group alone. One that a dead process left behind is replaced; one that answers is not.
fn bind_control(path: &Path) -> Result<UnixListener, BootError> {
    let bind = || {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(
                io::ErrorKind::AddrInUse,
                "another lamplighter answers on it",
            ));
        }
        if let Err(error) = std::fs::remove_file(path)
            && error.kind() != io::ErrorKind::NotFound
        {
            return Err(error);
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(listener)
    };
    bind().map_err(|reason| BootError::Control {
        path: path.to_owned(),
        reason,
    })
}

/// The main task of a shard's core: until it is told to end, a turn whenever mail or a command waits.
async fn run_shard(shard: Shard, id: ShardId, shares: Vec<Share>, mesh: Arc<Mesh>, limits: Limits) {
    let mut udp_ports = Vec::with_capacity(shares.len());
    let mut tcp_ports = Vec::new();
    for (listener, share) in (0u16..).zip(shares) {
        let Share { socket, bound } = share;
        udp_ports.push(match socket {
            ShareSocket::Udp(socket) => Some(Rc::new(UdpPort::new(
                socket,
                listener,
                bound,
                limits.stalled_octets_max,
            ))),
            ShareSocket::Tcp(socket) => {
                tcp_ports.push(TcpPort::new(socket, listener));
                None
            }
        });
    }
    let core = Core::new(
        id,
        shard,
        mesh,
        telemetry::register(id.0),
        limits,
        udp_ports,
    );
    let mut tasks = vec![glommio::spawn_local(timekeeper::keep(Rc::clone(&core)))];
    let udp = core.udp_ports.iter().flatten();
    tasks.extend(
        udp.map(|port| glommio::spawn_local(datagrams::serve(Rc::clone(&core), Rc::clone(port)))),
    );
    tasks.extend(
        tcp_ports
            .into_iter()
            .map(|port| glommio::spawn_local(streams::serve(Rc::clone(&core), port))),
    );
    while poll_fn(|context| core.mesh.poll(id, context)).await == Woken::Work {
        core.turn(|_| ());
        glommio::yield_if_needed().await;
    }
    // The tasks hold the core and the core knows how to wake them: unless they are cancelled, neither would ever be freed, nor the ports.
    for task in tasks {
        task.cancel().await;
    }
    let deadline = Instant::now() + STREAMS_END;
    loop {
        let is_done = core.end_streams();
        // The ring withdraws what the tasks waited for, which else would keep the ports bound beyond the life of the executor.
        glommio::timer::sleep(Duration::from_millis(1)).await;
        if is_done || Instant::now() >= deadline {
            break;
        }
    }
}

/// The main task of the HTTP core.
async fn run_http(plan: HttpPlan<Commander>, stop: Arc<Stop>) {
    let serve = async {
        http::serve(plan).await;
        // Without a socket there is nothing to serve, and the core stays all the same.
        future::pending::<()>().await;
    };
    let stopped = poll_fn(|context| stop.poll(context));
    future::select(pin!(serve), pin!(stopped)).await;
}
