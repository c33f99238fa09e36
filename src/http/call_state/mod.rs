//! `call_state.htm` (W:D1): a mobile operator, or an app, reports that a user is in a call, or no
//! longer is.
//!
//! `GET|POST /call_state.htm?domain=&user=&password=&number=&expires=&state=`. The report becomes
//! one contribution of the presentity, which expires by itself. Without `state` a number means
//! busy, no number means idle. The number goes into that contribution and nowhere else: no log, no
//! response.

pub mod fields;
mod report;

use std::net::IpAddr;
use std::time::Instant;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request, StatusCode, header};

use crate::http::call_state::fields::{FIELDS, Fields};
use crate::http::call_state::report::Report;
use crate::http::credentials::LoginRefusal;
use crate::http::engine::Engine;
use crate::http::representation::response;
use crate::http::representation::response::Response;
use crate::http::site::Site;
use crate::presence::origin::Origin;
use crate::shard::Reply;

/// Octets of a form; a longer one is 413.
const FORM_OCTETS_MAX: usize = 8 << 10;
/// Takes a report to the presentity's owner.
pub(crate) async fn report<E: Engine>(
    request: Request<Incoming>,
    peer: IpAddr,
    site: &Site<E>,
) -> Response {
    let arrived = Instant::now();
    let report = match read(request).await {
        Ok(fields) => Report::new(&fields, peer, site).await,
        Err(refusal) => Err(refusal),
    };
    let Report { aor, said } = match report {
        Ok(report) => report,
        Err(refusal) => return refusal.into_response(),
    };
    tracing::debug!(%aor, "call_state.htm");
    let origin = site.directory().peer_origin(|| Origin::of_address(peer));
    match site.update_state(aor, said, origin).await {
        Ok(Reply::Done) => {
            site.call_state_durations.record(arrived.elapsed());
            response::text(StatusCode::OK, "OK\n")
        }
        Ok(_) | Err(_) => response::unavailable(),
    }
}

/// Reason for a refusal. Never contains request data, which may include a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReportRefusal {
    /// 413
    TooLong,
    /// 415
    MediaType,
    /// 400
    Malformed(&'static str),
    /// 403, without saying what was wrong (W:D1.8)
    Forbidden,
    /// 429, after too many wrong passwords (RFC 6585 §4)
    TooMany,
    /// 503, while too many passwords wait to be verified
    Busy,
}

impl From<LoginRefusal> for ReportRefusal {
    fn from(refusal: LoginRefusal) -> Self {
        match refusal {
            LoginRefusal::Wrong => Self::Forbidden,
            LoginRefusal::LockedOut => Self::TooMany,
            LoginRefusal::Busy => Self::Busy,
        }
    }
}

impl ReportRefusal {
    fn into_response(self) -> Response {
        match self {
            Self::TooLong => response::last(StatusCode::PAYLOAD_TOO_LARGE, "Payload Too Large\n"),
            Self::MediaType => response::last(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Unsupported Media Type\n",
            ),
            Self::Malformed(why) => response::text(StatusCode::BAD_REQUEST, why),
            Self::Forbidden => response::text(StatusCode::FORBIDDEN, "Forbidden\n"),
            Self::TooMany => response::too_many(),
            Self::Busy => response::unavailable(),
        }
    }
}

/// The fields of the query and, with POST, of the form.
async fn read(request: Request<Incoming>) -> Result<Fields, ReportRefusal> {
    let (head, body) = request.into_parts();
    let body = match head.method {
        Method::POST if !is_form(&head.headers) => return Err(ReportRefusal::MediaType),
        Method::POST => collect(body).await?,
        // A GET body is ignored; hyper skips it.
        _ => Bytes::new(),
    };
    let query = head.uri.query().unwrap_or_default();
    Fields::parse(query, &body, &FIELDS)
        .map_err(|_| ReportRefusal::Malformed("A parameter is given twice\n"))
}

/// Whether the body is a form; a missing Content-Type counts as a form.
fn is_form(headers: &header::HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    let media_type = value
        .as_bytes()
        .split(|octet| *octet == b';')
        .next()
        .unwrap_or_default();
    media_type
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

async fn collect(body: Incoming) -> Result<Bytes, ReportRefusal> {
    // The length is known before the body is there: no octet of one that is too long is read.
    if body.size_hint().lower() > FORM_OCTETS_MAX as u64 {
        return Err(ReportRefusal::TooLong);
    }
    match Limited::new(body, FORM_OCTETS_MAX).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ReportRefusal::TooLong),
        Err(_) => Err(ReportRefusal::Malformed("The body is truncated\n")),
    }
}
