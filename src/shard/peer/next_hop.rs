//! The destination of a dialog's NOTIFYs (RFC 3261 §12.2.1.1).
//!
//! Guarantee: a NOTIFY never goes to a host other than the source of the SUBSCRIBE.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::shard::contract::certificates::CertificateNames;
use crate::shard::contract::flow::Flow;
use crate::shard::peer::endpoint::{Endpoint, Place};
use crate::shard::peer::path::Path;
use crate::shard::request::Request;
use crate::sip::dialog::Dialog;
use crate::sip::uri::{Scheme, host_ip};
use crate::sip::{Transport, Uri};

/// The destination of NOTIFYs: the source of the SUBSCRIBE. A UDP phone that does not send `rport`
/// (RFC 3581) may listen on another port; then it is the port of the first hop that the dialog
/// names, if that is the same host (W:A2.10). Never a third party (W:E2.5).
pub(crate) fn next_hop(request: &Request<'_>, dialog: &Dialog) -> SocketAddr {
    let flow = &request.flow;
    // RFC 3581: a phone that sends `rport` listens on the port it sends from, whatever Contact it
    // names behind a NAT.
    let is_symmetric = request.message.via().is_none_or(|via| via.wants_rport);
    if is_symmetric || flow.transport.is_reliable() {
        return flow.peer;
    }
    let named = match (dialog.first_route(), &request.contact) {
        (None, Ok(contact)) => address_of(&contact.uri, flow.transport),
        _ => named_hop(dialog, flow.transport),
    };
    named
        .and_then(|named| at_same_host(named, flow.peer))
        .unwrap_or(flow.peer)
}

/// The new destination of NOTIFYs after the phone changed its first hop by a new Contact (RFC 3261
/// §12.2.1.2); None if the destination stays. It stays on a stream, and where the phone was not
/// reached at its previous first hop `before`, as behind a NAT.
pub(crate) fn moved_hop(
    path: &Path,
    before: Option<SocketAddr>,
    dialog: &Dialog,
) -> Option<SocketAddr> {
    let before = before.and_then(|before| at_same_host(before, path.destination));
    if path.flow.transport.is_reliable() || before != Some(path.destination) {
        return None;
    }
    at_same_host(named_hop(dialog, path.flow.transport)?, path.destination)
}

/// The address of a dialog's first hop: its first route, or else the remote target. None if the URI
/// names a host by name, or if the phone is bound to its flow (`ob`, RFC 5626 §4.3).
pub(crate) fn named_hop(dialog: &Dialog, transport: Transport) -> Option<SocketAddr> {
    address_of(&first_hop(dialog)?, transport)
}

/// The URI of a dialog's first hop.
fn first_hop(dialog: &Dialog) -> Option<Uri<'_>> {
    let hop = dialog.first_route();
    Uri::parse(hop.unwrap_or_else(|| dialog.remote_target())).ok()
}

/// Where a phone whose stream ended listens for another: at its first hop, if the hop names the
/// transport of the stream that ended, and the host that this came from. Between trusted addresses it
/// may be another host. What a name stands for is decided about when it is known. None if the phone is
/// bound to its flow.
pub(crate) fn stream_hop(
    dialog: &Dialog,
    ended: &Flow,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<Endpoint> {
    let hop = first_hop(dialog)?;
    let is_bound = hop.parameter("ob").is_some();
    // Never another transport: what was encrypted would be sent in the clear.
    if named_stream(&hop) != Some(ended.transport) || is_bound || hop.port == Some(0) {
        return None;
    }
    let is_from_trusted = is_trusted(ended.peer.ip());
    let place = match numeric_address(&hop, ended.transport) {
        Some(named) => Place::Address(permitted(named, ended.peer, is_trusted)?),
        None => Place::Name {
            host: name_of(&hop)?,
            port: hop.port,
            only: (!is_from_trusted).then(|| without_port(ended.peer)),
        },
    };
    Some(Endpoint {
        transport: ended.transport,
        place,
    })
}

/// Where a phone whose requests come by UDP can be expected to listen for streams as well (RFC 3261
/// §18.1.1): at its first hop, if that is an address and names no other transport. None if the address is
/// another than that of the SUBSCRIBE, as behind a NAT, unless both are trusted; or if the phone is bound
/// to its flow.
pub(crate) fn detour_hop(
    dialog: &Dialog,
    flow: &Flow,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<Endpoint> {
    let hop = first_hop(dialog)?;
    let transport = hop.parameter("transport").unwrap_or(b"tcp");
    if hop.scheme != Scheme::Sip || !transport.eq_ignore_ascii_case(b"tcp") || hop.port == Some(0) {
        return None;
    }
    let named = address_of(&hop, Transport::Tcp)?;
    Some(Endpoint {
        transport: Transport::Tcp,
        place: Place::Address(permitted(named, flow.peer, is_trusted)?),
    })
}

/// The place to which the stream of a request leads as well, because its top Via says so by `alias` (RFC
/// 5923 §8): the sent-by of that Via. None unless the peer is known to be there: by a certificate with its
/// name, or, on TCP, by an address that is trusted.
pub(crate) fn alias_of(
    request: &Request<'_>,
    certificate: Option<&CertificateNames>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<Endpoint> {
    let (via, flow) = (request.message.via()?, &request.flow);
    via.parameters.get("alias")?;
    let is_from_trusted = is_trusted(flow.peer.ip());
    let place = match (flow.transport, host_ip(via.host)) {
        (Transport::Tcp, Some(ip)) if is_from_trusted => {
            let port = via.port.unwrap_or_else(|| flow.transport.default_port());
            let named = SocketAddr::new(ip, port);
            Place::Address(permitted(named, flow.peer, is_trusted)?)
        }
        (Transport::Tls, None) => {
            let host = str::from_utf8(via.host).ok()?.to_ascii_lowercase();
            let domains = &certificate?.domains;
            let is_certified = domains.iter().any(|domain| **domain == *host);
            Place::Name {
                host: is_certified.then(|| host.into())?,
                port: via.port,
                only: (!is_from_trusted).then(|| without_port(flow.peer)),
            }
        }
        _ => return None,
    };
    Some(Endpoint {
        transport: flow.transport,
        place,
    })
}

/// The address `named`, if a stream may be opened to it for a SUBSCRIBE that came from `source`: to
/// that host, or between trusted ones.
fn permitted(
    named: SocketAddr,
    source: SocketAddr,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<SocketAddr> {
    let is_between_trusted = || is_trusted(source.ip()) && is_trusted(named.ip());
    at_same_host(named, source).or_else(|| is_between_trusted().then_some(named))
}

fn without_port(mut address: SocketAddr) -> SocketAddr {
    address.set_port(0);
    address
}

/// The host of a URI, which is a name; None if no name server can know it.
fn name_of(uri: &Uri<'_>) -> Option<Arc<str>> {
    let mut host = String::new();
    uri.write_host(&mut host);
    // RFC 6761 §6.4. It is what phones name that have no name (RFC 7118 §5).
    let is_invalid = host.ends_with(".invalid");
    (!host.is_empty() && !is_invalid).then(|| host.into())
}

/// The stream transport that a URI names, if we open streams of it. A WebSocket client has no address
/// (RFC 7118 §5.3).
fn named_stream(uri: &Uri<'_>) -> Option<Transport> {
    let parameter = uri.parameter("transport").map(<[u8]>::to_ascii_lowercase);
    match (uri.scheme, parameter.as_deref()) {
        (Scheme::Sips, None | Some(b"tcp" | b"tls")) | (Scheme::Sip, Some(b"tls")) => {
            Some(Transport::Tls)
        }
        (Scheme::Sip, Some(b"tcp")) => Some(Transport::Tcp),
        _ => None,
    }
}

/// The address of a first hop with that URI.
fn address_of(hop: &Uri<'_>, transport: Transport) -> Option<SocketAddr> {
    let is_bound = hop.parameter("ob").is_some();
    numeric_address(hop, transport).filter(|_| !is_bound)
}

/// The address `named`, with the IPv6 zone of `seen`, because a URI carries no zone. None if it is
/// not the same host as `seen`.
pub(crate) fn at_same_host(named: SocketAddr, mut seen: SocketAddr) -> Option<SocketAddr> {
    seen.set_port(named.port());
    (named.ip() == seen.ip()).then_some(seen)
}

/// The IP address and port of a URI; the transport's default port if the URI has none. None if the
/// host is a name.
pub(crate) fn numeric_address(uri: &Uri<'_>, transport: Transport) -> Option<SocketAddr> {
    Some(SocketAddr::new(
        uri.ip()?,
        uri.port.unwrap_or_else(|| transport.default_port()),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::shard::contract::flow::{Arrived, ConnectionId};
    use crate::sip::Message;
    use std::time::Instant;

    /// The place that the stream of a request leads to. Its peer is 10.0.1.7; 10.0.1.0/24 is trusted if
    /// `trusts`.
    fn alias(transport: Transport, via: &str, domains: &[&str], trusts: bool) -> Option<Endpoint> {
        let text = format!(
            "SUBSCRIBE sip:1@abc.com SIP/2.0\r\nVia: SIP/2.0/TLS {via};branch=z9hG4bK1\r\n\
             Max-Forwards: 70\r\nFrom: <sip:9@abc.com>;tag=1\r\nTo: <sip:1@abc.com>\r\n\
             Call-ID: c\r\nCSeq: 1 SUBSCRIBE\r\nContact: <sip:9@abc.com>\r\n\
             Content-Length: 0\r\n\r\n"
        );
        let message = Message::parse(text.as_bytes(), transport.framing()).unwrap();
        let flow = Flow {
            transport,
            listener: 0,
            connection: ConnectionId::default(),
            local: "10.0.0.1:5061".parse().unwrap(),
            peer: "10.0.1.7:40001".parse().unwrap(),
        };
        let names = CertificateNames {
            uris: Box::default(),
            domains: domains.iter().map(|name| (*name).into()).collect(),
        };
        let request = Request::new(
            &message,
            Arrived {
                flow,
                at: Instant::now(),
            },
            None,
        );
        let is_trusted = |ip: IpAddr| trusts && ip.to_string().starts_with("10.0.1.");
        alias_of(&request, Some(&names), is_trusted)
    }

    #[test]
    fn an_alias_over_tls_needs_a_certificate_for_the_name() {
        let named = |only: Option<&str>| Endpoint {
            transport: Transport::Tls,
            place: Place::Name {
                host: "sbc.example.com".into(),
                port: Some(5062),
                only: only.map(|address| address.parse().unwrap()),
            },
        };
        let of = |via, domains: &[&str], trusts| alias(Transport::Tls, via, domains, trusts);
        let own = ["a.example", "sbc.example.com"];
        let via = "SBC.example.com:5062;alias";
        assert_eq!(of(via, &own, true), Some(named(None)));
        // A name of a peer that is not trusted stands for its address alone.
        assert_eq!(of(via, &own, false), Some(named(Some("10.0.1.7:0"))));
        assert_eq!(of("sbc.example.com:5062", &own, true), None);
        assert_eq!(of(via, &["example.com", "*.example.com"], true), None);
        assert_eq!(of(via, &[], true), None);
        assert_eq!(of("10.0.1.7:5061;alias", &["10.0.1.7"], true), None);
    }

    #[test]
    fn an_alias_over_tcp_needs_trust() {
        let of = |via, trusts| alias(Transport::Tcp, via, &["sbc.example.com"], trusts);
        let at = |address: &str| {
            Some(Endpoint {
                transport: Transport::Tcp,
                place: Place::Address(address.parse().unwrap()),
            })
        };
        assert_eq!(of("10.0.1.7;alias", true), at("10.0.1.7:5060"));
        assert_eq!(of("10.0.1.8:5070;alias", true), at("10.0.1.8:5070"));
        assert_eq!(of("10.0.2.8:5070;alias", true), None);
        assert_eq!(of("10.0.1.7;alias", false), None);
        assert_eq!(of("10.0.1.7", true), None);
        assert_eq!(of("sbc.example.com;alias", true), None);
        assert_eq!(alias(Transport::Wss, "10.0.1.7;alias", &[], true), None);
    }
}
