//! Converts the `[[connector]]` tables of a file, and checks them.

use std::collections::HashMap;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema;
use crate::config::schema::{
    Config, ConnectorKind, ConnectorStyleKind, ConnectorTransportKind, PackageKind, RelayKindWord,
    TrackKind,
};
use crate::config::tenants::names;
use crate::config::tenants::names::Names;
use crate::config::tenants::secret_file;
use crate::config::tenants::servers::{
    check_auth_id, check_listener, own_uri, plain_uri, remote_domain, server_address, transport,
};
use crate::config::text::canonical_domain;
use crate::directory::connectors::{
    Connector, LIST_USERS_MAX, LISTED_USERS_MAX, ListKind, PbxKind, PbxUpstream, Preferred,
    Protocol, ServerAddress, SipUpstream, TeamsUpstream, UpstreamList, UserSelection,
};
use crate::directory::lists::ANY_DN;
use crate::directory::user_range::UserRange;
use crate::presence::event::Package;
use crate::sip::digest::client::Login;
use crate::sip::uri::sip_uri;

/// The user of From where we have no user name.
const OWN_USER: &str = "lamplighter";

/// The connectors of a file.
pub(super) fn read(
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Vec<Connector> {
    let connectors = &config.connector;
    let all = connectors.iter().map(|connector| &connector.name);
    names::check_all("connector", all, complainer);
    check_preferred(config, names, complainer);
    let mut read = Vec::with_capacity(connectors.len());
    for connector in connectors {
        if connector.kind == ConnectorKind::Sip {
            let what = format!("the connector \"{}\"", connector.name.get_ref());
            let place = (connector.name.span(), &*what);
            check_listener(connector.transport, place, config, complainer);
        }
        read.push(converted(connector, config, names, complainer, notes));
    }
    read
}

fn converted(
    connector: &schema::Connector,
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Connector {
    let name = connector.name.get_ref().as_str();
    let what = format!("the connector \"{name}\"");
    let domain = names.domain(&connector.domain, &what, complainer);
    let domain = domain.unwrap_or_default();
    let address = connector.address.as_ref();
    let is_teams = connector.kind == ConnectorKind::Teams;
    if address.is_none() && connector.enabled && !is_teams {
        let what = format!("{what} has no address: it is \"Server Not configured\"");
        notes.push(complainer.note(&connector.name.span(), &what));
    }
    let address = address.and_then(|address| server_address(address, complainer));
    let login = login(connector, complainer, notes);
    let protocol = match connector.kind {
        ConnectorKind::Sip => Protocol::Sip(upstream(
            connector,
            address.as_ref(),
            (login.as_ref(), &domain),
            complainer,
        )),
        ConnectorKind::AsteriskAmi => pbx(connector, PbxKind::Asterisk, complainer),
        ConnectorKind::FreeswitchEventSocket => pbx(connector, PbxKind::FreeSwitch, complainer),
        ConnectorKind::Teams => Protocol::Teams(teams(connector, config, complainer)),
    };
    Connector {
        name: name.into(),
        domain: domain.into(),
        is_enabled: connector.enabled,
        address,
        login,
        users: users(connector, complainer),
        preferred: preferred(connector),
        protocol,
    }
}

/// What Microsoft Teams needs.
fn teams(
    connector: &schema::Connector,
    config: &Config,
    complainer: &mut Complainer<'_>,
) -> TeamsUpstream {
    let name = connector.name.get_ref();
    let relay = connector.relay.as_ref().map(Spanned::get_ref);
    let mut relays = config.relay.iter();
    let is_it = |table: &schema::Relay| {
        *table.kind.get_ref() == RelayKindWord::Teams && Some(table.name.get_ref()) == relay
    };
    if !relays.any(is_it) {
        let place = connector.relay.as_ref().map(Spanned::span);
        let what = format!("the connector \"{name}\" names no relay of kind \"teams\"");
        let remedy = "write relay = \"...\", the name of the [[relay]] that says how the tenant is reached; with enabled = false it is only read";
        complainer.add(place.unwrap_or_else(|| connector.name.span()), what, remedy);
    }
    let of_accounts = connector.users.0.iter();
    for text in of_accounts.filter(|text| text.get_ref() == "demand") {
        let what = format!("the connector \"{name}\" cannot poll users on demand");
        let remedy = "write \"accounts\", users, or ranges of users";
        complainer.add(text.span(), what, remedy);
    }
    TeamsUpstream {
        relay: relay.map_or("", |relay| relay).into(),
        poll: connector.poll.0,
    }
}

/// What a PBX needs that is not spoken to by SIP.
fn pbx(connector: &schema::Connector, kind: PbxKind, complainer: &mut Complainer<'_>) -> Protocol {
    let name = connector.name.get_ref();
    if kind == PbxKind::Asterisk && connector.auth_id.is_none() && connector.enabled {
        let what = format!("the connector \"{name}\" has no auth_id");
        let remedy = "write auth_id = \"...\", the name of the section of manager.conf, and its secret as password";
        complainer.add(connector.name.span(), what, remedy);
    }
    if kind != PbxKind::Asterisk
        && let Some(context) = connector.contexts.0.first()
    {
        let what = format!("the connector \"{name}\" has contexts, which only Asterisk has");
        complainer.add(context.span(), what, "remove contexts");
    }
    let given = connector.remote_domain.as_ref();
    let remote_domain = given.and_then(|text| remote_domain(text, complainer));
    let contexts = connector.contexts.0.iter();
    Protocol::Pbx(PbxUpstream {
        kind,
        is_encrypted: connector.transport == ConnectorTransportKind::Tls,
        remote_domain: remote_domain.map(Into::into),
        contexts: contexts.map(|one| one.get_ref().as_str().into()).collect(),
    })
}

/// What SIP needs. `login` and `domain` give our own URI if there is none.
fn upstream(
    connector: &schema::Connector,
    address: Option<&ServerAddress>,
    (login, domain): (Option<&Login>, &str),
    complainer: &mut Complainer<'_>,
) -> SipUpstream {
    let given = connector.remote_domain.as_ref();
    let given = given.and_then(|text| remote_domain(text, complainer));
    let remote_domain = given.or_else(|| canonical_domain(&address?.host));
    let remote_domain = remote_domain.unwrap_or_else(|| domain.to_owned());
    let own = match login {
        Some(login) if !login.user.contains('@') => sip_uri(&login.user, &remote_domain),
        _ => sip_uri(OWN_USER, domain),
    };
    let uri = connector.uri.as_ref();
    let uri = uri.and_then(|uri| own_uri(uri, complainer)).unwrap_or(own);
    SipUpstream {
        transport: transport(connector.transport),
        uri: uri.into(),
        packages: packages(connector, complainer),
        expires: connector.expires.0,
        pace: connector.pace,
        list: list(connector, &remote_domain, complainer),
        remote_domain: remote_domain.into(),
    }
}

/// The list that is subscribed to.
fn list(
    connector: &schema::Connector,
    remote_domain: &str,
    complainer: &mut Complainer<'_>,
) -> Option<UpstreamList> {
    check_list_keys(connector, complainer);
    let (uri, kind) = match (connector.style.get_ref(), connector.list_enclosed) {
        (ConnectorStyleKind::Each, _) => return None,
        (ConnectorStyleKind::AnyDn, _) => (Some(sip_uri(ANY_DN, remote_domain)), ListKind::AnyDn),
        (ConnectorStyleKind::List, is_enclosed) => {
            let kind = if is_enclosed {
                ListKind::Enclosed
            } else {
                ListKind::Stored
            };
            let given = connector.list_uri.as_ref();
            (
                given.and_then(|uri| list_uri(uri, remote_domain, complainer)),
                kind,
            )
        }
    };
    let uri = uri.unwrap_or_default().into();
    Some(UpstreamList { uri, kind })
}

/// Complains about keys that do not go with the style, or are missing.
fn check_list_keys(connector: &schema::Connector, complainer: &mut Complainer<'_>) {
    let name = connector.name.get_ref();
    let style = connector.style.get_ref();
    if *style == ConnectorStyleKind::List && connector.list_uri.is_none() {
        let what = format!("the connector \"{name}\" has style = \"list\" without list_uri");
        let remedy = "write list_uri = \"...\", the list there: its user name, or its SIP URI";
        complainer.add(connector.style.span(), what, remedy);
    }
    if *style != ConnectorStyleKind::List
        && let Some(uri) = &connector.list_uri
    {
        let what = format!("the connector \"{name}\" has list_uri without style = \"list\"");
        complainer.add(
            uri.span(),
            what,
            "write style = \"list\", or remove list_uri",
        );
    }
    if *style != ConnectorStyleKind::List && connector.list_enclosed {
        let what = format!("the connector \"{name}\" has list_enclosed without style = \"list\"");
        let remedy = "write style = \"list\", or remove list_enclosed";
        complainer.add(connector.name.span(), what, remedy);
    }
    let mut users = connector.users.0.iter();
    if *style == ConnectorStyleKind::List
        && connector.list_enclosed
        && let Some(demand) = users.find(|users| users.get_ref() == "demand")
    {
        let what = format!("the connector \"{name}\" has users = \"demand\" and list_enclosed");
        let remedy = "name the users of the list: \"accounts\", users, ranges of users";
        complainer.add(demand.span(), what, remedy);
    }
}

/// `lamps`, `lamps@pbx.example.com`, `sip:lamps@pbx.example.com`
fn list_uri(
    text: &Spanned<String>,
    remote_domain: &str,
    complainer: &mut Complainer<'_>,
) -> Option<String> {
    let given = text.get_ref();
    match given.contains(['@', ':']) {
        true => plain_uri(
            text,
            "write the list there: \"lamps\", or \"sip:lamps@pbx.example.com\"",
            complainer,
        ),
        false => Some(sip_uri(given, remote_domain)),
    }
}

/// The user name and the password, which is empty if there is none.
fn login(
    connector: &schema::Connector,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<Login> {
    let (password, file) = (&connector.password, &connector.password_file);
    if let (Some(_), Some(file)) = (password, file) {
        let what = format!(
            "the connector \"{}\" has both password and password_file",
            connector.name.get_ref()
        );
        complainer.add(file.span(), what, "keep one of them");
        return None;
    }
    let place = password.iter().chain(file).next().map(Spanned::span);
    let auth_id = connector.auth_id.as_ref();
    match (auth_id, place) {
        (Some(auth_id), _) => check_auth_id(auth_id, complainer),
        // The event socket has a password of its own.
        (None, Some(_)) if connector.kind == ConnectorKind::FreeswitchEventSocket => {}
        (None, Some(place)) => {
            let what = format!(
                "the connector \"{}\" has a password without auth_id",
                connector.name.get_ref()
            );
            let remedy = "write auth_id = \"...\", the user name that belongs to it";
            complainer.add(place, what, remedy);
            return None;
        }
        (None, None) => return None,
    }
    let of_file = || secret_file::of_file("password", file.as_ref()?, complainer, notes);
    let password = password
        .as_ref()
        .map(|password| password.get_ref().0.clone());
    Some(Login {
        user: auth_id.map_or("", |auth_id| auth_id.get_ref()).into(),
        password: password.or_else(of_file).unwrap_or_default().into(),
    })
}

fn packages(connector: &schema::Connector, complainer: &mut Complainer<'_>) -> Vec<Package> {
    let given = &connector.packages;
    let packages = given.get_ref().iter().map(|package| match package {
        PackageKind::Dialog => Package::Dialog,
        PackageKind::Presence => Package::Presence,
    });
    let mut packages: Vec<Package> = packages.collect();
    packages.dedup();
    if packages.is_empty() && !complainer.is_misread_within(&given.span()) {
        let what = format!(
            "the connector \"{}\" has no package to subscribe to",
            connector.name.get_ref()
        );
        let remedy = "write packages = [\"dialog\"], or [\"dialog\", \"presence\"] for the second where the server refuses the first";
        complainer.add(given.span(), what, remedy);
    }
    packages
}

/// `accounts`, `demand`, users and ranges of users.
fn users(connector: &schema::Connector, complainer: &mut Complainer<'_>) -> UserSelection {
    let mut users = UserSelection::default();
    for text in &connector.users.0 {
        match text.get_ref().as_str() {
            "accounts" => users.accounts = true,
            "demand" => users.on_demand = true,
            range => match UserRange::parse(range) {
                Ok(range) => users.ranges.push(range),
                Err(fault) => {
                    let what = format!("\"{range}\" is not a valid entry of users: {fault}");
                    let remedy =
                        "write \"accounts\", \"demand\", a user, or a range like \"100-199\"";
                    complainer.add(text.span(), what, remedy);
                }
            },
        }
    }
    let count: usize = users.ranges.iter().map(UserRange::count).sum();
    let is_of_one_list =
        *connector.style.get_ref() != ConnectorStyleKind::Each && !connector.list_enclosed;
    let max = if is_of_one_list {
        LIST_USERS_MAX
    } else {
        LISTED_USERS_MAX
    };
    if let Some(last) = connector.users.0.last().filter(|_| count > max) {
        let what = format!("users contains {count} users");
        let remedy = format!("at most {max} are allowed; use \"accounts\" or \"demand\"");
        complainer.add(last.span(), what, remedy);
    }
    users
}

fn preferred(connector: &schema::Connector) -> Preferred {
    let has = |track| {
        connector
            .preferred
            .iter()
            .any(|known| *known.get_ref() == track)
    };
    Preferred {
        telephony: has(TrackKind::Telephony),
        rich: has(TrackKind::Rich),
    }
}

/// Complains if two connectors of a domain go before all others on one track.
fn check_preferred(config: &Config, names: &Names, complainer: &mut Complainer<'_>) {
    let mut taken = HashMap::new();
    for connector in &config.connector {
        let domain = names.known(connector.domain.get_ref());
        for track in &connector.preferred {
            let word = match track.get_ref() {
                TrackKind::Telephony => "telephony",
                TrackKind::Rich => "rich",
            };
            let key = (domain, word);
            let name = connector.name.get_ref();
            match taken.get(&key) {
                Some(other) if *other != name && domain.is_some() => {
                    let what = format!("\"{other}\" and \"{name}\" are both preferred for {word}");
                    let remedy = "one connector of a domain may be preferred on a track: remove it here or there";
                    complainer.add(track.span(), what, remedy);
                }
                _ => {
                    taken.insert(key, name);
                }
            }
        }
    }
}
