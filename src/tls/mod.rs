//! TLS of the listeners, and of the connections that we open: certificates with their keys, what is
//! known of them, the authorities that we trust, and what a handshake is made with. No sockets: a transport of `net`
//! feeds a session of rustls.
//!
//! Guarantees: TLS 1.2 and 1.3, nothing older. A key that other users of the machine may read is
//! refused, and so is a key that does not belong to its certificate. What is [`Shared`] can
//! be replaced at any time: new handshakes use the new certificates, connections that are open go on.

mod certificate;
mod client;
mod error;
mod file;
mod identity;
mod keyring;
mod self_signed;
mod shared;
mod validity;

pub use certificate::Certificate;
pub use client::TlsClient;
pub use error::TlsError;
pub use identity::{domains_of, uris_of};
pub use keyring::Keyring;
pub use self_signed::{SelfSigned, self_signed};
pub use shared::Shared;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;

/// The certificates of a listener, in force.
pub type SharedKeyring = Shared<Keyring>;
/// How we connect by TLS, in force.
pub type SharedTlsClient = Shared<TlsClient>;
/// HTTP/2, as ALPN names it.
pub const HTTP_2: &[u8] = b"h2";
/// HTTP/1.1, as ALPN names it.
pub const HTTP_1_1: &[u8] = b"http/1.1";

/// The implementation of all cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
