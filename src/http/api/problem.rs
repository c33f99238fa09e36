//! Errors, as problem details (RFC 9457).

use hyper::header::HeaderValue;
use hyper::{StatusCode, header};
use serde_json::{Value, json};

use crate::http::control::ControlRefusal;
use crate::http::representation::response;
use crate::http::representation::response::Response;

/// Why a request failed. Programs may rely on `kind`, which does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    kind: ProblemKind,
    detail: String,
    /// The parts of the request that are wrong.
    faults: Vec<Fault>,
}

/// A part of a request that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where it is: a JSON pointer into the body (`#/text`), or the name of a parameter.
    pub(super) place: Place,
    /// What is wrong with it.
    pub(super) detail: String,
}

/// The place of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the body, as a JSON pointer (RFC 6901).
    Pointer(String),
    /// A parameter of the query or the path.
    Parameter(String),
}

/// The kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProblemKind {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    Conflict,
    PreconditionFailed,
    TooLarge,
    UnsupportedMediaType,
    InvalidBody,
    TooManyRequests,
    Unavailable,
}

impl ProblemKind {
    /// Its name in `type`, its title and its status.
    const fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::InvalidRequest => (
                "invalid-request",
                "The request is malformed",
                StatusCode::BAD_REQUEST,
            ),
            Self::Unauthenticated => (
                "unauthenticated",
                "A valid token is required",
                StatusCode::UNAUTHORIZED,
            ),
            Self::Forbidden => (
                "forbidden",
                "The token does not allow this",
                StatusCode::FORBIDDEN,
            ),
            Self::NotFound => (
                "not-found",
                "There is nothing at this address",
                StatusCode::NOT_FOUND,
            ),
            Self::MethodNotAllowed => (
                "method-not-allowed",
                "This address has other methods",
                StatusCode::METHOD_NOT_ALLOWED,
            ),
            Self::Conflict => (
                "conflict",
                "The request conflicts with the present state",
                StatusCode::CONFLICT,
            ),
            Self::PreconditionFailed => (
                "precondition-failed",
                "It was changed meanwhile",
                StatusCode::PRECONDITION_FAILED,
            ),
            Self::TooLarge => (
                "too-large",
                "The request is too large",
                StatusCode::PAYLOAD_TOO_LARGE,
            ),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                "The body has another media type",
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::InvalidBody => (
                "invalid-body",
                "The body is not valid",
                StatusCode::UNPROCESSABLE_ENTITY,
            ),
            Self::TooManyRequests => (
                "too-many-requests",
                "Too many wrong tokens",
                StatusCode::TOO_MANY_REQUESTS,
            ),
            Self::Unavailable => (
                "unavailable",
                "The server cannot do this now",
                StatusCode::SERVICE_UNAVAILABLE,
            ),
        }
    }

    const fn status(self) -> StatusCode {
        self.parts().2
    }
}

impl Problem {
    pub(super) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            faults: Vec::new(),
        }
    }

    /// With the parts of the request that are wrong.
    pub(super) fn with_faults(kind: ProblemKind, faults: Vec<Fault>) -> Self {
        let first = faults.first().map(|fault| fault.detail.clone());
        Self {
            faults,
            ..Self::new(kind, first.unwrap_or_default())
        }
    }

    /// A parameter of the query or the path is wrong.
    pub(super) fn of_parameter(name: &str, detail: impl Into<String>) -> Self {
        let place = Place::Parameter(name.to_owned());
        let detail = detail.into();
        Self::with_faults(ProblemKind::InvalidRequest, vec![Fault { place, detail }])
    }

    /// A part of the body is wrong.
    pub(super) fn of_body(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let place = Place::Pointer(pointer.into());
        let detail = detail.into();
        Self::with_faults(ProblemKind::InvalidBody, vec![Fault { place, detail }])
    }

    /// The refusal of a command whose fields came from the path or the query, not from a body.
    pub(super) fn of_query(refusal: ControlRefusal) -> Self {
        match Self::from(refusal) {
            problem if problem.kind == ProblemKind::InvalidBody => Self {
                kind: ProblemKind::InvalidRequest,
                ..problem
            },
            problem => problem,
        }
    }

    /// The reason in words.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    pub(super) fn unavailable() -> Self {
        Self::new(
            ProblemKind::Unavailable,
            "a shard does not respond, or its tables are full: ask again",
        )
    }

    pub(super) fn json(&self) -> Value {
        let (kind, title, status) = self.kind.parts();
        let mut json = json!({
            "type": format!("urn:problem-type:lamplighter:{kind}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.detail,
        });
        if !self.faults.is_empty() {
            json["errors"] = self.faults.iter().map(Fault::json).collect();
        }
        json
    }

    /// The problem as a response.
    pub(super) fn into_response(self) -> Response {
        let text = self.json().to_string() + "\n";
        let response = response::typed(self.kind.status(), "application/problem+json", text);
        match self.kind {
            ProblemKind::Unauthenticated => {
                let bearer = HeaderValue::from_static("Bearer realm=\"lamplighter\"");
                response::with(response, header::WWW_AUTHENTICATE, bearer)
            }
            ProblemKind::TooManyRequests => {
                let seconds = HeaderValue::from_static("30");
                response::with(response, header::RETRY_AFTER, seconds)
            }
            ProblemKind::Unavailable => {
                let seconds = HeaderValue::from_static("1");
                response::with(response, header::RETRY_AFTER, seconds)
            }
            // The rest of the body is not read.
            ProblemKind::TooLarge => response::closing(response),
            _ => response,
        }
    }
}

impl Fault {
    fn json(&self) -> Value {
        match &self.place {
            Place::Pointer(pointer) => json!({"pointer": pointer, "detail": self.detail}),
            Place::Parameter(name) => json!({"parameter": name, "detail": self.detail}),
        }
    }
}

/// The refusal of an operator's command.
impl From<ControlRefusal> for Problem {
    fn from(refusal: ControlRefusal) -> Self {
        let kind = match refusal.status() {
            StatusCode::NOT_FOUND => ProblemKind::NotFound,
            StatusCode::CONFLICT => ProblemKind::Conflict,
            StatusCode::PAYLOAD_TOO_LARGE => ProblemKind::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => ProblemKind::Unavailable,
            _ => ProblemKind::InvalidBody,
        };
        Self::new(kind, refusal.to_string())
    }
}
