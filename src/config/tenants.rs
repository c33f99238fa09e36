//! The check of tenants, and the directory they become: domains first, then what is of them.

use std::collections::HashMap;
use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::ops::Range;

use ipnet::IpNet;
use toml::Spanned;

use crate::config::check::network;
use crate::config::complaint::Complainer;
use crate::config::lists;
use crate::config::people::Names;
use crate::config::people::is_phrase;
use crate::config::people::is_user;
use crate::config::people::user_remedy;
use crate::config::policies;
use crate::config::profiles;
use crate::config::schema;
use crate::config::schema::AuthKind;
use crate::config::schema::CompositionKind;
use crate::config::schema::Config;
use crate::config::schema::RegistrarKind;
use crate::presence::Aor;
use crate::presence::composition::Style;
use crate::presence::event::list::MEMBERS_MAX;
use crate::shard::Directory;
use crate::shard::directory::AuthMode;
use crate::shard::directory::Details;
use crate::shard::directory::Domain;
use crate::shard::directory::user_range::UserRange;

/// Domains, accounts, groups, lists, policies, profiles.
pub(super) fn directory(
    config: &Config,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Directory {
    let mut directory = Directory::default();
    let names = Names::new(config);
    let mut taken = HashMap::new();
    for domain in &config.domain {
        add_domain(
            domain,
            &names,
            &mut directory,
            &mut taken,
            complainer,
            notes,
        );
    }
    let mut accounts = HashSet::new();
    for account in &config.account {
        add_account(account, &names, &mut directory, &mut accounts, complainer);
    }
    for domain in &config.domain {
        names_without_account(domain, &names, &directory, complainer);
    }
    lists::add_groups(config, &names, &mut directory, complainer);
    lists::add_lists(config, &names, &mut directory, complainer);
    lists::note_strangers(config, &names, &directory, complainer, notes);
    policies::add_policies(config, &names, &mut directory, complainer, notes);
    directory.set_profiles(profiles::table(&config.profile, complainer));
    if config.domain.is_empty() {
        notes.push("there is no [[domain]]: every request will be answered 404".to_owned());
    }
    directory
}

/// Every name and alias that is taken, with the line that takes it.
type Taken = HashMap<String, usize>;

fn add_domain(
    domain: &schema::Domain,
    known: &Names,
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
        let what = format!("domain \"{name}\" believes everybody (auth = \"none\"): for labs only");
        notes.push(complainer.note(&domain.name.span(), &what));
    }
    expiries(domain, complainer);
    let mut names = names.into_iter().flatten();
    let Some(name) = names.next() else { return };
    let aliases: Vec<String> = names.collect();
    let any_dn = domain.any_dn.iter();
    let domain = Domain {
        any_dn: any_dn
            .filter_map(|text| known.people(text, &name, complainer))
            .collect(),
        orbits: ranges(&domain.orbits, "orbits", complainer),
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
        auth,
        trusted,
        reveal_number: domain.reveal_number,
        max_call_duration: domain.max_call_duration.0,
        min_expires: domain.min_expires.get_ref().0,
        min_publish_expires: domain.min_publish_expires.get_ref().0,
        max_expires: domain.max_expires.get_ref().0,
        open: domain.open,
        is_registrar: domain.registrar == RegistrarKind::Presence,
        sha256: domain.sha256,
        ..Domain::new(&name)
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
pub(super) fn canonical_domain(name: &str) -> Option<String> {
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

/// The spans of a domain.
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
            "no expiry could be granted: raise the one or lower the other",
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
                let what = format!("\"{}\" cannot be among {key}: {fault}", text.get_ref());
                let remedy = "write \"700-709\", \"*71-*75\" or one user";
                complainer.add(text.span(), what, remedy);
            }
        }
    }
    if let Some(last) = texts.last()
        && count > MEMBERS_MAX
    {
        let what = format!("the {key} are {count}");
        complainer.add(
            last.span(),
            what,
            format!("at most {MEMBERS_MAX} can be listed"),
        );
    }
    ranges
}

/// Complains of orbits and resources that are accounts too: whether such a one is a person or a
/// place would depend on who looks.
fn names_without_account(
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
                    1 => format!("{key} \"{range}\" has the account {first} in it"),
                    count => {
                        format!(
                            "{key} \"{range}\" has {count} accounts in it, {first} is the first"
                        )
                    }
                };
                let remedy = "these names have no account: choose others, or remove the account";
                complainer.add(text.span(), what, remedy);
            }
        }
    }
}

/// A name or a number that is there and can be shown.
fn phrase(text: &Spanned<String>, key: &str, complainer: &mut Complainer<'_>) -> Option<Box<str>> {
    let given = text.get_ref().trim();
    if !is_phrase(given) {
        let what = format!("{:?} cannot stand in {key}", text.get_ref());
        complainer.add(
            text.span(),
            what,
            "give 1 to 256 visible octets, or remove it",
        );
        return None;
    }
    Some(given.into())
}

fn add_account(
    account: &schema::Account,
    names: &Names,
    directory: &mut Directory,
    accounts: &mut HashSet<Aor>,
    complainer: &mut Complainer<'_>,
) {
    let user = account.user.get_ref();
    if !is_user(user) {
        let what = format!("{user:?} is no user");
        complainer.add(account.user.span(), what, user_remedy(user));
    }
    if account.password.get_ref().0.is_empty() {
        let what = format!("the password of \"{user}\" is empty");
        complainer.add(
            account.password.span(),
            what,
            "give one, or remove the account",
        );
    }
    let text = |text: &Spanned<String>, key, complainer: &mut _| phrase(text, key, complainer);
    let display = account.display.as_ref();
    let alternative = account.alternative.as_ref();
    let voicemail = account.voicemail.0.iter();
    let details = Details {
        display: display.and_then(|name| text(name, "display", complainer)),
        alternative: alternative.and_then(|number| text(number, "alternative", complainer)),
        voicemail: voicemail
            .filter_map(|number| text(number, "voicemail", complainer))
            .collect(),
    };
    let Some(domain) = names.domain(&account.domain, &format!("\"{user}\""), complainer) else {
        return;
    };
    let aor = Aor::new(user, &domain);
    if !accounts.insert(aor.clone()) {
        let what = format!("the account \"{aor}\" is there twice");
        complainer.add(account.user.span(), what, "remove one of the two");
        return;
    }
    if let Some(added) = directory.add_account(user, &domain, &account.password.get_ref().0) {
        added.is_feeder = account.feeder;
    }
    set_auth_id(account, &aor, directory, complainer);
    if details != Details::default() {
        directory.describe(&aor, details);
    }
}

fn set_auth_id(
    account: &schema::Account,
    aor: &Aor,
    directory: &mut Directory,
    complainer: &mut Complainer<'_>,
) {
    let Some(auth_id) = &account.auth_id else {
        return;
    };
    let name = auth_id.get_ref().as_str();
    if name == aor.user() {
        return;
    }
    if !is_user(name) {
        let what = format!("the auth_id {name:?} of \"{aor}\" is no user name");
        complainer.add(
            auth_id.span(),
            what,
            "give what the phone has as its auth id",
        );
    } else if !directory.set_auth_id(aor, name, &account.password.get_ref().0) {
        let what =
            format!("another account of the domain goes by \"{name}\", the auth_id of \"{aor}\"");
        complainer.add(auth_id.span(), what, "give each account a name of its own");
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
