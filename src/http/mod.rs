//! HTTP on a core of its own: `call_state.htm` (W:D1), parked calls for phones (W:C11), health, metrics,
//! the API, the dashboard, and the operator's questions and commands on a Unix socket.
//!
//! ```text
//! server: listener ─► connection ─► dispatch ─► routes ─► a handler: call_state | parks | monitor | control | dashboard
//!                                       ▲  │                                                    │
//!                                       │  └───► api: operations below /api/v1, events          │
//!                                       └───── representation: a value as text or JSON ◄────────┘
//! ```
//! To add an endpoint, add a row to `routes` and a handler next to similar ones; for a new kind of
//! result, also add a type to `representation`.
//!
//! Guarantees: query strings, passwords and called numbers reach no log and no public response;
//! nothing a client does holds a connection longer than the times in `server::connection`;
//! connections, heads, bodies and what HTTP/2 adds to them have maxima. HTTP is hyper's; the sockets are
//! glommio's, and TLS is that of `net`, as for SIP. It reaches the shards only through `Engine`.

mod api;
mod attempts;
pub mod call_state;
mod change_counters;
mod connections;
mod control;
mod credentials;
mod dashboard;
mod directory;
pub mod engine;
mod events;
pub mod facts;
mod failed_attempts;
mod monitor;
mod parks;
mod representation;
mod routes;
mod server;
mod site;
mod transport_counters;
mod verified_passwords;

pub use connections::SPARE_CONNECTIONS;
pub use directory::SharedDirectory;
pub use engine::{Engine, Reloaded, StoreReport, Unavailable};
pub use facts::Facts;
pub(crate) use representation::{COLUMNS_HEADER, visible};

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::changes::ChangeFeed;
use crate::http::attempts::Attempts;
use crate::http::change_counters::ChangeCounters;
use crate::http::connections::Connections;
use crate::http::server::Listening;
use crate::http::site::{CallNumbers, Endpoint, Site};
use crate::http::transport_counters::TransportCounters;
use crate::http::verified_passwords::VerifiedPasswords;
use crate::net::HandshakeLimits;
use crate::net::connection_limits::ConnectionLimits;
use crate::net::stream::handshakes::Handshakes;
use crate::shard::contract::overload_options::OverloadOptions;
use crate::sip::digest::Secret;
use crate::telemetry::durations::Durations;
use crate::tls::SharedKeyring;

/// Connections at the operator's socket.
const CONTROL_CONNECTIONS: ConnectionLimits = ConnectionLimits {
    connections_max: 32,
    per_address_max: 32,
};

/// Octets read from a connection at once.
const SCRATCH_OCTETS: usize = 16 << 10;

/// What the HTTP core serves.
#[derive(Debug)]
pub struct HttpPlan<E> {
    /// The bound and listening public sockets, with the certificates of those that are encrypted.
    pub listeners: Vec<(std::net::TcpListener, Option<SharedKeyring>)>,
    /// The bound and listening socket of the operator's commands.
    pub control: Option<std::os::unix::net::UnixListener>,
    /// How many connections there may be at the public sockets, and as many at the operator's.
    pub connections: ConnectionLimits,
    /// The handshakes of TLS.
    pub handshakes: HandshakeLimits,
    /// The shards.
    pub engine: E,
    /// Domains and accounts.
    pub directory: SharedDirectory,
    /// Changes of composed state, from the shards.
    pub changes: ChangeFeed,
    /// Where the node listens, and since when.
    pub facts: Facts,
    /// Lockout limits and exempt addresses.
    pub shield: OverloadOptions,
    /// Start of the call-id counter; random, so that ids do not collide with those of the previous
    /// process.
    pub first_call_number: u64,
    /// A random key for what is remembered of passwords.
    pub password_key: [u8; 32],
}

/// Serves until `stopped`, and answers the requests that are under way then. Must be called on a glommio executor.
pub async fn serve<E: Engine>(plan: HttpPlan<E>, stopped: impl Future<Output = ()>) {
    let site = Rc::new(Site {
        public: Connections::new(plan.connections),
        control: Connections::new(CONTROL_CONNECTIONS),
        engine: plan.engine,
        directory: plan.directory,
        changes: plan.changes,
        events: Rc::default(),
        facts: plan.facts,
        decoy: Secret::new("nobody", "invalid", ""),
        attempts: Attempts::new(plan.shield),
        passwords: VerifiedPasswords::new(plan.password_key),
        call_numbers: CallNumbers::new(plan.first_call_number),
        handshakes: Handshakes::new(plan.handshakes),
        counters: TransportCounters::default(),
        call_state_durations: Durations::default(),
        change_counters: ChangeCounters::default(),
        scratch: RefCell::new(vec![0; SCRATCH_OCTETS].into()),
    });
    let public = plan.listeners.into_iter();
    let public = public.map(|(socket, keyring)| {
        let endpoint = Endpoint::Public;
        (Listening { endpoint, keyring }, OwnedFd::from(socket))
    });
    let control = plan.control.into_iter().map(|socket| {
        let (endpoint, keyring) = (Endpoint::Control, None);
        (Listening { endpoint, keyring }, OwnedFd::from(socket))
    });
    let events = glommio::spawn_local(api::log_changes(Rc::clone(&site)));
    server::serve(public.chain(control), site, stopped).await;
    events.cancel().await;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
