//! Why a certificate cannot be used, and what to do about it.

use std::io;
use std::path::PathBuf;

/// A fault of a certificate, of its key, or of the authorities of clients.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {reason}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// A file holds no certificate.
    #[error("{} holds no certificate in PEM", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate is damaged.
    #[error("{} holds a certificate that is damaged", .0.display())]
    DamagedCertificate(PathBuf),
    /// A file holds no key.
    #[error("{} holds no private key in PEM", .0.display())]
    NoKey(PathBuf),
    /// A key is of a kind that is not supported, or damaged.
    #[error("the key in {} is not supported, or damaged", .0.display())]
    UnknownKey(PathBuf),
    /// Every user of the machine may read a key.
    #[error("every user of this machine may read the key {}", .0.display())]
    PublicKey(PathBuf),
    /// The key of another certificate.
    #[error("the key in {} is not that of the certificate in {}", .key.display(), .certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// An authority cannot be used to verify clients.
    #[error("{} cannot be used to verify certificates", .0.display())]
    UnusableAuthority(PathBuf),
    /// TLS itself refuses the settings.
    #[error("TLS cannot be served: {0}")]
    Refused(#[from] rustls::Error),
}

impl TlsError {
    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Unreadable { .. } => {
                "name an existing file that the server's user may read".to_owned()
            }
            Self::NoCertificate(_) | Self::DamagedCertificate(_) | Self::UnusableAuthority(_) => {
                "it has to contain \"-----BEGIN CERTIFICATE-----\"; a server's own comes first, then \
                 those that vouch for it"
                    .to_owned()
            }
            Self::NoKey(_) | Self::UnknownKey(_) => {
                "it has to contain an RSA, ECDSA or Ed25519 key without a password".to_owned()
            }
            Self::PublicKey(path) => format!("run `chmod o= {}`", path.display()),
            Self::Mismatch { .. } => {
                "write keys in the same order as their certificates".to_owned()
            }
            Self::Refused(_) => "use another certificate".to_owned(),
        }
    }
}
