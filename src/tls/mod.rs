//! TLS of the listeners: certificates with their keys, what is known of them, and what a handshake is
//! made with. No sockets: a transport of `net` feeds a session of rustls.
//!
//! Guarantees: TLS 1.2 and 1.3, nothing older. A key that other users of the machine may read is
//! refused, and so is a key that does not belong to its certificate. A [`SharedKeyring`] can be
//! replaced at any time: new handshakes use the new certificates, connections that are open go on.

mod certificate;
mod error;
mod file;
mod keyring;
mod self_signed;
mod validity;

pub use certificate::Certificate;
pub use error::TlsError;
pub use keyring::{Keyring, SharedKeyring};
pub use self_signed::{SelfSigned, self_signed};

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;

/// The implementation of all cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
