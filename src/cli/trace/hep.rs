//! Sends what a trace shows to Homer: HEP version 3 over UDP, a packet for each message.
//!
//! A packet is `HEP3`, its length, and chunks: a vendor (0), a type, a length and a value each. Messages over
//! any stream are marked as TCP. HEP has no responses; what cannot be sent is counted.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::cli::trace::octets_in_ipv6;
use crate::cli::trace::sink::Sink;
use crate::net::source_address;
use crate::trace::{Entry, Event, Path};

/// Octets of a chunk before its value.
const CHUNK_HEAD: usize = 6;
/// The longest payload: a datagram with it is no longer than IPv4 allows.
const PAYLOAD_OCTETS_MAX: usize = 65_000;
/// The type of the payload.
const SIP: u8 = 1;

// Types of chunks.
const IP_FAMILY: u16 = 1;
const IP_PROTOCOL: u16 = 2;
const SOURCE_IPV4: u16 = 3;
const SOURCE_IPV6: u16 = 5;
const SOURCE_PORT: u16 = 7;
const DESTINATION_PORT: u16 = 8;
const SECONDS: u16 = 9;
const MICROSECONDS: u16 = 10;
const PROTOCOL: u16 = 11;
const CAPTURE_ID: u16 = 12;
const PAYLOAD: u16 = 15;

/// A sender of HEP.
#[derive(Debug)]
pub(super) struct Hep {
    socket: UdpSocket,
    capture_id: u32,
    /// Messages that could not be sent.
    unsent: u64,
}

impl Hep {
    /// To a server of Homer, as the capture agent with that number.
    pub(super) fn to(server: SocketAddr, capture_id: u32) -> io::Result<Self> {
        Ok(Self {
            socket: source_address::socket_towards(server)?,
            capture_id,
            unsent: 0,
        })
    }
}

impl Sink for Hep {
    fn take(&mut self, entry: &Entry) -> io::Result<()> {
        if let Event::Message {
            path,
            is_sent,
            octets,
        } = &entry.event
        {
            let at = entry.since_1970();
            let packet = packet(at, (path, *is_sent), (self.capture_id, octets));
            let is_sent = packet.is_some_and(|packet| self.socket.send(&packet).is_ok());
            self.unsent += u64::from(!is_sent);
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn remark(&self) -> Option<String> {
        let count = self.unsent;
        (count > 0).then(|| format!("{count} messages could not be sent to Homer"))
    }
}

/// A packet; None for a message that is too long for one.
fn packet(
    at: Duration,
    (path, is_sent): (&Path, bool),
    (capture_id, payload): (u32, &[u8]),
) -> Option<Vec<u8>> {
    if payload.len() > PAYLOAD_OCTETS_MAX {
        return None;
    }
    let [source, destination] = path.ends(is_sent);
    let protocol = if path.transport.is_reliable() { 6 } else { 17 };
    let mut chunks = Vec::with_capacity(128 + payload.len());
    add_addresses(&mut chunks, (source.ip(), destination.ip()));
    add(&mut chunks, IP_PROTOCOL, &[protocol]);
    add(&mut chunks, SOURCE_PORT, &source.port().to_be_bytes());
    add(
        &mut chunks,
        DESTINATION_PORT,
        &destination.port().to_be_bytes(),
    );
    add(&mut chunks, SECONDS, &(at.as_secs() as u32).to_be_bytes());
    add(&mut chunks, MICROSECONDS, &at.subsec_micros().to_be_bytes());
    add(&mut chunks, PROTOCOL, &[SIP]);
    add(&mut chunks, CAPTURE_ID, &capture_id.to_be_bytes());
    add(&mut chunks, PAYLOAD, payload);
    let length = u16::try_from(CHUNK_HEAD + chunks.len()).ok()?;
    Some([b"HEP3", &length.to_be_bytes()[..], &chunks].concat())
}

fn add_addresses(chunks: &mut Vec<u8>, ends: (IpAddr, IpAddr)) {
    // The numbers of the families are those of Linux.
    match ends {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            add(chunks, IP_FAMILY, &[2]);
            add(chunks, SOURCE_IPV4, &source.octets());
            add(chunks, SOURCE_IPV4 + 1, &destination.octets());
        }
        (source, destination) => {
            add(chunks, IP_FAMILY, &[10]);
            for (chunk, end) in [(SOURCE_IPV6, source), (SOURCE_IPV6 + 1, destination)] {
                add(chunks, chunk, &octets_in_ipv6(end));
            }
        }
    }
}

fn add(chunks: &mut Vec<u8>, chunk: u16, value: &[u8]) {
    chunks.extend([0, 0]);
    chunks.extend(chunk.to_be_bytes());
    chunks.extend(((CHUNK_HEAD + value.len()) as u16).to_be_bytes());
    chunks.extend(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Transport;

    #[test]
    fn a_packet_is_chunks_with_lengths() {
        let end = |text: &str| text.parse().expect("an address");
        let path = Path {
            transport: Transport::Tls,
            connection: 1,
            local: end("[2001:db8::1]:5061"),
            peer: end("[2001:db8::2]:1024"),
        };
        let at = Duration::new(258, 515_000);
        let packet = packet(at, (&path, false), (7, b"OK")).expect("short enough");
        let local = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[1]].concat();
        let peer = [&[0x20, 1, 0x0d, 0xb8][..], &[0; 11], &[2]].concat();
        let expected = [
            b"HEP3\x00\x7d",
            &[0, 0, 0, 1, 0, 7, 10][..],
            &[0, 0, 0, 5, 0, 22],
            &peer,
            &[0, 0, 0, 6, 0, 22],
            &local,
            &[0, 0, 0, 2, 0, 7, 6],
            &[0, 0, 0, 7, 0, 8, 4, 0],
            &[0, 0, 0, 8, 0, 8, 0x13, 0xc5],
            &[0, 0, 0, 9, 0, 10, 0, 0, 1, 2],
            &[0, 0, 0, 10, 0, 10, 0, 0, 2, 3],
            &[0, 0, 0, 11, 0, 7, 1],
            &[0, 0, 0, 12, 0, 10, 0, 0, 0, 7],
            &[0, 0, 0, 15, 0, 8, b'O', b'K'],
        ]
        .concat();
        assert_eq!(packet, expected);
        let long = vec![0; PAYLOAD_OCTETS_MAX + 1];
        assert!(super::packet(at, (&path, true), (7, &long)).is_none());
    }
}
