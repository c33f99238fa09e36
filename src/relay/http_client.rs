//! Requests by HTTP/1.1 to other systems. Servers of HTTPS are verified; redirections are not followed.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{HeaderMap, RETRY_AFTER};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use serde_json::Value;

use crate::relay::target::{Fault, Remedy};
use crate::tls::SharedTlsClient;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: less than servers do, usually.
const IDLE: Duration = Duration::from_secs(30);
/// Octets of a response body, unless a client says otherwise; a longer one is a fault.
const BODY_OCTETS_MAX: usize = 1 << 20;
/// Octets of an error code that are shown.
const CODE_OCTETS_MAX: usize = 64;
/// The shortest wait that a server may ask for. Without it, "Retry-After: 0" would repeat requests without a pause.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// The longest wait that a server may ask for.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// A client with connections of its own. Once the authorities that we trust are others, it begins anew with those.
#[derive(Debug)]
pub(super) struct HttpClient {
    tls: SharedTlsClient,
    connections: RefCell<(Arc<ClientConfig>, Connections)>,
    body_octets_max: usize,
}

type Connections = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// A response that was read.
#[derive(Debug)]
pub(super) struct HttpResponse {
    /// Its status.
    pub(super) status: StatusCode,
    /// How long the server asks to wait.
    pub(super) retry_after: Option<Duration>,
    /// Its body.
    pub(super) body: Bytes,
}

impl HttpClient {
    /// A client with these demands on servers.
    pub(super) fn new(tls: &SharedTlsClient) -> Self {
        let config = tls.current().web_config();
        let connections = connections(&config);
        Self {
            tls: tls.clone(),
            connections: RefCell::new((config, connections)),
            body_octets_max: BODY_OCTETS_MAX,
        }
    }

    /// For responses whose body has so many octets at most.
    pub(super) fn with_bodies_of(self, body_octets_max: usize) -> Self {
        Self {
            body_octets_max,
            ..self
        }
    }

    /// Sends a request, and reads the response.
    ///
    /// # Errors
    /// The server does not respond, or not in HTTP.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<HttpResponse, Fault> {
        let response = self.connections().request(request).await;
        let response = response.map_err(|error| Fault::wait(cause(&error)))?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.body_octets_max).collect().await;
        let body = body.map_err(|error| Fault::wait(cause(&*error)))?;
        Ok(HttpResponse {
            status: head.status,
            retry_after: retry_after(&head.headers, SystemTime::now()),
            body: body.to_bytes(),
        })
    }

    fn connections(&self) -> Connections {
        let config = self.tls.current().web_config();
        let mut known = self.connections.borrow_mut();
        if !Arc::ptr_eq(&known.0, &config) {
            *known = (Arc::clone(&config), connections(&config));
        }
        known.1.clone()
    }
}

fn connections(tls: &Arc<ClientConfig>) -> Connections {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_nodelay(true);
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(ClientConfig::clone(tls))
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(connector)
}

impl HttpResponse {
    /// Its body as JSON; null if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The fault that the status tells; Ok for 2xx.
    pub(super) fn verdict(&self) -> Result<(), Fault> {
        let status = self.status;
        let remedy = match status {
            _ if status.is_success() => return Ok(()),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Remedy::Wait(self.retry_after)
            }
            StatusCode::GONE => Remedy::GiveUp,
            _ => Remedy::Retry,
        };
        Err(Fault::new(format!("HTTP {}", status.as_u16()), remedy))
    }
}

/// The error code in a body; empty if it does not look like one.
pub(super) fn code(value: &Value) -> &str {
    let is_code = |text: &&str| {
        let is_letter = |octet: u8| octet.is_ascii_alphanumeric() || b"_.-".contains(&octet);
        text.len() <= CODE_OCTETS_MAX && text.bytes().all(is_letter)
    };
    value.as_str().filter(is_code).unwrap_or_default()
}

/// The innermost cause of an error, which says most: `Connection refused`.
fn cause(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Retry-After (RFC 9110 §10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let of_date = || {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    };
    let seconds = text.parse().ok().map(Duration::from_secs);
    Some(seconds.or_else(of_date)?.clamp(WAIT_MIN, WAIT_MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let table = [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(1)),
            ("0", Some(1)),
            ("99999", Some(3600)),
            ("soon", None),
        ];
        for (text, seconds) in table {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&headers, now), expected, "{text}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_status_says_what_to_do() {
        let remedy = |status: u16| {
            let response = HttpResponse {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: Some(Duration::from_secs(9)),
                body: Bytes::new(),
            };
            response.verdict().err().map(|fault| fault.remedy)
        };
        let wait = Some(Remedy::Wait(Some(Duration::from_secs(9))));
        for (status, expected) in [
            (200, None),
            (204, None),
            (302, Some(Remedy::Retry)),
            (400, Some(Remedy::Retry)),
            (410, Some(Remedy::GiveUp)),
            (429, wait),
            (500, Some(Remedy::Retry)),
            (503, wait),
        ] {
            assert_eq!(remedy(status), expected, "{status}");
        }
    }
}
