//! Responses: plain texts. Those of the public pages are short and quote nothing of the request.

use http_body_util::Full;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header;
use hyper::header::HeaderValue;

/// A whole response.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A plain text that no cache keeps (W:D1.9).
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    answer
}

/// A refusal after which the connection ends, because what follows on it cannot be trusted or is
/// too long to read.
pub(crate) fn last(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = text(status, body);
    answer
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// 405 with what is allowed.
pub(crate) fn not_allowed(allow: &'static str) -> Answer {
    let mut answer = last(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    answer
        .headers_mut()
        .insert(header::ALLOW, HeaderValue::from_static(allow));
    answer
}

/// 503, after which the connection ends: it was spare.
pub(crate) fn last_unavailable() -> Answer {
    let mut answer = unavailable();
    answer
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// 429: too many wrong passwords; ask again in a while.
pub(crate) fn too_many() -> Answer {
    let mut answer = text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n");
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
    answer
}

/// 503: ask again in a second.
pub(crate) fn unavailable() -> Answer {
    let mut answer = text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n");
    answer
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}
