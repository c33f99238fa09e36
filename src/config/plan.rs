//! What the other rooms are built from: the configuration, converted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::config::complaint::{Complainer, Complaints};
use crate::config::listeners::Listener;
use crate::config::machine::{Machine, random_key};
use crate::config::schema::Config;
use crate::config::{cores, listeners, shield, tenants};
use crate::directory::Directory;
use crate::shard::{Options, ShardId};

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In all.
    pub max: usize,
    /// Per remote address.
    pub per_address_max: usize,
}

/// A node, as configured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// Where it keeps files.
    pub data_dir: PathBuf,
    /// The CPU of each shard.
    pub shards: Vec<usize>,
    /// The CPU of the HTTP core; it may be one of the shards'.
    pub http_cpu: usize,
    /// SIP sockets; at least one.
    pub listeners: Vec<Listener>,
    /// HTTP sockets.
    pub http_listen: Vec<SocketAddr>,
    /// The socket of the operator's commands.
    pub control_socket: PathBuf,
    /// The options of every shard except `id` and `local_addresses`, which the runtime knows.
    pub options: Options,
    /// How many connections there may be for SIP, on each shard.
    pub sip_connections: Connections,
    /// How many connections there may be for HTTP.
    pub http_connections: Connections,
    /// How long a SIP connection may be idle.
    pub idle_connection: Duration,
    /// Domains and accounts.
    pub directory: Directory,
    /// What is allowed but probably a mistake, one line each.
    pub notes: Vec<String>,
}

impl Plan {
    /// Checks and converts. `complainer` has what was wrong when `config` was read.
    ///
    /// # Errors
    /// Everything that is wrong, not only the first.
    pub(super) fn new(
        config: &Config,
        machine: &Machine,
        mut complainer: Complainer<'_>,
    ) -> Result<Self, Complaints> {
        let mut notes = Vec::new();
        let (shards, http_cpu) = cores::cpus(&config.cores, machine, &mut complainer);
        cores::check_places(&config.limits, shards.len(), &mut complainer);
        let listeners = listeners::sip(&config.sip, &mut complainer);
        let http_listen = listeners::http(&config.http, &listeners, &mut complainer);
        let shield = shield::options(&config.shield, &mut complainer);
        let directory = tenants::directory(config, &mut complainer, &mut notes);
        listeners::control_socket(config, &mut complainer);
        let key = random_key().unwrap_or_else(|error| {
            complainer.add(
                0..0,
                format!("/dev/urandom cannot be read: {error}"),
                "give this process access to it",
            );
            [0; 32]
        });
        complainer.verdict()?;
        Ok(Self {
            name: config.node.name.clone(),
            data_dir: config.data_dir().to_owned(),
            options: Options {
                overload: shield,
                ..options(config, key, shards.len(), &listeners)
            },
            shards,
            http_cpu,
            listeners,
            http_listen,
            control_socket: config.control_socket(),
            sip_connections: Connections {
                max: config.limits.connections,
                per_address_max: config.limits.connections_per_address,
            },
            http_connections: Connections {
                max: config.http.connections,
                per_address_max: config.http.connections_per_address,
            },
            idle_connection: config.limits.idle_connection.0,
            directory,
            notes,
        })
    }
}

/// The keys of `[limits]`, `[notify]`, `[auth]` under the names the shard gives them.
fn options(config: &Config, key: [u8; 32], shards: usize, listeners: &[Listener]) -> Options {
    let limits = &config.limits;
    let shards = u16::try_from(shards).unwrap_or(u16::MAX);
    Options {
        advertise: listeners
            .iter()
            .map(|listener| listener.advertise.clone())
            .collect(),
        product: config.sip.product.get_ref().clone(),
        subscriptions_max: *limits.subscriptions.get_ref(),
        subscription_octets_max: limits.subscription_memory.0,
        subscriptions_per_flow_home: limits.subscriptions_per_flow_home,
        subscriptions_per_phone_max: limits.subscriptions_per_phone,
        expiry_grace: limits.expiry_grace.0,
        probation: limits.probation.0,
        notify_rate_per_phone: config.notify.rate,
        notify_burst_per_phone: config.notify.burst,
        notifies_per_turn: limits.notifies_per_turn,
        segment_octets_max: limits.segment.0,
        presentities_max: limits.presentities,
        contacts_max: limits.contacts,
        publications_per_presentity_max: limits.publications_per_presentity,
        calls_per_presentity_max: limits.calls_per_presentity,
        body_octets_max: limits.body.0,
        response_ring_octets: limits.response_ring.0,
        nonces_max: limits.nonces,
        nonce_life: config.auth.nonce_life.0,
        allow_rfc2069: config.auth.allow_rfc2069,
        // `local_addresses` are known when the listeners are bound.
        epoch_unix: now_unix(),
        ..Options::new(ShardId(0), shards, Instant::now(), key)
    }
}

/// The time of the wall clock, in seconds since 1970 UTC; 0 for a clock before that.
fn now_unix() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
