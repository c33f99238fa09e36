//! The check of the whole file: what single values cannot show. Each function converts its part and complains of everything
//! that is wrong with it; what it returns is used only when nobody complained.

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::IpAddr;
use std::net::Ipv6Addr;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::machine::Machine;
use crate::config::plan::Listener;
use crate::config::quantity::Interval;
use crate::config::schema;
use crate::config::schema::AuthKind;
use crate::config::schema::Config;
use crate::config::schema::TransportKind;
use crate::config::suggestion::nearest;
use crate::shard::Directory;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Domain;
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
        .or(machine.cpus.last());
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
    if sip.listen.is_empty() {
        complainer.add(
            0..0,
            "there is no [[sip.listen]]",
            "add one with transport and address",
        );
    }
    let mut listeners: Vec<Listener> = Vec::new();
    for listen in &sip.listen {
        let transport = match listen.transport {
            TransportKind::Udp => Transport::Udp,
            TransportKind::Tcp => Transport::Tcp,
        };
        let Some(address) = socket_address(&listen.address, "0.0.0.0:5060", complainer) else {
            continue;
        };
        let advertise = listen
            .advertise
            .as_ref()
            .and_then(|text| advertised(text, address.port(), complainer));
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

/// `[limits]`, `[notify]`, `[auth]`.
pub(super) fn limits(config: &Config, complainer: &mut Complainer<'_>) {
    let limits = &config.limits;
    let counts = [
        (&limits.subscriptions, "subscriptions", u32::MAX as usize),
        (&limits.presentities, "presentities", u32::MAX as usize),
        (
            &limits.publications_per_presentity,
            "publications_per_presentity",
            10_000,
        ),
        (&limits.calls_per_presentity, "calls_per_presentity", 10_000),
        (&limits.nonces, "nonces", u32::MAX as usize),
        (&limits.notifies_per_turn, "notifies_per_turn", 100_000),
    ];
    for (count, name, max) in counts {
        between(count, *count.get_ref(), name, 1, max, complainer);
    }
    between(
        &config.notify.burst,
        *config.notify.burst.get_ref() as usize,
        "burst",
        1,
        1_000_000,
        complainer,
    );
    between(
        &limits.body,
        limits.body.get_ref().0,
        "body",
        1 << 10,
        16 << 20,
        complainer,
    );
    between(
        &limits.response_ring,
        limits.response_ring.get_ref().0,
        "response_ring",
        64 << 10,
        1 << 30,
        complainer,
    );
    time_between(&limits.probation, "probation", 1, 3600, complainer);
    time_between(
        &config.auth.nonce_life,
        "nonce_life",
        30,
        7 * 86_400,
        complainer,
    );
}

/// Domains, then accounts.
pub(super) fn directory(
    config: &Config,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Directory {
    let mut directory = Directory::default();
    let mut taken = HashMap::new();
    for domain in &config.domain {
        add_domain(domain, &mut directory, &mut taken, complainer, notes);
    }
    let mut accounts = HashSet::new();
    for account in &config.account {
        add_account(account, &mut directory, &taken, &mut accounts, complainer);
    }
    if config.domain.is_empty() {
        notes.push("there is no [[domain]]: every request will be answered 404".to_owned());
    }
    directory
}

/// Every name and alias that is taken, with the line that takes it.
type Taken = HashMap<String, usize>;

fn add_domain(
    domain: &schema::Domain,
    directory: &mut Directory,
    taken: &mut Taken,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) {
    let names: Vec<Option<String>> = std::iter::once(&domain.name)
        .chain(&domain.aliases)
        .map(|name| take_name(name, taken, complainer))
        .collect();
    let trusted: Vec<IpNet> = domain
        .trusted
        .iter()
        .filter_map(|text| network(text, complainer))
        .collect();
    let line = complainer.line_of(&domain.name.span());
    let name = domain.name.get_ref();
    let auth = match domain.auth {
        AuthKind::Digest => AuthMode::Digest,
        AuthKind::Trusted => AuthMode::Trusted,
        AuthKind::None => AuthMode::None,
    };
    if auth == AuthMode::Trusted && domain.trusted.is_empty() {
        let what =
            format!("domain \"{name}\" believes trusted addresses alone, and there are none");
        complainer.add(
            domain.name.span(),
            what,
            "list them in trusted = [...], or use auth = \"digest\"",
        );
    }
    if auth == AuthMode::None {
        notes.push(format!(
            "line {line}: domain \"{name}\" believes everybody (auth = \"none\"): for labs only"
        ));
    }
    expiries(domain, complainer);
    let mut names = names.into_iter().flatten();
    let Some(name) = names.next() else { return };
    let aliases: Vec<String> = names.collect();
    let domain = Domain {
        name,
        auth,
        trusted,
        reveal_number: domain.reveal_number,
        max_call_duration: domain.max_call_duration.get_ref().0,
        min_expires: domain.min_expires.get_ref().0,
        max_expires: domain.max_expires.get_ref().0,
        open: domain.open,
        sha256: domain.sha256,
    };
    // Names that are taken were complained of already.
    let _ = directory.add_domain(domain, &aliases);
}

/// A domain's name in its canonical form, when it is one and nobody has it.
fn take_name(
    name: &Spanned<String>,
    taken: &mut Taken,
    complainer: &mut Complainer<'_>,
) -> Option<String> {
    let Some(canonical) = canonical_domain(name.get_ref()) else {
        let what = format!("\"{}\" is no domain name", name.get_ref());
        complainer.add(
            name.span(),
            what,
            "give a DNS name or an IP address, without scheme, user or port",
        );
        return None;
    };
    if let Some(line) = taken.get(&canonical) {
        let what = format!("the domain name \"{canonical}\" is taken already (line {line})");
        complainer.add(
            name.span(),
            what,
            "a name or alias belongs to one domain: remove it from the other",
        );
        return None;
    }
    taken.insert(canonical.clone(), complainer.line_of(&name.span()));
    Some(canonical)
}

/// Lower case, without a trailing dot, IPv6 in brackets. None when it can be no host.
fn canonical_domain(name: &str) -> Option<String> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        (1..=63).contains(&label.len()) && label.chars().all(legal)
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then(|| name.to_ascii_lowercase())
}

/// A network, or a single address.
fn network(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<IpNet> {
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

/// The spans of a domain.
fn expiries(domain: &schema::Domain, complainer: &mut Complainer<'_>) {
    // RFC 6665 §4.2.1.1: 423 is for requests below an hour only, so a longer minimum could never be demanded.
    time_between(&domain.min_expires, "min_expires", 1, 3600, complainer);
    time_between(
        &domain.max_expires,
        "max_expires",
        1,
        30 * 86_400,
        complainer,
    );
    time_between(
        &domain.max_call_duration,
        "max_call_duration",
        1,
        7 * 86_400,
        complainer,
    );
    let (min, max) = (domain.min_expires.get_ref(), domain.max_expires.get_ref());
    if max < min {
        let place = placed([&domain.max_expires, &domain.min_expires]);
        let what = format!("max_expires ({max}) is less than min_expires ({min})");
        complainer.add(
            place,
            what,
            "no expiry could be granted: raise the one or lower the other",
        );
    }
}

fn add_account(
    account: &schema::Account,
    directory: &mut Directory,
    taken: &Taken,
    accounts: &mut HashSet<(String, String)>,
    complainer: &mut Complainer<'_>,
) {
    let user = account.user.get_ref();
    if user.is_empty() || user.chars().any(char::is_control) || user.len() > 256 {
        let what = format!("{user:?} is no user");
        complainer.add(
            account.user.span(),
            what,
            "give the part before the @, at most 256 octets",
        );
    }
    if account.password.get_ref().0.is_empty() {
        let what = format!("the password of \"{user}\" is empty");
        complainer.add(
            account.password.span(),
            what,
            "give one, or remove the account",
        );
    }
    let domain = canonical_domain(account.domain.get_ref()).unwrap_or_default();
    let Some(owner) = directory.domain(&domain).map(|domain| domain.name.clone()) else {
        // A name that was complained of where it was taken needs no second complaint here.
        if !taken.contains_key(&domain) {
            let mut names: Vec<&str> = taken.keys().map(String::as_str).collect();
            names.sort_unstable();
            let remedy = nearest(&domain, &names).map_or_else(
                || "add a [[domain]] of that name".to_owned(),
                |meant| format!("did you mean \"{meant}\"?"),
            );
            let what = format!(
                "\"{user}\" is of the domain \"{}\", which there is not",
                account.domain.get_ref()
            );
            complainer.add(account.domain.span(), what, remedy);
        }
        return;
    };
    if !accounts.insert((user.clone(), owner.clone())) {
        let what = format!("the account \"{user}@{owner}\" is there twice");
        complainer.add(account.user.span(), what, "remove one of the two");
        return;
    }
    let _ = directory.add_account(user, &owner, &account.password.get_ref().0);
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

/// `host:port` from `host` or `host:port`.
fn advertised(
    text: &Spanned<String>,
    port: u16,
    complainer: &mut Complainer<'_>,
) -> Option<String> {
    let given = text.get_ref();
    let (host, port) = match given.rsplit_once(':') {
        Some((host, digits)) if !given.ends_with(']') && given.parse::<Ipv6Addr>().is_err() => {
            (host, digits.parse().ok().filter(|port: &u16| *port != 0))
        }
        _ => (given.as_str(), Some(port)),
    };
    let found = canonical_domain(host)
        .zip(port)
        .map(|(host, port)| format!("{host}:{port}"));
    if found.is_none() {
        let what = format!("\"{given}\" cannot be advertised");
        complainer.add(
            text.span(),
            what,
            "write what peers reach this listener at, like \"192.0.2.1:5060\"",
        );
    }
    found
}

/// Complains of a count outside its bounds.
fn between<T>(
    place: &Spanned<T>,
    count: usize,
    name: &str,
    min: usize,
    max: usize,
    complainer: &mut Complainer<'_>,
) {
    if !(min..=max).contains(&count) {
        complainer.add(
            place.span(),
            format!("{name} is {count}"),
            format!("choose from {min} to {max}"),
        );
    }
}

/// Complains of a time span outside its bounds (seconds).
fn time_between(
    time: &Spanned<Interval>,
    name: &str,
    min: u64,
    max: u64,
    complainer: &mut Complainer<'_>,
) {
    let (min, max) = (Duration::from_secs(min), Duration::from_secs(max));
    if !(min..=max).contains(&time.get_ref().0) {
        let remedy = format!("choose from \"{}\" to \"{}\"", Interval(min), Interval(max));
        complainer.add(time.span(), format!("{name} is {}", time.get_ref()), remedy);
    }
}

/// The place of the first value that stands in the file.
fn placed<T>(values: [&Spanned<T>; 2]) -> Range<usize> {
    values
        .iter()
        .map(|value| value.span())
        .find(|place| !place.is_empty())
        .unwrap_or(0..0)
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
