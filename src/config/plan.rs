//! What the other rooms are built from: the configuration, converted.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

use crate::config::complaint::{Complainer, Complaints};
use crate::config::listeners::{HttpListener, Listener};
use crate::config::machine::{Machine, random_key};
use crate::config::schema::{Config, DurabilityKind, StoreFailureKind};
use crate::config::{cores, listeners, managed, outbound, schema, shield, tenants};
use crate::directory::Directory;
use crate::dns;
use crate::relay::RelayPlan;
use crate::shard::{Durability, Options, ShardId};
use crate::tls::TlsClient;

/// How many connections there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// In all.
    pub max: usize,
    /// Per remote address.
    pub per_address_max: usize,
}

/// The store, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorePlan {
    /// Its directory.
    pub directory: PathBuf,
    /// The file of the HTTP API, which a backup has, too.
    pub domains: PathBuf,
    /// Whether requests wait, and are refused in the end, while it cannot be written. Otherwise the
    /// server goes on in memory.
    pub refuses_on_failure: bool,
    /// Octets of its file.
    pub octets_max: Option<u64>,
    /// How much history is kept; None for none.
    pub history: Option<HistoryPlan>,
}

/// The history of each domain without limits of its own, as configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryPlan {
    /// Older changes are removed.
    pub age_max: Duration,
    /// Octets of the changes of one domain.
    pub octets_max: Option<u64>,
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
    /// How we connect by TLS.
    pub tls_client: TlsClient,
    /// How names are looked up.
    pub dns: dns::Options,
    /// HTTP sockets.
    pub http_listeners: Vec<HttpListener>,
    /// The socket of the operator's commands.
    pub control_socket: PathBuf,
    /// What outlives the process, and where; None for nothing.
    pub store: Option<StorePlan>,
    /// The options of every shard except `id` and `local_addresses`, which the runtime knows.
    pub options: Options,
    /// How many connections there may be for SIP, on each shard.
    pub sip_connections: Connections,
    /// How many connections there may be for HTTP.
    pub http_connections: Connections,
    /// How long a SIP connection may be idle.
    pub idle_connection: Duration,
    /// Handshakes of SIP connections at once, on each shard.
    pub handshakes_max: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
    /// Domains and accounts.
    pub directory: Directory,
    /// Other systems that are told states.
    pub relays: Vec<RelayPlan>,
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
        let listeners = listeners::sip(&config.sip, &mut complainer, &mut notes);
        let tls_client = outbound::tls_client(&config.dial, &mut complainer, &mut notes);
        let dns = outbound::dns(&config.dns, &mut complainer);
        let http_listeners = listeners::http(config, &listeners, &mut complainer, &mut notes);
        let shield = shield::options(&config.shield, &mut complainer);
        let directory = tenants::directory(config, &mut complainer, &mut notes);
        let relays = tenants::relays(config, &mut complainer, &mut notes);
        listeners::control_socket(config, &mut complainer);
        let key = random_key().unwrap_or_else(|error| {
            complainer.add(
                0..0,
                format!("/dev/urandom cannot be read: {error}"),
                "give this process access to it",
            );
            [0; 32]
        });
        let tls_client = complainer.verdict_on(tls_client)?;
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
            tls_client,
            dns,
            http_listeners,
            control_socket: config.control_socket(),
            store: store(config),
            sip_connections: Connections {
                max: config.limits.connections,
                per_address_max: config.limits.connections_per_address,
            },
            http_connections: Connections {
                max: config.http.connections,
                per_address_max: config.http.connections_per_address,
            },
            idle_connection: config.limits.idle_connection.0,
            handshakes_max: config.limits.handshakes,
            handshake_timeout: config.limits.handshake_timeout.0,
            directory,
            relays,
            notes,
        })
    }
}

/// `[store]` and `[history]`; None if nothing is stored.
fn store(config: &Config) -> Option<StorePlan> {
    let keys = &config.store;
    let directory = keys.directory.as_ref()?.get_ref().clone();
    let stores = keys.durability != DurabilityKind::None;
    stores.then(|| StorePlan {
        directory,
        domains: managed::file(config.data_dir()),
        refuses_on_failure: keys.on_store_failure == StoreFailureKind::Refuse,
        octets_max: keys.size.map(|size| size.0 as u64),
        history: history(&config.history),
    })
}

/// `[history]`; None if none is kept.
fn history(keys: &schema::History) -> Option<HistoryPlan> {
    keys.enabled.then(|| HistoryPlan {
        age_max: keys.retention.0,
        octets_max: keys.size.map(|size| size.0 as u64),
    })
}

/// Whether acknowledgements wait for the store, if there is one.
fn durability(keys: &schema::Store) -> Durability {
    match keys.durability {
        _ if keys.directory.is_none() => Durability::None,
        DurabilityKind::Synced => Durability::Synced,
        DurabilityKind::Relaxed => Durability::Relaxed,
        DurabilityKind::None => Durability::None,
    }
}

/// The keys of `[limits]`, `[notify]`, `[auth]`, `[store]` under the names the shard gives them.
fn options(config: &Config, key: [u8; 32], shards: usize, listeners: &[Listener]) -> Options {
    let limits = &config.limits;
    let shards = u16::try_from(shards).unwrap_or(u16::MAX);
    let (epoch, epoch_unix) = epoch();
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
        dials_max: limits.dials,
        notify_rate_per_phone: config.notify.rate,
        notify_burst_per_phone: config.notify.burst,
        notify_tcp_beyond: match config.notify.tcp_beyond.0 {
            0 => usize::MAX,
            octets => octets,
        },
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
        durability: durability(&config.store),
        // `local_addresses` are known when the listeners are bound.
        epoch_unix,
        ..Options::new(ShardId(0), shards, epoch, key)
    }
}

/// The epoch of the node, and the time of the wall clock then, in seconds since 1970 UTC. It is the
/// last moment at which that was a whole number.
fn epoch() -> (Instant, u64) {
    let now = Instant::now();
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let since_1970 = since_1970.unwrap_or_default();
    let fraction = Duration::from_nanos(since_1970.subsec_nanos().into());
    let epoch = now.checked_sub(fraction).unwrap_or(now);
    (epoch, since_1970.as_secs())
}
