//! The PROXY protocol, versions 1 and 2: the header by which a load balancer says whose connection it
//! forwards. It comes before everything else, a TLS handshake too. Pure.
//!
//! The reader says how many octets are certainly still of the header, so that none behind it is taken.
//! Extensions of version 2 are skipped.

use std::net::{IpAddr, SocketAddr};

/// Octets before an address in a header of version 2.
const FRONT: usize = 16;
/// What version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8; 6] = b"PROXY ";
/// Octets of the shortest header of version 1, `PROXY UNKNOWN` and a line end.
const LINE_OCTETS_MIN: usize = 15;
/// Octets of the longest header of version 1, as the specification says.
const LINE_OCTETS_MAX: usize = 107;
/// Octets of a header of version 2, with extensions. A longer one is refused.
const HEADER_OCTETS_MAX: usize = 2048;

/// No header, or a damaged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// What is known of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// At least that many octets follow, which are all of the header.
    More(usize),
    /// It is whole: the address and port of the peer. None if the proxy speaks for itself (version 2
    /// `LOCAL`, as for health checks) or does not know them.
    Whole(Option<SocketAddr>),
}

/// Reads what has been received of a header.
///
/// # Errors
/// It cannot become a header.
pub fn read(octets: &[u8]) -> Result<Header, Malformed> {
    let begins = |signature: &[u8]| {
        let length = octets.len().min(signature.len());
        octets.get(..length) == signature.get(..length)
    };
    let more = |length: usize| Ok(Header::More(length - octets.len()));
    match octets.len() {
        // Both versions are longer, whichever it is.
        length if length < SIGNATURE.len() && (begins(SIGNATURE) || begins(WORD)) => {
            more(SIGNATURE.len())
        }
        length if begins(SIGNATURE) => match length < FRONT {
            true => more(FRONT),
            false => version_2(octets),
        },
        length if begins(WORD) => match length < LINE_OCTETS_MIN {
            true => more(LINE_OCTETS_MIN),
            false => version_1(octets),
        },
        _ => Err(Malformed),
    }
}

fn version_1(octets: &[u8]) -> Result<Header, Malformed> {
    let Some(line) = octets.strip_suffix(b"\r\n") else {
        let has_room = octets.len() < LINE_OCTETS_MAX && !octets.contains(&b'\n');
        return has_room.then_some(Header::More(1)).ok_or(Malformed);
    };
    let line = std::str::from_utf8(line).map_err(|_| Malformed)?;
    let words: Vec<&str> = line.split(' ').collect();
    match words.as_slice() {
        ["PROXY", "UNKNOWN", ..] => Ok(Header::Whole(None)),
        ["PROXY", family, source, destination, from, to] => {
            let source = address(family, source)?;
            // Unused, but it must be right.
            address(family, destination)?;
            port(to)?;
            Ok(Header::Whole(Some(SocketAddr::new(source, port(from)?))))
        }
        _ => Err(Malformed),
    }
}

fn address(family: &str, text: &str) -> Result<IpAddr, Malformed> {
    match family {
        "TCP4" => text.parse().map(IpAddr::V4).map_err(|_| Malformed),
        "TCP6" => text.parse().map(IpAddr::V6).map_err(|_| Malformed),
        _ => Err(Malformed),
    }
}

/// Digits alone, without leading zeros.
fn port(text: &str) -> Result<u16, Malformed> {
    let number: u16 = text.parse().map_err(|_| Malformed)?;
    match number.to_string() == text {
        true => Ok(number),
        false => Err(Malformed),
    }
}

fn version_2(octets: &[u8]) -> Result<Header, Malformed> {
    let (front, rest) = octets.split_first_chunk::<FRONT>().ok_or(Malformed)?;
    let [version_and_command, family, length_high, length_low] =
        [12, 13, 14, 15].map(|at| front[at]);
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if FRONT + length > HEADER_OCTETS_MAX || rest.len() > length {
        return Err(Malformed);
    }
    if rest.len() < length {
        return Ok(Header::More(length - rest.len()));
    }
    match (version_and_command, family) {
        // LOCAL, whatever family it names.
        (0x20, _) => Ok(Header::Whole(None)),
        // An unknown family.
        (0x21, 0x00) => Ok(Header::Whole(None)),
        (0x21, 0x11) => source::<4>(rest).map(|peer| Header::Whole(Some(peer))),
        (0x21, 0x21) => source::<16>(rest).map(|peer| Header::Whole(Some(peer))),
        _ => Err(Malformed),
    }
}

/// The source of two addresses of N octets, and of two ports behind them.
fn source<const N: usize>(addresses: &[u8]) -> Result<SocketAddr, Malformed>
where
    IpAddr: From<[u8; N]>,
{
    let address = addresses.first_chunk::<N>().ok_or(Malformed)?;
    let ports = addresses.get(2 * N..).ok_or(Malformed)?;
    let port = ports.first_chunk::<4>().ok_or(Malformed)?;
    let port = u16::from_be_bytes([port[0], port[1]]);
    Ok(SocketAddr::new(IpAddr::from(*address), port))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    /// A header of version 2.
    fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = (rest.len() as u16).to_be_bytes();
        [SIGNATURE, &[command, family][..], &length, rest].concat()
    }

    fn addresses(peer: SocketAddr) -> Vec<u8> {
        let port = peer.port().to_be_bytes();
        match peer.ip() {
            IpAddr::V4(ip) => [&ip.octets()[..], &[10, 0, 0, 1], &port, &[0x13, 0xc5]].concat(),
            IpAddr::V6(ip) => [&ip.octets()[..], &[7; 16], &port, &[0x13, 0xc5]].concat(),
        }
    }

    /// Reads a header in the steps that the reader asks for; returns what is behind it.
    fn stepwise(stream: &[u8]) -> Result<(Option<SocketAddr>, &[u8]), Malformed> {
        let mut taken = 0;
        loop {
            match read(&stream[..taken])? {
                Header::Whole(peer) => return Ok((peer, &stream[taken..])),
                Header::More(0) => panic!("it makes no progress"),
                Header::More(more) => taken += more,
            }
            if taken > stream.len() {
                return Err(Malformed);
            }
        }
    }

    #[test]
    fn both_versions_name_the_peer_and_nothing_behind_the_header_is_taken() {
        let four: SocketAddr = "192.0.2.7:40000".parse().unwrap();
        let six: SocketAddr = "[2001:db8::7]:5".parse().unwrap();
        let with_extension = [addresses(four), vec![4, 0, 1, 9]].concat();
        let headers = [
            (
                b"PROXY TCP4 192.0.2.7 10.0.0.1 40000 5060\r\n".to_vec(),
                Some(four),
            ),
            (b"PROXY TCP6 2001:db8::7 ::1 5 5061\r\n".to_vec(), Some(six)),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &addresses(four)), Some(four)),
            (binary(0x21, 0x11, &with_extension), Some(four)),
            (binary(0x21, 0x21, &addresses(six)), Some(six)),
            (binary(0x21, 0x00, &[1, 2, 3]), None),
            (binary(0x20, 0x11, &addresses(four)), None),
            (binary(0x20, 0x00, &[]), None),
        ];
        for (header, peer) in headers {
            let stream = [&header[..], b"\r\n\r\nOPTIONS"].concat();
            let read = stepwise(&stream);
            assert_eq!(read, Ok((peer, &b"\r\n\r\nOPTIONS"[..])), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_refused_at_once() {
        for begin in [
            &b"O"[..],
            b"SUBSCRIBE",
            b"PROXY_",
            b"\r\n\r\nS",
            b"\x16\x03\x01",
            b"GET /",
        ] {
            assert_eq!(read(begin), Err(Malformed), "{begin:?}");
        }
        let long = [&b"PROXY TCP4 "[..], &[b'1'; 120]].concat();
        assert_eq!(read(&long), Err(Malformed), "longer than any line");
        for line in [
            "PROXY TCP4 192.0.2.7 10.0.0.1 40000\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 040000 5060\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 70000 5060\r\n",
            "PROXY TCP4 192.0.2.7  10.0.0.1 4 5060\r\n",
            "PROXY TCP4 ::1 10.0.0.1 4 5060\r\n",
            "PROXY TCP6 192.0.2.7 ::1 4 5060\r\n",
            "PROXY UDP4 192.0.2.7 10.0.0.1 4 5060\r\n",
            "PROXY TCP4 192.0.2.7 10.0.0.1 4 5060 \r\n",
            "PROXY  UNKNOWN\r\n",
            "PROXY TCP4 192.0.2.7\n10.0.0.1 4 5060\r\n",
        ] {
            assert_eq!(stepwise(line.as_bytes()), Err(Malformed), "{line:?}");
        }
        let four = addresses("192.0.2.7:40000".parse().unwrap());
        for header in [
            binary(0x11, 0x11, &four),
            binary(0x22, 0x11, &four),
            binary(0x21, 0x12, &four),
            binary(0x21, 0x31, &[0; 216]),
            binary(0x21, 0x11, &four[..11]),
            binary(0x21, 0x21, &four),
            binary(0x21, 0x11, &[0; 2040]),
        ] {
            assert_eq!(stepwise(&header), Err(Malformed), "{header:?}");
        }
    }

    proptest! {
        /// Any peer is read back, from either version.
        #[test]
        fn a_written_header_reads_back(octets in any::<[u8; 16]>(), is_six in any::<bool>(), port in any::<u16>()) {
            let ip = match is_six {
                true => IpAddr::from(octets),
                false => IpAddr::from([octets[0], octets[1], octets[2], octets[3]]),
            };
            let peer = SocketAddr::new(ip, port);
            let family = if is_six { "TCP6" } else { "TCP4" };
            let line = format!("PROXY {family} {ip} {ip} {port} 5060\r\n");
            prop_assert_eq!(stepwise(line.as_bytes()), Ok((Some(peer), &b""[..])));
            let kind = if is_six { 0x21 } else { 0x11 };
            let header = binary(0x21, kind, &addresses(peer));
            prop_assert_eq!(stepwise(&header), Ok((Some(peer), &b""[..])));
        }

        /// No octets make it panic, ask for nothing, or ask for more than a header may have.
        #[test]
        fn any_octets_are_bounded(kind in 0..3, rest in vec(any::<u8>(), 0..300)) {
            let begin: &[u8] = [&b""[..], WORD, SIGNATURE][kind as usize];
            let octets = [begin, &rest].concat();
            for end in 0..=octets.len() {
                if let Ok(Header::More(more)) = read(&octets[..end]) {
                    prop_assert!(more > 0 && end + more <= HEADER_OCTETS_MAX);
                }
            }
        }
    }
}
