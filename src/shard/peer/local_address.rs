//! Our Via and Contact on each local address that peers send to. Each is formatted once and kept.

use std::net::SocketAddr;

use crate::shard::contract::flow::Flow;
use crate::shard::peer::routing_token::BRANCH_COOKIE;
use crate::sip::Transport;

/// Local addresses kept. Beyond it: all are dropped and formatted again when needed.
const LOCAL_ADDRESSES_MAX: usize = 64;

/// How we name ourselves on one local address.
#[derive(Debug)]
pub(crate) struct LocalAddress {
    transport: Transport,
    listener: u16,
    local: SocketAddr,
    /// The Via sent-by, `host:port`.
    sent_by: String,
    /// Octets of the host within `sent_by`.
    name_octets: usize,
    port: u16,
    /// Our Via, up to and including the magic cookie of its branch.
    pub(crate) via: Vec<u8>,
    /// Our Contact with angle brackets. It does not change during a subscription (RFC 3261
    /// §8.1.1.8).
    contact: Vec<u8>,
    /// The one of secure dialogs, where the transport is encrypted (RFC 3261 §12.1.1).
    secure_contact: Option<Vec<u8>>,
}

/// The local addresses in use.
#[derive(Debug)]
pub(crate) struct LocalAddresses {
    /// For each listener, the `host[:port]` that replaces the local address.
    advertise: Vec<Option<String>>,
    known: Vec<LocalAddress>,
}

impl LocalAddresses {
    /// No address is formatted yet. `advertise` has one entry per listener.
    pub(crate) fn new(advertise: Vec<Option<String>>) -> Self {
        Self {
            advertise,
            known: Vec::new(),
        }
    }

    /// Our name on the local address of that flow; formats it if it is new.
    pub(crate) fn of(&mut self, flow: &Flow) -> &LocalAddress {
        let index = self.place_of(flow).unwrap_or_else(|| {
            if self.known.len() >= LOCAL_ADDRESSES_MAX {
                self.known.clear();
            }
            let advertised = self
                .advertise
                .get(usize::from(flow.listener))
                .cloned()
                .flatten();
            self.known.push(LocalAddress::new(flow, advertised));
            self.known.len() - 1
        });
        &self.known[index]
    }

    /// Our name on the local address of that flow, if it was formatted before.
    pub(crate) fn known(&self, flow: &Flow) -> Option<&LocalAddress> {
        self.known.get(self.place_of(flow)?)
    }

    fn place_of(&self, flow: &Flow) -> Option<usize> {
        self.known.iter().position(|known| {
            known.local == flow.local
                && known.listener == flow.listener
                && known.transport == flow.transport
        })
    }
}

impl LocalAddress {
    /// The value of our Via sent-by.
    #[inline]
    pub(crate) fn sent_by(&self) -> &[u8] {
        self.sent_by.as_bytes()
    }

    /// Our Contact, in a secure dialog or another one.
    #[inline]
    pub(crate) fn contact(&self, is_secure: impl FnOnce() -> bool) -> &[u8] {
        match &self.secure_contact {
            Some(contact) if is_secure() => contact,
            _ => &self.contact,
        }
    }

    /// Whether a Via sent-by is ours. A response with any other sent-by belongs to no request of ours
    /// (RFC 3261 §17.1.3, §18.1.2, §8.1.3.3).
    pub(crate) fn is_sent_by(&self, host: &[u8], port: Option<u16>) -> bool {
        let name = self.sent_by.as_bytes().get(..self.name_octets);
        port.unwrap_or_else(|| self.transport.default_port()) == self.port
            && name.is_some_and(|name| host.eq_ignore_ascii_case(name))
    }

    fn new(flow: &Flow, advertised: Option<String>) -> Self {
        // An IPv6 zone has a meaning on this host only; neither a URI nor a Via carries it (RFC
        // 4007 §11.2).
        let address = SocketAddr::new(flow.local.ip(), flow.local.port());
        let sent_by = advertised.unwrap_or_else(|| address.to_string());
        // A SIP URI without a transport parameter means UDP (RFC 3261 §19.1.1).
        let parameter = match flow.transport {
            Transport::Udp => String::new(),
            other => format!(";transport={}", other.uri_parameter()),
        };
        let (name, port) = match sent_by.rsplit_once(':') {
            Some((name, digits)) if !digits.contains(']') => (name, digits.parse().unwrap_or(0)),
            _ => (sent_by.as_str(), flow.transport.default_port()),
        };
        let name_octets = name.len();
        let contact = format!("<sip:{sent_by}{parameter}>").into_bytes();
        let secure_contact = match flow.transport {
            Transport::Udp | Transport::Tcp | Transport::Ws => None,
            // `sips:` alone says TLS (RFC 3261 §26.2.2).
            Transport::Tls => Some(format!("<sips:{sent_by}>").into_bytes()),
            Transport::Wss => Some(format!("<sips:{sent_by}{parameter}>").into_bytes()),
        };
        let transport = flow.transport.via_token();
        let via = format!("SIP/2.0/{transport} {sent_by};branch={BRANCH_COOKIE}").into_bytes();
        Self {
            transport: flow.transport,
            listener: flow.listener,
            local: flow.local,
            sent_by,
            name_octets,
            port,
            via,
            contact,
            secure_contact,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;
    use crate::shard::contract::flow::ConnectionId;

    #[test]
    fn an_ipv6_zone_is_not_sent() {
        let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let address = |port| SocketAddr::V6(SocketAddrV6::new(link_local, port, 0, 4));
        let flow = Flow {
            transport: Transport::Tcp,
            listener: 0,
            connection: ConnectionId::default(),
            local: address(5060),
            peer: address(40_000),
        };
        let local = LocalAddress::new(&flow, None);
        assert_eq!(local.sent_by(), b"[fe80::1]:5060");
        assert!(local.is_sent_by(b"[fe80::1]", Some(5060)));
        assert_eq!(local.contact, b"<sip:[fe80::1]:5060;transport=tcp>");
        assert_eq!(local.contact(|| true), local.contact);
        assert_eq!(
            local.via,
            b"SIP/2.0/TCP [fe80::1]:5060;branch=z9hG4bK".as_slice()
        );
    }

    #[test]
    fn a_secure_dialog_gets_a_secure_contact_where_the_transport_is_encrypted() {
        let contacts = |transport| {
            let flow = Flow {
                transport,
                listener: 0,
                connection: ConnectionId::default(),
                local: SocketAddr::from(([192, 0, 2, 1], 5061)),
                peer: SocketAddr::from(([192, 0, 2, 9], 40_000)),
            };
            let local = LocalAddress::new(&flow, None);
            let [plain, secure] = [false, true].map(|is_secure| local.contact(|| is_secure));
            [plain, secure].map(|contact| String::from_utf8_lossy(contact).into_owned())
        };
        let expect = |transport, expected: [&str; 2]| assert_eq!(contacts(transport), expected);
        expect(Transport::Udp, ["<sip:192.0.2.1:5061>"; 2]);
        expect(Transport::Ws, ["<sip:192.0.2.1:5061;transport=ws>"; 2]);
        let tls = "<sip:192.0.2.1:5061;transport=tls>";
        expect(Transport::Tls, [tls, "<sips:192.0.2.1:5061>"]);
        let wss = [
            "<sip:192.0.2.1:5061;transport=ws>",
            "<sips:192.0.2.1:5061;transport=ws>",
        ];
        expect(Transport::Wss, wss);
    }
}
