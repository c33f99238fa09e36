//! A capture file (pcap, [draft-ietf-opsawg-pcap]) of what a trace shows, with headers made up for each
//! message: Ethernet, IP, and UDP or TCP.
//!
//! Messages over TCP and TLS are TCP segments with consecutive sequence numbers in each direction, but without
//! a handshake; those of TLS are not encrypted here. Messages over WebSocket, secure or not, are datagrams,
//! because a reader of the capture could not follow their stream without its frames. Checksums are right.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io;
use std::io::{BufWriter, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path as FilePath;
use std::time::Duration;

use crate::cli::trace::octets_in_ipv6;
use crate::cli::trace::sink::Sink;
use crate::sip::Transport;
use crate::trace::{Entry, Event, Path};

/// Little-endian, with times in microseconds.
const MAGIC: u32 = 0xa1b2_c3d4;
/// Frames begin with a header of Ethernet.
const LINK_TYPE: u32 = 1;
/// The longest frame.
const FRAME_OCTETS_MAX: u32 = 262_144;
/// The longest part of a message in one packet: with its headers it fits the length field of IPv4.
const PART_OCTETS_MAX: usize = 65_000;
/// Locally administered addresses of the server and of all peers.
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]];
const UDP: u8 = 17;
const TCP: u8 = 6;

/// Writes a capture.
pub(super) struct Capture {
    out: BufWriter<Box<dyn Write>>,
    /// The next sequence numbers of each stream, to the server and from it.
    streams: HashMap<(u64, SocketAddr), [u32; 2]>,
    /// Messages that are too long for a datagram.
    too_long: u64,
}

/// The two ends of a packet.
#[derive(Clone, Copy, Debug)]
struct Ends {
    from: SocketAddr,
    to: SocketAddr,
}

impl Capture {
    /// Begins a file that only its owner may read.
    pub(super) fn create(file: &FilePath) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        Self::new(Box::new(options.open(file)?))
    }

    /// Begins a capture.
    pub(super) fn new(out: Box<dyn Write>) -> io::Result<Self> {
        let mut out = BufWriter::new(out);
        out.write_all(&MAGIC.to_le_bytes())?;
        for version in [2u16, 4] {
            out.write_all(&version.to_le_bytes())?;
        }
        for number in [0, 0, FRAME_OCTETS_MAX, LINK_TYPE] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.flush()?;
        Ok(Self {
            out,
            streams: HashMap::new(),
            too_long: 0,
        })
    }

    fn message(
        &mut self,
        at: Duration,
        (path, is_sent): (&Path, bool),
        octets: &[u8],
    ) -> io::Result<()> {
        let [from, to] = path.ends(is_sent);
        let ends = Ends { from, to };
        if !matches!(path.transport, Transport::Tcp | Transport::Tls) {
            if octets.len() > PART_OCTETS_MAX {
                self.too_long += 1;
                return Ok(());
            }
            return self.packet(at, (ends, is_sent), (UDP, &ends.datagram(octets)));
        }
        for part in octets.chunks(PART_OCTETS_MAX) {
            let stream = (path.connection, path.peer);
            let next = self.streams.entry(stream).or_insert([1, 1]);
            let (sent, received) = (next[usize::from(is_sent)], next[usize::from(!is_sent)]);
            next[usize::from(is_sent)] = sent.wrapping_add(part.len() as u32);
            let segment = ends.segment((sent, received), part);
            self.packet(at, (ends, is_sent), (TCP, &segment))?;
        }
        Ok(())
    }

    /// Writes a packet of IP.
    fn packet(
        &mut self,
        at: Duration,
        (ends, is_sent): (Ends, bool),
        (protocol, content): (u8, &[u8]),
    ) -> io::Result<()> {
        let (header, ether_type) = ends.ip_header(protocol, content.len());
        let length = (14 + header.len() + content.len()) as u32;
        for number in [at.as_secs() as u32, at.subsec_micros(), length, length] {
            self.out.write_all(&number.to_le_bytes())?;
        }
        let [to, from] = if is_sent { [MACS[1], MACS[0]] } else { MACS };
        self.out.write_all(&to)?;
        self.out.write_all(&from)?;
        self.out.write_all(&ether_type.to_be_bytes())?;
        self.out.write_all(&header)?;
        self.out.write_all(content)
    }
}

impl Sink for Capture {
    fn take(&mut self, entry: &Entry) -> io::Result<()> {
        match &entry.event {
            Event::Message {
                path,
                is_sent,
                octets,
            } => self.message(entry.since_1970(), (path, *is_sent), octets),
            Event::Note(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn remark(&self) -> Option<String> {
        let count = self.too_long;
        (count > 0).then(|| format!("{count} messages are too long for the capture"))
    }
}

impl Ends {
    /// The IP header, and its EtherType.
    fn ip_header(self, protocol: u8, content: usize) -> (Vec<u8>, u16) {
        match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let length = ((20 + content) as u16).to_be_bytes();
                // Not to be fragmented; 64 hops.
                let mut header = vec![
                    0x45, 0, length[0], length[1], 0, 0, 0x40, 0, 64, protocol, 0, 0,
                ];
                header.extend(from.octets());
                header.extend(to.octets());
                let sum = checksum(&[&header]);
                header[10..12].copy_from_slice(&sum.to_be_bytes());
                (header, 0x0800)
            }
            (from, to) => {
                let length = (content as u16).to_be_bytes();
                let mut header = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
                header.extend(octets_in_ipv6(from));
                header.extend(octets_in_ipv6(to));
                (header, 0x86dd)
            }
        }
    }

    fn datagram(self, octets: &[u8]) -> Vec<u8> {
        let length = (8 + octets.len()) as u16;
        let mut header = Vec::with_capacity(8 + octets.len());
        for number in [self.from.port(), self.to.port(), length, 0] {
            header.extend(number.to_be_bytes());
        }
        header.extend(octets);
        // A sum of 0 would say that there is none (RFC 768).
        let sum = match self.sum(UDP, &header) {
            0 => u16::MAX,
            sum => sum,
        };
        header[6..8].copy_from_slice(&sum.to_be_bytes());
        header
    }

    fn segment(self, (sent, received): (u32, u32), octets: &[u8]) -> Vec<u8> {
        let mut header = Vec::with_capacity(20 + octets.len());
        for port in [self.from.port(), self.to.port()] {
            header.extend(port.to_be_bytes());
        }
        for number in [sent, received] {
            header.extend(number.to_be_bytes());
        }
        // Five words of header, PSH and ACK, a full window; no checksum yet, nothing urgent.
        header.extend([0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
        header.extend(octets);
        let sum = self.sum(TCP, &header);
        header[16..18].copy_from_slice(&sum.to_be_bytes());
        header
    }

    /// The checksum of UDP or TCP, with the pseudo-header.
    fn sum(self, protocol: u8, content: &[u8]) -> u16 {
        let length = (content.len() as u32).to_be_bytes();
        let pseudo = [&length[..], &[0, protocol]].concat();
        let octets = |ip| match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        checksum(&[
            &octets(self.from.ip()),
            &octets(self.to.ip()),
            &pseudo,
            content,
        ])
    }
}

/// The Internet checksum (RFC 1071) of pieces, all of even length but the last.
fn checksum(pieces: &[&[u8]]) -> u16 {
    let words = pieces.iter().flat_map(|piece| piece.chunks(2));
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = words.map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_rfc() {
        // RFC 1071 §3: the sum is ddf2.
        let octets = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&octets]), !0xddf2);
        assert_eq!(checksum(&[&octets[..4], &octets[4..]]), !0xddf2);
        assert_eq!(checksum(&[&[0xff, 0xff, 1]]), !0x0100);
    }
}
