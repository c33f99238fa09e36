//! Commands to the shards and requests to reload, from any thread or task.
//!
//! Guarantees: every command gets a reply, or its caller gets Unavailable: when the inbox is full,
//! when the core ends, when it panics.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::LocalBoxFuture;

use crate::connect::Connectors;
use crate::directory::Directory;
use crate::directory::managed::{ChangeRefusal, Changed, ManagedChange, Precondition};
use crate::http::engine::HistoryFault;
use crate::http::{Engine, Reloaded, StoreReport, Unavailable};
use crate::presence::Aor;
use crate::presence::history::{HistoryErased, HistoryPage, HistoryQuery};
use crate::relay::{RelayReport, Relays};
use crate::runtime::edit_keeper::EditKeeper;
use crate::runtime::history::Historian;
use crate::runtime::mesh::Mesh;
use crate::runtime::password_verifier::PasswordVerifier;
use crate::runtime::replier::{PendingCommand, Replier};
use crate::runtime::resolver::{Located, Resolver};
use crate::runtime::signals::Request;
use crate::runtime::store_monitor::StoreMonitor;
use crate::shard::contract::connector::{ConnectorOrder, ConnectorReport, ConnectorUserReport};
use crate::shard::{Command, Reply, ShardId};
use crate::sip::location::Question;
use crate::trace::{Target, TooManyTraces, TraceId, TraceReport, Traces};

/// How often the server looks whether a trace is still read.
const TRACE_SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Reloads, and changes by the HTTP API, that wait. One more is refused.
pub(crate) const RELOADS_MAX: usize = 16;
/// How long a change may wait for its turn; one that has waited longer is dropped, and its caller told. The HTTP
/// core gives up a response after 15 s.
pub(crate) const CHANGE_WAIT_MAX: Duration = Duration::from_secs(8);

/// A request to the thread that reads the configuration again.
pub(crate) enum ReloadRequest {
    /// To read it.
    Reload {
        /// Whether most domains or accounts may be removed.
        accepts_removal: bool,
        /// Returns the result to the caller; None if triggered by a signal.
        replier: Option<Replier<Reloaded>>,
    },
    /// To change what the HTTP API keeps of it.
    Change {
        /// The change.
        change: ManagedChange,
        /// Without which it is refused.
        precondition: Precondition,
        /// When it was asked for.
        asked: Instant,
        /// Returns the result to the caller.
        replier: Replier<Result<Changed, ChangeRefusal>>,
    },
}

/// Where requests go that concern the whole process.
#[derive(Clone, Debug)]
pub(crate) struct Requests {
    /// To the thread that reads the configuration again.
    pub(crate) reloads: mpsc::SyncSender<ReloadRequest>,
    /// To the main thread.
    pub(crate) process: mpsc::Sender<Request>,
}

/// They go nowhere.
impl Default for Requests {
    fn default() -> Self {
        Self {
            reloads: mpsc::sync_channel(RELOADS_MAX).0,
            process: mpsc::channel().0,
        }
    }
}

/// The handle to all shards of a node. Clones are cheap and may go to any thread.
#[derive(Clone, Debug)]
pub struct Commander {
    mesh: Arc<Mesh>,
    is_ready: Arc<AtomicBool>,
    is_draining: Arc<AtomicBool>,
    requests: Requests,
    store: Option<StoreMonitor>,
    passwords: PasswordVerifier,
    resolver: Resolver,
    connectors: Connectors,
    relays: Relays,
}

impl Commander {
    pub(crate) fn new(
        mesh: Arc<Mesh>,
        is_ready: Arc<AtomicBool>,
        requests: Requests,
        store: Option<StoreMonitor>,
        resolver: Resolver,
    ) -> Self {
        Self {
            mesh,
            is_ready,
            is_draining: Arc::default(),
            requests,
            store,
            passwords: PasswordVerifier::default(),
            resolver,
            connectors: Connectors::default(),
            relays: Relays::default(),
        }
    }

    /// Gives a shard a command and blocks the thread until it replies.
    pub(crate) fn ask_blocking(
        &self,
        shard: ShardId,
        command: Command,
        timeout: Duration,
    ) -> Result<Reply, Unavailable> {
        let (replier, receiver) = Replier::to_thread();
        self.mesh
            .command(shard, PendingCommand { command, replier })
            .map_err(|_| Unavailable)?;
        receiver.recv_timeout(timeout).map_err(|_| Unavailable)
    }

    /// Sends every shard its own command, and blocks until all have replied or `timeout` is over.
    pub fn ask_all_blocking(
        &self,
        timeout: Duration,
        command: impl Fn() -> Command,
    ) -> Vec<Result<Reply, Unavailable>> {
        self.ask_all(command).wait(timeout)
    }

    /// All shards.
    pub(crate) fn shard_ids(&self) -> impl Iterator<Item = ShardId> {
        (0..self.mesh.shards()).map(ShardId)
    }

    /// Gives a shard a command before it returns; the future waits for the reply, on any executor.
    pub(crate) fn order(
        &self,
        shard: ShardId,
        command: Command,
    ) -> impl Future<Output = Result<Reply, Unavailable>> + use<> {
        let (replier, reply) = Replier::to_task();
        // A refused command is dropped with its replier, which ends the asker's wait.
        let _ = self
            .mesh
            .command(shard, PendingCommand { command, replier });
        reply
    }

    /// The connectors without SIP.
    pub(crate) const fn connectors(&self) -> &Connectors {
        &self.connectors
    }

    /// The relays of the node.
    pub(crate) const fn relays(&self) -> &Relays {
        &self.relays
    }

    /// Looks the locations of a name up.
    pub(crate) fn resolve(&self, question: Question) -> impl Future<Output = Located> + use<> {
        self.resolver.locate(question)
    }

    /// The history; None if none is kept.
    pub(crate) fn historian(&self) -> Option<&Historian> {
        self.store.as_ref()?.historian.as_ref()
    }

    /// Has the file of the store written anew, and blocks the thread meanwhile. False if it is not.
    pub(crate) fn write_store_anew_blocking(&self) -> bool {
        let Some(store) = &self.store else {
            return true;
        };
        let (replier, outcome) = Replier::to_thread();
        store.write_anew(replier);
        matches!(outcome.recv(), Ok(Ok(_)))
    }

    /// Keeps the operator's edits; None for a server without a store.
    pub(crate) fn edit_keeper(&self) -> Option<&EditKeeper> {
        Some(&self.store.as_ref()?.edit_keeper)
    }

    /// Gives every shard a command made for it and returns at once.
    pub(crate) fn ask_all(&self, command: impl Fn() -> Command) -> Replies {
        let ask = |shard| {
            let (replier, receiver) = Replier::to_thread();
            let pending = PendingCommand {
                command: command(),
                replier,
            };
            // A refused command is dropped with its sender, which the receiver sees.
            let _ = self.mesh.command(ShardId(shard), pending);
            receiver
        };
        Replies((0..self.mesh.shards()).map(ask).collect())
    }
}

/// The replies of all shards to a command of a thread, under way.
#[derive(Debug)]
pub(crate) struct Replies(Vec<mpsc::Receiver<Reply>>);

impl Replies {
    /// Blocks until all have replied or `timeout` is over. In the order of the shards.
    pub(crate) fn wait(self, timeout: Duration) -> Vec<Result<Reply, Unavailable>> {
        let deadline = Instant::now() + timeout;
        let wait = |receiver: mpsc::Receiver<Reply>| {
            let left = deadline.saturating_duration_since(Instant::now());
            receiver.recv_timeout(left).map_err(|_| Unavailable)
        };
        self.0.into_iter().map(wait).collect()
    }
}

impl Engine for Commander {
    fn shards(&self) -> u16 {
        self.mesh.shards()
    }

    fn ask(
        &self,
        shard: ShardId,
        command: Command,
    ) -> impl Future<Output = Result<Reply, Unavailable>> {
        self.order(shard, command)
    }

    fn connectors(&self) -> Vec<ConnectorReport> {
        self.connectors.report()
    }

    fn connector_users(
        &self,
        name: &str,
        from: u32,
    ) -> Option<(Vec<ConnectorUserReport>, Option<u32>)> {
        self.connectors.users(name, from)
    }

    fn order_connector(&self, name: &str, order: ConnectorOrder) {
        self.connectors.order(name, order);
    }

    fn relays(&self) -> Vec<RelayReport> {
        self.relays.report()
    }

    fn reload(&self, accepts_removal: bool) -> impl Future<Output = Result<Reloaded, Unavailable>> {
        let (replier, outcome) = Replier::to_task();
        // If too many wait, or no thread takes them, this drops the replier, which ends the asker's wait.
        let _ = self.requests.reloads.try_send(ReloadRequest::Reload {
            accepts_removal,
            replier: Some(replier),
        });
        outcome
    }

    fn change_managed(
        &self,
        change: ManagedChange,
        precondition: Precondition,
    ) -> impl Future<Output = Result<Result<Changed, ChangeRefusal>, Unavailable>> {
        let (replier, outcome) = Replier::to_task();
        // As in `reload`.
        let _ = self.requests.reloads.try_send(ReloadRequest::Change {
            change,
            precondition,
            asked: Instant::now(),
            replier,
        });
        outcome
    }

    fn verify_password(
        &self,
        hash: &str,
        password: &str,
    ) -> impl Future<Output = Result<bool, Unavailable>> {
        self.passwords.verify(hash, password)
    }

    fn locate(&self, question: Question) -> impl Future<Output = Located> {
        self.resolver.locate(question)
    }

    fn hand_over(&self, place: PathBuf) -> Result<(), Unavailable> {
        let request = Request::HandOver(place);
        self.requests.process.send(request).map_err(|_| Unavailable)
    }

    fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    fn decline_work(&self) {
        self.is_draining.store(true, Ordering::Release);
        self.is_ready.store(false, Ordering::Release);
    }

    fn is_draining(&self) -> bool {
        self.is_draining.load(Ordering::Acquire)
    }

    fn history(
        &self,
        query: HistoryQuery,
    ) -> impl Future<Output = Result<HistoryPage, HistoryFault>> {
        let page = self.historian().map(|historian| historian.ask(query));
        async { page.ok_or(HistoryFault::Off)?.await }
    }

    fn erase_history(
        &self,
        aor: &Aor,
    ) -> impl Future<Output = Result<HistoryErased, HistoryFault>> {
        let erased = self.historian().map(|historian| historian.erase(aor));
        async { erased.ok_or(HistoryFault::Off)?.await }
    }

    fn back_up(
        &self,
        file: PathBuf,
    ) -> impl Future<Output = Result<Result<u64, String>, Unavailable>> {
        let (replier, outcome) = Replier::to_task();
        // Without a store this drops the replier, which ends the asker's wait.
        if let Some(store) = &self.store {
            store.back_up(file, replier);
        }
        outcome
    }

    fn keep_edits(&self, aors: &[Aor], directory: &Directory) -> LocalBoxFuture<'static, bool> {
        let keeper = self.edit_keeper().cloned();
        let kept = keeper.map(|keeper| (keeper.keep(aors, directory), keeper));
        Box::pin(async {
            match kept {
                Some((through, keeper)) => keeper.await_durable(through).await,
                None => true,
            }
        })
    }

    fn write_store_anew(
        &self,
    ) -> impl Future<Output = Result<Result<Vec<String>, String>, Unavailable>> {
        let (replier, outcome) = Replier::to_task();
        // As in `back_up`.
        if let Some(store) = &self.store {
            store.write_anew(replier);
        }
        outcome
    }

    fn begin_trace(&self, target: Target) -> Result<TraceId, TooManyTraces> {
        let traces = self.mesh.traces();
        let id = traces.begin(target, Instant::now())?;
        glommio::spawn_local(end_abandoned(Arc::clone(traces), id)).detach();
        Ok(id)
    }

    fn read_trace(&self, id: TraceId) -> Option<TraceReport> {
        let traces = self.mesh.traces();
        traces.read(id, Instant::now(), SystemTime::now())
    }

    fn end_trace(&self, id: TraceId) {
        self.mesh.traces().end(id);
    }

    fn store(&self) -> Option<StoreReport> {
        self.store.as_ref().map(StoreMonitor::report)
    }
}

/// Ends a trace once it is no longer read.
async fn end_abandoned(traces: Arc<Traces>, id: TraceId) {
    while !traces.end_if_abandoned(id, Instant::now()) {
        glommio::timer::sleep(TRACE_SWEEP_INTERVAL).await;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use glommio::{LocalExecutorBuilder, Placement};

    use super::*;
    use crate::dns;

    fn commander() -> (Arc<Mesh>, Commander) {
        let mesh = Mesh::new(2);
        (
            Arc::clone(&mesh),
            Commander::new(
                mesh,
                Arc::new(AtomicBool::new(true)),
                Requests::default(),
                None,
                Resolver::new(dns::Options::default(), 0),
            ),
        )
    }

    fn serve(mesh: &Mesh, shard: ShardId, commands: usize) {
        let mut answered = 0;
        while answered < commands {
            let Some(pending) = mesh.next_command(shard) else {
                std::thread::yield_now();
                continue;
            };
            pending.replier.reply(Reply::Outstanding(answered));
            answered += 1;
        }
    }

    #[test]
    fn a_thread_gets_its_reply() {
        let (mesh, commander) = commander();
        let shard = std::thread::spawn(move || serve(&mesh, ShardId(1), 1));
        let reply = commander.ask_blocking(ShardId(1), Command::Drain, Duration::from_secs(10));
        assert!(matches!(reply, Ok(Reply::Outstanding(0))));
        shard.join().unwrap();
    }

    #[test]
    fn a_task_gets_its_replies() {
        let (mesh, commander) = commander();
        let shard = std::thread::spawn(move || serve(&mesh, ShardId(0), 100));
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .io_memory(64 * 1024)
            .make()
            .unwrap();
        executor.run(async move {
            for expected in 0..100 {
                let reply = commander.ask(ShardId(0), Command::Counters).await;
                assert!(matches!(reply, Ok(Reply::Outstanding(count)) if count == expected));
            }
        });
        shard.join().unwrap();
    }

    #[test]
    fn a_command_to_a_core_that_has_ended_fails_at_once() {
        let (mesh, commander) = commander();
        assert!(
            commander
                .ask_blocking(ShardId(7), Command::Drain, Duration::from_secs(10))
                .is_err()
        );
        let waiting = std::thread::spawn({
            let commander = commander.clone();
            move || commander.ask_blocking(ShardId(0), Command::Drain, Duration::from_secs(60))
        });
        std::thread::sleep(Duration::from_millis(20));
        mesh.close(ShardId(0));
        assert!(waiting.join().unwrap().is_err());
        assert!(
            commander
                .ask_blocking(ShardId(0), Command::Drain, Duration::from_secs(60))
                .is_err()
        );
        // One that gave up in silence counts for the rest: only the silent one is unavailable.
        let shard = std::thread::spawn(move || serve(&mesh, ShardId(1), 1));
        let replies = commander.ask_all_blocking(Duration::from_secs(10), || Command::Drain);
        assert!(replies[0].is_err() && replies[1].is_ok());
        shard.join().unwrap();
    }
}
