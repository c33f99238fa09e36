//! Commands of the operator's side (HTTP, command line, signals), and their replies.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::CallDialog;
use crate::presence::source::CallSource;
use crate::presence::source::StateUpdate;
use crate::shard::contract::report::LoopReport;
use crate::shard::contract::report::RefusalReport;
use crate::shard::contract::report::WatcherReport;
use crate::shard::contract::report::Why;

/// Names a command so that its reply finds the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId(pub u64);

/// From the operator's side. Each gets one [`Reply`]. A command about a presentity goes to its
/// owner, see [`crate::shard::ShardId::owner_of`]; `Watchers` goes to every shard.
#[derive(Debug)]
pub enum Command {
    /// What somebody says about a presentity: `call_state.htm`, the operator's commands.
    UpdateState {
        /// About whom.
        aor: Aor,
        /// What.
        update: StateUpdate,
    },
    /// Everything known about a presentity: `lamplighter why`.
    Why(Aor),
    /// Who watches a presentity, or subscribes to a list, from this shard: `lamplighter watchers`.
    Watchers(Aor),
    /// The phones that loop: `lamplighter loops`.
    Loops,
    /// Recent refusals: `lamplighter refusals`.
    Refusals,
    /// New domains and accounts.
    Reload(Arc<Directory>),
    /// No new subscriptions from now on, and those that are end with `deactivated`, some with each
    /// command. Answers how many subscriptions and NOTIFYs are left: ask again until none is.
    Drain,
    /// The counters.
    Counters,
}

impl Command {
    /// `call_state.htm`: the call somebody is in for so long, or none (W:D1).
    #[must_use]
    pub fn call_state(aor: Aor, call: Option<Arc<CallDialog>>, expires: Duration) -> Self {
        let update = StateUpdate::Call {
            source: CallSource::CallState,
            call,
            expires: Some(expires),
        };
        Self::UpdateState { aor, update }
    }
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Done; watchers are being told.
    Done,
    /// Not done: a table is full.
    OverLimit,
    /// The answer to `Why`.
    Why(Why),
    /// The answer to `Watchers`.
    Watchers(Vec<WatcherReport>),
    /// The answer to `Loops`.
    Loops(Vec<LoopReport>),
    /// The answer to `Refusals`.
    Refusals(Vec<RefusalReport>),
    /// The answer to `Drain`: subscriptions and unanswered NOTIFYs that are left.
    Outstanding(usize),
    /// The answer to `Counters`: name and value, in stable order.
    Counters(Vec<(&'static str, u64)>),
}
