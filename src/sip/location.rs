//! Where a SIP server is (RFC 3263): what has to be found out, and what was. Who asks name servers is
//! not here.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::sip::Transport;

/// A host by name, and what is known beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name, in lower case, without a dot at its end.
    pub host: Arc<str>,
    /// The port that the URI names. With one, only addresses are looked up.
    pub port: Option<u16>,
    /// The transport that the URI names.
    pub transport: Option<Transport>,
    /// Whether only transports that encrypt may be used (`sips:`).
    pub is_secure: bool,
    /// Which addresses are of use.
    pub family: Family,
}

/// Which addresses are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Either, IPv6 first.
    Both,
}

/// Where a server may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// By which transport.
    pub transport: Transport,
    /// At which address.
    pub address: SocketAddr,
}

impl Family {
    /// That of an address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// Whether IPv4 addresses are of use.
    #[must_use]
    pub const fn has_v4(self) -> bool {
        !matches!(self, Self::V6)
    }

    /// Whether IPv6 addresses are of use.
    #[must_use]
    pub const fn has_v6(self) -> bool {
        !matches!(self, Self::V4)
    }
}
