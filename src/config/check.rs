//! The check of the whole file but for its tenants: what single values cannot show. Each function
//! converts its part and complains of everything that is wrong with it; what it returns is used
//! only when nobody complained.

use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;

use ipnet::IpNet;
use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::machine::Machine;
use crate::config::plan::Listener;
use crate::config::schema;
use crate::config::schema::Config;
use crate::config::schema::TransportKind;
use crate::config::tenants::canonical_domain;
use crate::sip::Transport;

/// The CPUs of the shards and of the HTTP core.
pub(super) fn cpus(
    cores: &schema::Cores,
    machine: &Machine,
    complainer: &mut Complainer<'_>,
) -> (Vec<usize>, usize) {
    let allowed = list(&machine.cpus);
    for cpu in cores.shards.iter().chain(&cores.http) {
        if !machine.cpus.contains(cpu.get_ref()) {
            let what = format!("CPU {} is not one this process may run on", cpu.get_ref());
            complainer.add(cpu.span(), what, format!("choose from: {allowed}"));
        }
    }
    let mut shards = Vec::new();
    for cpu in &cores.shards {
        if shards.contains(cpu.get_ref()) {
            let what = format!("CPU {} is given to two shards", cpu.get_ref());
            complainer.add(cpu.span(), what, "give each shard a CPU of its own");
        }
        shards.push(*cpu.get_ref());
    }
    let is_free = |cpu: &&usize| !shards.contains(cpu);
    let last_free = machine
        .cpus
        .iter()
        .rev()
        .find(is_free)
        .or_else(|| machine.cpus.last());
    let http = cores.http.as_ref().map_or_else(
        || last_free.copied().unwrap_or_default(),
        |cpu| *cpu.get_ref(),
    );
    if shards.is_empty() {
        shards.extend(machine.cpus.iter().filter(|cpu| **cpu != http));
        if shards.is_empty() {
            shards.push(http);
        }
    }
    (shards, http)
}

/// The SIP listeners.
pub(super) fn sip_listeners(sip: &schema::Sip, complainer: &mut Complainer<'_>) -> Vec<Listener> {
    if !is_header_text(sip.product.get_ref()) {
        complainer.add(
            sip.product.span(),
            "the product has control characters",
            "use visible characters",
        );
    }
    let place = sip.listen.span();
    let listens = sip.listen.get_ref();
    if listens.is_empty() && !complainer.is_misread_within(&place) {
        complainer.add(
            place,
            "there is no [[sip.listen]]",
            "add one with transport and address",
        );
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for listen in listens {
        let transport = match listen.transport.get_ref() {
            TransportKind::Udp => Transport::Udp,
            TransportKind::Tcp => Transport::Tcp,
        };
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
        if listeners
            .iter()
            .any(|other| other.transport == transport && other.address == address)
        {
            let what = format!(
                "{} {address} is listened on twice",
                transport.uri_parameter()
            );
            complainer.add(listen.address.span(), what, "remove one of the two");
        }
        listeners.push(Listener {
            transport,
            address,
            advertise,
        });
    }
    listeners
}

/// The HTTP listeners.
pub(super) fn http_listeners(
    http: &schema::Http,
    sip: &[Listener],
    complainer: &mut Complainer<'_>,
) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for text in &http.listen {
        let Some(address) = socket_address(text, "127.0.0.1:8080", complainer) else {
            continue;
        };
        let is_sip = |listener: &Listener| {
            listener.transport == Transport::Tcp && listener.address == address
        };
        if address.port() != 0 && (addresses.contains(&address) || sip.iter().any(is_sip)) {
            complainer.add(
                text.span(),
                format!("tcp {address} is listened on twice"),
                "choose another port",
            );
        }
        addresses.push(address);
    }
    addresses
}

/// Octets of a Unix socket's path: what `sockaddr_un` has room for, but for the zero at its end.
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
            "the path of the control socket has {octets} octets, and the system takes \
             {SOCKET_PATH_OCTETS_MAX}: {}",
            path.display()
        );
        let remedy = "give a shorter one with control_socket = \"...\" in [http]";
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
        let what = format!("\"{}\" is no address to listen on", text.get_ref());
        complainer.add(
            text.span(),
            what,
            format!("write address and port, like \"{example}\" or \"[::]:5060\""),
        );
    }
    parsed
}

/// `host` or `host:port` in canonical form. Names are not looked up: a check needs no network.
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
        let remedy = "write what peers reach, like \"192.0.2.1\" or \"sip.example.com:5060\"";
        complainer.add(text.span(), what, remedy);
    }
    found.map(|host| port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// A network, or a single address.
pub(super) fn network(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<IpNet> {
    let parsed = text.get_ref().parse::<IpNet>().ok();
    let parsed = parsed.or_else(|| text.get_ref().parse::<IpAddr>().ok().map(IpNet::from));
    if parsed.is_none() {
        let what = format!("\"{}\" is neither a network nor an address", text.get_ref());
        complainer.add(
            text.span(),
            what,
            "write it like \"10.0.0.0/8\", \"192.0.2.7\" or \"2001:db8::/32\"",
        );
    }
    parsed
}

/// Whether a text can stand in a header as it is.
fn is_header_text(text: &str) -> bool {
    text.len() <= 128
        && text
            .chars()
            .all(|letter| letter == ' ' || letter.is_ascii_graphic())
}

/// `0, 1, 2`
fn list(numbers: &[usize]) -> String {
    numbers
        .iter()
        .map(usize::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}
