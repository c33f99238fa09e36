//! The certificates of a listener, and which of them a client is shown.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::Ticketer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};

use crate::tls::certificate::{Certificate, chain};
use crate::tls::error::TlsError;
use crate::tls::provider;

/// Tickets that a client gets after a handshake, to shorten its next one.
const TICKETS: usize = 1;

/// The certificates of a listener with their keys, and the authority of the certificates that clients need.
#[derive(Clone)]
pub struct Keyring {
    /// The certificates; the first is for clients that name no host, or an unknown one.
    pub certificates: Arc<[Certificate]>,
    config: Arc<ServerConfig>,
}

impl Keyring {
    /// A listener with these certificates, for one of these protocols, the most preferred first (ALPN, RFC
    /// 7301); none if there is nothing to choose. With the file of an authority, only clients with a
    /// certificate that it issued are served.
    ///
    /// # Errors
    /// The authority cannot be used.
    pub fn new(
        certificates: Vec<Certificate>,
        protocols: &[&[u8]],
        client_authority: Option<&Path>,
    ) -> Result<Self, TlsError> {
        let certificates: Arc<[Certificate]> = certificates.into();
        let verifier = match client_authority {
            Some(path) => verifier(path)?,
            None => Arc::new(NoClientAuth),
        };
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(ByName(Arc::clone(&certificates))));
        // Sessions are resumed by tickets, which every shard can read and none has to remember. Their
        // key is that of this keyring: no ticket outlives a change of the authority of clients.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Ticketer::new()?;
        config.send_tls13_tickets = TICKETS;
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Self {
            certificates,
            config: Arc::new(config),
        })
    }

    /// What a handshake is made with.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = self.certificates.iter().map(|one| &one.path);
        formatter.debug_list().entries(paths).finish()
    }
}

/// Demands a certificate that an authority of that file issued.
fn verifier(path: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let unusable = || TlsError::UnusableAuthority(path.to_owned());
    let mut roots = RootCertStore::empty();
    for authority in chain(path)? {
        roots.add(authority).map_err(|_| unusable())?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    verifier.build().map_err(|_| unusable())
}

/// Chooses by the host that a client names (RFC 6066 §3) and the signatures that it understands.
#[derive(Debug)]
struct ByName(Arc<[Certificate]>);

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let mut usable = self.0.iter().filter(|one| one.is_understood(schemes));
        let named = |one: &&Certificate| hello.server_name().is_some_and(|host| one.is_for(host));
        let found = usable.clone().find(named).or_else(|| usable.next());
        found.map(Certificate::key)
    }
}
