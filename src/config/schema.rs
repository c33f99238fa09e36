//! The file as its keys stand: its tables, each key with its kind, default and range (see
//! [`keys`]). `default.toml` is the manual; a test proves that it has these defaults.
//!
//! Values that can be wrong in a way only the check sees keep their place ([`Spanned`]), so that
//! the complaint has a line.

mod connector;
mod profile;
mod relay;
mod shield;
mod tenant;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use toml::Spanned;

use crate::config::complaint::{Complainer, Complaints, Source};
use crate::config::files::Files;
use crate::config::quantity::{Interval, Octets};
use crate::config::reader::{Table, Tables, absent, document, keys, words};

pub(super) use connector::{
    Connector, ConnectorKind, ConnectorStyleKind, ConnectorTransportKind, PackageKind, TrackKind,
};
pub(super) use profile::{IdleKind, ParameterKind, Profile, Shipped, UnregisteredKind};
pub(super) use relay::{DialectKind, Relay, RelayKindWord};
pub(super) use shield::Shield;
pub use tenant::AuthKind;
pub(super) use tenant::{
    Account, Accounts, CompositionKind, DndLampKind, Domain, Feed, Group, HandlingKind, List,
    Password, Policy, RegistrarKind, Several, StaleKind, StyleKind, Token,
};

/// A default: a value without a place in the file.
fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// Every table by its header, with its keys.
pub(super) const TABLES: Tables = &[
    (Node::HEADER, Node::KEYS),
    (Cores::HEADER, Cores::KEYS),
    (Sip::HEADER, Sip::KEYS),
    (SipListen::HEADER, SipListen::KEYS),
    (Dial::HEADER, Dial::KEYS),
    (Dns::HEADER, Dns::KEYS),
    (Http::HEADER, Http::KEYS),
    (Https::HEADER, Https::KEYS),
    (Store::HEADER, Store::KEYS),
    (History::HEADER, History::KEYS),
    (Notify::HEADER, Notify::KEYS),
    (Auth::HEADER, Auth::KEYS),
    (Limits::HEADER, Limits::KEYS),
    (Shield::HEADER, Shield::KEYS),
    (Accounts::HEADER, Accounts::KEYS),
    (Domain::HEADER, Domain::KEYS),
    (Account::HEADER, Account::KEYS),
    (Group::HEADER, Group::KEYS),
    (List::HEADER, List::KEYS),
    (Policy::HEADER, Policy::KEYS),
    (Profile::HEADER, Profile::KEYS),
    (Token::HEADER, Token::KEYS),
    (Feed::HEADER, Feed::KEYS),
    (Connector::HEADER, Connector::KEYS),
    (Relay::HEADER, Relay::KEYS),
];

keys! {
    /// The whole file.
    pub struct Config in "" {
        /// `[node]`
        pub node: Node = absent();
        /// `[cores]`
        pub cores: Cores = absent();
        /// `[sip]` and `[[sip.listen]]`
        pub sip: Sip = absent();
        /// `[dial]`
        pub dial: Dial = absent();
        /// `[dns]`
        pub dns: Dns = absent();
        /// `[http]`
        pub http: Http = absent();
        /// `[[https]]`
        pub https: Vec<Https> = Vec::new();
        /// `[store]`
        pub store: Store = absent();
        /// `[history]`
        pub history: History = absent();
        /// `[notify]`
        pub notify: Notify = absent();
        /// `[auth]`
        pub auth: Auth = absent();
        /// `[limits]`
        pub limits: Limits = absent();
        /// `[shield]`
        pub shield: Shield = absent();
        /// `[accounts]`
        pub accounts: Accounts = absent();
        /// `[[domain]]`
        pub domain: Vec<Domain> = Vec::new();
        /// `[[account]]`
        pub account: Vec<Account> = Vec::new();
        /// `[[group]]`
        pub group: Vec<Group> = Vec::new();
        /// `[[list]]`
        pub list: Vec<List> = Vec::new();
        /// `[[policy]]`
        pub policy: Vec<Policy> = Vec::new();
        /// `[[profile]]`
        pub profile: Vec<Profile> = Vec::new();
        /// `[[token]]`
        pub token: Vec<Token> = Vec::new();
        /// `[[feed]]`
        pub feed: Vec<Feed> = Vec::new();
        /// `[[connector]]`
        pub connector: Vec<Connector> = Vec::new();
        /// `[[relay]]`
        pub relay: Vec<Relay> = Vec::new();
    }
}

keys! {
    /// The file of the HTTP API.
    pub(super) struct Managed in "" {
        /// `[[domain]]`
        pub domain: Vec<Domain> = Vec::new();
        /// `[[group]]`
        pub group: Vec<Group> = Vec::new();
        /// `[[policy]]`
        pub policy: Vec<Policy> = Vec::new();
    }
}

keys! {
    /// `[node]`: this process.
    pub struct Node in "[node]" {
        /// Its name, in logs and metrics.
        pub name: String = "lamplighter".to_owned();
        /// Where it keeps files.
        pub data_dir: Spanned<PathBuf> = unplaced(PathBuf::from(DATA_DIR));
    }
}

keys! {
    /// `[cores]`: which CPU does what.
    pub struct Cores in "[cores]" {
        /// CPUs that run a shard each; empty for all but the HTTP core's.
        pub shards: Vec<Spanned<usize>> = Vec::new();
        /// The CPU of the HTTP core; none for the last one allowed.
        pub http: Option<Spanned<usize>> = None;
    }
}

keys! {
    /// `[sip]`
    pub struct Sip in "[sip]" {
        /// User-Agent and Server.
        pub product: Spanned<String> = unplaced("Lamplighter".to_owned());
        /// Where SIP is served.
        pub listen: Spanned<Vec<SipListen>> = unplaced(SipListen::defaults());
    }
}

keys! {
    /// `[[sip.listen]]`: one socket address.
    pub struct SipListen in "[[sip.listen]]" {
        /// Which transport.
        pub transport: Spanned<TransportKind>;
        /// The address to bind.
        pub address: Spanned<String>;
        /// What Via and Contact say instead of the local address: `host`, `host:port`.
        pub advertise: Option<Spanned<String>> = None;
        /// The files of its certificates; the first for clients that name no host.
        pub certificate: Files = Files::default();
        /// The files of their keys, in the same order.
        pub key: Files = Files::default();
        /// The file of the authority that clients must have a certificate of.
        pub client_ca: Option<Spanned<PathBuf>> = None;
        /// Whether each connection begins with a header of the PROXY protocol.
        pub proxy_protocol: Spanned<bool> = unplaced(false);
        /// The proxies that connections come from then.
        pub proxies: Vec<Spanned<String>> = Vec::new();
        /// Where the web pages come from that may connect; none for anywhere.
        pub origins: Vec<Spanned<String>> = Vec::new();
    }
}

words! {
    /// A transport's name in the file.
    #[derive(Default)]
    pub enum TransportKind {
        /// UDP
        #[default]
        Udp = "udp",
        /// TCP
        Tcp = "tcp",
        /// TLS
        Tls = "tls",
        /// WebSocket
        Ws = "ws",
        /// WebSocket over TLS
        Wss = "wss",
    }
}

impl Sip {
    /// Without what a reload applies: the certificates.
    fn fixed(&self) -> Self {
        let mut fixed = self.clone();
        for listen in fixed.listen.as_mut() {
            listen.certificate = Files::default();
            listen.key = Files::default();
            listen.client_ca = None;
        }
        fixed
    }
}

impl SipListen {
    /// The paths among its keys.
    fn paths(&mut self) -> impl Iterator<Item = &mut Spanned<PathBuf>> {
        let files = self.certificate.0.iter_mut().chain(&mut self.key.0);
        files.chain(&mut self.client_ca)
    }

    fn defaults() -> Vec<Self> {
        let listen = |transport| Self {
            transport: unplaced(transport),
            address: unplaced("0.0.0.0:5060".to_owned()),
            advertise: None,
            certificate: Files::default(),
            key: Files::default(),
            client_ca: None,
            proxy_protocol: unplaced(false),
            proxies: Vec::new(),
            origins: Vec::new(),
        };
        vec![listen(TransportKind::Udp), listen(TransportKind::Tcp)]
    }
}

keys! {
    /// `[dial]`: connections that we open by TLS.
    pub struct Dial in "[dial]" {
        /// The file of the authorities that we trust; none for those of the system.
        pub ca: Option<Spanned<PathBuf>> = None;
        /// The file of our certificate, for peers that ask for one.
        pub certificate: Option<Spanned<PathBuf>> = None;
        /// The file of its key.
        pub key: Option<Spanned<PathBuf>> = None;
    }
}

impl Dial {
    /// The paths among its keys.
    fn paths(&mut self) -> impl Iterator<Item = &mut Spanned<PathBuf>> {
        let paths = [&mut self.ca, &mut self.certificate, &mut self.key];
        paths.into_iter().flatten()
    }
}

keys! {
    /// `[dns]`: how names are looked up.
    pub struct Dns in "[dns]" {
        /// The name servers; none for those of the system.
        pub servers: Vec<Spanned<String>> = Vec::new();
        /// How long one may take to answer.
        pub timeout: Interval = Interval::from_secs(2), in Interval::from_millis(100)..=Interval::from_secs(10);
        /// How long an answer is kept at least.
        pub min_ttl: Spanned<Interval> = unplaced(Interval::from_secs(5)), in TTL;
        /// How long at most.
        pub max_ttl: Interval = Interval::HOUR, in TTL;
        /// How long at most that there is none.
        pub max_negative_ttl: Interval = Interval::from_secs(60), in TTL;
        /// Names looked up at once.
        pub lookups: usize = 256, in 1..=65_536;
    }
}

/// Bounds of how long an answer is kept.
const TTL: RangeInclusive<Interval> = Interval::SECOND..=Interval::from_days(7);

keys! {
    /// `[http]`
    pub struct Http in "[http]" {
        /// The addresses to bind for plain HTTP; none for none.
        pub listen: Vec<Spanned<String>> = vec![unplaced("127.0.0.1:8080".to_owned())];
        /// Whether plain HTTP is served beyond loopback.
        pub allow_insecure: bool = false;
        /// Connections in all.
        pub connections: usize = 1024, in 1..=65_536;
        /// Connections of one address.
        pub connections_per_address: usize = 128, in 1..=65_536;
        /// The socket the operator's commands use; see [`Config::control_socket`].
        pub control_socket: Option<Spanned<PathBuf>> = None;
    }
}

keys! {
    /// `[[https]]`: one socket address for HTTPS.
    pub struct Https in "[[https]]" {
        /// The address to bind.
        pub address: Spanned<String>;
        /// The files of its certificates; the first for clients that name no host.
        pub certificate: Files = Files::default();
        /// The files of their keys, in the same order.
        pub key: Files = Files::default();
        /// The file of the authority that clients must have a certificate of.
        pub client_ca: Option<Spanned<PathBuf>> = None;
    }
}

impl Https {
    /// The paths among its keys.
    fn paths(&mut self) -> impl Iterator<Item = &mut Spanned<PathBuf>> {
        let files = self.certificate.0.iter_mut().chain(&mut self.key.0);
        files.chain(&mut self.client_ca)
    }
}

keys! {
    /// `[store]`: what outlives the process.
    pub struct Store in "[store]" {
        /// Where; none for nowhere.
        pub directory: Option<Spanned<PathBuf>> = None;
        /// What waits for the disk.
        pub durability: DurabilityKind = DurabilityKind::Synced;
        /// What to do while the disk fails.
        pub on_store_failure: StoreFailureKind = StoreFailureKind::Memory;
        /// Octets of the file; none for no limit.
        pub size: Option<Octets> = None, in Octets(16 << 20)..=Octets(1 << 50);
    }
}

words! {
    /// What waits for the disk.
    pub enum DurabilityKind {
        /// What the server acknowledges.
        Synced = "synced",
        /// Nothing.
        Relaxed = "relaxed",
        /// Nothing is stored.
        None = "none",
    }
}

words! {
    /// What to do while the store cannot be written.
    pub enum StoreFailureKind {
        /// Go on without it.
        Memory = "memory",
        /// Refuse what it would have to keep.
        Refuse = "refuse",
    }
}

keys! {
    /// `[history]`: the changes of composed states.
    pub struct History in "[history]" {
        /// Whether it is kept, if there is a store.
        pub enabled: bool = true;
        /// How long.
        pub retention: Interval = Interval::from_days(30), in HISTORY_RETENTION;
        /// Octets of one domain; none for no limit.
        pub size: Option<Octets> = None, in HISTORY_SIZE;
    }
}

/// Bounds of a retention.
const HISTORY_RETENTION: RangeInclusive<Interval> = Interval::SECOND..=Interval::from_days(3650);
/// Bounds of a size.
const HISTORY_SIZE: RangeInclusive<Octets> = Octets(64 << 10)..=Octets(1 << 50);

keys! {
    /// `[notify]`: the pace of NOTIFYs to one phone, and their transport.
    pub struct Notify in "[notify]" {
        /// NOTIFYs per second on average; 0 for no limit.
        pub rate: u32 = 10;
        /// The burst.
        pub burst: u32 = 100, in 1..=1_000_000;
        /// Octets beyond which one goes by TCP; 0 for never.
        pub tcp_beyond: Octets = Octets(1300), in Octets(0)..=Octets(65_535);
    }
}

keys! {
    /// `[auth]`
    pub struct Auth in "[auth]" {
        /// Life of a nonce.
        pub nonce_life: Interval = Interval::from_secs(7200),
            in Interval::from_secs(30)..=Interval::from_days(7);
        /// Whether credentials without qop are accepted.
        pub allow_rfc2069: bool = false;
    }
}

/// Maximum of a 32-bit counter.
const COUNT_MAX: usize = u32::MAX as usize;

keys! {
    /// `[limits]`: see `shard::Options`.
    #[allow(missing_docs, reason = "named as in shard::Options, explained in default.toml")]
    pub struct Limits in "[limits]" {
        pub subscriptions: Spanned<usize> = unplaced(2_000_000), in 1..=COUNT_MAX;
        pub subscription_memory: Octets = Octets(2 << 30), in Octets(1 << 20)..=Octets(1 << 40);
        pub subscriptions_per_flow_home: usize = 1_000;
        pub subscriptions_per_phone: usize = 2_000, in 1..=COUNT_MAX;
        pub presentities: usize = 1_000_000, in 1..=COUNT_MAX;
        pub contacts: usize = 1_000_000, in 1..=COUNT_MAX;
        pub publications_per_presentity: usize = 64, in 1..=10_000;
        pub calls_per_presentity: usize = 50, in 1..=10_000;
        pub body: Octets = Octets(64 << 10), in Octets(1 << 10)..=Octets(16 << 20);
        pub response_ring: Octets = Octets(32 << 20), in Octets(64 << 10)..=Octets(1 << 30);
        pub nonces: usize = 65_536, in 1..=COUNT_MAX;
        pub notifies_per_turn: usize = 256, in 1..=100_000;
        // The kernel takes the length of a segment in 16 bits, and paths of more than 9,000 are rare.
        pub segment: Octets = Octets(1400), in Octets(0)..=Octets(8900);
        pub expiry_grace: Interval = Interval::from_secs(32);
        pub probation: Interval = Interval::from_secs(30), in Interval::SECOND..=Interval::HOUR;
        pub connections: usize = 32_768, in 1..=1 << 20;
        pub connections_per_address: usize = 1024, in 1..=1 << 20;
        pub dials: usize = 64, in 0..=10_000;
        pub handshakes: usize = 1024, in 1..=1 << 20;
        pub handshake_timeout: Interval = Interval::from_secs(10), in Interval::SECOND..=Interval::HOUR;
        pub idle_connection: Interval = Interval::from_secs(600),
            in Interval::from_secs(10)..=Interval::from_days(1);
    }
}

/// The default data directory.
const DATA_DIR: &str = "/var/lib/lamplighter";

/// The control socket that goes with it.
pub(crate) const CONTROL_SOCKET: &str = "/run/lamplighter/control.sock";

impl Default for Config {
    fn default() -> Self {
        absent()
    }
}

impl Config {
    /// Reads a text, complaining of every key and value that is not understood. What only the
    /// whole file shows is not checked yet, see [`crate::config::Plan::new`].
    pub(super) fn read(source: &Source, complainer: &mut Complainer<'_>) -> Self {
        let mut config: Self = document(source, TABLES, complainer).unwrap_or_else(absent);
        let paths = [
            Some(&mut config.node.data_dir),
            config.http.control_socket.as_mut(),
            config.store.directory.as_mut(),
            config.accounts.file.as_mut(),
        ];
        let sip = config.sip.listen.as_mut().iter_mut();
        let sip = sip.flat_map(SipListen::paths);
        let https = config.https.iter_mut().flat_map(Https::paths);
        let paths = paths.into_iter().flatten().chain(config.dial.paths());
        for path in paths.chain(sip).chain(https) {
            // An absolute path stays what it is.
            *path.as_mut() = source.folder().join(path.get_ref());
        }
        config
    }

    /// Adds the tables of the file that the HTTP API keeps, which begins behind the operator's.
    pub(super) fn join(&mut self, managed: &Source, complainer: &mut Complainer<'_>) {
        if let Some(tables) = document::<Managed>(managed, TABLES, complainer) {
            self.domain.extend(tables.domain);
            self.group.extend(tables.group);
            self.policy.extend(tables.policy);
        }
    }

    /// Reads a text for callers that need only the keys.
    ///
    /// # Errors
    /// Every key and value that is not understood.
    pub fn parse(source: &Source) -> Result<Self, Complaints> {
        let mut complainer = Complainer::new(source);
        let config = Self::read(source, &mut complainer);
        complainer.verdict().map(|()| config)
    }

    /// Reads a text without complaints, for callers that only need to find the server of the file.
    #[must_use]
    pub fn glance(source: &Source) -> Self {
        Self::read(source, &mut Complainer::new(source))
    }

    /// The socket of the operator's commands: as given; else `control.sock` in the data directory;
    /// else, with the default data directory, in `/run/lamplighter`.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        match &self.http.control_socket {
            Some(path) => path.get_ref().clone(),
            None if self.data_dir() == Path::new(DATA_DIR) => PathBuf::from(CONTROL_SOCKET),
            None => self.data_dir().join("control.sock"),
        }
    }

    /// Where files are kept.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.node.data_dir.get_ref()
    }

    /// The sections in which `new` differs and that only a restart can apply: all except domains
    /// with their accounts, groups, lists and policies, profiles, and all certificates.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let addresses = |https: &[Https]| -> Vec<String> {
            let addresses = https.iter().map(|one| one.address.get_ref().clone());
            addresses.collect()
        };
        let sections = [
            ("[node]", self.node != new.node),
            ("[cores]", self.cores != new.cores),
            ("[sip]", self.sip.fixed() != new.sip.fixed()),
            ("[dns]", self.dns != new.dns),
            ("[http]", self.http != new.http),
            // A reload applies the certificates.
            ("[[https]]", addresses(&self.https) != addresses(&new.https)),
            ("[store]", self.store != new.store),
            ("[history]", self.history != new.history),
            ("[notify]", self.notify != new.notify),
            ("[auth]", self.auth != new.auth),
            ("[limits]", self.limits != new.limits),
            ("[shield]", self.shield != new.shield),
        ];
        sections
            .into_iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| name)
            .collect()
    }
}
