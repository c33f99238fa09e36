//! The certificates of peers, by stream: the names in them, which prove users and make peers trusted (RFC 5922
//! §7, W:A7.9).
//!
//! A stream is here from its handshake until it ends, and on every shard to which one of its requests was
//! forwarded, so there are at most as many as streams.

use std::collections::HashMap;
use std::sync::Arc;

use crate::shard::contract::flow::ConnectionId;

/// The names in the certificate of a peer, which was verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Its URIs; that of a SIP user is `sip:user@domain`.
    pub uris: Box<[Box<str>]>,
    /// The domains that it is for (RFC 5922 §7.1), in lower case.
    pub domains: Box<[Box<str>]>,
}

impl CertificateNames {
    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uris.is_empty() && self.domains.is_empty()
    }
}

/// The names in the certificate of each stream that has one.
#[derive(Debug, Default)]
pub(crate) struct Certificates(HashMap<ConnectionId, Arc<CertificateNames>>);

impl Certificates {
    /// The handshake of a stream has verified a certificate with these names.
    pub(crate) fn note(&mut self, connection: ConnectionId, names: Arc<CertificateNames>) {
        self.0.insert(connection, names);
    }

    /// A stream has ended.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }

    /// The names in the certificate of a stream.
    pub(crate) fn of(&self, connection: ConnectionId) -> Option<&Arc<CertificateNames>> {
        // Most nodes have none.
        (!self.0.is_empty())
            .then(|| self.0.get(&connection))
            .flatten()
    }
}
