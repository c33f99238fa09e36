//! The sockets: SIP listeners, HTTP listeners, the control socket.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::schema::{Config, TransportKind};
use crate::config::text::{canonical_domain, network};
use crate::config::transport_security;
use crate::sip::Transport;
use crate::tls::Keyring;

/// One SIP socket address.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Which transport.
    pub transport: Transport,
    /// The address to bind.
    pub address: SocketAddr,
    /// `host` or `host:port` to advertise instead of the local address.
    pub advertise: Option<String>,
    /// Its certificates, if the transport is encrypted.
    pub keyring: Option<Keyring>,
    /// The proxies that forward connections to it; empty if phones connect to it.
    pub proxies: Vec<IpNet>,
    /// Where the web pages come from that may connect by WebSocket; none for anywhere.
    pub origins: Vec<String>,
}

/// One HTTP socket address.
#[derive(Clone, Debug)]
pub struct HttpListener {
    /// The address to bind.
    pub address: SocketAddr,
    /// Its certificates; None for plain HTTP.
    pub keyring: Option<Keyring>,
}

/// The SIP listeners.
pub(super) fn sip(
    sip: &schema::Sip,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Vec<Listener> {
    if !is_header_text(sip.product.get_ref()) {
        complainer.add(
            sip.product.span(),
            "the product contains control characters",
            "use printable characters",
        );
    }
    let place = sip.listen.span();
    let listens = sip.listen.get_ref();
    if listens.is_empty() && !complainer.is_misread_within(&place) {
        complainer.add(
            place,
            "there is no [[sip.listen]]",
            "add one, with transport and address",
        );
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for listen in listens {
        let transport = match listen.transport.get_ref() {
            TransportKind::Udp => Transport::Udp,
            TransportKind::Tcp => Transport::Tcp,
            TransportKind::Tls => Transport::Tls,
            TransportKind::Ws => Transport::Ws,
            TransportKind::Wss => Transport::Wss,
        };
        let keyring = transport_security::keyring(listen, complainer, notes);
        let proxies = proxies(listen, transport, complainer);
        let origins = origins(listen, complainer);
        let Some(address) = socket_address(&listen.address, "0.0.0.0:5060", complainer) else {
            continue;
        };
        let advertise = listen
            .advertise
            .as_ref()
            .and_then(|text| advertised(text, complainer));
        if complainer.is_misread(&listen.transport.span()) {
            continue;
        }
        // All streams share one space of ports.
        let is_same = |other: &Listener| {
            let is_alike = other.transport.is_reliable() == transport.is_reliable();
            let collides = is_alike && address.port() != 0 || other.transport == transport;
            collides && other.address == address
        };
        if listeners.iter().any(is_same) {
            let kind = if transport.is_reliable() {
                "tcp"
            } else {
                "udp"
            };
            let what = format!("{kind} {address} is configured twice");
            complainer.add(listen.address.span(), what, "remove one of the two");
        }
        listeners.push(Listener {
            transport,
            address,
            advertise,
            keyring,
            proxies,
            origins,
        });
    }
    listeners
}

/// The proxies that forward connections to a listener with the PROXY protocol.
fn proxies(
    listen: &schema::SipListen,
    transport: Transport,
    complainer: &mut Complainer<'_>,
) -> Vec<IpNet> {
    let networks = listen.proxies.iter();
    let networks: Vec<IpNet> = networks
        .filter_map(|text| network(text, complainer))
        .collect();
    let is_on = *listen.proxy_protocol.get_ref();
    if is_on && !transport.is_reliable() {
        complainer.add(
            listen.proxy_protocol.span(),
            "the PROXY protocol is for connections, not for UDP",
            "remove it, or use another transport",
        );
    } else if is_on && listen.proxies.is_empty() {
        complainer.add(
            listen.proxy_protocol.span(),
            "proxy_protocol = true without proxies: no connection would be served",
            "list the load balancers in proxies = [\"10.0.0.7\"]",
        );
    } else if let Some(first) = listen.proxies.first().filter(|_| !is_on) {
        complainer.add(
            first.span(),
            "proxies mean nothing without the PROXY protocol",
            "add proxy_protocol = true, or remove them",
        );
    }
    networks
}

/// The origins of web pages, as browsers write them: a scheme, a host, and the port if it is not that of
/// the scheme.
fn origins(listen: &schema::SipListen, complainer: &mut Complainer<'_>) -> Vec<String> {
    use TransportKind::{Ws, Wss};
    let is_for_pages = matches!(listen.transport.get_ref(), Ws | Wss);
    let mut origins = Vec::new();
    for origin in &listen.origins {
        let text = origin.get_ref();
        let host = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"));
        let is_origin = host.is_some_and(|host| {
            let mut letters = host.chars();
            !host.is_empty() && letters.all(|letter| letter.is_ascii_graphic() && letter != '/')
        });
        if !is_for_pages && !complainer.is_misread(&listen.transport.span()) {
            let what = "only a listener with transport = \"ws\" or \"wss\" has origins";
            complainer.add(origin.span(), what, "remove them, or change the transport");
        } else if !is_origin {
            let what = format!("\"{text}\" is not the origin of a web page");
            let remedy = "write it as browsers do, without a path: \"https://phone.example.com\"";
            complainer.add(origin.span(), what, remedy);
        }
        origins.push(text.clone());
    }
    origins
}

/// What to write instead of plain HTTP beyond loopback.
const SECURE_HTTP: &str = "serve HTTPS: [[https]] with address, certificate and key; or listen at \
                           127.0.0.1, for a TLS proxy on this machine; or, on a network that you trust, \
                           write allow_insecure = true in [http]";

/// The HTTP listeners, plain and encrypted.
pub(super) fn http(
    config: &Config,
    sip: &[Listener],
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Vec<HttpListener> {
    let plain = config.http.listen.iter().map(|address| (address, None));
    let encrypted = config
        .https
        .iter()
        .map(|https| (&https.address, Some(https)));
    let mut listeners: Vec<HttpListener> = Vec::new();
    for (text, https) in plain.chain(encrypted) {
        let keyring =
            https.and_then(|https| transport_security::https_keyring(https, complainer, notes));
        let Some(address) = socket_address(text, "127.0.0.1:8080", complainer) else {
            continue;
        };
        if https.is_none()
            && !address.ip().to_canonical().is_loopback()
            && !config.http.allow_insecure
        {
            let what = format!("plain HTTP at {address} would carry passwords in the clear");
            complainer.add(text.span(), what, SECURE_HTTP);
        }
        let is_sip = sip.iter().filter(|other| other.transport.is_reliable());
        let mut taken = is_sip.map(|other| other.address);
        let is_taken = taken.any(|other| other == address)
            || listeners.iter().any(|other| other.address == address);
        if address.port() != 0 && is_taken {
            complainer.add(
                text.span(),
                format!("tcp {address} is configured twice"),
                "choose another port",
            );
        }
        listeners.push(HttpListener { address, keyring });
    }
    listeners
}

/// Octets of the path of a Unix socket: the size of `sun_path`, less the terminating zero.
const SOCKET_PATH_OCTETS_MAX: usize = 107;

/// The path of the control socket.
pub(super) fn control_socket(config: &Config, complainer: &mut Complainer<'_>) {
    let path = config.control_socket();
    let octets = path.as_os_str().len();
    if octets > SOCKET_PATH_OCTETS_MAX {
        let place = match &config.http.control_socket {
            Some(path) => path.span(),
            None => config.node.data_dir.span(),
        };
        let what = format!(
            "the path of the control socket has {octets} octets, but the system allows \
             {SOCKET_PATH_OCTETS_MAX}: {}",
            path.display()
        );
        let remedy = "set a shorter path with control_socket = \"...\" in [http]";
        complainer.add(place, what, remedy);
    }
}

/// An address to bind.
fn socket_address(
    text: &Spanned<String>,
    example: &str,
    complainer: &mut Complainer<'_>,
) -> Option<SocketAddr> {
    let parsed = text.get_ref().parse().ok();
    if parsed.is_none() {
        let what = format!("\"{}\" is not a listen address", text.get_ref());
        complainer.add(
            text.span(),
            what,
            format!("write the address and port, like \"{example}\" or \"[::]:5060\""),
        );
    }
    parsed
}

/// `host` or `host:port` in canonical form. Names are not looked up, so that a check needs no network.
fn advertised(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<String> {
    let given = text.get_ref();
    let (host, port) = match given.rsplit_once(':') {
        Some((host, port)) if !given.ends_with(']') && given.parse::<Ipv6Addr>().is_err() => {
            (host, Some(port))
        }
        _ => (given.as_str(), None),
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port != 0);
    let is_reachable = host
        .parse::<IpAddr>()
        .map_or(true, |ip| !ip.is_unspecified());
    let found = canonical_domain(host).filter(|_| is_reachable && port.is_none_or(is_port));
    if found.is_none() {
        let what = format!("\"{given}\" cannot be advertised");
        let remedy =
            "write an address that peers can reach, like \"192.0.2.1\" or \"sip.example.com:5060\"";
        complainer.add(text.span(), what, remedy);
    }
    found.map(|host| port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// Whether a text can stand in a header as it is.
fn is_header_text(text: &str) -> bool {
    text.len() <= 128
        && text
            .chars()
            .all(|letter| letter == ' ' || letter.is_ascii_graphic())
}
