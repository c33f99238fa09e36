//! A certificate with its key, as read from their files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::SignatureScheme;
use rustls::crypto::ring::sign;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use webpki::EndEntityCert;

use crate::tls::error::TlsError;
use crate::tls::{file, validity};

/// The chain of a certificate, its key, and what is known of it.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The file.
    pub path: PathBuf,
    /// The names of the hosts that it is for, in lower case; `*.` for every host of a domain.
    pub hosts: Vec<String>,
    /// From when it is valid.
    pub not_before: SystemTime,
    /// Until when it is valid.
    pub not_after: SystemTime,
    key: Arc<CertifiedKey>,
}

impl Certificate {
    /// Reads a certificate, with those that vouch for it, and its key.
    ///
    /// # Errors
    /// Either of them cannot be used, or they do not belong together.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let chain = chain(certificate)?;
        let damaged = || TlsError::DamagedCertificate(certificate.to_owned());
        let own = chain.first().ok_or_else(damaged)?;
        let (not_before, not_after) = validity::of(own).ok_or_else(damaged)?;
        let names = EndEntityCert::try_from(own).map_err(|_| damaged())?;
        let hosts = names.valid_dns_names().map(str::to_ascii_lowercase);
        let hosts = hosts.collect();
        let signer = signer(key)?;
        let signing = CertifiedKey::new(chain, signer);
        signing.keys_match().map_err(|_| TlsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        })?;
        Ok(Self {
            path: certificate.to_owned(),
            hosts,
            not_before,
            not_after,
            key: Arc::new(signing),
        })
    }

    /// Whether it is for a host of that name.
    pub(super) fn is_for(&self, host: &str) -> bool {
        self.hosts.iter().any(|known| is_named(known, host))
    }

    /// Whether a client with these schemes understands its signature.
    pub(super) fn is_understood(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }

    /// What is presented in a handshake.
    pub(super) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
}

/// Whether a name in a certificate stands for that host: itself, or any host of its domain (RFC 6125
/// §6.4.3).
fn is_named(known: &str, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    match known.strip_prefix("*.") {
        Some(domain) => host
            .split_once('.')
            .is_some_and(|(_, of)| of.eq_ignore_ascii_case(domain)),
        None => known.eq_ignore_ascii_case(host),
    }
}

/// The certificates in a file.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let octets = file::read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&octets).collect();
    match found {
        Ok(found) if found.is_empty() => Err(TlsError::NoCertificate(path.to_owned())),
        Ok(found) => Ok(found),
        Err(_) => Err(TlsError::DamagedCertificate(path.to_owned())),
    }
}

fn signer(path: &Path) -> Result<Arc<dyn rustls::sign::SigningKey>, TlsError> {
    let octets = file::read_secret(path)?;
    let key = PrivateKeyDer::from_pem_slice(&octets);
    let key = key.map_err(|_| TlsError::NoKey(path.to_owned()))?;
    sign::any_supported_type(&key).map_err(|_| TlsError::UnknownKey(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(is_named("sip.a.example", "SIP.a.example."));
        assert!(is_named("*.a.example", "sip.A.example"));
        assert!(!is_named("*.a.example", "a.example"));
        assert!(!is_named("*.a.example", "x.sip.a.example"));
        assert!(!is_named("sip.a.example", "a.example"));
    }
}
