//! Connections to other systems by TLS.

use std::io;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tls::SharedTlsClient;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Encrypts a connection to a host, whose certificate must be of that name or address, and of an authority in force now.
pub(crate) async fn encrypt(
    stream: TcpStream,
    host: &str,
    tls: &SharedTlsClient,
) -> io::Result<TlsStream<TcpStream>> {
    let host = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let handshake = TlsConnector::from(tls.current().web_config()).connect(host, stream);
    let late = |_| Err(io::Error::other("no handshake in time"));
    timeout(PATIENCE, handshake).await.unwrap_or_else(late)
}
