//! Finds SIP servers by name (RFC 3263): which transport, port and addresses a name stands for.
//!
//! - `locate`: the steps, from NAPTR over SRV to addresses. They ask through an interface.
//! - `srv_order`: in which order the servers of a name are tried.
//! - `name_servers`: asks name servers, and keeps what they say as long as they allow.
//!
//! Guarantees: an answer has at most [`LOCATIONS_MAX`] locations. What name servers say is kept within
//! the bounds of [`Options`], that there is no record too. Nothing here decides whether an address may
//! be used: who asks does (W:E2.5).

mod locate;
mod name_servers;
mod srv_order;

pub use locate::{LOCATIONS_MAX, Records, Rule, locate};
pub use name_servers::NameServers;
pub use srv_order::Server;

use std::net::SocketAddr;
use std::time::Duration;

/// How names are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// The name servers; none for those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long a server may take to answer before the next one is asked.
    pub timeout: Duration,
    /// How long an answer is kept at least, whatever it says.
    pub ttl_min: Duration,
    /// How long at most.
    pub ttl_max: Duration,
    /// How long it is kept at most that there is no answer.
    pub negative_ttl_max: Duration,
    /// Names that are looked up at once; one more is not looked up.
    pub lookups_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            ttl_min: Duration::from_secs(5),
            ttl_max: Duration::from_secs(3600),
            negative_ttl_max: Duration::from_secs(60),
            lookups_max: 256,
        }
    }
}

/// Why a name stands for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Name servers say that it has no address.
    #[error("no name server knows an address for it")]
    Unknown,
    /// No name server answered.
    #[error("no name server answers")]
    Unanswered,
    /// Too many names are being looked up.
    #[error("too many names are being looked up")]
    TooMany,
}
