//! The scene of a case: its tenants and limits, from the lines before the steps.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lamplighter::config;
use lamplighter::config::{Config, Machine, Source};
use lamplighter::directory::{AuthMode, Directory, Domain};
use lamplighter::shard::contract::overload_options::{OverloadOptions, Rate};
use lamplighter::shard::{Durability, Options, ShardId};

/// The addresses of the server's listeners.
const LOCAL: [&str; 3] = ["10.0.0.1:5060", "[2001:db8::1]:5060", "[fe80::1%4]:5060"];

/// The listener that a peer can reach.
pub(crate) fn local(peer: SocketAddr) -> SocketAddr {
    let listener = match peer {
        SocketAddr::V4(_) => LOCAL[0],
        SocketAddr::V6(peer) if peer.ip().is_unicast_link_local() => LOCAL[2],
        SocketAddr::V6(_) => LOCAL[1],
    };
    listener.parse().unwrap()
}

/// The parameters of the engine.
pub(crate) struct Scene {
    /// Tenants and their accounts.
    pub(crate) directory: Directory,
    /// Limits, and how many shards.
    pub(crate) options: Options,
}

impl Scene {
    /// Reads the header lines of a case.
    pub(crate) fn read(lines: &[(String, String)], epoch: Instant) -> Result<Self, String> {
        let config = lines.iter().find(|(key, _)| key == "Config");
        let mut directory = configured(config.map_or("", |(_, text)| text))?;
        let mut options = options(epoch);
        for (key, value) in lines {
            match key.as_str() {
                "Config" | "Phone" => {}
                "Domain" => add_domain(&mut directory, value)?,
                "Account" => add_account(&mut directory, value)?,
                "Options" => set_options(&mut options, value)?,
                _ => options.shards = value.parse().map_err(|_| "Shards is a number")?,
            }
        }
        Ok(Self { directory, options })
    }
}

/// The tenants of a configuration, read as by the daemon. The built-in profiles apply in every
/// case.
pub(crate) fn configured(text: &str) -> Result<Directory, String> {
    let source = Source {
        name: "dialogue.txt".to_owned(),
        text: text.to_owned(),
    };
    let machine = Machine { cpus: vec![0] };
    let loaded = config::load_from(&source, &machine).map_err(|fault| fault.to_string())?;
    let ignored = Config::default().needs_restart(&loaded.config);
    if !ignored.is_empty() {
        return Err(format!("{ignored:?} mean nothing here: write Options"));
    }
    Ok(loaded.plan.directory)
}

/// The limits of the suite: small enough to be reached by a test, large enough not to interfere.
fn options(epoch: Instant) -> Options {
    Options {
        local_addresses: LOCAL.iter().map(|local| local.parse().unwrap()).collect(),
        product: String::new(),
        subscriptions_max: 1000,
        notify_rate_per_phone: 0,
        // Few dialogues are about the transport of long NOTIFYs.
        notify_tcp_beyond: usize::MAX,
        presentities_max: 1000,
        publications_per_presentity_max: 4,
        response_ring_octets: 1 << 20,
        nonces_max: 1000,
        ..Options::new(ShardId(0), 1, epoch, [42; 32])
    }
}

fn set_options(options: &mut Options, text: &str) -> Result<(), String> {
    for (key, value) in pairs(text) {
        if key == "durability" {
            options.durability = durability(value)?;
            continue;
        }
        let number: usize = value
            .trim_end_matches('s')
            .parse()
            .map_err(|_| format!("{key}: not a number"))?;
        let seconds = Duration::from_secs(number as u64);
        match key {
            "acknowledgements_held_max" => options.acknowledgements_held_max = number,
            "subscriptions_max" => options.subscriptions_max = number,
            "subscriptions_per_flow_home" => options.subscriptions_per_flow_home = number,
            "expiry_grace" => options.expiry_grace = seconds,
            "dials_max" => options.dials_max = number,
            "probation" => options.probation = seconds,
            "notify_rate_per_phone" => {
                options.notify_rate_per_phone = u32::try_from(number).unwrap()
            }
            "notify_burst_per_phone" => {
                options.notify_burst_per_phone = u32::try_from(number).unwrap()
            }
            "notify_tcp_beyond" => {
                options.notify_tcp_beyond = if number == 0 { usize::MAX } else { number }
            }
            "notifies_per_turn" => options.notifies_per_turn = number,
            "presentities_max" => options.presentities_max = number,
            "contacts_max" => options.contacts_max = number,
            "publications_per_presentity_max" => options.publications_per_presentity_max = number,
            "calls_per_presentity_max" => options.calls_per_presentity_max = number,
            "body_octets_max" => options.body_octets_max = number,
            "subscription_octets_max" => options.subscription_octets_max = number,
            "nonces_max" => options.nonces_max = number,
            "allow_rfc2069" => options.allow_rfc2069 = number == 1,
            "nonce_life" => options.nonce_life = seconds,
            _ if set_shield(&mut options.overload, key, u32::try_from(number).unwrap()) => {}
            _ => return Err(format!("{key}: unknown option")),
        }
    }
    Ok(())
}

fn durability(value: &str) -> Result<Durability, String> {
    match value {
        "relaxed" => Ok(Durability::Relaxed),
        "synced" => Ok(Durability::Synced),
        _ => Err("relaxed or synced?".to_owned()),
    }
}

/// The options of overload protection; a bucket is given by its burst and is refilled by one per
/// second.
fn set_shield(shield: &mut OverloadOptions, key: &str, number: u32) -> bool {
    let rate = Rate {
        per_second: 1,
        burst: number,
    };
    match key {
        "phone_burst" => shield.phone = rate,
        "presentity_burst" => shield.presentity = rate,
        "source_burst" => shield.source = rate,
        "domain_burst" => shield.domain = rate,
        "unproven_max" => shield.unproven_max = number as usize,
        "unproven_octets" => shield.unproven_octets_per_second = number.into(),
        "wrong_max" => shield.wrong_max = number,
        "wrong_per_address_max" => shield.wrong_per_address_max = number,
        "wrong_per_account_max" => shield.wrong_per_account_max = number,
        "loop_per_minute" => shield.loop_per_minute = number,
        _ => return false,
    }
    true
}

/// `abc.com open=true auth=none|digest|trusted trusted=10.0.0.0/8 alias=b.com min_expires=60
/// min_publish=1 max_expires=7200 sha256=true reveal=true max_call=7200`
fn add_domain(directory: &mut Directory, text: &str) -> Result<(), String> {
    let name = text
        .split_whitespace()
        .next()
        .ok_or("a domain without a name")?;
    let mut domain = Domain {
        auth: AuthMode::None,
        open: true,
        ..Domain::new(name)
    };
    let mut aliases = Vec::new();
    for (key, value) in pairs(text) {
        let seconds = || {
            value
                .parse()
                .map(Duration::from_secs)
                .map_err(|_| format!("{key}: not a number"))
        };
        match (key, value) {
            ("auth", "none") => domain.auth = AuthMode::None,
            ("auth", "digest") => domain.auth = AuthMode::Digest,
            ("auth", "trusted") => domain.auth = AuthMode::Trusted,
            ("open", _) => domain.open = value == "true",
            ("sha256", _) => domain.sha256 = value == "true",
            ("reveal", _) => domain.reveal_number = value == "true",
            ("alias", _) => aliases.push(value.to_owned()),
            ("trusted", _) => domain
                .trusted
                .push(value.parse().map_err(|_| "not a network")?),
            ("trusted_certificate", _) => domain.trusted_certificates.push(value.into()),
            ("min_expires", _) => domain.min_expires = seconds()?,
            ("min_publish", _) => domain.min_publish_expires = seconds()?,
            ("max_expires", _) => domain.max_expires = seconds()?,
            ("max_call", _) => domain.max_call_duration = seconds()?,
            _ => return Err(format!("{key}={value}: unknown key of a domain")),
        }
    }
    directory.add_domain(domain, &aliases)
}

fn add_account(directory: &mut Directory, text: &str) -> Result<(), String> {
    let mut words = text.split_whitespace();
    let aor = words.next().ok_or("an account without a name")?;
    let password = words.next().ok_or("an account without a password")?;
    let (user, domain) = aor.split_once('@').ok_or("an account without a domain")?;
    let account = directory.add_account(user, domain, password);
    let account = account.ok_or_else(|| format!("{domain} comes before its accounts"))?;
    account.is_feeder = words.any(|word| word == "feeder=true");
    Ok(())
}

fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split_whitespace()
        .filter_map(|word| word.split_once('='))
}
