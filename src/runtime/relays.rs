//! The thread of the relays, and their way to the shards. It runs on the CPU of the HTTP core: neither a shard
//! nor the HTTP core waits for it.

use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::changes::ChangeFeed;
use crate::directory::Directory;
use crate::http::SharedDirectory;
use crate::net::kernel;
use crate::relay::{Order, RelayPlan, Relays, Shards, Surroundings};
use crate::runtime::commander::Commander;
use crate::shard::{Command, Reply, ShardId};
use crate::tls::TlsClient;

/// Starts and ends the relays of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct RelayKeeper {
    /// The relays.
    pub(crate) relays: Relays,
    /// The shards.
    pub(crate) commander: Commander,
    /// The directory in force.
    pub(crate) directory: SharedDirectory,
    /// Changes, from the shards.
    pub(crate) feed: ChangeFeed,
    /// The CPU of the thread.
    pub(crate) cpu: usize,
}

impl RelayKeeper {
    /// Puts these relays into force.
    pub(crate) fn put(&self, plans: &[RelayPlan], tls: &TlsClient) {
        self.relays.put(plans, tls, |orders| self.start(orders));
    }

    /// Starts the thread; None if the machine cannot.
    fn start(&self, orders: UnboundedReceiver<Order>) -> Option<JoinHandle<()>> {
        let this = self.clone();
        let thread = std::thread::Builder::new().name("relays".to_owned());
        let started = thread.spawn(move || this.run(orders));
        started
            .map_err(|error| tracing::error!(%error, "cannot start the thread of the relays"))
            .ok()
    }

    fn run(self, orders: UnboundedReceiver<Order>) {
        if let Err(error) = kernel::run_on(self.cpu) {
            tracing::debug!(%error, cpu = self.cpu, "relays run on any CPU");
        }
        let seed = kernel::random_octets();
        let ran = seed.and_then(|seed| {
            let surroundings = Surroundings {
                feed: self.feed.clone(),
                shards: Rc::new(self),
                seed,
            };
            surroundings.run(orders)
        });
        if let Err(error) = ran {
            tracing::error!(%error, "relays cannot run");
        }
    }
}

impl Shards for RelayKeeper {
    fn count(&self) -> u16 {
        use crate::http::Engine;
        self.commander.shards()
    }

    fn ask(&self, shard: ShardId, command: Command) -> LocalBoxFuture<'static, Option<Reply>> {
        let reply = self.commander.order(shard, command);
        reply.map(Result::ok).boxed_local()
    }

    fn directory(&self) -> Arc<Directory> {
        self.directory.current()
    }

    fn unix_milliseconds(&self) -> i64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or(Duration::ZERO);
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}
