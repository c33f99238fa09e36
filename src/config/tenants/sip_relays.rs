//! Converts the `[[relay]]` tables of kind `sip`, and checks them.

use crate::config::complaint::Complainer;
use crate::config::schema::{Config, DialectKind, PackageKind, Relay, RelayKindWord};
use crate::config::tenants::names::Names;
use crate::config::tenants::relays::RelayReader;
use crate::config::tenants::servers::{
    check_auth_id, check_listener, own_uri, remote_domain, server_address, transport,
};
use crate::directory::relays::{PublishedDocument, SipRelay};
use crate::sip::digest::client::Login;

/// PUBLISHes a second, unless the table says so.
const PACE: u32 = 200;

/// The relays by SIP of a file that are enabled.
pub(super) fn read(
    config: &Config,
    names: &Names,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Vec<SipRelay> {
    let mut reader = RelayReader {
        names,
        data_dir: config.data_dir(),
        complainer,
        notes,
    };
    let relays = config.relay.iter();
    let relays = relays.filter(|relay| *relay.kind.get_ref() == RelayKindWord::Sip);
    let relays = relays.filter_map(|relay| {
        let read = converted(relay, config, &mut reader);
        read.filter(|_| relay.enabled)
    });
    relays.collect()
}

fn converted(relay: &Relay, config: &Config, reader: &mut RelayReader<'_, '_>) -> Option<SipRelay> {
    let domains = reader.domains(relay);
    let users = reader.users(relay);
    let login = login(relay, reader);
    let document = document(relay, reader.complainer);
    let complainer = &mut *reader.complainer;
    let place = (relay.place(), &*relay.title());
    check_listener(relay.transport, place, config, complainer);
    let there = relay.remote_domain.as_ref();
    let there = there.and_then(|text| remote_domain(text, complainer));
    let uri = relay.uri.as_ref();
    let uri = uri.and_then(|uri| own_uri(uri, complainer));
    let address = reader.required(relay, relay.address.as_ref(), "address", "sip.example.com")?;
    Some(SipRelay {
        name: relay.name.get_ref().as_str().into(),
        domains,
        users,
        address: server_address(address, reader.complainer)?,
        transport: transport(relay.transport),
        remote_domain: there.map(Into::into),
        uri: uri.map(Into::into),
        login: login?,
        document,
        expires: relay.expires.0,
        pace: relay.rate.unwrap_or(PACE),
        parties: relay.parties,
        notes: relay.notes,
    })
}

/// The user name and the password; Some(None) without, None with a complaint.
fn login(relay: &Relay, reader: &mut RelayReader<'_, '_>) -> Option<Option<Login>> {
    let Some(auth_id) = &relay.auth_id else {
        if let Some(secret) = relay.secret.as_ref().or(relay.secret_file.as_ref()) {
            let what = format!("{} has a secret without auth_id", relay.title());
            let remedy = "write auth_id = \"...\", the user name that belongs to it";
            reader.complainer.add(secret.span(), what, remedy);
        }
        return Some(None);
    };
    check_auth_id(auth_id, reader.complainer);
    let password = reader.secret(relay)?;
    Some(Some(Login {
        user: auth_id.get_ref().as_str().into(),
        password: password.into(),
    }))
}

fn document(relay: &Relay, complainer: &mut Complainer<'_>) -> PublishedDocument {
    let package = relay.package.as_ref();
    match (relay.dialect, package.map(|package| *package.get_ref())) {
        (DialectKind::Rfc, None | Some(PackageKind::Dialog)) => PublishedDocument::DialogInfo,
        (DialectKind::Rfc, Some(PackageKind::Presence)) => PublishedDocument::Pidf,
        (DialectKind::Lync, package) => {
            if let Some(given) = &relay.package
                && package == Some(PackageKind::Dialog)
            {
                let what = format!(
                    "{} has dialect = \"lync\" with package = \"dialog\"",
                    relay.title()
                );
                let remedy = "remove package: Lync takes presence alone";
                complainer.add(given.span(), what, remedy);
            }
            PublishedDocument::Lync
        }
    }
}
