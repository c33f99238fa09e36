//! A node: all cores of this process, from the first socket to the last thread.
//!
//! Steps that can fail come first: io_uring, sockets, then threads. A node that does not start
//! leaves nothing behind. With a store, its records are recovered while the shards already serve; the
//! node is ready when all are recovered.
//!
//! A node may begin with the sockets of an earlier process, and leave its own to a later one. Its cores
//! then stop reading, finish what they have read, and end; what arrives meanwhile waits in the sockets.

mod drain;
mod hand_over;
mod listeners;

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::directory::Directory;
use crate::http::{Facts, HttpPlan, SharedDirectory, Unavailable, facts};
use crate::net::kernel;
use crate::runtime::boot::Bound;
use crate::runtime::bundle::Bundle;
use crate::runtime::changes::{ChangeFeeds, ChangeSender};
use crate::runtime::commander::{Commander, Requests};
use crate::runtime::core::Outward;
use crate::runtime::descriptors::Descriptors;
use crate::runtime::edit_keeper::EditKeeper;
use crate::runtime::eraser::Eraser;
use crate::runtime::error::BootError;
use crate::runtime::executor::CoreThread;
use crate::runtime::heir::Heir;
use crate::runtime::history::Historian;
use crate::runtime::mesh::Mesh;
use crate::runtime::plan::{HistoryPlan, HttpListenerPlan, ListenerPlan, NodePlan, StorePlan};
use crate::runtime::recovery::Recovery;
use crate::runtime::reload::Reloader;
use crate::runtime::resolver::Resolver;
use crate::runtime::service_manager::memory_directory;
use crate::runtime::services::{NodeShards, ServiceKeeper};
use crate::runtime::shard_core::ShardCore;
use crate::runtime::stop::StopSignal;
use crate::runtime::store_monitor::StoreMonitor;
use crate::runtime::{boot, executor, history, recovery};
use crate::shard::{Durability, Options, ShardId};
use crate::sip::Transport;
use crate::store::data_directory::DataDirectory;
use crate::store::history::History;
use crate::store::history::limits::HistoryLimits;
use crate::store::writer::OnFailure;
use crate::store::{Store, StoreOptions};
use crate::telemetry::CoreCounters;
use crate::tls::SharedTlsClient;
use crate::{http, telemetry};

/// Time for the HTTP core's io_uring to cancel pending operations, which would keep its ports
/// bound.
const RINGS_SETTLE: Duration = Duration::from_millis(1);

/// A running node. Dropped without [`Node::stop`] it ends at once.
#[derive(Debug)]
pub struct Node {
    commander: Commander,
    directory: SharedDirectory,
    eraser: Eraser,
    /// Its SIP listeners as planned.
    listeners: Arc<[ListenerPlan]>,
    /// Its HTTP listeners as planned.
    http_listeners: Arc<[HttpListenerPlan]>,
    facts: Facts,
    control_socket: Option<PathBuf>,
    http_cpu: usize,
    /// What streams are opened with.
    outward: Outward,

    mesh: Arc<Mesh>,
    is_ready: Arc<AtomicBool>,
    http_stop: Arc<StopSignal>,
    counters: Vec<Arc<CoreCounters>>,
    /// Closed after the last turn of all cores.
    store: Option<Store>,
    history: Option<History>,
    /// Changes of composed state, on their way to readers of events and to relays.
    changes: ChangeFeeds,
    threads: Vec<JoinHandle<()>>,
    /// Other descriptors of its listening sockets, for a later process.
    listening: Bundle,
    /// Where the cores leave their streams for it.
    heir: Arc<Heir>,
    ended: mpsc::Receiver<CoreEnded>,
}

/// A core that has ended by itself, which is a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoreEnded {
    /// `shard-0`, `http`, `store`.
    pub core: String,
    /// Whether it panicked.
    pub has_panicked: bool,
}

impl Node {
    /// Binds everything, starts every core, and returns when all of them run. Its configuration
    /// cannot be read again.
    pub fn start(plan: NodePlan) -> Result<Self, BootError> {
        Self::start_with(plan, Bundle::default(), Requests::default())
    }

    /// [`Self::start`] with the sockets of an earlier process; requests of the operator that concern
    /// the whole process go to `requests`.
    pub(crate) fn start_with(
        mut plan: NodePlan,
        inherited: Bundle,
        requests: Requests,
    ) -> Result<Self, BootError> {
        let count = plan.shards.len();
        let shards = u16::try_from(count).ok().filter(|shards| *shards > 0);
        let shards = shards.ok_or(BootError::Shards(count))?;
        let cores = count + 1;
        BootError::check_io_uring(cores)?;
        kernel::decline_huge_pages();
        let bound = Bound::new(&plan, inherited)?;
        let mesh = Mesh::new(shards);
        let store = plan.store.as_ref();
        let limits = |history| history::limits(history, &plan.directory);
        let store = store.map(|plan| open(plan, limits, &mesh)).transpose()?;
        let nonce_key = store.as_ref().map(|opened| opened.nonce_key);
        let (store, history) = store.map(|opened| (opened.store, opened.history)).unzip();
        let history: Option<History> = history.flatten();
        let monitor = monitor(&mut plan, store.as_ref(), history.as_ref())?;
        let is_ready = Arc::new(AtomicBool::new(false));
        let (ended_sender, ended) = mpsc::channel();
        let outward = Outward {
            tls_client: SharedTlsClient::new(plan.outbound.tls.clone()),
            resolver: Resolver::new(plan.outbound.dns.clone(), http_cpu(&plan)),
            listeners: bound.sip_addresses().collect(),
        };
        let commander = Commander::new(
            Arc::clone(&mesh),
            Arc::clone(&is_ready),
            requests,
            monitor,
            outward.resolver.clone(),
        );
        let directory = SharedDirectory::new(Arc::clone(&plan.directory));
        let eraser = Eraser::start(commander.clone(), directory.clone());
        let mut node = Self {
            eraser: eraser.map_err(BootError::Eraser)?,
            commander,
            directory,
            listeners: plan.listeners.as_slice().into(),
            http_listeners: plan.http_listeners.as_slice().into(),
            facts: listeners::facts(&plan, &bound),
            control_socket: plan.control_socket.clone(),
            http_cpu: http_cpu(&plan),
            outward,
            listening: bound.duplicates(count).map_err(BootError::Duplicate)?,
            heir: Arc::default(),
            mesh,
            is_ready,
            http_stop: Arc::default(),
            counters: Vec::with_capacity(count),
            store,
            history,
            changes: ChangeFeeds::default(),
            threads: Vec::with_capacity(cores),
            ended,
        };
        let relays = std::mem::take(&mut plan.relays);
        // From here on dropping the node ends what has been started.
        node.start_cores(plan, bound, nonce_key, &ended_sender)?;
        node.recover()?;
        node.services().put(&relays, &node.outward.tls_client);
        node.is_ready.store(true, Ordering::Release);
        Ok(node)
    }

    /// The addresses SIP is listened on, as bound.
    #[must_use]
    pub fn sip_addresses(&self) -> &[(Transport, SocketAddr)] {
        &self.facts.sip
    }

    /// The addresses HTTP is listened on, plain or encrypted, as bound.
    pub fn http_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.facts.http.iter().map(|(_, address)| *address)
    }

    /// Its listeners and tenants, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let tenants = facts::tenants(&self.directory.current());
        format!("{}; {tenants}", self.facts.listeners())
    }

    /// A handle to the shards for any thread.
    #[must_use]
    pub fn commander(&self) -> Commander {
        self.commander.clone()
    }

    /// What each shard's core counts, in their order.
    #[must_use]
    pub fn counters(&self) -> &[Arc<CoreCounters>] {
        &self.counters
    }

    /// Whether a core has ended by itself: then the node is broken, and should be stopped and the
    /// process ended.
    #[must_use]
    pub fn poll_ended(&self) -> Option<CoreEnded> {
        let store = self.store.as_ref().filter(|store| store.has_ended());
        let store = store.map(|_| CoreEnded {
            core: "store".to_owned(),
            has_panicked: true,
        });
        self.ended.try_recv().ok().or(store)
    }

    /// Puts a new directory (domains, accounts and what belongs to them) into force, even if it
    /// removes old ones.
    pub fn reload(&self, directory: &Directory) -> Result<(), Unavailable> {
        let put = self.reloader().put(directory, true, None);
        put.map_or(Ok(()), |put| put.told)
    }

    pub(crate) fn reloader(&self) -> Reloader {
        Reloader {
            commander: self.commander(),
            directory: self.directory.clone(),
            eraser: self.eraser.clone(),
            listeners: Arc::clone(&self.listeners),
            http_listeners: Arc::clone(&self.http_listeners),
            tls_client: self.outward.tls_client.clone(),
            services: self.services(),
        }
    }

    fn services(&self) -> ServiceKeeper {
        let shards = NodeShards {
            commander: self.commander(),
            directory: self.directory.clone(),
        };
        ServiceKeeper {
            background: Background {
                shards,
                cpu: self.http_cpu,
            },
            feed: self.changes.relays.clone(),
        }
    }

    /// Ends the node. With a store, its subscriptions stay as they are for the next process.
    ///
    /// Without a store, refuses new subscriptions, ends the existing ones so that their phones
    /// subscribe again, waits until every phone has responded or for `timeout`, then ends all cores.
    /// Returns how many subscriptions and NOTIFYs were left.
    pub fn stop(self, timeout: Duration) -> usize {
        self.drain(timeout)
    }

    /// The directory in force.
    pub(crate) fn directory(&self) -> Arc<Directory> {
        self.directory.current()
    }

    /// The sockets that it listens on, for a later process.
    pub(crate) const fn listening(&self) -> &Bundle {
        &self.listening
    }

    fn join_http(&mut self) {
        // It was started last.
        if let Some(thread) = self.threads.pop() {
            let _ = thread.join();
        }
    }

    fn start_cores(
        &mut self,
        plan: NodePlan,
        bound: Bound,
        nonce_key: Option<[u8; 32]>,
        ended: &mpsc::Sender<CoreEnded>,
    ) -> Result<(), BootError> {
        let cores = plan.shards.len() + 1;
        let mut options = options(&plan, &bound, self.store.as_ref())?;
        options.nonce_key = nonce_key.unwrap_or(options.key);
        options.nonces_known_since = Instant::now();
        let mut limits = boot::limits(&plan.limits, &options);
        let mut http_connections = plan.http_connections;
        Descriptors::of_process(plan.shards.len())
            .share(&mut limits.connections, &mut http_connections);
        let dealt = bound.deal(plan.shards.len());
        let store = self.store.as_ref().map(Store::handle);
        for ((id, cpu), sockets) in (0..).map(ShardId).zip(&plan.shards).zip(dealt.sip) {
            let name = format!("shard-{}", id.0);
            let readiness =
                boot::readiness(&sockets.listening).map_err(|reason| BootError::Core {
                    core: name.clone(),
                    cpu: *cpu,
                    reason: reason.to_string(),
                })?;
            let core = ShardCore {
                options: Options {
                    id,
                    ..options.clone()
                },
                directory: Arc::clone(&plan.directory),
                seed: kernel::random_octets().map_err(BootError::Random)?,
                sockets,
                services: listeners::services(&self.listeners),
                proxies: listeners::proxies(&self.listeners),
                heir: Arc::clone(&self.heir),
                readiness,
                mesh: Arc::clone(&self.mesh),
                counters: telemetry::register(id.0),
                limits: limits.clone(),
                store: store.clone(),
                changes: ChangeSender::new(id, self.history.as_ref(), &self.changes),
                outward: self.outward.clone(),
            };
            self.counters.push(Arc::clone(&core.counters));
            let thread = CoreThread {
                name,
                cpu: *cpu,
                cores,
            };
            let mesh = Arc::clone(&self.mesh);
            self.spawn(thread, move || core.run(), ended, move || mesh.close(id))?;
        }
        let thread = http_thread(&plan, cores);
        let plan = HttpPlan {
            listeners: listeners::http_listeners(&plan, dealt.http),
            control: dealt.control,
            connections: http_connections,
            handshakes: limits.handshakes,
            engine: self.commander(),
            directory: self.directory.clone(),
            changes: self.changes.events.clone(),
            facts: self.facts.clone(),
            shield: options.overload,
            first_call_number: first_call_number().map_err(BootError::Random)?,
            password_key: kernel::random_octets().map_err(BootError::Random)?,
        };
        let stop = Arc::clone(&self.http_stop);
        self.spawn(thread, move || run_http(plan, stop), ended, || ())
    }

    /// Gives the shards what the store holds, while they serve. The node is ready afterwards.
    fn recover(&self) -> Result<(), BootError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let Recovery {
            presentities,
            dialogs,
            took,
        } = recovery::recover(store, &self.mesh)?;
        let milliseconds = took.as_millis() as u64;
        tracing::info!(dialogs, presentities, milliseconds, "the store is read");
        Ok(())
    }

    fn spawn<M, F>(
        &mut self,
        thread: CoreThread,
        main: M,
        ended: &mpsc::Sender<CoreEnded>,
        close: impl FnOnce() + Send + 'static,
    ) -> Result<(), BootError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (ended, core) = (ended.clone(), thread.name.clone());
        let over = move |is_good: bool| {
            close();
            // The receiver is gone when the node is being stopped.
            let _ = ended.send(CoreEnded {
                core,
                has_panicked: !is_good,
            });
        };
        self.threads.push(executor::start(thread, main, over)?);
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

impl Node {
    /// Ends all cores, releases the store and the control socket.
    fn end(&mut self) {
        self.is_ready.store(false, Ordering::Release);
        self.commander.connectors().end();
        self.commander.relays().end();
        (0..self.mesh.shards()).for_each(|shard| self.mesh.stop(ShardId(shard)));
        self.http_stop.set();
        for thread in self.threads.drain(..) {
            // A panic was reported when it happened.
            let _ = thread.join();
        }
        if let Some(history) = self.history.take() {
            history.close();
        }
        if let Some(store) = self.store.take() {
            drop(store.close());
        }
        if let Some(path) = self.control_socket.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// What a data directory holds.
struct Opened {
    store: Store,
    history: Option<History>,
    nonce_key: [u8; 32],
}

/// Opens the store, and the history beside it; the store wakes a shard whose records became durable.
fn open(
    plan: &StorePlan,
    limits: impl Fn(HistoryPlan) -> HistoryLimits,
    mesh: &Arc<Mesh>,
) -> Result<Opened, BootError> {
    let options = StoreOptions {
        shards: mesh.shards(),
        on_failure: match plan.refuses_on_failure {
            true => OnFailure::Refuse,
            false => OnFailure::Memory,
        },
        octets_max: plan.octets_max,
        memory: memory_directory(),
    };
    let directory = DataDirectory::open(&plan.directory)?;
    let fresh_key = kernel::random_octets().map_err(BootError::Random)?;
    let nonce_key = directory.nonce_key(fresh_key)?;
    let history = plan.history.map(|history| {
        let file = directory.history_file();
        History::open(&file, mesh.shards(), limits(history))
    });
    let history = history.transpose()?;
    let mesh = Arc::clone(mesh);
    let store = Store::open(directory, options, move |shard| {
        mesh.tell_durable(ShardId(shard));
    });
    match store {
        Ok(store) => Ok(Opened {
            store,
            history,
            nonce_key,
        }),
        Err(error) => {
            history.into_iter().for_each(History::close);
            Err(error.into())
        }
    }
}

/// What tells of the store and its history, if there is one. The edits that it holds are applied to the
/// directory of the plan.
fn monitor(
    plan: &mut NodePlan,
    store: Option<&Store>,
    history: Option<&History>,
) -> Result<Option<StoreMonitor>, BootError> {
    let Some((store, store_plan)) = store.zip(plan.store.as_ref()) else {
        return Ok(None);
    };
    let directory = Directory::clone(&plan.directory);
    let shards = plan.shards.len() as u16;
    let (edits, edited) = EditKeeper::recover(store, shards, directory)?;
    let historian = history.zip(store_plan.history);
    let historian = historian.map(|(history, plan)| Historian::new(history, plan));
    let monitor = StoreMonitor::new(store, edits, historian, store_plan);
    plan.directory = Arc::new(edited);
    Ok(Some(monitor))
}

/// The options of every shard, except its id.
fn options(plan: &NodePlan, bound: &Bound, store: Option<&Store>) -> Result<Options, BootError> {
    let mut options = plan.options.clone();
    options.shards = plan.shards.len() as u16;
    if plan.store.is_none() {
        options.durability = Durability::None;
    }
    if let Some(store) = store {
        options.record_clock = store.clock();
    }
    let history = plan.store.as_ref().and_then(|store| store.history);
    options.writes_history = history.is_some();
    if options.key == [0; 32] {
        options.key = kernel::random_octets().map_err(BootError::Random)?;
    }
    for (listener, (_, address)) in plan.listeners.iter().zip(bound.sip_addresses()) {
        options
            .local_addresses
            .extend(listener.local_addresses(address));
    }
    options.listeners = bound.sip_addresses().collect();
    options.advertise = plan
        .listeners
        .iter()
        .map(|listener| listener.advertise.clone())
        .collect();
    options.local_addresses.sort_unstable();
    options.local_addresses.dedup();
    Ok(options)
}

/// The thread of the HTTP core.
fn http_thread(plan: &NodePlan, cores: usize) -> CoreThread {
    CoreThread {
        name: "http".to_owned(),
        cpu: http_cpu(plan),
        cores,
    }
}

fn http_cpu(plan: &NodePlan) -> usize {
    let last = plan.shards.last().copied().unwrap_or(0);
    plan.http_cpu.unwrap_or(last)
}

/// A random start value, unlikely to overlap with earlier processes.
fn first_call_number() -> io::Result<u64> {
    let octets = kernel::random_octets()?;
    let number = |number, octet: &u8| number << 8 | u64::from(*octet);
    Ok(octets[..8].iter().fold(0, number))
}

/// The main task of the HTTP core.
async fn run_http(plan: HttpPlan<Commander>, stop: Arc<StopSignal>) {
    http::serve(plan, poll_fn(|context| stop.poll(context))).await;
    glommio::timer::sleep(RINGS_SETTLE).await;
}
