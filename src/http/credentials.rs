//! Name and password of an account, as every page that asks for them checks them.
//!
//! Every wrong login costs the same work (W:D1.8): a domain or user that does not exist is checked
//! against a decoy. Where accounts with password hashes exist, which take long, some names without an
//! account take as long.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::StatusCode;

use crate::directory::{Directory, Domain, PasswordCheck};
use crate::http::attempts::LockedOut;
use crate::http::engine::{Engine, Unavailable};
use crate::http::failed_attempts::Claim;
use crate::http::site::Site;
use crate::password::PasswordHash;
use crate::presence::Aor;

/// What a request presents. No `Debug`: a password must reach no log.
#[derive(Clone, Copy)]
pub(crate) struct Login<'r> {
    /// The page that asks for it.
    pub(crate) page: &'static str,
    /// By any of its names.
    pub(crate) domain: &'r str,
    pub(crate) user: &'r str,
    pub(crate) password: &'r str,
    pub(crate) peer: IpAddr,
}

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginRefusal {
    /// Domain, user or password is wrong.
    Wrong,
    /// Too many wrong passwords; this one was not checked.
    LockedOut,
    /// Too many passwords wait to be verified.
    Busy,
}

impl From<LockedOut> for LoginRefusal {
    fn from(_: LockedOut) -> Self {
        Self::LockedOut
    }
}

/// Checks a login. The account's address of record and domain when the password is right.
pub(crate) async fn log_in<'d, E: Engine>(
    login: Login<'_>,
    directory: &'d Arc<Directory>,
    site: &Site<E>,
) -> Result<(Aor, &'d Domain), LoginRefusal> {
    let found = directory.domain(&login.domain.to_ascii_lowercase());
    let realm = found.map_or(login.domain, |domain| domain.name.as_str());
    let aor = Aor::new(login.user, realm);
    let account = directory.account(aor.as_str());
    let check = match account {
        Some(account) => account.password_check(login.user),
        None => decoy(login.user, aor.as_str(), directory, site),
    };
    let claim = Claim {
        page: login.page,
        refusal: StatusCode::FORBIDDEN,
        peer: login.peer,
        realm,
        user: login.user,
    };
    let attempt = site.attempts.begin(claim, directory)?;
    let is_right = match check {
        PasswordCheck::Secret(secret, name) => secret.matches(name, realm, login.password),
        PasswordCheck::Hash(hash) => {
            verify((hash, login.password), (claim, directory), site).await?
        }
    };
    let domain = found.filter(|_| is_right && account.is_some());
    site.attempts
        .judged(attempt.as_ref(), claim, domain.is_some());
    domain
        .map(|domain| (aor, domain))
        .ok_or(LoginRefusal::Wrong)
}

/// What the password of a name without an account is compared with.
fn decoy<'s, E>(
    user: &'s str,
    aor: &str,
    directory: &Directory,
    site: &'s Site<E>,
) -> PasswordCheck<'s> {
    match directory.has_password_hashes() && site.passwords.is_dear_decoy(aor) {
        true => PasswordCheck::Hash(PasswordHash::decoy()),
        false => PasswordCheck::Secret(&site.decoy, user),
    }
}

/// Verifies a password, whose attempt has begun, on the thread that may take its time. Remembers a right one.
pub(crate) async fn verify<E: Engine>(
    (hash, password): (&str, &str),
    (claim, directory): (Claim<'_>, &Arc<Directory>),
    site: &Site<E>,
) -> Result<bool, LoginRefusal> {
    if site.passwords.knows(hash, password) {
        return Ok(true);
    }
    let _turn = site.passwords.turn().await.ok_or(LoginRefusal::Busy)?;
    // Requests before this one may have used up the attempts, or verified this password.
    site.attempts.begin(claim, directory)?;
    if site.passwords.knows(hash, password) {
        return Ok(true);
    }
    let verified = site.engine.verify_password(hash, password).await;
    let is_right = verified.map_err(|Unavailable| LoginRefusal::Busy)?;
    if is_right {
        site.passwords.remember(hash, password);
    }
    Ok(is_right)
}
