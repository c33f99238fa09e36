//! The caller of an operation: the bearer of a token, or the operator at the control socket.
//!
//! A token comes in `Authorization: Bearer` (RFC 6750 §2.1), in the cookie of the dashboard, or in the query if
//! the operation allows that. A browser sends a cookie with requests from pages of other sites, too. A request
//! that changes something must therefore carry a header that only our own page can set.
//!
//! A wrong name and a wrong secret cost the same work and get the same 401. Wrong tokens are counted and locked
//! out like passwords.

use std::net::IpAddr;
use std::sync::Arc;

use hyper::header::HeaderMap;
use hyper::{Method, StatusCode, header};

use crate::directory::tokens::{Role, Token};
use crate::directory::{Directory, Domain};
use crate::http::api::problem::{Problem, ProblemKind};
use crate::http::control::{self, ControlRefusal};
use crate::http::credentials::{LoginRefusal, verify};
use crate::http::engine::Engine;
use crate::http::failed_attempts::Claim;
use crate::http::site::{Endpoint, Site};
use crate::password::PasswordHash;
use crate::presence::Aor;

/// The cookie of the dashboard.
pub(super) const COOKIE: &str = "lamplighter";
/// The header of the dashboard's own requests.
pub(super) const OWN_HEADER: &str = "lamplighter-dashboard";
/// The name of the API in lists of failures.
const PAGE: &str = "api";
/// The realm under which wrong tokens are counted: a token belongs to no domain.
const REALM: &str = "token";

/// The caller of an operation.
#[derive(Clone, Debug)]
pub(super) enum Caller {
    /// A process that may open the control socket.
    Operator,
    /// The bearer of a token.
    Bearer(Token),
    /// The caller of an operation that needs no token.
    Stranger,
}

impl Caller {
    /// Its role; None for a stranger.
    pub(super) fn role(&self) -> Option<Role> {
        match self {
            Self::Operator => Some(Role::Admin),
            Self::Bearer(token) => Some(token.role),
            Self::Stranger => None,
        }
    }

    /// The domains that it may see and change; empty for all.
    pub(super) fn domains(&self) -> &[Box<str>] {
        match self {
            Self::Bearer(token) => &token.domains,
            Self::Operator | Self::Stranger => &[],
        }
    }

    /// Whether it may see and change a domain, by its own name.
    pub(super) fn is_for(&self, domain: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Bearer(token) => token.is_for(domain),
            Self::Stranger => false,
        }
    }

    /// Whether it may see all domains.
    pub(super) fn is_for_all(&self) -> bool {
        match self {
            Self::Operator => true,
            Self::Bearer(token) => token.domains.is_empty(),
            Self::Stranger => false,
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Operator => "operator",
            Self::Bearer(token) => &token.name,
            Self::Stranger => "stranger",
        }
    }

    /// Refuses a caller with a lesser role.
    pub(super) fn require(&self, role: Role) -> Result<(), Problem> {
        let own = self.role();
        match own >= Some(role) {
            true => Ok(()),
            false => Err(Problem::new(
                ProblemKind::Forbidden,
                format!(
                    "this needs the role \"{}\", the token has \"{}\"",
                    role.as_str(),
                    own.map_or("none", Role::as_str)
                ),
            )),
        }
    }

    /// The address that `text` names, if the caller may see its domain. A caller that is limited to some
    /// domains gets the same refusal for every other domain, whether it exists or not.
    pub(super) fn aor(&self, text: &str, directory: &Directory) -> Result<Aor, Problem> {
        let aor = control::aor::resolve(text, directory);
        let aor = aor.map_err(|fault| Problem::of_query(ControlRefusal::from(fault)));
        let is_its = aor.as_ref().is_ok_and(|aor| self.is_for(aor.domain()));
        match is_its || self.is_for_all() {
            true => aor,
            false => Err(other_domain()),
        }
    }

    /// The domain that `text` names, if the caller may see it.
    pub(super) fn domain<'d>(
        &self,
        text: &str,
        directory: &'d Directory,
    ) -> Result<&'d Domain, Problem> {
        match directory.domain(&text.to_ascii_lowercase()) {
            Some(domain) if self.is_for(&domain.name) => Ok(domain),
            None if self.is_for_all() => Err(Problem::new(
                ProblemKind::NotFound,
                "there is no such domain",
            )),
            _ => Err(other_domain()),
        }
    }
}

fn other_domain() -> Problem {
    Problem::new(ProblemKind::Forbidden, "the token is for other domains")
}

/// The parts of a request that may hold its token.
#[derive(Clone, Copy)]
pub(super) struct Presented<'r> {
    pub(super) method: &'r Method,
    pub(super) headers: &'r HeaderMap,
    /// The query, if the operation takes a token there.
    pub(super) query: &'r str,
}

/// The caller of a request.
pub(super) async fn of_request<E: Engine>(
    presented: Presented<'_>,
    (peer, endpoint): (IpAddr, Endpoint),
    site: &Site<E>,
) -> Result<Caller, Problem> {
    if endpoint == Endpoint::Control {
        return Ok(Caller::Operator);
    }
    let missing = || {
        let why = "send a token: Authorization: Bearer lamp_NAME_SECRET";
        Problem::new(ProblemKind::Unauthenticated, why)
    };
    let Presented {
        method,
        headers,
        query,
    } = presented;
    let mut in_query = form_urlencoded::parse(query.as_bytes());
    let in_query = in_query.find(|(name, _)| name == "token");
    let in_query = in_query.as_ref().map(|(_, text)| &**text);
    let text = match bearer(headers).or(in_query) {
        Some(text) => text,
        None => {
            let text = cookie(headers).ok_or_else(missing)?;
            let is_safe = matches!(*method, Method::GET | Method::HEAD);
            if !is_safe && !headers.contains_key(OWN_HEADER) {
                let why = format!("with the cookie, send the header {OWN_HEADER}: 1");
                return Err(Problem::new(ProblemKind::Forbidden, why));
            }
            text
        }
    };
    of_token(text, peer, site).await.map(Caller::Bearer)
}

/// The token that `text` presents, if its secret is right.
pub(super) async fn of_token<E: Engine>(
    text: &str,
    peer: IpAddr,
    site: &Site<E>,
) -> Result<Token, Problem> {
    let wrong = || Problem::new(ProblemKind::Unauthenticated, "the token is not valid");
    let (name, secret) = Token::split(text).ok_or_else(wrong)?;
    let directory: &Arc<Directory> = &site.directory();
    let token = directory.token(name);
    let claim = Claim {
        page: PAGE,
        refusal: StatusCode::UNAUTHORIZED,
        peer,
        realm: REALM,
        user: name,
    };
    let begun = site.attempts.begin(claim, directory);
    let attempt = begun.map_err(LoginRefusal::from)?;
    let hash = token.map_or(PasswordHash::decoy(), |token| &token.hash);
    let is_right = verify((hash, secret), (claim, directory), site).await?;
    let token = token.filter(|_| is_right);
    site.attempts
        .judged(attempt.as_ref(), claim, token.is_some());
    token.cloned().ok_or_else(wrong)
}

impl From<LoginRefusal> for Problem {
    fn from(refusal: LoginRefusal) -> Self {
        match refusal {
            LoginRefusal::LockedOut => Self::new(
                ProblemKind::TooManyRequests,
                "wait half a minute before the next try",
            ),
            LoginRefusal::Wrong | LoginRefusal::Busy => Self::unavailable(),
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

fn cookie(headers: &HeaderMap) -> Option<&str> {
    let lines = headers.get_all(header::COOKIE).iter();
    let mut pairs = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'));
    pairs.find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        (name == COOKIE).then_some(value)
    })
}
