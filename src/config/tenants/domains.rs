//! Converts the `[[domain]]` tables of a file, and checks their names, authentication, expiries and
//! ranges.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::schema::{
    AuthKind, CompositionKind, Config, RegistrarKind, SipListen, StaleKind, TrackKind,
};
use crate::config::tenants::names::Names;
use crate::config::tenants::policies;
use crate::config::text::{canonical_domain, network, phrase};
use crate::directory::user_range::UserRange;
use crate::directory::{AuthMode, Directory, Domain, ParksTokens};
use crate::presence::Aor;
use crate::presence::composition::{Style, UpstreamRules};
use crate::presence::event::list::MEMBERS_MAX;

/// Every name and alias in use, with its place.
type Taken = HashMap<String, Range<usize>>;

/// Octets of a token of the page of parked calls.
const TOKEN_OCTETS: RangeInclusive<usize> = 16..=128;

/// Adds the domains of a file.
pub(super) fn add_domains(
    config: &Config,
    known: &Names,
    directory: &mut Directory,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) {
    let mut taken = Taken::new();
    for domain in &config.domain {
        let names = std::iter::once(&domain.name).chain(&domain.aliases);
        let names: Vec<String> = names
            .filter_map(|name| take_name(name, &mut taken, complainer))
            .collect();
        let trusted: Vec<IpNet> = domain
            .trusted
            .iter()
            .filter_map(|text| network(text, complainer))
            .collect();
        let auth = auth_mode(domain, complainer, notes);
        expiries(domain, complainer);
        let Some((name, aliases)) = names.split_first() else {
            continue;
        };
        let domain = Domain {
            auth,
            trusted,
            trusted_certificates: trusted_certificates(config, domain, complainer),
            upstreams: upstreams(config, domain, known),
            ..converted(domain, name, known, complainer)
        };
        // Names that are taken have a complaint already.
        let _ = directory.add_domain(domain, aliases);
    }
}

/// How contributions of the connectors of a domain count.
fn upstreams(config: &Config, domain: &schema::Domain, known: &Names) -> UpstreamRules {
    let own = known.known(domain.name.get_ref());
    let of_domain = |connector: &&schema::Connector| known.known(connector.domain.get_ref()) == own;
    let preferred = |track| {
        let mut connectors = config.connector.iter().filter(of_domain);
        let prefers = |connector: &&schema::Connector| {
            let mut tracks = connector.preferred.iter();
            connector.enabled && tracks.any(|known| *known.get_ref() == track)
        };
        let first = connectors.find(prefers)?;
        Some(Arc::from(first.name.get_ref().as_str()))
    };
    UpstreamRules {
        telephony: preferred(TrackKind::Telephony),
        rich: preferred(TrackKind::Rich),
        stale_kept: match domain.stale {
            StaleKind::Keep => UpstreamRules::STALE_KEPT,
            StaleKind::Unknown => Duration::ZERO,
        },
    }
}

/// The names in certificates that a domain trusts. Complains if no listener asks for a certificate.
fn trusted_certificates(
    config: &Config,
    domain: &schema::Domain,
    complainer: &mut Complainer<'_>,
) -> Vec<Arc<str>> {
    let listeners = &config.sip.listen;
    let asks = |listen: &SipListen| listen.client_ca.is_some();
    let may_ask =
        listeners.get_ref().iter().any(asks) || complainer.is_misread_within(&listeners.span());
    let names = &domain.trusted_certificates;
    if let Some(first) = names.first().filter(|_| !may_ask) {
        complainer.add(
            first.span(),
            "no [[sip.listen]] has a client_ca, so no peer presents a certificate",
            "write client_ca = \"FILE\" in the one that they connect to, or remove the names",
        );
    }
    let hosts = names.iter().filter_map(|name| host_name(name, complainer));
    hosts.collect()
}

/// A host name, in lower case; not an address, nor a wildcard, which stands for nothing in a certificate
/// (RFC 5922 §7.2).
fn host_name(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<Arc<str>> {
    let name = canonical_domain(text.get_ref());
    let is_address = |name: &String| name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    let name = name.filter(|name| !is_address(name));
    if name.is_none() {
        let what = format!("\"{}\" is not a host name", text.get_ref());
        let remedy = "write the name that the peer's certificate is for, like \"sbc.example.com\"; addresses belong \
                      into trusted = [...]";
        complainer.add(text.span(), what, remedy);
    }
    name.map(Arc::from)
}

/// How requests to a domain are authenticated. Reports an error for a mode that accepts no request
/// and a warning for one that accepts every request.
fn auth_mode(
    domain: &schema::Domain,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> AuthMode {
    let name = domain.name.get_ref();
    match domain.auth.get_ref() {
        AuthKind::Digest => AuthMode::Digest,
        AuthKind::Trusted => {
            if domain.trusted.is_empty() && domain.trusted_certificates.is_empty() {
                let what =
                    format!("domain \"{name}\" accepts only trusted peers, but none is configured");
                let remedy = "list their addresses in trusted = [...] or the names in their certificates in trusted_certificates = [...], or use auth = \"digest\"";
                complainer.add(domain.auth.span(), what, remedy);
            }
            AuthMode::Trusted
        }
        AuthKind::None => {
            let what = format!(
                "domain \"{name}\" does not authenticate anyone (auth = \"none\"): use this in a lab only"
            );
            notes.push(complainer.note(&domain.name.span(), &what));
            AuthMode::None
        }
    }
}

/// Converts to the directory's `Domain`, except for `auth` and the trusted peers.
fn converted(
    domain: &schema::Domain,
    name: &str,
    known: &Names,
    complainer: &mut Complainer<'_>,
) -> Domain {
    let any_dn = domain.any_dn.iter();
    Domain {
        any_dn: any_dn
            .filter_map(|text| known.people(text, name, complainer))
            .collect(),
        accepts_certificates: domain.client_certificates,
        orbits: ranges(&domain.orbits, "orbits", complainer),
        parks_tokens: parks_tokens(domain, name, complainer),
        resources: ranges(&domain.resources, "resources", complainer),
        voicemail_pilots: domain
            .voicemail_pilots
            .iter()
            .filter_map(|number| phrase(number, "voicemail_pilots", complainer))
            .collect(),
        privacy: policies::privacy(&domain.privacy, complainer),
        default_handling: policies::handling(domain.default_handling),
        composition: match domain.composition {
            CompositionKind::Standard => Style::Standard,
            CompositionKind::Alceo => Style::Alceo,
            CompositionKind::Imagicle => Style::Imagicle,
        },
        dnd_lamp: domain.dnd_lamp.lamp(),
        history_age_max: domain.history_retention.map(|age| age.0),
        history_octets_max: domain.history_size.map(|size| size.0 as u64),
        reveal_number: domain.reveal_number,
        max_call_duration: domain.max_call_duration.0,
        min_expires: domain.min_expires.get_ref().0,
        min_publish_expires: domain.min_publish_expires.get_ref().0,
        max_expires: domain.max_expires.get_ref().0,
        open: domain.open,
        is_registrar: domain.registrar == RegistrarKind::Presence,
        sha256: domain.sha256,
        ..Domain::new(name)
    }
}

/// The tokens of the page of parked calls. They stand in a path, and are all that protects the page.
fn parks_tokens(
    domain: &schema::Domain,
    name: &str,
    complainer: &mut Complainer<'_>,
) -> ParksTokens {
    let is_unreserved =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~');
    for token in &domain.parks_token.0 {
        let text = &token.get_ref().0;
        if !TOKEN_OCTETS.contains(&text.len()) || !text.bytes().all(is_unreserved) {
            let (min, max) = (TOKEN_OCTETS.start(), TOKEN_OCTETS.end());
            let what = format!(
                "a parks_token of \"{name}\" is not {min} to {max} letters, digits, '-', '.', '_' and '~'"
            );
            let remedy = "write a random one, as `openssl rand -hex 16` prints it";
            complainer.add(token.span(), what, remedy);
        }
    }
    let tokens = domain.parks_token.0.iter();
    ParksTokens::new(name, tokens.map(|token| &*token.get_ref().0))
}

/// The name of a domain in canonical form, if it is a domain name and not taken yet.
fn take_name(
    name: &Spanned<String>,
    taken: &mut Taken,
    complainer: &mut Complainer<'_>,
) -> Option<String> {
    let Some(canonical) = canonical_domain(name.get_ref()) else {
        let what = format!("\"{}\" is not a domain name", name.get_ref());
        complainer.add(
            name.span(),
            what,
            "write a DNS name or an IP address, without scheme, user or port",
        );
        return None;
    };
    if let Some(place) = taken.get(&canonical) {
        let other = complainer.mention(place, &name.span());
        let what = format!("the domain name \"{canonical}\" is already taken ({other})");
        complainer.add(
            name.span(),
            what,
            "a name or alias can belong to one domain only: remove it here or there",
        );
        return None;
    }
    taken.insert(canonical.clone(), name.span());
    Some(canonical)
}

/// Checks the expiries of a domain.
fn expiries(domain: &schema::Domain, complainer: &mut Complainer<'_>) {
    let longest = &domain.max_expires;
    for (name, shortest) in [
        ("min_expires", &domain.min_expires),
        ("min_publish_expires", &domain.min_publish_expires),
    ] {
        let (min, max) = (shortest.get_ref(), longest.get_ref());
        if min <= max {
            continue;
        }
        let place = placed([longest, shortest]);
        let what = format!("max_expires ({max}) is less than {name} ({min})");
        complainer.add(
            place,
            what,
            "no expiry could be granted: raise the first or lower the second",
        );
    }
}

/// The names of a domain's orbits or resources.
fn ranges(texts: &[Spanned<String>], key: &str, complainer: &mut Complainer<'_>) -> Vec<UserRange> {
    let mut ranges = Vec::new();
    let mut count = 0;
    for text in texts {
        match UserRange::parse(text.get_ref()) {
            Ok(range) => {
                count += range.count();
                ranges.push(range);
            }
            Err(fault) => {
                let what = format!(
                    "\"{}\" is not a valid entry of {key}: {fault}",
                    text.get_ref()
                );
                let remedy = "write \"700-709\", \"*71-*75\" or one user";
                complainer.add(text.span(), what, remedy);
            }
        }
    }
    if let Some(last) = texts.last()
        && count > MEMBERS_MAX
    {
        let what = format!("{key} contains {count} users");
        complainer.add(
            last.span(),
            what,
            format!("at most {MEMBERS_MAX} are allowed"),
        );
    }
    ranges
}

/// Complains of orbits and resources that are accounts too: it would be ambiguous whether such a
/// name is a user or an orbit or resource.
pub(super) fn names_without_account(
    domain: &schema::Domain,
    names: &Names,
    directory: &Directory,
    complainer: &mut Complainer<'_>,
) {
    let Some(own) = names.known(domain.name.get_ref()) else {
        return;
    };
    for (key, texts) in [("orbits", &domain.orbits), ("resources", &domain.resources)] {
        for text in texts {
            let Ok(range) = UserRange::parse(text.get_ref()) else {
                continue;
            };
            let aors = range.users().map(|user| Aor::new(&user, own));
            let accounts: Vec<Aor> = aors
                .filter(|aor| directory.account(aor.as_str()).is_some())
                .collect();
            if let Some(first) = accounts.first() {
                let range = text.get_ref();
                let what = match accounts.len() {
                    1 => format!("{key} \"{range}\" includes the account {first}"),
                    count => {
                        format!("{key} \"{range}\" includes {count} accounts, the first is {first}")
                    }
                };
                let remedy = "an orbit or resource cannot be an account: choose other users, or remove the account";
                complainer.add(text.span(), what, remedy);
            }
        }
    }
}

/// The place of the first value that is in the file.
fn placed<T>(values: [&Spanned<T>; 2]) -> Range<usize> {
    values
        .iter()
        .map(|value| value.span())
        .find(|place| !place.is_empty())
        .unwrap_or(0..0)
}
