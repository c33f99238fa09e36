//! What the configuration says of another SIP server, in tables of connectors and of relays: its address, its transport,
//! its domain, and who we are there.

use std::ops::Range;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::{Config, ConnectorTransportKind, TransportKind};
use crate::config::text::{canonical_domain, is_phrase};
use crate::directory::connectors::ServerAddress;
use crate::sip::uri::{Scheme, host_ip, host_port};
use crate::sip::{Transport, Uri};

/// The transport of requests to a server.
pub(super) const fn transport(kind: ConnectorTransportKind) -> Transport {
    match kind {
        ConnectorTransportKind::Udp => Transport::Udp,
        ConnectorTransportKind::Tcp => Transport::Tcp,
        ConnectorTransportKind::Tls => Transport::Tls,
    }
}

/// `pbx.example.com`, `pbx.example.com:5070`, `192.0.2.7`, `2001:db8::7`, `[2001:db8::7]:5070`
pub(super) fn server_address(
    text: &Spanned<String>,
    complainer: &mut Complainer<'_>,
) -> Option<ServerAddress> {
    let given = text.get_ref();
    let whole = host_ip(given.as_bytes()).map(|ip| (ip.to_string(), None));
    let read = whole.or_else(|| {
        let (host, port) = host_port(given.as_bytes())?;
        let host = match host_ip(host) {
            Some(ip) => ip.to_string(),
            None => canonical_domain(str::from_utf8(host).ok()?)?,
        };
        Some((host, port))
    });
    let read = read.filter(|(_, port)| *port != Some(0));
    if read.is_none() {
        let what = format!("\"{given}\" is not the address of a server");
        let remedy = "write a host and, if it is not the usual one, a port: \"pbx.example.com\", \"192.0.2.7:5070\", \"[2001:db8::7]:5070\"";
        complainer.add(text.span(), what, remedy);
    }
    read.map(|(host, port)| ServerAddress {
        host: host.into(),
        port,
    })
}

/// A domain of users there.
pub(super) fn remote_domain(
    text: &Spanned<String>,
    complainer: &mut Complainer<'_>,
) -> Option<String> {
    let domain = canonical_domain(text.get_ref());
    if domain.is_none() {
        let what = format!("\"{}\" is not a domain", text.get_ref());
        let remedy = "write what stands behind the @ in the users' addresses there, without a port";
        complainer.add(text.span(), what, remedy);
    }
    domain
}

/// A SIP URI without headers, which can stand in From.
pub(super) fn own_uri(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<String> {
    let remedy =
        "write the address that the other server knows us by: \"sip:lamps@pbx.example.com\"";
    plain_uri(text, remedy, complainer)
}

/// A SIP URI with a user, and without parameters and headers; `sip:` is added.
pub(super) fn plain_uri(
    text: &Spanned<String>,
    remedy: &str,
    complainer: &mut Complainer<'_>,
) -> Option<String> {
    let given = text.get_ref();
    let uri = match given.starts_with("sip:") {
        true => given.clone(),
        false => format!("sip:{given}"),
    };
    let is_plain =
        |uri: Uri<'_>| uri.scheme == Scheme::Sip && uri.headers.is_empty() && uri.user.is_some();
    let is_uri =
        Uri::parse(uri.as_bytes()).is_ok_and(is_plain) && !uri.contains(['<', '>', '"', ' ', ';']);
    if !is_uri {
        let what = format!("\"{given}\" is not a SIP URI");
        complainer.add(text.span(), what, remedy);
    }
    is_uri.then_some(uri)
}

/// Complains if a user name cannot stand in credentials.
pub(super) fn check_auth_id(auth_id: &Spanned<String>, complainer: &mut Complainer<'_>) {
    let user = auth_id.get_ref();
    if !is_phrase(user) {
        let what = format!("{user:?} is not a user name");
        let remedy = "use 1 to 256 octets without control characters";
        complainer.add(auth_id.span(), what, remedy);
    }
}

/// Complains if no listener has the transport of requests to a server: they leave from it, and requests to us come to
/// it. `place`, `what`: the table of the server, for the complaint.
pub(super) fn check_listener(
    transport: ConnectorTransportKind,
    (place, what): (Range<usize>, &str),
    config: &Config,
    complainer: &mut Complainer<'_>,
) {
    let (wanted, word) = match transport {
        ConnectorTransportKind::Udp => (TransportKind::Udp, "udp"),
        ConnectorTransportKind::Tcp => (TransportKind::Tcp, "tcp"),
        ConnectorTransportKind::Tls => (TransportKind::Tls, "tls"),
    };
    let listeners = &config.sip.listen;
    let mut transports = listeners
        .get_ref()
        .iter()
        .map(|listen| listen.transport.get_ref());
    let has = transports.any(|transport| *transport == wanted);
    if !has && !complainer.is_misread_within(&listeners.span()) {
        let what = format!("{what} uses {word}, but no [[sip.listen]] does");
        let remedy =
            format!("add a [[sip.listen]] with transport = \"{word}\": NOTIFYs come to it");
        complainer.add(place, what, remedy);
    }
}
