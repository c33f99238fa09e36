//! Watcher information (RFC 3857): the watchers that this shard has, and those of presentities
//! whose watchers are subscribed to here.

pub(crate) mod notifier;
mod record;
pub(crate) mod subscriber;
pub(crate) mod waiting;

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use crate::presence::Aor;
use crate::presence::event::{Package, WatcherEvent, WatcherInfo};
use crate::shard::contract::commit::Durability;
use crate::shard::contract::flow::Address;
use crate::shard::contract::ids::SubscriptionId;
use crate::shard::subscription::audience::Topic;

/// Maximum number of watchers in state `waiting`; above it the oldest is dropped (RFC 3857 §4.7.1).
const WAITING_MAX: usize = 1_000;

/// How long a watcher stays in state `waiting` (RFC 3857 §4.7.1).
const WAITING_TIME: Duration = Duration::from_secs(14 * 24 * 3600);

/// Watchers collected from other shards, and the shards that collect ours.
#[derive(Debug, Default)]
pub(crate) struct WatcherInfos {
    followed: HashMap<Topic, Followed>,
    /// By presentity: the shards to report its watchers to.
    followers: HashMap<Aor, SmallVec<[(Package, Address); 2]>>,
    /// Followed presentities whose watchers changed in this turn.
    changed: Vec<Aor>,
    /// Why watchers ended in this turn, by their id.
    ended: Vec<(u64, WatcherEvent)>,
    /// Waiting watchers, oldest first.
    waiting: VecDeque<WaitingWatcher>,
    /// There is a store.
    is_recording: bool,
    /// The ids of waiting watchers whose records are out of date.
    marked: Vec<u64>,
}

/// The watchers of one presentity and package, as collected for the winfo subscriptions on this
/// shard.
#[derive(Debug)]
struct Followed {
    subscriptions: Vec<SubscriptionId>,
    /// By shard, in the order of their ids; None while it has not answered.
    watchers: Vec<Option<Vec<WatcherInfo>>>,
}

/// A watcher whose subscription ended before it was decided about.
#[derive(Debug)]
struct WaitingWatcher {
    topic: Topic,
    /// The address that its SUBSCRIBE came from.
    peer: IpAddr,
    /// The name in the certificate of its peer for which the domain trusted that peer.
    voucher: Option<Arc<str>>,
    info: WatcherInfo,
    until: Instant,
}

impl WatcherInfos {
    /// No watcher is collected, and none waits.
    pub(crate) fn new(durability: Durability) -> Self {
        Self {
            is_recording: durability != Durability::None,
            ..Self::default()
        }
    }

    /// The subscriptions here to the watchers of a presentity.
    pub(crate) fn audiences(&self, aor: &Aor) -> impl Iterator<Item = SubscriptionId> {
        let packages = [Package::PresenceWinfo, Package::DialogWinfo];
        packages
            .into_iter()
            .filter_map(|package| self.followed.get(&(aor.clone(), package)))
            .flat_map(|followed| followed.subscriptions.iter().copied())
    }

    /// Whether there is no change to report.
    pub(crate) fn is_settled(&self) -> bool {
        self.changed.is_empty()
    }

    /// Whether a shard follows the watchers of a presentity.
    fn is_followed(&self, aor: &Aor) -> bool {
        !self.followers.is_empty() && self.followers.contains_key(aor)
    }

    fn note(&mut self, aor: Aor) {
        if !self.changed.contains(&aor) {
            self.changed.push(aor);
        }
    }
}
