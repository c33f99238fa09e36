//! An authority of the tests, the certificates that it issues, and clients that trust it.

#![allow(dead_code, reason = "each test uses a part of it")]

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    SanType,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS12;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

pub(crate) struct Authority {
    pub(crate) certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key in PEM.
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// What a client demands and offers.
#[derive(Default)]
pub(crate) struct Client<'a> {
    pub(crate) certificate: Option<&'a Issued>,
    pub(crate) is_old: bool,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(parameters, key);
        Self {
            certificate,
            issuer,
        }
    }

    /// A certificate for hosts, or for users: `sip:1@a.example`.
    pub(crate) fn issue(&self, names: &[&str]) -> Issued {
        let (users, hosts): (Vec<&str>, Vec<&str>) =
            names.iter().partition(|name| name.starts_with("sip:"));
        let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
        let mut parameters = CertificateParams::new(hosts).unwrap();
        let users = users.into_iter();
        let users = users.map(|user| SanType::URI(user.try_into().unwrap()));
        parameters.subject_alt_names.extend(users);
        parameters.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        roots.add(certificate.unwrap()).unwrap();
        roots
    }

    /// A server that demands a certificate of this authority, with a certificate of any.
    pub(crate) fn server(&self, issued: &Issued) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let roots = Arc::new(self.roots());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
        let own = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.unwrap())
            .with_single_cert(vec![own.unwrap()], key.unwrap());
        Arc::new(config.unwrap())
    }

    /// A client that trusts this authority alone.
    pub(crate) fn client(&self, client: &Client<'_>) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config = match client.is_old {
            true => config.with_protocol_versions(&[&TLS12]).unwrap(),
            false => config.with_safe_default_protocol_versions().unwrap(),
        };
        let config = config.with_root_certificates(self.roots());
        Arc::new(match client.certificate {
            None => config.with_no_client_auth(),
            Some(issued) => {
                let own = CertificateDer::from_pem_slice(issued.certificate.as_bytes());
                let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes());
                let config = config.with_client_auth_cert(vec![own.unwrap()], key.unwrap());
                config.unwrap()
            }
        })
    }
}

impl Issued {
    /// Writes `name.pem` and `name.key`.
    pub(crate) fn write(&self, folder: &Path, name: &str) {
        fs::write(folder.join(format!("{name}.pem")), &self.certificate).unwrap();
        let key = folder.join(format!("{name}.key"));
        fs::write(&key, &self.key).unwrap();
        fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    }
}

pub(crate) type Tls = StreamOwned<ClientConnection, TcpStream>;

/// How long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection, handshake done; or why not.
pub(crate) fn connect(
    address: &str,
    host: &str,
    config: &Arc<ClientConfig>,
) -> Result<Tls, std::io::Error> {
    over(TcpStream::connect(address)?, host, config)
}

/// TLS over a TCP connection, handshake done; or why not.
pub(crate) fn over(
    tcp: TcpStream,
    host: &str,
    config: &Arc<ClientConfig>,
) -> Result<Tls, std::io::Error> {
    tcp.set_read_timeout(Some(PATIENCE))?;
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut tls = StreamOwned::new(session, tcp);
    while tls.conn.is_handshaking() {
        tls.conn.complete_io(&mut tls.sock)?;
    }
    Ok(tls)
}
