//! The certificates of peers, by stream: which users they prove (RFC 5922 §7, W:A7.9).
//!
//! A stream is here from its handshake until it ends, and on every shard to which one of its requests was
//! forwarded, so there are at most as many as streams.

use std::collections::HashMap;
use std::sync::Arc;

use crate::directory::{Directory, Domain};
use crate::presence::Aor;
use crate::shard::contract::flow::ConnectionId;
use crate::shard::request::Request;
use crate::shard::request::headers::address_of_record;

/// The URIs in the certificate of each stream that has one.
#[derive(Debug, Default)]
pub(crate) struct Certificates(HashMap<ConnectionId, Arc<[Box<str>]>>);

impl Certificates {
    /// The handshake of a stream has verified a certificate with these URIs.
    pub(crate) fn note(&mut self, connection: ConnectionId, uris: Arc<[Box<str>]>) {
        self.0.insert(connection, uris);
    }

    /// A stream has ended.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.0.remove(&connection);
    }

    /// The URIs in the certificate of a stream.
    pub(crate) fn of(&self, connection: ConnectionId) -> Option<&Arc<[Box<str>]>> {
        // Most nodes have none.
        (!self.0.is_empty())
            .then(|| self.0.get(&connection))
            .flatten()
    }

    /// The user of a domain, by its account, that the certificate of a request's stream proves: the one in
    /// From if it is among several.
    pub(super) fn user_of(
        &self,
        request: &Request<'_>,
        domain: &Domain,
        directory: &Directory,
    ) -> Option<String> {
        let uris = self.of(request.flow.connection)?;
        let is_account =
            |aor: &Aor| aor.domain() == domain.name && directory.account(aor.as_str()).is_some();
        let users = || {
            let aors = uris.iter();
            let aors = aors.filter_map(|uri| address_of_record(uri.as_bytes(), directory));
            aors.filter(is_account)
        };
        let from = request.message.from();
        let from = from.and_then(|from| address_of_record(from.uri, directory));
        let named = users().find(|aor| from.as_ref() == Some(aor));
        let user = named.or_else(|| users().next())?;
        Some(user.user().to_owned())
    }
}
