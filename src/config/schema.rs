//! The file as its keys stand: the types serde fills, and their defaults. `default.toml` is the
//! manual; a test proves that it says the same as [`Config::default`].
//!
//! Values that can be wrong in a way only the check sees keep their place ([`Spanned`]), so that
//! the complaint has a line.

mod profile;
mod shield;
mod tenant;

use std::path::Path;
use std::path::PathBuf;

use serde::Deserialize;
use toml::Spanned;

use crate::config::complaint::Complaints;
use crate::config::complaint::Source;
use crate::config::complaint::from_parser;
use crate::config::quantity::Interval;
use crate::config::quantity::Octets;

pub(super) use profile::IdleKind;
pub(super) use profile::ParameterKind;
pub(super) use profile::Profile;
pub(super) use profile::UnregisteredKind;
pub(super) use shield::Shield;
pub(super) use tenant::Account;
pub use tenant::AuthKind;
pub(super) use tenant::CompositionKind;
pub(super) use tenant::Domain;
pub(super) use tenant::Group;
pub(super) use tenant::HandlingKind;
pub(super) use tenant::List;
pub(super) use tenant::Policy;
pub(super) use tenant::StyleKind;

/// A default: a value that stands nowhere in the file.
fn unplaced<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `[node]`
    pub node: Node,
    /// `[cores]`
    pub cores: Cores,
    /// `[sip]` and `[[sip.listen]]`
    pub sip: Sip,
    /// `[http]`
    pub http: Http,
    /// `[notify]`
    pub notify: Notify,
    /// `[auth]`
    pub auth: Auth,
    /// `[limits]`
    pub limits: Limits,
    /// `[shield]`
    pub shield: Shield,
    /// `[[domain]]`
    pub domain: Vec<Domain>,
    /// `[[account]]`
    pub account: Vec<Account>,
    /// `[[group]]`
    pub group: Vec<Group>,
    /// `[[list]]`
    pub list: Vec<List>,
    /// `[[policy]]`
    pub policy: Vec<Policy>,
    /// `[[profile]]`
    pub profile: Vec<Profile>,
}

/// `[node]`: this process.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Node {
    /// Its name, in logs and metrics.
    pub name: String,
    /// Where it keeps files.
    pub data_dir: PathBuf,
}

/// `[cores]`: which CPU does what.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cores {
    /// CPUs that run a shard each; empty for all but the HTTP core's.
    pub shards: Vec<Spanned<usize>>,
    /// The CPU of the HTTP core; none for the last one allowed.
    pub http: Option<Spanned<usize>>,
}

/// `[sip]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sip {
    /// User-Agent and Server.
    pub product: Spanned<String>,
    /// Where SIP is spoken.
    pub listen: Vec<SipListen>,
}

/// `[[sip.listen]]`: one socket address.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipListen {
    /// UDP or TCP.
    pub transport: TransportKind,
    /// The address to bind.
    pub address: Spanned<String>,
    /// What Via and Contact say instead of the local address: `host`, `host:port`.
    #[serde(default)]
    pub advertise: Option<Spanned<String>>,
}

/// A transport's name in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// UDP
    Udp,
    /// TCP
    Tcp,
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Http {
    /// The addresses to bind; none for no HTTP.
    pub listen: Vec<Spanned<String>>,
    /// Connections in all.
    pub connections: Spanned<usize>,
    /// Connections of one address.
    pub connections_per_address: Spanned<usize>,
    /// The socket the operator's commands use; see [`Config::control_socket`].
    pub control_socket: Option<PathBuf>,
}

/// `[notify]`: the pace of NOTIFYs to one phone.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// A second, in the long run; 0 for no limit.
    pub rate: u32,
    /// At once, before the rate holds.
    pub burst: Spanned<u32>,
}

/// `[auth]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Auth {
    /// Life of a nonce.
    pub nonce_life: Spanned<Interval>,
}

/// `[limits]`: see `shard::Options`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[allow(
    missing_docs,
    reason = "named as in shard::Options, explained in default.toml"
)]
pub struct Limits {
    pub subscriptions: Spanned<usize>,
    pub subscriptions_per_flow_home: usize,
    pub subscriptions_per_phone: Spanned<usize>,
    pub presentities: Spanned<usize>,
    pub publications_per_presentity: Spanned<usize>,
    pub calls_per_presentity: Spanned<usize>,
    pub body: Spanned<Octets>,
    pub response_ring: Spanned<Octets>,
    pub nonces: Spanned<usize>,
    pub notifies_per_turn: Spanned<usize>,
    pub segment: Spanned<Octets>,
    pub expiry_grace: Interval,
    pub probation: Spanned<Interval>,
    pub connections: Spanned<usize>,
    pub connections_per_address: Spanned<usize>,
    pub idle_connection: Spanned<Interval>,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "lamplighter".to_owned(),
            data_dir: PathBuf::from(DATA_DIR),
        }
    }
}

impl Default for Sip {
    fn default() -> Self {
        let listen = |transport| SipListen {
            transport,
            address: unplaced("0.0.0.0:5060".to_owned()),
            advertise: None,
        };
        let product = unplaced("Lamplighter".to_owned());
        Self {
            product,
            listen: vec![listen(TransportKind::Udp), listen(TransportKind::Tcp)],
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: vec![unplaced("127.0.0.1:8080".to_owned())],
            connections: unplaced(1024),
            connections_per_address: unplaced(128),
            control_socket: None,
        }
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self {
            rate: 10,
            burst: unplaced(100),
        }
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            nonce_life: unplaced(Interval::from_secs(7200)),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            subscriptions: unplaced(2_000_000),
            subscriptions_per_flow_home: 1_000,
            subscriptions_per_phone: unplaced(2_000),
            presentities: unplaced(1_000_000),
            publications_per_presentity: unplaced(64),
            calls_per_presentity: unplaced(50),
            body: unplaced(Octets(64 << 10)),
            response_ring: unplaced(Octets(32 << 20)),
            nonces: unplaced(65_536),
            notifies_per_turn: unplaced(256),
            segment: unplaced(Octets(1400)),
            expiry_grace: Interval::from_secs(32),
            probation: unplaced(Interval::from_secs(30)),
            connections: unplaced(32_768),
            connections_per_address: unplaced(1024),
            idle_connection: unplaced(Interval::from_secs(600)),
        }
    }
}

/// The default data directory.
const DATA_DIR: &str = "/var/lib/lamplighter";

/// The control socket that goes with it.
pub(crate) const CONTROL_SOCKET: &str = "/run/lamplighter/control.sock";

impl Config {
    /// Reads a text. What only the whole file shows is not checked yet, see
    /// [`crate::config::Plan::new`].
    ///
    /// # Errors
    /// The first key or value that is not understood.
    pub fn parse(source: &Source) -> Result<Self, Complaints> {
        toml::from_str(&source.text).map_err(|error| from_parser(&error, source))
    }

    /// The socket of the operator's commands: as given; else `control.sock` in the data directory;
    /// else, with the default data directory, in `/run/lamplighter`.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        match &self.http.control_socket {
            Some(path) => path.clone(),
            None if self.node.data_dir == Path::new(DATA_DIR) => PathBuf::from(CONTROL_SOCKET),
            None => self.node.data_dir.join("control.sock"),
        }
    }

    /// The sections in which `new` differs and that only a restart can apply: all but domains and
    /// what is of them, and profiles.
    #[must_use]
    pub fn needs_restart(&self, new: &Self) -> Vec<&'static str> {
        let sections = [
            ("[node]", self.node != new.node),
            ("[cores]", self.cores != new.cores),
            ("[sip]", self.sip != new.sip),
            ("[http]", self.http != new.http),
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
