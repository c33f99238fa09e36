//! Asks the shards for the parked calls of a domain, each for the orbits that it owns.

use crate::directory::Domain;
use crate::directory::user_range::UserRange;
use crate::http::engine::Engine;
use crate::http::parks::WATCHER;
use crate::http::site;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::document::parked_page::Entry;
use crate::shard::contract::report::ParkedCall;
use crate::shard::{Command, Reply, ShardId};
use crate::sip::Uri;

/// Orbits that one command asks for: a longer command would hold up its shard.
const ORBITS_PER_COMMAND: usize = 500;

/// The parked calls of a domain as entries of a page.
pub(super) async fn parked<E: Engine>(domain: &Domain, site: &Site<E>) -> Option<Vec<Entry>> {
    let calls = parked_calls(domain, site).await?;
    Some(calls.into_iter().map(entry).collect())
}

/// The parked calls of a domain, in the order of their orbits. None if a shard does not reply, or does not know yet
/// what was parked before a restart: a page must not lack calls.
pub(crate) async fn parked_calls<E: Engine>(
    domain: &Domain,
    site: &Site<E>,
) -> Option<Vec<ParkedCall>> {
    let watcher = Aor::new(WATCHER, &domain.name);
    let mut parked = Vec::new();
    for (shard, orbits) in by_owner(domain, site.engine.shards()) {
        for orbits in orbits.chunks(ORBITS_PER_COMMAND) {
            let command = Command::Parked {
                watcher: watcher.clone(),
                orbits: orbits.to_vec(),
            };
            let Ok(Reply::Parked(of_shard)) = site.engine.ask(shard, command).await else {
                return None;
            };
            parked.extend(of_shard);
        }
    }
    parked.sort_by(|one, other| key(one).cmp(&key(other)));
    Some(parked)
}

/// The orbits of a domain by the shard that owns them.
fn by_owner(domain: &Domain, shards: u16) -> impl Iterator<Item = (ShardId, Vec<Aor>)> {
    let users = domain.orbits.iter().flat_map(UserRange::users);
    let mut orbits: Vec<Aor> = users.map(|user| Aor::new(&user, &domain.name)).collect();
    // Ranges may overlap.
    orbits.sort_unstable();
    orbits.dedup();
    site::by_owner(orbits, |orbit| orbit, shards)
}

/// Numbers of equal length are in order.
fn key(call: &ParkedCall) -> (usize, &str) {
    let user = call.orbit.user();
    (user.len(), user)
}

fn entry(call: ParkedCall) -> Entry {
    Entry {
        orbit: call.orbit.user().to_owned(),
        party: party(&call.display, &call.identity),
        age: call.age,
    }
}

/// `Alice 12345678`: name and number, each once.
fn party(display: &str, identity: &str) -> String {
    let number = number(identity);
    match (display, &*number) {
        ("", _) => number,
        (_, "") => display.to_owned(),
        _ if display.eq_ignore_ascii_case(&number) => display.to_owned(),
        _ => format!("{display} {number}"),
    }
}

/// The user of a URI, or its host; a source may also give a bare number.
fn number(identity: &str) -> String {
    let mut number = String::new();
    if let Ok(uri) = Uri::parse(identity.as_bytes()) {
        uri.write_user(&mut number);
        if number.is_empty() {
            uri.write_host(&mut number);
        }
        return number;
    }
    identity.split('@').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_party_has_name_and_number_once() {
        for (display, identity, shown) in [
            ("Alice", "sip:12@abc.com", "Alice 12"),
            ("", "sip:12@abc.com", "12"),
            ("12", "sip:12@abc.com", "12"),
            ("Alice", "", "Alice"),
            ("", "tel:+4930123;phone-context=x", "+4930123"),
            ("", "sip:%2A71@abc.com", "*71"),
            ("", "sip:pbx.example", "pbx.example"),
            ("", "4930123", "4930123"),
            ("", "12@abc.com", "12"),
            ("Anonymous", "sip:anonymous@anonymous.invalid", "Anonymous"),
            ("", "", ""),
        ] {
            assert_eq!(party(display, identity), shown, "{display} {identity}");
        }
    }

    #[test]
    fn every_orbit_is_asked_for_once_at_its_owner() {
        let ranges = ["700-709", "705-714", "*71"];
        let domain = Domain {
            orbits: ranges
                .iter()
                .map(|range| UserRange::parse(range).unwrap())
                .collect(),
            ..Domain::new("abc.com")
        };
        for shards in [1, 3] {
            let mut count = 0;
            for (shard, orbits) in by_owner(&domain, shards) {
                let is_its = |orbit: &Aor| ShardId::owner_of(orbit, shards) == shard;
                assert!(orbits.iter().all(is_its));
                count += orbits.len();
            }
            assert_eq!(count, 16);
        }
    }
}
