//! The thread of the connectors without SIP, and their way to the shards. It runs on the CPU of the HTTP core:
//! neither a shard nor the HTTP core waits for it.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use futures_util::future::{FutureExt, LocalBoxFuture, ready};

use crate::connect;
use crate::connect::{Orders, Shards};
use crate::directory::Directory;
use crate::directory::connectors::ServerAddress;
use crate::http::{Engine, SharedDirectory};
use crate::net::kernel;
use crate::runtime::commander::Commander;
use crate::shard::{Command, Reply, ShardId};
use crate::sip::Transport;
use crate::sip::location::{Family, Question};

/// Starts and ends the connectors of a node. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ConnectorKeeper {
    /// The connectors and the shards.
    pub(crate) commander: Commander,
    /// The directory in force.
    pub(crate) directory: SharedDirectory,
    /// The CPU of the thread.
    pub(crate) cpu: usize,
}

impl ConnectorKeeper {
    /// Puts the connectors of the directory in force into force.
    pub(crate) fn put(&self) {
        let directory = self.directory.current();
        let connectors = self.commander.connectors();
        connectors.put(directory.connectors(), |orders| self.start(orders));
    }

    /// Starts the thread; None if the machine cannot.
    fn start(&self, orders: Orders) -> Option<JoinHandle<()>> {
        let this = self.clone();
        let thread = std::thread::Builder::new().name("connectors".to_owned());
        let started = thread.spawn(move || this.run(orders));
        started
            .map_err(|error| tracing::error!(%error, "cannot start the thread of the connectors"))
            .ok()
    }

    fn run(self, orders: Orders) {
        if let Err(error) = kernel::run_on(self.cpu) {
            tracing::debug!(%error, cpu = self.cpu, "connectors run on any CPU");
        }
        let seed = kernel::random_octets();
        if let Err(error) = seed.and_then(|seed| connect::run(orders, Rc::new(self), seed)) {
            tracing::error!(%error, "connectors cannot run");
        }
    }
}

impl Shards for ConnectorKeeper {
    fn count(&self) -> u16 {
        self.commander.shards()
    }

    fn ask(&self, shard: ShardId, command: Command) -> LocalBoxFuture<'static, Option<Reply>> {
        let reply = self.commander.order(shard, command);
        reply.map(Result::ok).boxed_local()
    }

    fn directory(&self) -> Arc<Directory> {
        self.directory.current()
    }

    fn locate(
        &self,
        server: &ServerAddress,
        default_port: u16,
    ) -> LocalBoxFuture<'static, Result<Vec<SocketAddr>, String>> {
        let port = server.port.unwrap_or(default_port);
        if let Ok(ip) = server.host.parse::<IpAddr>() {
            return ready(Ok(vec![SocketAddr::new(ip, port)])).boxed_local();
        }
        let question = Question {
            host: Arc::clone(&server.host),
            port: Some(port),
            transport: Some(Transport::Tcp),
            is_secure: false,
            family: Family::Both,
        };
        let located = self.commander.resolve(question);
        let addresses = located.map(|located| match located {
            Ok(locations) => Ok(locations.iter().map(|location| location.address).collect()),
            Err(error) => Err(error.to_string()),
        });
        addresses.boxed_local()
    }

    fn unix_milliseconds(&self) -> u64 {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let since = since.unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
