//! What an account proves itself by: a password, a file with it, or hashes of it.

use std::ops::Range;

use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::{Account, Password, Several};
use crate::config::tenants::secret_file;
use crate::directory::Proof;
use crate::password::PasswordHash;
use crate::sip::digest::{Algorithm, Secret};

/// How to make hashes.
const MAKE_HASHES: &str = "`lamplighter account hash` prints it";

/// The credentials of an account as the file gives them, read.
#[derive(Debug)]
pub(super) enum Given {
    /// The password, in clear or from a file.
    Password(String),
    /// Hashes for digest authentication.
    Hashes(Secret, Option<Secret>),
    /// An argon2id hash.
    PasswordHash(String),
}

impl Given {
    /// As the directory takes it.
    pub(super) fn proof(&self) -> Proof<'_> {
        match self {
            Self::Password(password) => Proof::Password(password),
            Self::Hashes(plain, with_domain) => Proof::Digest {
                plain: plain.clone(),
                with_domain: with_domain.clone(),
            },
            Self::PasswordHash(hash) => Proof::PasswordHash(hash),
        }
    }
}

/// Reads what an account has of `password`, `password_file`, `ha1` and `password_hash`: exactly one.
/// `offers_sha256` is whether its domain does. None, with a complaint, if it is wrong.
pub(super) fn given(
    account: &Account,
    offers_sha256: bool,
    complainer: &mut Complainer<'_>,
    notes: &mut Vec<String>,
) -> Option<Given> {
    let user = account.user.get_ref();
    check_single(account, complainer)?;
    if let Some(password) = &account.password {
        if password.get_ref().0.is_empty() {
            let what = format!("the password of \"{user}\" is empty");
            complainer.add(password.span(), what, "set one, or remove the account");
        }
        return Some(Given::Password(password.get_ref().0.clone()));
    }
    if let Some(file) = &account.password_file {
        let read = secret_file::of_file("password", file, complainer, notes);
        return read.map(Given::Password);
    }
    if let Some(hash) = &account.password_hash {
        if let Err(fault) = PasswordHash::parse(&hash.get_ref().0) {
            let what = format!("the password_hash of \"{user}\" {fault}");
            complainer.add(hash.span(), what, MAKE_HASHES);
        }
        return Some(Given::PasswordHash(hash.get_ref().0.clone()));
    }
    let mut read = |hashes: &Several<Password>, key| {
        let key = format!("{key} of \"{user}\"");
        secret(hashes, &key, offers_sha256, complainer)
    };
    let plain = read(&account.ha1, "ha1")?;
    let with_domain = match account.ha1b.0.is_empty() {
        true => None,
        false => Some(read(&account.ha1b, "ha1b")?),
    };
    Some(Given::Hashes(plain, with_domain))
}

/// Complains unless the account has exactly one kind of secret.
fn check_single(account: &Account, complainer: &mut Complainer<'_>) -> Option<()> {
    let place = |value: &Option<Spanned<Password>>| value.as_ref().map(Spanned::span);
    let first = |hashes: &Several<Password>| hashes.0.first().map(Spanned::span);
    let kinds: [(&str, Option<Range<usize>>); 4] = [
        ("password", place(&account.password)),
        ("password_file", place(&account.password_file)),
        ("ha1", first(&account.ha1)),
        ("password_hash", place(&account.password_hash)),
    ];
    let mut given = kinds
        .into_iter()
        .filter_map(|(kind, place)| Some((kind, place?)));
    let user = account.user.get_ref();
    let Some((kind, _)) = given.next() else {
        let what = format!("the account \"{user}\" has no password");
        let remedy = "add password, password_file, ha1 or password_hash";
        complainer.add(account.user.span(), what, remedy);
        return None;
    };
    if let Some((other, place)) = given.next() {
        let what = format!("the account \"{user}\" has both {kind} and {other}");
        complainer.add(place, what, "keep one of them");
        return None;
    }
    if kind != "ha1"
        && let Some(place) = first(&account.ha1b)
    {
        let what = format!("the account \"{user}\" has ha1b without ha1");
        complainer.add(place, what, format!("add ha1; {MAKE_HASHES}"));
        return None;
    }
    Some(())
}

/// The hashes of one username. Challenges offer MD5 in any case.
fn secret(
    hashes: &Several<Password>,
    key: &str,
    offers_sha256: bool,
    complainer: &mut Complainer<'_>,
) -> Option<Secret> {
    let mut secret = Secret::default();
    for hash in &hashes.0 {
        let Some(more) = secret.clone().with_hash(&hash.get_ref().0) else {
            let what = format!(
                "{key} is not one MD5 hash (32 hexadecimal digits) and one SHA-256 hash (64)"
            );
            complainer.add(hash.span(), what, MAKE_HASHES);
            return None;
        };
        secret = more;
    }
    let place = hashes.0.first().map(Spanned::span).unwrap_or_default();
    let mut lacks = |algorithm, why: &str| {
        let is_missing = secret.hash(algorithm).is_none();
        if is_missing {
            complainer.add(place.clone(), format!("{key} {why}"), MAKE_HASHES);
        }
        is_missing
    };
    let lacks_md5 = lacks(
        Algorithm::Md5,
        "has no MD5 hash, which every challenge offers",
    );
    let lacks_sha256 = offers_sha256
        && lacks(
            Algorithm::Sha256,
            "has no SHA-256 hash, which the domain offers (sha256 = true)",
        );
    (!lacks_md5 && !lacks_sha256).then_some(secret)
}
