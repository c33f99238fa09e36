//! What we demand of the servers and phones that we connect to by TLS, and what we show them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::SingleCertAndKey;
use rustls::{
    CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};

use crate::tls::certificate::{Certificate, chain};
use crate::tls::error::TlsError;
use crate::tls::{identity, provider};

/// Where systems keep the authorities that they trust: Debian and Alpine, Fedora, openSUSE.
const SYSTEM_FILES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];
/// Sessions that are remembered to shorten the next handshake; the oldest is forgotten first.
const SESSIONS_MAX: usize = 1024;

/// The authorities that we trust, and our certificate.
#[derive(Clone)]
pub struct TlsClient {
    /// Our certificate, for peers that ask for one.
    pub certificate: Option<Certificate>,
    /// The file of the authorities; None if the system has none.
    pub authorities: Option<PathBuf>,
    config: Arc<ClientConfig>,
    web: Arc<ClientConfig>,
}

impl TlsClient {
    /// Trusts the authorities in that file; without one those of the system.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn new(
        authorities: Option<&Path>,
        certificate: Option<Certificate>,
    ) -> Result<Self, TlsError> {
        let (file, roots) = match authorities {
            Some(file) => (Some(file), roots(file)?),
            None => system_roots(),
        };
        let provider = provider();
        let verifier = SipVerifier {
            roots: Arc::clone(&roots),
            provider: Arc::clone(&provider),
        };
        let builder = || {
            ClientConfig::builder_with_provider(Arc::clone(&provider))
                .with_safe_default_protocol_versions()
        };
        let sip = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let web = builder()?.with_root_certificates(roots);
        Ok(Self {
            config: config(sip, certificate.as_ref()),
            web: config(web, certificate.as_ref()),
            certificate,
            authorities: file.map(Path::to_owned),
        })
    }

    /// What a handshake with a server of the web is made with: a name in its certificate may have a wildcard
    /// (RFC 9525 §6.3).
    #[must_use]
    pub fn web_config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.web)
    }

    /// What a handshake is made with.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }
}

/// With our certificate, if there is one.
fn config(
    verifying: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: Option<&Certificate>,
) -> Arc<ClientConfig> {
    let mut config = match certificate {
        Some(own) => {
            let own = SingleCertAndKey::from(own.key());
            verifying.with_client_cert_resolver(Arc::new(own))
        }
        None => verifying.with_no_client_auth(),
    };
    config.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);
    Arc::new(config)
}

/// The authorities in a file that the operator names.
fn roots(file: &Path) -> Result<Arc<RootCertStore>, TlsError> {
    let mut roots = RootCertStore::empty();
    for authority in chain(file)? {
        let added = roots.add(authority);
        added.map_err(|_| TlsError::UnusableAuthority(file.to_owned()))?;
    }
    Ok(Arc::new(roots))
}

/// Those of the system, of which some may be useless, and their file.
fn system_roots() -> (Option<&'static Path>, Arc<RootCertStore>) {
    let mut files = SYSTEM_FILES.iter().map(Path::new);
    let file = files.find(|file| file.is_file());
    let found = file.and_then(|file| chain(file).ok());
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.unwrap_or_default());
    (file, Arc::new(roots))
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let own = self.certificate.as_ref().map(|own| &own.path);
        let mut shown = formatter.debug_struct("TlsClient");
        shown.field("authorities", &self.authorities);
        shown.field("certificate", &own).finish_non_exhaustive()
    }
}

/// Verifies certificates of SIP domains: issued by an authority that we trust, valid now, and for the
/// domain that we asked for (RFC 5922 §7).
#[derive(Debug)]
struct SipVerifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for SipVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        match identity::is_for(end_entity, server_name) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::NotValidForName.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
