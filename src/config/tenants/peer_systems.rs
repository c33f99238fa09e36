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

/// The peer systems of a file: each table with a `same_as`. Tables that name each other, or something in common, are
/// of one system.
pub(super) fn read(
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Vec<PeerSystem> {
    let mut systems: Vec<PeerSystem> = Vec::new();
    let connectors = config
        .connector
        .iter()
        .filter(|one| !one.same_as.is_empty());
    for connector in connectors {
        let name = connector.name.get_ref().as_str();
        let mut origins = origins(&connector.same_as, config, names, complainer);
        origins.push(Origin::of(name));
        let system = PeerSystem {
            connectors: vec![name.into()],
            relays: Vec::new(),
            origins,
        };
        join(&mut systems, system);
    }
    for relay in config.relay.iter().filter(|one| !one.same_as.is_empty()) {
        let system = PeerSystem {
            connectors: Vec::new(),
            relays: vec![relay.name.get_ref().as_str().into()],
            origins: origins(&relay.same_as, config, names, complainer),
        };
        join(&mut systems, system);
    }
    if systems.len() > PEER_SYSTEMS_MAX {
        systems.truncate(PEER_SYSTEMS_MAX);
        let connectors = config
            .connector
            .iter()
            .filter(|one| !one.same_as.is_empty());
        let relays = config.relay.iter().filter(|one| !one.same_as.is_empty());
        let names = connectors.map(|one| &one.name);
        if let Some(last) = names.chain(relays.map(|one| &one.name)).last() {
            let what = format!("there are more than {PEER_SYSTEMS_MAX} systems with a same_as");
            let remedy = "leave same_as out where a system is told nothing";
            complainer.add(last.span(), what, remedy);
        }
    }
    systems
}

/// What the entries of a `same_as` name.
pub(super) fn origins(
    same_as: &[Spanned<String>],
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
) -> Vec<Origin> {
    let found = same_as.iter();
    let found = found.filter_map(|text| origin(text, config, names, complainer));
    found.collect()
}

/// Adds a system; those that it has an origin in common with become one with it.
fn join(systems: &mut Vec<PeerSystem>, mut new: PeerSystem) {
    let is_same = |known: &PeerSystem, new: &PeerSystem| {
        let mut origins = known.origins.iter();
        origins.any(|origin| new.origins.contains(origin))
    };
    let (same, others) = systems.drain(..).partition(|known| is_same(known, &new));
    *systems = others;
    for mut known in Vec::into_iter(same) {
        new.connectors.append(&mut known.connectors);
        new.relays.append(&mut known.relays);
        new.origins.append(&mut known.origins);
    }
    new.origins.sort_unstable();
    new.origins.dedup();
    systems.push(new);
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
