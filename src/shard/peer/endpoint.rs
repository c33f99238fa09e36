//! Where a peer listens for streams, as its URI says: an address, or a name.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::sip::Transport;
use crate::sip::location::{Family, Question};

/// Where a peer listens for streams.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Endpoint {
    pub(crate) transport: Transport,
    pub(crate) place: Place,
}

/// Its address or its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Address(SocketAddr),
    Name {
        /// In lower case.
        host: Arc<str>,
        port: Option<u16>,
        /// The address that the SUBSCRIBE came from, with port 0, if it is not trusted: the only one that
        /// the name may stand for. Otherwise it may stand for any that is trusted.
        only: Option<SocketAddr>,
    },
}

impl Endpoint {
    /// What is to be looked up, of which addresses like `local` are of use; None for an address.
    pub(crate) fn question(&self, local: &SocketAddr) -> Option<Question> {
        let Place::Name { host, port, .. } = &self.place else {
            return None;
        };
        Some(Question {
            host: Arc::clone(host),
            port: *port,
            transport: Some(self.transport),
            is_secure: self.transport.is_secure(),
            family: Family::of(local),
        })
    }

    /// Its name.
    pub(crate) fn host(&self) -> Option<&Arc<str>> {
        match &self.place {
            Place::Address(_) => None,
            Place::Name { host, .. } => Some(host),
        }
    }
}
