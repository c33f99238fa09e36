//! The transports SIP runs over, as Via and URI parameters name them (RFC 3261 §18, RFC 7118).

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// Messages framed by Content-Length on a byte stream.
    Tcp,
}

impl Transport {
    /// Whether the transport itself retransmits: no Timer E, J or K then (RFC 3261 §17).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp)
    }

    /// The token of a Via header: `UDP`.
    #[must_use]
    pub const fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The value of a URI's `transport` parameter: `udp`.
    #[must_use]
    pub const fn uri_parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }

    /// The port meant when a URI or sent-by names none (RFC 3261 §19.1.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        5060
    }
}
