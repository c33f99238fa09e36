//! Who sends a request: what From may say, and whom the rules take the watcher to be (W:A7.7, B9.1).
//!
//! The one place that decides it, for SUBSCRIBE to a presentity, a list or a feature, for PUBLISH
//! and for REGISTER.
//!
//! | the request                               | From                                | its sender is               |
//! |-------------------------------------------|-------------------------------------|-----------------------------|
//! | has right credentials of an account       | the account at any name of its domain, at an IP address; anonymous (RFC 3323) | the account |
//! | has right credentials of a feeder account | also any user of its domain         | the account                 |
//! | has right credentials of an account       | anything else                       | refused: 403                |
//! | comes from a trusted peer, which asserts an identity (RFC 3325) | anything      | the asserted identity       |
//! | comes from a trusted peer                 | anything                            | From, by the peer's word    |
//! | comes from anywhere, `auth = "none"`      | a user of the domain                | From, which the domain believes |
//! | comes from anywhere, `auth = "none"`      | a user of another domain            | From, unproved              |
//!
//! A dialog belongs to the sender of its first request: a later one that another account proves is
//! refused with 403, whatever it knows of the dialog.

use std::borrow::Cow;
use std::net::IpAddr;

use crate::directory::Directory;
use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::request::headers::any_address_of_record;
use crate::shard::request::headers::asserted_identity;
use crate::shard::request::principal::Identity;
use crate::shard::request::refusal::Refusal;
use crate::sip::Message;
use crate::sip::Uri;
use crate::sip::uri::sip_uri;

/// What From names, seen from the account that sent the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The account's address of record.
    Itself,
    /// Another name that the account may use.
    Usable,
    /// What is not the account's to say.
    Foreign,
}

/// Refuses a request whose From is not its sender's to use.
pub(crate) fn check_from<'d>(
    message: &Message<'_>,
    identity: &Identity,
    domain: &Domain,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    match from_of(message, identity, domain, directory) {
        From::Foreign => Err(Refusal::ForeignFrom),
        From::Itself | From::Usable => Ok(()),
    }
}

/// The URI of the sender where From does not name it; None where From does. Refuses a From that is
/// not its sender's to use.
pub(crate) fn sender_instead_of_from<'m, 'd>(
    message: &Message<'m>,
    identity: &Identity,
    peer: IpAddr,
    domain: &Domain,
    directory: &Directory,
) -> Result<Option<Cow<'m, [u8]>>, Refusal<'d>> {
    let from = from_of(message, identity, domain, directory);
    match (identity, from) {
        (_, From::Foreign) => Err(Refusal::ForeignFrom),
        (Identity::User(user), From::Usable) => {
            let uri = sip_uri(user, &domain.name).into_bytes();
            Ok(Some(uri.into()))
        }
        (Identity::User(_), From::Itself) => Ok(None),
        (Identity::Believed, _) => {
            let asserted = asserted_identity(message).filter(|_| domain.trusts(peer));
            Ok(asserted.map(Cow::Borrowed))
        }
    }
}

/// Refuses a request within a dialog whose sender proved to be another account than `watcher`, to
/// which the dialog belongs.
pub(crate) fn check_owner<'d>(
    identity: &Identity,
    watcher: &[u8],
    domain: &Domain,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    let Identity::User(user) = identity else {
        return Ok(());
    };
    match any_address_of_record(watcher, directory) {
        Some(owner) if owner == Aor::new(user, &domain.name) => Ok(()),
        _ => Err(Refusal::ForeignFrom),
    }
}

fn from_of(
    message: &Message<'_>,
    identity: &Identity,
    domain: &Domain,
    directory: &Directory,
) -> From {
    let Identity::User(user) = identity else {
        return From::Usable;
    };
    let Some(uri) = message.from().map(|from| from.uri) else {
        return From::Foreign;
    };
    let Some(named) = any_address_of_record(uri, directory) else {
        return From::Foreign;
    };
    let account = Aor::new(user, &domain.name);
    if named == account {
        return From::Itself;
    }
    let is_at_address = Uri::parse(uri).is_ok_and(|uri| uri.ip().is_some());
    let is_anonymous = named.domain().ends_with("anonymous.invalid");
    let is_fed =
        named.domain() == account.domain() && directory.is_feeder(Some(&account), &domain.name);
    match is_anonymous || is_fed || is_at_address && named.user() == account.user() {
        true => From::Usable,
        false => From::Foreign,
    }
}
