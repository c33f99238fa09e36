//! The transports of SIP, as named in Via headers and URI parameters (RFC 3261 §18, RFC 7118).
//!
//! Via headers of a request that passed through proxies can name transports that this server does
//! not support, so this list is longer than the one in `net`.

use serde::{Deserialize, Serialize};

use crate::sip::message::Framing;

/// A transport of SIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Transport {
    /// One message per datagram.
    Udp,
    /// Messages on a byte stream, framed by Content-Length.
    Tcp,
    /// As TCP, encrypted.
    Tls,
    /// One message per WebSocket message.
    Ws,
    /// As WebSocket, encrypted.
    Wss,
}

impl Transport {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The transport named by a Via header's token, in any case.
    #[must_use]
    pub fn from_via_token(token: &[u8]) -> Option<Self> {
        let is_named =
            |transport: &Self| transport.via_token().as_bytes().eq_ignore_ascii_case(token);
        Self::ALL.into_iter().find(is_named)
    }

    /// Returns whether the transport itself retransmits, so that there is no Timer E, J or K (RFC
    /// 3261 §17). All reliable transports are connections.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// How the end of a message is found.
    #[must_use]
    pub const fn framing(self) -> Framing {
        match self {
            Self::Udp => Framing::Datagram,
            Self::Ws | Self::Wss => Framing::WebSocket,
            Self::Tcp | Self::Tls => Framing::Stream,
        }
    }

    /// The token of a Via header: `UDP`.
    #[must_use]
    pub const fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// Its name for an operator: `udp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wss => "wss",
            Self::Udp | Self::Tcp | Self::Tls | Self::Ws => self.uri_parameter(),
        }
    }

    /// Returns whether it encrypts, so that a request to a `sips:` URI may come over it (RFC 3261
    /// §26.2.2).
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// The value of a URI's `transport` parameter: `udp`. RFC 7118 §5.1 has one value for
    /// WebSockets, encrypted or not.
    #[must_use]
    pub const fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws | Self::Wss => "ws",
        }
    }

    /// The default port for a URI or sent-by without one (RFC 3261 §19.1.2, RFC 7118 §5.1).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_via_token_is_read_in_any_case() {
        for transport in Transport::ALL {
            let token = transport.via_token();
            for token in [token.to_owned(), token.to_lowercase()] {
                let read = Transport::from_via_token(token.as_bytes());
                assert_eq!(read, Some(transport));
            }
        }
        assert_eq!(Transport::from_via_token(b"SCTP"), None);
    }
}
