//! The interface of the engine that this module uses: a way to give a shard a command and to get
//! its reply.

use std::future::Future;
use std::path::PathBuf;

use futures_util::future::LocalBoxFuture;

use crate::directory::Directory;
use crate::directory::managed::{ChangeRefusal, Changed, ManagedChange, Precondition};
use crate::dns::LookupError;
use crate::presence::Aor;
use crate::presence::history::{HistoryErased, HistoryPage, HistoryQuery};
use crate::relay::RelayReport;
use crate::shard::contract::connector::{ConnectorOrder, ConnectorReport, ConnectorUserReport};
use crate::shard::{Command, Reply, ShardId};
use crate::sip::location::{Location, Question};
use crate::trace::{Target, TooManyTraces, TraceId, TraceReport};

/// A handle of the engine. A clone is another handle of the same one.
pub trait Engine: Clone + 'static {
    /// How many shards there are.
    fn shards(&self) -> u16;

    /// Gives a shard a command before it returns; the future waits for the reply. Commands of one
    /// caller therefore arrive in the order of its calls, regardless of when the futures are
    /// polled.
    fn ask(
        &self,
        shard: ShardId,
        command: Command,
    ) -> impl Future<Output = Result<Reply, Unavailable>>;

    /// How each connector without SIP is. Of the others the shards know.
    fn connectors(&self) -> Vec<ConnectorReport>;

    /// The users of a connector without SIP from a place on, and the place from where to go on; None if it is none
    /// of those.
    fn connector_users(
        &self,
        name: &str,
        from: u32,
    ) -> Option<(Vec<ConnectorUserReport>, Option<u32>)>;

    /// Starts, stops or restarts a connector, if it is one without SIP.
    fn order_connector(&self, name: &str, order: ConnectorOrder);

    /// Reloads the configuration and waits for the result.
    fn reload(&self, accepts_removal: bool) -> impl Future<Output = Result<Reloaded, Unavailable>>;

    /// Changes what the HTTP API keeps of the configuration, and waits until that is on the disk and in force.
    /// The precondition is checked right before, once the change is known to be valid. Nothing is changed if the result is [`Unavailable`]: too many
    /// changes wait.
    fn change_managed(
        &self,
        change: ManagedChange,
        precondition: Precondition,
    ) -> impl Future<Output = Result<Result<Changed, ChangeRefusal>, Unavailable>>;

    /// Backs up the store to a file of the server's machine. The result is the number of octets, or
    /// the reason that there is no backup.
    fn back_up(
        &self,
        file: PathBuf,
    ) -> impl Future<Output = Result<Result<u64, String>, Unavailable>>;

    /// Verifies the password hash of an account, which takes tens of milliseconds of another thread.
    fn verify_password(
        &self,
        hash: &str,
        password: &str,
    ) -> impl Future<Output = Result<bool, Unavailable>>;

    /// Looks the locations of a name up, best first, at least one.
    fn locate(
        &self,
        question: Question,
    ) -> impl Future<Output = Result<Vec<Location>, LookupError>>;

    /// Whether the node takes new work: every shard runs and the node is not draining.
    fn is_ready(&self) -> bool;

    /// The node takes no new work from now on: it is draining, and not ready any more.
    fn decline_work(&self);

    /// Whether the node is draining.
    fn is_draining(&self) -> bool;

    /// Asks the history for a page.
    fn history(
        &self,
        query: HistoryQuery,
    ) -> impl Future<Output = Result<HistoryPage, HistoryFault>>;

    /// Erases an address from the history, and waits until that is on the disk.
    fn erase_history(&self, aor: &Aor)
    -> impl Future<Output = Result<HistoryErased, HistoryFault>>;

    /// Keeps the edits of addresses, which are in force in `directory`, before it returns; the future
    /// waits until they are on the disk. False if that takes too long. Without a store they are not kept.
    fn keep_edits(&self, aors: &[Aor], directory: &Directory) -> LocalBoxFuture<'static, bool>;

    /// Has the file of the store written anew, so that nothing is left in it of removed records. Returns
    /// the files that were set aside as damaged, or why it was not written.
    fn write_store_anew(
        &self,
    ) -> impl Future<Output = Result<Result<Vec<String>, String>, Unavailable>>;

    /// Has the process leave its sockets to another one, at the Unix socket at `place`, and end.
    fn hand_over(&self, place: PathBuf) -> Result<(), Unavailable>;

    /// Begins a trace; it ends when it is not read for a while.
    ///
    /// # Errors
    /// As many run as may.
    fn begin_trace(&self, target: Target) -> Result<TraceId, TooManyTraces>;

    /// What is new in a trace; None if it has ended.
    fn read_trace(&self, id: TraceId) -> Option<TraceReport>;

    /// Ends a trace.
    fn end_trace(&self, id: TraceId);

    /// How each relay is, in the order of the configuration.
    fn relays(&self) -> Vec<RelayReport>;

    /// How the store is; None for a node without one.
    fn store(&self) -> Option<StoreReport>;
}

/// How the store of a node is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreReport {
    /// What it counts.
    pub counters: [(&'static str, u64); 9],
    /// What its history counts, if one is kept.
    pub history: Vec<(&'static str, u64)>,
    /// Whether a history is kept and cannot be written.
    pub is_history_failing: bool,
    /// Why it cannot be written; None if it can.
    pub failure: Option<String>,
    /// While it cannot be written, the node acknowledges nothing; otherwise it goes on in memory.
    pub is_refusing: bool,
}

/// Why the history does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryFault {
    /// None is kept.
    #[error("no history is kept: it needs [store] directory, and [history] enabled = true")]
    Off,
    /// Too many questions wait, or the node is ending.
    #[error("the history is busy: ask again")]
    Busy,
    /// The file cannot be read or written.
    #[error("the history cannot be used: {0}")]
    Failed(String),
}

/// The result of a reload, in words for the operator: what is in force now, or why nothing changed.
pub type Reloaded = Result<String, String>;

/// The shard did not take the command or did not reply: it is full, or the node is ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shard does not respond")]
pub struct Unavailable;
