//! Responses. Those of the public pages are short and do not echo the request, except a page of parked
//! calls, which names its own address.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body_util::Full;
use hyper::body::{Bytes, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{StatusCode, header};

use crate::http::events::EventStream;
use crate::http::representation::{Format, Representation};

/// A response.
pub(crate) type Response = hyper::Response<Body>;

/// The body of a response.
pub(crate) enum Body {
    /// It is there as a whole.
    Whole(Full<Bytes>),
    /// Events, for as long as the client reads them.
    Events(Box<EventStream>),
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(Full::default())
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context),
            Self::Events(events) => events.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// 200 with a value in a format; text is as wide as `columns`.
pub(crate) fn ok(value: &dyn Representation, format: Format, columns: Option<usize>) -> Response {
    rendered(StatusCode::OK, value, format, columns)
}

/// Any value in a format.
pub(crate) fn rendered(
    status: StatusCode,
    value: &dyn Representation,
    format: Format,
    columns: Option<usize>,
) -> Response {
    let mut response = match format {
        Format::Text => text(status, value.text(columns)),
        Format::Json => typed(status, "application/json", format!("{}\n", value.json())),
        Format::Csv => match value.csv() {
            Some(rows) => typed(status, "text/csv; charset=utf-8", rows),
            None => text(status, value.text(columns)),
        },
    };
    response
        .headers_mut()
        .insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

/// A plain text that no cache keeps (W:D1.9).
pub(crate) fn text(status: StatusCode, body: impl Into<Bytes>) -> Response {
    typed(status, "text/plain; charset=utf-8", body)
}

/// A response of any media type that no cache keeps.
pub(crate) fn typed(
    status: StatusCode,
    media_type: &'static str,
    body: impl Into<Bytes>,
) -> Response {
    let mut response = Response::new(Body::Whole(Full::new(body.into())));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// A response with one more header, or with another value of one.
pub(crate) fn with(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

/// Adds `Connection: close`: whatever follows on the connection is untrusted, too long, or would
/// occupy a reserved connection.
pub(crate) fn closing(response: Response) -> Response {
    with(
        response,
        header::CONNECTION,
        HeaderValue::from_static("close"),
    )
}

/// A refusal after which the connection ends.
pub(crate) fn last(status: StatusCode, body: &'static str) -> Response {
    closing(text(status, body))
}

/// 404
pub(crate) fn not_found() -> Response {
    text(StatusCode::NOT_FOUND, "Not Found\n")
}

/// 405 with the methods that there are.
pub(crate) fn not_allowed(allow: HeaderValue) -> Response {
    let response = last(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed\n");
    with(response, header::ALLOW, allow)
}

/// The value of `Allow` where there are these methods, and OPTIONS.
pub(crate) fn allow(methods: impl Iterator<Item = &'static str>) -> HeaderValue {
    let methods: Vec<&str> = methods.chain(["OPTIONS"]).collect();
    let allow = HeaderValue::try_from(methods.join(", "));
    allow.unwrap_or_else(|_| HeaderValue::from_static("OPTIONS"))
}

/// The response to OPTIONS: the methods that there are.
pub(crate) fn options(allow: HeaderValue) -> Response {
    let mut response = Response::new(Body::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    with(response, header::ALLOW, allow)
}

/// 429: too many wrong passwords; retry later.
pub(crate) fn too_many() -> Response {
    let response = text(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests\n");
    with(
        response,
        header::RETRY_AFTER,
        HeaderValue::from_static("30"),
    )
}

/// 503: ask again in a second.
pub(crate) fn unavailable() -> Response {
    let response = text(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable\n");
    with(response, header::RETRY_AFTER, HeaderValue::from_static("1"))
}
