//! The services beside the shards, and their way to the shards.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture, ready};

use crate::background::{Background, Shards};
use crate::changes::ChangeFeed;
use crate::directory::Directory;
use crate::directory::connectors::ServerAddress;
use crate::http::{Engine, SharedDirectory};
use crate::relay::RelayPlan;
use crate::runtime::commander::Commander;
use crate::runtime::system_clock::SystemClock;
use crate::shard::{Command, Reply, ShardId};
use crate::sip::Transport;
use crate::sip::location::{Family, Question};
use crate::tls::SharedTlsClient;

/// Puts the connectors without SIP and the relays of a node into force. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct ServiceKeeper {
    /// Where the services are started.
    pub(crate) background: Background<NodeShards>,
    /// Changes for the relays, from the shards.
    pub(crate) feed: ChangeFeed,
}

/// The shards, the directory in force and the name service of a node, as services see them.
#[derive(Clone, Debug)]
pub(crate) struct NodeShards {
    pub(crate) commander: Commander,
    pub(crate) directory: SharedDirectory,
}

impl ServiceKeeper {
    /// Puts the connectors of the directory in force and these relays into force.
    pub(crate) fn put(&self, relays: &[RelayPlan], tls: &SharedTlsClient) {
        let (background, feed) = (&self.background, &self.feed);
        let NodeShards {
            commander,
            directory,
        } = &background.shards;
        let connectors = directory.current();
        let connectors = connectors.connectors();
        commander.relays().put(relays, tls, feed, background);
        let relays = commander.relays();
        commander
            .connectors()
            .put(connectors, relays, tls, background);
    }
}

impl Shards for NodeShards {
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

    fn unix_milliseconds(&self) -> i64 {
        SystemClock::now().unix_milliseconds()
    }
}
