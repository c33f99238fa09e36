//! Digest access authentication (RFC 7616, 8760, RFC 3261 §22): here as a server, in [`client`] as
//! a client. Nonces are stateless: a time and a MAC. The nonce counts already used are kept by
//! [`ReplayWindows`].
//!
//! Supported: MD5 and SHA-256, their `-sess` variants, qop `auth` and `auth-int`. The form without
//! qop of RFC 2069 counts as no credentials unless it is allowed: it has no count, so each nonce
//! can be used once. Not supported: `userhash`.
//!
//! An unknown user is handled like a known one with a wrong password, and every comparison of a
//! secret takes constant time, so that response times do not reveal which users exist.

pub mod client;
mod credentials;
mod hash;
mod nonce;
mod replay;
mod secret;

pub use replay::ReplayWindows;
pub use secret::Secret;

use std::time::Duration;

use subtle::{Choice, ConstantTimeEq};

use crate::sip::{HeaderName, Message, StartLine, Uri};
use credentials::{Parameters, Unreadable};
use hash::HexHash;
use nonce::{NonceId, NonceKey};

/// The maximum difference between the clocks of two nodes: a nonce issued this far in the future is
/// accepted.
const SKEW_MAX: Duration = Duration::from_secs(60);

/// What the right credentials of a request show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The authenticated user name, unescaped.
    pub user: String,
    /// The salt of its nonce, which we issued.
    pub salt: u32,
}

/// A hash algorithm of RFC 7616.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, which every phone supports.
    Md5,
    /// `SHA-256`.
    Sha256,
}

impl Algorithm {
    /// The token of the `algorithm` parameter.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The algorithm that a token names, and whether it is the `-sess` variant. None if it is
    /// unknown.
    pub(crate) fn from_token(token: &[u8]) -> Option<(Self, bool)> {
        let names: [(&[u8], _); 4] = [
            (b"MD5", (Self::Md5, false)),
            (b"MD5-sess", (Self::Md5, true)),
            (b"SHA-256", (Self::Sha256, false)),
            (b"SHA-256-sess", (Self::Sha256, true)),
        ];
        let is_named = |(name, _): &(&[u8], _)| token.eq_ignore_ascii_case(name);
        names.into_iter().find(is_named).map(|(_, known)| known)
    }
}

/// The content of the challenges in a 401.
#[derive(Clone, Copy, Debug)]
pub struct Challenge<'a> {
    /// The protection space; without control characters.
    pub realm: &'a str,
    /// The algorithms offered, most preferred first.
    pub algorithms: &'a [Algorithm],
    /// Whether only the nonce was invalid: the phone can repeat the request with a new one without
    /// asking for the password again.
    pub is_stale: bool,
    /// Time since 1970 UTC.
    pub time: Duration,
    /// Makes two nonces issued at the same time differ.
    pub salt: u32,
}

/// Why a request is not authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// There are no credentials for this realm with a scheme, an algorithm and a qop that are
    /// supported: challenge.
    NoCredentials,
    /// The response is correct, but the nonce is too old or not ours (W:E3.9), or it was issued
    /// before this process knows which counts of it were used, or its count was used before:
    /// challenge with stale=true, which means "your password is correct" (RFC 7616 §3.3).
    Stale,
    /// Wrong response or unknown user: challenge.
    Wrong,
    /// The credentials are malformed, or their uri is not the request's (RFC 3261 §22.4).
    Malformed,
}

/// The users of a realm.
pub trait Realm {
    /// Its name, as written in challenges.
    fn name(&self) -> &str;
    /// The secret of the user with that `username`, which is unescaped.
    fn secret_of(&self, username: &str) -> Option<&Secret>;
    /// Returns whether a host names the realm's domain, as the `uri` of credentials may.
    fn is_named(&self, host: &str) -> bool;
}

/// The keys and limits of a server's challenges. They are equal on all shards, and on all nodes that
/// share the key, so that any of them can verify.
#[derive(Clone, Debug)]
pub struct Authenticator {
    nonce_key: NonceKey,
    nonce_life: Duration,
    allows_rfc2069: bool,
    /// The secret against which an unknown user is verified.
    nobody: Secret,
}

impl Authenticator {
    /// `key` signs the nonces; `nonce_life` should not be shorter than the longest granted expiry
    /// (W:A7.6).
    #[must_use]
    pub fn new(key: [u8; 32], nonce_life: Duration) -> Self {
        Self {
            nonce_key: NonceKey::new(key),
            nonce_life,
            allows_rfc2069: false,
            nobody: Secret::new("", "", ""),
        }
    }

    /// Returns whether responses without qop are accepted (RFC 2069).
    #[must_use]
    pub fn allow_rfc2069(self, allows_rfc2069: bool) -> Self {
        Self {
            allows_rfc2069,
            ..self
        }
    }

    /// Appends the WWW-Authenticate header lines of a 401, one per algorithm.
    pub fn write_challenge(&self, out: &mut Vec<u8>, challenge: &Challenge<'_>) {
        let nonce = self.nonce_of(challenge);
        for algorithm in challenge.algorithms {
            out.extend_from_slice(b"WWW-Authenticate: Digest realm=\"");
            write_quotable(out, challenge.realm);
            out.extend_from_slice(b"\", nonce=\"");
            out.extend_from_slice(&nonce);
            out.extend_from_slice(b"\", qop=\"auth\", algorithm=");
            out.extend_from_slice(algorithm.token().as_bytes());
            if challenge.is_stale {
                out.extend_from_slice(b", stale=true");
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    /// Appends these header lines in their shortest spelling. A challenge without an algorithm
    /// means MD5.
    pub fn write_short_challenge(&self, out: &mut Vec<u8>, challenge: &Challenge<'_>) {
        let nonce = self.nonce_of(challenge);
        for algorithm in challenge.algorithms {
            out.extend_from_slice(b"WWW-Authenticate:Digest realm=\"");
            write_quotable(out, challenge.realm);
            out.extend_from_slice(b"\",nonce=\"");
            out.extend_from_slice(&nonce);
            out.extend_from_slice(b"\",qop=\"auth\"");
            if *algorithm != Algorithm::Md5 {
                out.extend_from_slice(b",algorithm=");
                out.extend_from_slice(algorithm.token().as_bytes());
            }
            if challenge.is_stale {
                out.extend_from_slice(b",stale=true");
            }
            out.extend_from_slice(b"\r\n");
        }
    }

    #[inline]
    fn nonce_of(&self, challenge: &Challenge<'_>) -> [u8; nonce::NONCE_LETTERS] {
        let id = NonceId::new(challenge.time, challenge.salt);
        self.nonce_key.write(id, challenge.realm)
    }

    /// Returns whether the request has credentials for `realm` that [`Self::verify`] looks at.
    #[must_use]
    pub fn has_credentials(&self, request: &Message<'_>, realm: &str) -> bool {
        select(request, realm).is_ok_and(|it| it.qop.is_some() || self.allows_rfc2069)
    }

    /// Verifies the Authorization of a request for `realm`. An unknown user takes the same code path
    /// and time as a known one.
    pub fn verify(
        &self,
        authorization: &Authorization<'_>,
        realm: &impl Realm,
        replay: &mut ReplayWindows,
        time: Duration,
    ) -> Result<Verified, Denied> {
        let Authorization {
            request,
            parameters,
        } = authorization;
        let parameters = (*parameters)?;
        if parameters.qop.is_none() && !self.allows_rfc2069 {
            return Err(Denied::NoCredentials);
        }
        let credentials = parameters.credentials().ok_or(Denied::Malformed)?;
        let user = parameters.user().ok_or(Denied::Malformed)?;
        if !is_aimed_at(credentials.uri, request, realm) {
            return Err(Denied::Malformed);
        }
        let expected_of = |secret| {
            credentials.expected_response(secret, request.method().token(), request.body())
        };
        let known = realm.secret_of(&user).and_then(expected_of);
        let is_known = Choice::from(u8::from(known.is_some()));
        let expected = known.or_else(|| expected_of(&self.nobody));
        let is_equal = expected.map(|expected| is_response(&expected, credentials.response));
        let right = is_equal.unwrap_or_else(|| Choice::from(0)) & is_known;
        if !bool::from(right) {
            return Err(Denied::Wrong);
        }
        let nonce = self
            .fresh_nonce(credentials.nonce, realm.name(), time)
            .ok_or(Denied::Stale)?;
        replay.forget_before(NonceId::new(time.saturating_sub(self.nonce_life), 0));
        if !replay.take(nonce, credentials.count) {
            return Err(Denied::Stale);
        }
        Ok(Verified {
            user,
            salt: nonce.salt,
        })
    }

    /// The salt of the nonce in the request's Authorization, if we issued that nonce for `realm`
    /// and it has not expired; the response is not checked.
    #[must_use]
    pub fn salt_of(&self, request: &Message<'_>, realm: &str, time: Duration) -> Option<u32> {
        let nonce = select(request, realm).ok()?.nonce?;
        self.fresh_nonce(nonce, realm, time).map(|id| id.salt)
    }

    /// The nonce, if we issued it for that realm and it has not expired.
    fn fresh_nonce(&self, nonce: &[u8], realm: &str, time: Duration) -> Option<NonceId> {
        let (nonce, is_ours) = self.nonce_key.read(nonce, realm)?;
        let issued = Duration::from_millis(nonce.issued_millis);
        let is_fresh = issued.saturating_sub(time) <= SKEW_MAX
            && time.saturating_sub(issued) <= self.nonce_life;
        (bool::from(is_ours) && is_fresh).then_some(nonce)
    }
}

/// The Authorization of a request for one realm, read once.
#[derive(Clone, Copy, Debug)]
pub struct Authorization<'a> {
    request: &'a Message<'a>,
    parameters: Result<Parameters<'a>, Denied>,
}

impl<'a> Authorization<'a> {
    /// Reads the Authorization of a request for `realm`.
    #[must_use]
    pub fn read(request: &'a Message<'a>, realm: &str) -> Self {
        let parameters = select(request, realm);
        Self {
            request,
            parameters,
        }
    }

    /// The user name, unescaped and not verified.
    #[must_use]
    pub fn claimed_user(&self) -> Option<String> {
        self.parameters.ok()?.user()
    }
}

/// The user name in the request's first credentials, of any realm, not verified.
#[must_use]
pub fn named_user(request: &Message<'_>) -> Option<String> {
    let values = request.headers(HeaderName::Authorization);
    let mut read = values.filter_map(|value| Parameters::read(value).ok());
    read.next()?.user()
}

/// The first Authorization for our realm with a known algorithm.
fn select<'a>(request: &Message<'a>, realm: &str) -> Result<Parameters<'a>, Denied> {
    let mut denied = Denied::NoCredentials;
    for value in request.headers(HeaderName::Authorization) {
        match Parameters::read(value) {
            Ok(parameters) if parameters.is_for(realm) && parameters.algorithm().is_some() => {
                return Ok(parameters);
            }
            Ok(_) | Err(Unreadable::OtherScheme) => {}
            Err(Unreadable::Syntax) => denied = Denied::Malformed,
        }
    }
    Err(denied)
}

/// Returns whether the credentials' uri matches the Request-URI: the octets are equal, or it names
/// the user of the Request-URI or To, or no user, at the Request-URI's host or a name of the
/// realm's domain. Port and parameters may differ, because proxies and phones add and drop them; in
/// a dialog the Request-URI is our Contact, while phones still write the address of record (RFC
/// 3261 §22.4).
fn is_aimed_at(uri: &[u8], request: &Message<'_>, realm: &impl Realm) -> bool {
    let StartLine::Request {
        uri: request_uri, ..
    } = request.start_line()
    else {
        return false;
    };
    if uri == request_uri {
        return true;
    }
    let (Some((user, host)), Some(target)) = (address(uri), address(request_uri)) else {
        return false;
    };
    let to = request.to().and_then(|to| address(to.uri));
    let is_user = user == target.0 || to.is_some_and(|to| user == to.0);
    match realm.is_named(&host) {
        true => is_user || user.is_empty(),
        false => host == target.1 && user == target.0,
    }
}

/// User and host of a URI, normalised for comparison.
fn address(uri: &[u8]) -> Option<(String, String)> {
    let uri = Uri::parse(uri).ok()?;
    let (mut user, mut host) = (String::new(), String::new());
    uri.write_host(&mut host);
    uri.user
        .is_none_or(|_| uri.write_user(&mut user))
        .then_some((user, host))
}

/// Compares hexadecimal digits in constant time, ignoring case.
fn is_response(expected: &HexHash, response: &[u8]) -> Choice {
    let mut digits = [0; 64];
    let Some(lower) = digits.get_mut(..response.len()) else {
        return Choice::from(0);
    };
    lower.copy_from_slice(response);
    lower.make_ascii_lowercase();
    expected.as_bytes().ct_eq(lower)
}

/// Appends text as the content of a quoted string.
fn write_quotable(out: &mut Vec<u8>, text: &str) {
    for octet in text.bytes() {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
}

#[cfg(test)]
mod tests;
