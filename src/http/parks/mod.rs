//! `GET /parks/<domain>/<token>` and `/parks/<browser>/<domain>/<token>` (W:C11, D4.7): the parked calls
//! of a domain, as the browser of a phone shows them. `presence::document::parked_page` writes the
//! page, `path` finds out for which browser, `calls` asks the shards.
//!
//! Guarantees: an unknown domain, one without a page and a wrong token get the same 404, after the same
//! work; wrong tokens are counted and locked out like passwords (`attempts`). The page shows no more
//! than a NOTIFY to the watcher `parks` of the domain would. The token reaches no log, and no response
//! but the page itself, which names its own address where a phone wants that to load it again.
//!
//! Every response has a Content-Length, and none is compressed, chunked or redirected: the body is
//! whole, and nothing here does any of it. It is not a subscription: each request reads the tables of
//! the shards.

mod calls;
mod path;

pub(crate) use calls::parked_calls;

use std::net::IpAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Request, StatusCode, header};

use crate::directory::{Directory, Domain, ParksTokens};
use crate::http::attempts::LockedOut;
use crate::http::engine::Engine;
use crate::http::facts::Scheme;
use crate::http::failed_attempts::Claim;
use crate::http::parks::path::PagePath;
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;
use crate::presence::document::parked_page::{Browser, Entry, REFRESH_SECONDS};

/// The watcher that stands for the pages of a domain when its policies decide what they show. A policy may name
/// it.
const WATCHER: &str = "parks";
/// The name of the page in lists of failures.
const PAGE: &str = "parks";
/// Octets of the page's own address; a longer one is not told.
const URL_OCTETS_MAX: usize = 511;

/// Shows the page.
pub(crate) async fn show<E: Engine>(
    request: Request<Incoming>,
    peer: IpAddr,
    site: &Site<E>,
) -> Response {
    let Some(path) = PagePath::parse(request.uri().path()) else {
        return response::not_found();
    };
    let directory = &site.directory();
    let domain = match admitted(&path, peer, directory, site) {
        Ok(Some(domain)) => domain,
        Ok(None) => return response::not_found(),
        Err(LockedOut) => return response::too_many(),
    };
    let Some(entries) = calls::parked(domain, site).await else {
        return response::unavailable();
    };
    let named = path.browser;
    let browser = named.unwrap_or_else(|| path::browser_of(request.headers()));
    page(browser, &entries, own_url(&request))
}

/// The domain whose page may be seen with the token; None if there is none.
fn admitted<'d, E>(
    path: &PagePath<'_>,
    peer: IpAddr,
    directory: &'d Arc<Directory>,
    site: &Site<E>,
) -> Result<Option<&'d Domain>, LockedOut> {
    let found = directory.domain(&path.domain.to_ascii_lowercase());
    let realm = found.map_or(path.domain, |domain| &domain.name);
    let claim = Claim {
        page: PAGE,
        refusal: StatusCode::NOT_FOUND,
        peer,
        realm,
        user: WATCHER,
    };
    let attempt = site.attempts.begin(claim, directory)?;
    let none = ParksTokens::default();
    let tokens = found.map_or(&none, |domain| &domain.parks_tokens);
    let is_right = tokens.accept(realm, path.token);
    site.attempts.judged(attempt.as_ref(), claim, is_right);
    Ok(found.filter(|_| is_right))
}

fn page(browser: Browser, entries: &[Entry], url: Option<String>) -> Response {
    let octets = browser.page(entries, url.as_deref());
    let response = response::typed(StatusCode::OK, browser.content_type(), octets);
    let refresh = url.filter(|_| browser.obeys_refresh_header());
    let refresh = refresh.map(|url| format!("{REFRESH_SECONDS}; url={url}"));
    match refresh.map(HeaderValue::try_from) {
        Some(Ok(refresh)) => response::with(response, header::REFRESH, refresh),
        _ => response,
    }
}

/// The address at which the page was requested; None if the request does not name its host, as
/// HTTP/1.0 allows.
fn own_url(request: &Request<Incoming>) -> Option<String> {
    let scheme = request.extensions().get::<Scheme>()?.of_uri();
    let host = request.headers().get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok());
    let host = host.or_else(|| Some(request.uri().authority()?.as_str()))?;
    let url = format!("{scheme}://{host}{}", request.uri().path());
    (!host.is_empty() && url.len() <= URL_OCTETS_MAX).then_some(url)
}
