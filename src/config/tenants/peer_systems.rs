//! Converts `same_as` of connectors and relays to peer systems, and checks it.

use std::net::IpAddr;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::Config;
use crate::config::suggestion::nearest;
use crate::config::tenants::names::Names;
use crate::directory::peer_systems::{PEER_SYSTEMS_MAX, PeerSystem};
use crate::presence::Aor;
use crate::presence::origin::Origin;

/// The peer systems of a file: each table with a `same_as`, and each connector that reads what a relay tells. Tables
/// that name each other, or something in common, are of one system.
pub(super) fn read(
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Vec<PeerSystem> {
    let connectors = config.connector.iter();
    let connectors = connectors.map(|table| (&table.name, &table.same_as, Some(&table.relay)));
    let relays = config.relay.iter();
    let relays = relays.map(|table| (&table.name, &table.same_as, None));
    let mut systems = Vec::new();
    for (name, same_as, read) in connectors.chain(relays) {
        let read = read.map(Option::as_ref);
        if same_as.is_empty() && read.flatten().is_none() {
            continue;
        }
        let found = same_as.iter();
        let found = found.filter_map(|text| origin(text, config, names, complainer));
        let mut system = PeerSystem {
            origins: found.collect(),
            ..PeerSystem::default()
        };
        let own = name.get_ref().as_str();
        if let Some(read) = read {
            system.connectors.push(own.into());
            system.origins.push(Origin::of(own));
            let read = read.map(|relay| relay.get_ref().as_str().into());
            system.relays.extend(read);
        } else {
            system.relays.push(own.into());
        }
        let joined = join(systems.clone(), system);
        if joined.len() > PEER_SYSTEMS_MAX {
            let what = format!("there are more than {PEER_SYSTEMS_MAX} systems with a same_as");
            let remedy = "leave same_as out where a system is told nothing";
            complainer.add(name.span(), what, remedy);
            break;
        }
        systems = joined;
    }
    systems
}

/// Adds a system; those that it has an origin or a relay in common with become one with it.
fn join(systems: Vec<PeerSystem>, mut new: PeerSystem) -> Vec<PeerSystem> {
    let is_same = |known: &PeerSystem| {
        let mut origins = known.origins.iter();
        let mut relays = known.relays.iter();
        origins.any(|origin| new.origins.contains(origin))
            || relays.any(|relay| new.relays.contains(relay))
    };
    let (same, mut joined): (Vec<_>, Vec<_>) = systems.into_iter().partition(is_same);
    for known in same {
        new.connectors.extend(known.connectors);
        new.relays.extend(known.relays);
        new.origins.extend(known.origins);
    }
    new.origins.sort_unstable();
    new.origins.dedup();
    joined.push(new);
    joined
}

/// What an entry names: an IP address, an account, a connector, a token or a feed.
fn origin(
    text: &Spanned<String>,
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Option<Origin> {
    let given = text.get_ref().as_str();
    if let Ok(address) = given.parse::<IpAddr>() {
        return Some(Origin::of_address(address));
    }
    if let Some((user, domain)) = given.split_once('@') {
        let domain = Spanned::new(text.span(), domain.to_owned());
        let domain = names.domain(&domain, "same_as", complainer)?;
        return Some(Origin::of(Aor::new(user, &domain).as_str()));
    }
    let connectors = config.connector.iter().map(|connector| &connector.name);
    let tokens = config.token.iter().map(|token| &token.name);
    let feeds = config.feed.iter().map(|feed| &feed.name);
    let known = connectors.chain(tokens).chain(feeds);
    let known: Vec<&str> = known.map(|name| name.get_ref().as_str()).collect();
    if !known.contains(&given) {
        let what = format!("\"{given}\" is no connector, token or feed");
        let remedy = match nearest(given, &known) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => "name one of them, an account as user@domain, or an IP address".to_owned(),
        };
        complainer.add(text.span(), what, &remedy);
        return None;
    }
    Some(Origin::of(given))
}
