//! What a datagram on a SIP port is, by its first octets (RFC 7983, RFC 5626 §4.4; RFC 8489). Pure.

use crate::net::stun;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DatagramKind {
    /// SIP, or garbage that the SIP parser will reject.
    Sip,
    /// STUN: a phone asks for its public address, which keeps its NAT binding open.
    Stun,
    /// A keepalive that wants no response: an empty datagram, line ends, zeros, `jaK`.
    Keepalive,
}

/// Classifies a datagram; reads no more of it than it must.
pub(crate) fn classify(datagram: &[u8]) -> DatagramKind {
    let is_blank = |octet: &u8| matches!(octet, b'\r' | b'\n' | b' ' | 0);
    if datagram.iter().all(is_blank) || datagram.starts_with(b"jaK") {
        DatagramKind::Keepalive
    } else if stun::is_stun(datagram) {
        DatagramKind::Stun
    } else {
        DatagramKind::Sip
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalives_are_distinguished_from_messages() {
        for keepalive in [
            &b""[..],
            b"\r\n",
            b"\r\n\r\n",
            b"\0",
            b"\0\0\0\0",
            b"jaK",
            b"jaK\0",
            b"   \r\n",
        ] {
            assert_eq!(
                classify(keepalive),
                DatagramKind::Keepalive,
                "{keepalive:?}"
            );
        }
        for sip in [
            &b"SUBSCRIBE sip:1@a SIP/2.0\r\n"[..],
            b"\r\nOPTIONS sip:a SIP/2.0\r\n",
            b"\x01junk",
            b"j",
            b"\0x",
        ] {
            assert_eq!(classify(sip), DatagramKind::Sip, "{sip:?}");
        }
        let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        stun.extend([7; 12]);
        assert_eq!(classify(&stun), DatagramKind::Stun);
    }
}
