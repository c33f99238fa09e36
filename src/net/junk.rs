//! Telling SIP from what else arrives on a SIP port (W:A6.7). Pure.

use crate::net::stun;

/// What a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// For the engine.
    Sip,
    /// STUN: a phone asks for its address to keep its NAT binding open.
    Stun,
    /// Something that keeps a NAT binding open and wants no answer: nothing, line ends, zeros,
    /// `jaK`.
    Filler,
}

/// Looks at the first octets only; a filler is looked at wholly, and short.
pub(crate) fn classify(datagram: &[u8]) -> Kind {
    match datagram.first() {
        None => Kind::Filler,
        Some(0..=3) if stun::is_stun(datagram) => Kind::Stun,
        Some(b'\r' | b'\n' | b' ' | 0)
            if datagram
                .iter()
                .all(|octet| matches!(octet, b'\r' | b'\n' | b' ' | 0)) =>
        {
            Kind::Filler
        }
        Some(b'j') if datagram.starts_with(b"jaK") => Kind::Filler,
        Some(_) => Kind::Sip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalives_are_told_from_messages() {
        for filler in [
            &b""[..],
            b"\r\n",
            b"\r\n\r\n",
            b"\0",
            b"\0\0\0\0",
            b"jaK",
            b"jaK\0",
            b"   \r\n",
        ] {
            assert_eq!(classify(filler), Kind::Filler, "{filler:?}");
        }
        for sip in [
            &b"SUBSCRIBE sip:1@a SIP/2.0\r\n"[..],
            b"\r\nOPTIONS sip:a SIP/2.0\r\n",
            b"\x01junk",
            b"j",
            b"\0x",
        ] {
            assert_eq!(classify(sip), Kind::Sip, "{sip:?}");
        }
        let mut stun = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        stun.extend([7; 12]);
        assert_eq!(classify(&stun), Kind::Stun);
    }
}
