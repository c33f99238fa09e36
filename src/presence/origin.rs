//! Origins: which system a contribution came from, so that the system is not told what it said itself (W:D1.16).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::presence::fixed_hash::SipHash13;

/// The system that a contribution came from, as a hash of its name in the configuration: a connector, an
/// account (`pbx@abc.com`), a token or feed of the HTTP API, or an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin(u64);

impl Origin {
    /// All sources that are told nothing.
    #[must_use]
    pub fn own() -> Self {
        Self::of("")
    }

    /// The system with that name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        Self(SipHash13::of(name.as_bytes()))
    }

    /// As the publisher of what the system reports.
    pub(crate) const fn publisher(self) -> u64 {
        self.0
    }

    /// The system at that address.
    #[must_use]
    pub fn of_address(address: IpAddr) -> Self {
        Self::of(&address.to_canonical().to_string())
    }
}
