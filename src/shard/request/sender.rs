//! The sender of a request: what From may say, and which identity the rules see (RFC 3261 §22.3,
//! RFC 3325).
//!
//! It applies to SUBSCRIBE, PUBLISH and REGISTER. No other place decides on it.
//!
//! | the request                               | From                                | its sender is               |
//! |-------------------------------------------|-------------------------------------|-----------------------------|
//! | has right credentials of an account       | the account at any name of its domain, at an IP address; anonymous (RFC 3323) | the account |
//! | has right credentials of a feeder account | also any user of its domain         | the account                 |
//! | has right credentials of an account       | anything else                       | refused: 403                |
//! | comes from a trusted peer, which asserts an identity (RFC 3325) | anything      | the asserted identity       |
//! | comes from a trusted peer                 | anything                            | From, by the peer's word    |
//! | comes from anywhere, `auth = "none"`      | a user of the domain                | From, which the domain accepts_unauthenticated |
//! | comes from anywhere, `auth = "none"`      | a user of another domain            | From, unproved              |
//!
//! A certificate that names an account, where the domain accepts that, is as good as its credentials.
//!
//! A dialog belongs to the sender of its first request. A later request in the dialog that is
//! authenticated as another account gets 403.

use std::borrow::Cow;

use crate::directory::{Directory, Domain, Peer};
use crate::presence::Aor;
use crate::shard::request::headers::{any_address_of_record, aor_of, asserted_identity};
use crate::shard::request::refusal::Refusal;
use crate::sip::uri::sip_uri;
use crate::sip::{Message, Uri};

/// The sender of a request, as established by authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user of the domain, authenticated by digest or by a certificate.
    User(String),
    /// Accepted without authentication: a trusted peer, or a domain with `auth = "none"`.
    Unauthenticated,
}

/// What authentication shows of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Authentication {
    pub(crate) principal: Principal,
    /// The salt of the nonce that its credentials carry, if we issued it.
    pub(crate) salt: Option<u32>,
}

/// What From names, compared with the authenticated account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FromName {
    /// The address of record of the account.
    Itself,
    /// Another name that the account may use.
    Usable,
    /// A name that the account may not use.
    Foreign,
}

/// Refuses a request whose principal may not use the name in From.
pub(crate) fn check_from<'d>(
    message: &Message<'_>,
    principal: &Principal,
    domain: &Domain,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    match from_of(message, principal, domain, directory) {
        FromName::Foreign => Err(Refusal::ForeignFrom),
        FromName::Itself | FromName::Usable => Ok(()),
    }
}

/// The sender of a request, as the rules see it.
#[derive(Debug)]
pub(crate) struct Sender<'m> {
    /// Its URI, if it is not the one in From.
    pub(crate) uri: Option<Cow<'m, [u8]>>,
    /// The address of record that its URI names.
    pub(crate) aor: Option<Aor>,
}

/// The sender of a request.
///
/// Refuses a request whose principal may not use the name in From.
pub(crate) fn sender_of<'m, 'd>(
    message: &Message<'m>,
    principal: &Principal,
    peer: Peer<'_>,
    domain: &Domain,
    directory: &Directory,
) -> Result<Sender<'m>, Refusal<'d>> {
    let from = from_of(message, principal, domain, directory);
    let (uri, aor) = match (principal, from) {
        (_, FromName::Foreign) => return Err(Refusal::ForeignFrom),
        (Principal::User(user), FromName::Usable) => {
            let uri = sip_uri(user, &domain.name).into_bytes();
            (Some(uri.into()), Some(Aor::new(user, &domain.name)))
        }
        (Principal::User(user), FromName::Itself) => (None, Some(Aor::new(user, &domain.name))),
        (Principal::Unauthenticated, _) => {
            match asserted_identity(message).filter(|_| domain.trusts(peer)) {
                Some((text, uri)) => (Some(Cow::Borrowed(text)), aor_of(&uri, directory)),
                None => (None, from_aor(message, directory)),
            }
        }
    };
    Ok(Sender { uri, aor })
}

fn from_aor(message: &Message<'_>, directory: &Directory) -> Option<Aor> {
    any_address_of_record(message.from()?.uri, directory)
}

/// Refuses a request in a dialog of `watcher` that is authenticated as another account.
pub(crate) fn check_owner<'d>(
    principal: &Principal,
    watcher: &[u8],
    domain: &Domain,
    directory: &Directory,
) -> Result<(), Refusal<'d>> {
    let Principal::User(user) = principal else {
        return Ok(());
    };
    match any_address_of_record(watcher, directory) {
        Some(owner) if owner == Aor::new(user, &domain.name) => Ok(()),
        _ => Err(Refusal::ForeignFrom),
    }
}

fn from_of(
    message: &Message<'_>,
    principal: &Principal,
    domain: &Domain,
    directory: &Directory,
) -> FromName {
    let Principal::User(user) = principal else {
        return FromName::Usable;
    };
    let uri = message.from().and_then(|from| Uri::parse(from.uri).ok());
    let Some(uri) = uri else {
        return FromName::Foreign;
    };
    let Some(named) = aor_of(&uri, directory) else {
        return FromName::Foreign;
    };
    let account = Aor::new(user, &domain.name);
    if named == account {
        return FromName::Itself;
    }
    let is_at_address = uri.ip().is_some();
    let is_anonymous = named.domain().ends_with("anonymous.invalid");
    let is_fed =
        named.domain() == account.domain() && directory.is_feeder(Some(&account), &domain.name);
    match is_anonymous || is_fed || is_at_address && named.user() == account.user() {
        true => FromName::Usable,
        false => FromName::Foreign,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::directory::{self, AuthMode};
    use crate::sip::message::Framing;

    const TRUSTED: &str = "10.0.0.7";
    const ANYWHERE: &str = "203.0.113.9";

    /// The sender of a request, as the rules see it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Expected {
        From,
        /// Another URI than From.
        Uri(&'static str),
        /// The request is refused with 403.
        Refused,
    }
    use Expected::{Refused, Uri};

    /// What proves who sends a request.
    #[derive(Clone, Copy, Debug)]
    enum Proof {
        /// Right credentials of the account of that user.
        Account(&'static str),
        /// It comes from a trusted peer, which may assert an identity.
        Peer(Option<&'static str>),
        /// Nothing, at `auth = "none"`, though an identity may be asserted.
        Nothing(Option<&'static str>),
    }
    use Proof::{Account, Nothing, Peer};

    /// What proves the sender, From, and who the sender is.
    const TABLE: [(Proof, &str, Expected); 32] = [
        // An account is itself at any name of its domain.
        (Account("100"), "sip:100@abc.com", Expected::From),
        (
            Account("100"),
            "sip:100@ABC.com:5060;user=phone",
            Expected::From,
        ),
        (Account("100"), "sip:100@pbx.abc.com", Expected::From),
        (Account("100"), "sips:100@abc.com", Expected::From),
        // At an IP address, or anonymous, it is the account all the same.
        (Account("100"), "sip:100@192.0.2.1", Uri("sip:100@abc.com")),
        (
            Account("100"),
            "sip:100@[2001:db8::1]",
            Uri("sip:100@abc.com"),
        ),
        (
            Account("100"),
            "sip:anonymous@anonymous.invalid",
            Uri("sip:100@abc.com"),
        ),
        // An account may not speak for another user.
        (Account("100"), "sip:101@abc.com", Refused),
        (Account("100"), "sip:101@pbx.abc.com", Refused),
        (Account("100"), "sip:101@192.0.2.1", Refused),
        (Account("100"), "sip:100@xyz.com", Refused),
        (Account("100"), "sip:bob@xyz.com", Refused),
        (Account("100"), "sip:x@evil.example", Refused),
        (Account("100"), "sip:100@abc.com.evil.example", Refused),
        (Account("100"), "sip:abc.com", Refused),
        (Account("100"), "tel:100", Refused),
        // A feeder speaks for any user of its domain and is itself.
        (Account("pbx"), "sip:pbx@abc.com", Expected::From),
        (Account("pbx"), "sip:101@abc.com", Uri("sip:pbx@abc.com")),
        (
            Account("pbx"),
            "sip:101@pbx.abc.com",
            Uri("sip:pbx@abc.com"),
        ),
        (Account("pbx"), "sip:101@192.0.2.1", Refused),
        (Account("pbx"), "sip:bob@xyz.com", Refused),
        (Account("pbx"), "sip:x@evil.example", Refused),
        // A trusted peer asserts an identity, or From holds by its word.
        (
            Peer(Some("sip:100@abc.com")),
            "sip:x@evil.example",
            Uri("sip:100@abc.com"),
        ),
        (
            Peer(Some("sip:100@abc.com")),
            "sip:101@abc.com",
            Uri("sip:100@abc.com"),
        ),
        (
            Peer(Some("sip:v@evil.example")),
            "sip:100@abc.com",
            Uri("sip:v@evil.example"),
        ),
        (Peer(None), "sip:100@abc.com", Expected::From),
        (Peer(None), "sip:bob@xyz.com", Expected::From),
        (Peer(None), "sip:x@evil.example", Expected::From),
        // Where nothing is proved, what is asserted counts for nothing.
        (Nothing(None), "sip:100@abc.com", Expected::From),
        (Nothing(None), "sip:x@evil.example", Expected::From),
        (
            Nothing(Some("sip:100@abc.com")),
            "sip:x@evil.example",
            Expected::From,
        ),
        (
            Nothing(Some("sip:100@abc.com")),
            "sip:101@abc.com",
            Expected::From,
        ),
    ];

    fn directory(auth: AuthMode) -> Directory {
        let mut directory = Directory::default();
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let domain = Domain {
            auth,
            trusted,
            ..Domain::new("abc.com")
        };
        let aliases = ["pbx.abc.com".to_owned()];
        directory.add_domain(domain, &aliases).unwrap();
        directory.add_domain(Domain::new("xyz.com"), &[]).unwrap();
        for (user, domain) in [("100", "abc.com"), ("101", "abc.com"), ("bob", "xyz.com")] {
            directory.add_account(user, domain, "secret").unwrap();
        }
        let feeder = directory.add_account("pbx", "abc.com", "secret");
        feeder.unwrap().is_feeder = true;
        directory
    }

    fn request(method: &str, from: &str, asserted: Option<&str>) -> String {
        let asserted = asserted.map(|uri| format!("P-Asserted-Identity: <{uri}>\r\n"));
        format!(
            "{method} sip:101@abc.com SIP/2.0\r\n\
             Via: SIP/2.0/UDP 203.0.113.9;branch=z9hG4bK1\r\n\
             From: <{from}>;tag=1\r\nTo: <sip:101@abc.com>\r\n\
             Call-ID: 1\r\nCSeq: 1 {method}\r\n{}Content-Length: 0\r\n\r\n",
            asserted.unwrap_or_default()
        )
    }

    /// RFC 3261 §22.3, RFC 3325
    #[test]
    fn credentials_and_from_determine_the_sender() {
        let rows = TABLE.iter();
        for (method, (proof, from, expected)) in
            rows.flat_map(|row| ["SUBSCRIBE", "PUBLISH", "REGISTER"].map(|method| (method, *row)))
        {
            let (auth, peer, principal, asserted) = match proof {
                // The credentials count, wherever they come from and whatever is asserted.
                Account(user) => {
                    let principal = Principal::User(user.to_owned());
                    (
                        AuthMode::Digest,
                        ANYWHERE,
                        principal,
                        Some("sip:bob@xyz.com"),
                    )
                }
                Peer(asserted) => (
                    AuthMode::Digest,
                    TRUSTED,
                    Principal::Unauthenticated,
                    asserted,
                ),
                Nothing(asserted) => (
                    AuthMode::None,
                    ANYWHERE,
                    Principal::Unauthenticated,
                    asserted,
                ),
            };
            let directory = directory(auth);
            let domain = directory.domain("abc.com").unwrap();
            let peer = directory::Peer::from(peer.parse::<IpAddr>().unwrap());
            assert_eq!(
                domain.accepts_unauthenticated(peer),
                principal == Principal::Unauthenticated
            );
            let octets = request(method, from, asserted);
            let message = Message::parse(octets.as_bytes(), Framing::Datagram).unwrap();
            let what = format!("{method}, {proof:?}, From {from}");

            let checked = check_from(&message, &principal, domain, &directory);
            assert_eq!(checked.is_err(), expected == Refused, "{what}");
            let sender = sender_of(&message, &principal, peer, domain, &directory);
            let uri = match expected {
                Refused => {
                    assert!(matches!(checked, Err(Refusal::ForeignFrom)), "{what}");
                    assert!(matches!(sender, Err(Refusal::ForeignFrom)), "{what}");
                    continue;
                }
                Expected::From => None,
                Uri(uri) => Some(uri),
            };
            let sender = sender.unwrap();
            assert_eq!(sender.uri.as_deref(), uri.map(str::as_bytes), "{what}");
            let aor = any_address_of_record(uri.unwrap_or(from).as_bytes(), &directory);
            assert_eq!(sender.aor, aor, "{what}");
        }
    }

    /// RFC 3261 §22.3
    #[test]
    fn a_dialog_belongs_to_the_sender_of_its_first_request() {
        let directory = directory(AuthMode::Digest);
        let domain = directory.domain("abc.com").unwrap();
        let user = |user: &str| Principal::User(user.to_owned());
        for (principal, owner, is_owner) in [
            (user("100"), "sip:100@abc.com", true),
            (user("100"), "sip:100@pbx.abc.com", true),
            (user("100"), "sip:101@abc.com", false),
            (user("100"), "sip:100@xyz.com", false),
            (user("100"), "sip:x@evil.example", false),
            // Nor does a feeder take over the dialogs of those it may speak for.
            (user("pbx"), "sip:100@abc.com", false),
            (Principal::Unauthenticated, "sip:100@abc.com", true),
        ] {
            let checked = check_owner(&principal, owner.as_bytes(), domain, &directory);
            assert_eq!(checked.is_ok(), is_owner, "{principal:?} {owner}");
        }
    }
}
