//! The header by which a proxy says whose connection it forwards: read before anything else, a handshake
//! too, and within the time and the number of handshakes.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::net::stream::StreamTransport;
use crate::net::stream::handshakes::HandshakeFault;
use crate::net::stream::proxy_protocol;
use crate::net::stream::proxy_protocol::Header;
use crate::runtime::core::Core;

/// The peer of a connection that a proxy forwards; the proxy itself, if it speaks for itself.
///
/// # Errors
/// It has no header, not in time, or too many headers are being read.
pub(crate) async fn peer_of(
    core: &Core,
    stream: &mut dyn StreamTransport,
) -> Result<SocketAddr, HandshakeFault> {
    let proxy = stream.peer_address().ip();
    let under_way = core.handshakes.begin(proxy, true)?;
    let mut octets = Vec::new();
    loop {
        match proxy_protocol::read(&octets) {
            Ok(Header::Whole(peer)) => return Ok(peer.unwrap_or_else(|| stream.peer_address())),
            Ok(Header::More(more)) => {
                read(stream, &mut octets, more, under_way.patience()?).await?
            }
            Err(_malformed) => {
                let why = io::Error::from(io::ErrorKind::InvalidData);
                return Err(HandshakeFault::Failed(why));
            }
        }
    }
}

/// Appends up to `more` octets, at least one.
async fn read(
    stream: &mut dyn StreamTransport,
    octets: &mut Vec<u8>,
    more: usize,
    patience: Duration,
) -> io::Result<()> {
    stream.set_read_timeout(Some(patience))?;
    let start = octets.len();
    octets.resize(start + more, 0);
    let room = octets.get_mut(start..).unwrap_or_default();
    let length = poll_fn(|context| stream.poll_preface(context, room)).await?;
    octets.truncate(start + length);
    match length {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}
