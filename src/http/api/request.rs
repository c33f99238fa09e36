//! A request of an operation: what is in its path, its query and its body.

use std::net::IpAddr;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::Request;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header;
use hyper::header::HeaderMap;
use serde_json::Value;

use crate::directory::{Directory, Domain};
use crate::http::api::caller::Caller;
use crate::http::api::operation::{BodySchema, Description, PREFIX};
use crate::http::api::problem::{Fault, Place, Problem, ProblemKind};
use crate::http::control::ControlRefusal;
use crate::http::facts::Scheme;
use crate::presence::Aor;

/// Characters of a parameter.
const PARAMETER_CHARACTERS_MAX: usize = 512;

/// A request of an operation. No `Debug`: a body may hold a password or a token.
pub(super) struct ApiRequest {
    pub(super) caller: Caller,
    pub(super) headers: HeaderMap,
    pub(super) peer: IpAddr,
    pub(super) is_encrypted: bool,
    /// By the name of their segment.
    path: Vec<(&'static str, String)>,
    /// By their name, in order; a name may be repeated where the operation says so.
    query: Vec<(&'static str, String)>,
    /// Null for an operation without a body.
    pub(super) body: Value,
    /// The body of an operation that takes another media type than JSON.
    pub(super) document: Bytes,
}

impl ApiRequest {
    /// Reads a request of a described operation.
    pub(super) async fn read(
        description: &Description,
        caller: Caller,
        peer: IpAddr,
        request: Request<Incoming>,
    ) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let below = head.uri.path().strip_prefix(PREFIX).unwrap_or_default();
        let path = segments(description.path, below)?;
        let query = query(description.parameters, head.uri.query().unwrap_or_default())?;
        let (mut json, mut document) = (Value::Null, Bytes::new());
        match description.body {
            BodySchema::None => {}
            BodySchema::Json { octets_max, .. } => {
                check_media_type(&head.headers, "application/json")?;
                json = parse(&collect(body, octets_max).await?)?;
            }
            BodySchema::Document {
                media_type,
                octets_max,
            } => {
                check_media_type(&head.headers, media_type)?;
                document = collect(body, octets_max).await?;
            }
        }
        let is_encrypted = head.extensions.get::<Scheme>() == Some(&Scheme::Https);
        Ok(Self {
            caller,
            headers: head.headers,
            peer,
            is_encrypted,
            path,
            query,
            body: json,
            document,
        })
    }

    /// A segment of the path.
    pub(super) fn path(&self, name: &str) -> &str {
        let found = self.path.iter().find(|(known, _)| *known == name);
        debug_assert!(found.is_some(), "the path has no {name}");
        found.map_or("", |(_, value)| value)
    }

    /// The address in the path, if the caller may see its domain.
    pub(super) fn aor(&self, directory: &Directory) -> Result<Aor, Problem> {
        self.caller.aor(self.path("aor"), directory)
    }

    /// The address in the path, which exists.
    pub(super) fn known_aor(&self, directory: &Directory) -> Result<Aor, Problem> {
        let aor = self.aor(directory)?;
        match directory.exists(&aor) {
            true => Ok(aor),
            false => Err(ControlRefusal::NoAddress(aor).into()),
        }
    }

    /// The domain in the path, if the caller may see it.
    pub(super) fn domain<'d>(&self, directory: &'d Directory) -> Result<&'d Domain, Problem> {
        self.caller.domain(self.path("domain"), directory)
    }

    /// The domain in the query, if the caller may see it; None if it names none.
    pub(super) fn query_domain<'d>(
        &self,
        directory: &'d Directory,
    ) -> Result<Option<&'d Domain>, Problem> {
        let text = self.query("domain");
        text.map(|text| self.caller.domain(text, directory))
            .transpose()
    }

    /// Keeps the addresses that contain the text of the parameter `search`, or whose names do.
    pub(super) fn search(&self, aors: &mut Vec<Aor>, directory: &Directory) {
        if let Some(text) = self.query("search").map(str::to_lowercase) {
            let contains = |name: &str| name.to_lowercase().contains(&text);
            aors.retain(|aor| contains(aor.as_str()) || contains(directory.name_of(aor)));
        }
    }

    /// A parameter; None if it is absent or empty.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.queries(name).next()
    }

    /// All values of a parameter that are not empty.
    pub(super) fn queries<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        self.given(name).filter(|value| !value.is_empty())
    }

    /// All values of a parameter, also empty ones.
    pub(super) fn given<'r>(&'r self, name: &str) -> impl Iterator<Item = &'r str> {
        let found = self.query.iter().filter(move |(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &str, min: u64, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.given(name).next() else {
            return Ok(None);
        };
        let is_digits = text.bytes().all(|octet| octet.is_ascii_digit());
        let number = text
            .parse()
            .ok()
            .filter(|number| is_digits && (min..=max).contains(number));
        let fault =
            || Problem::of_parameter(name, format!("must be a whole number from {min} to {max}"));
        number.map(Some).ok_or_else(fault)
    }

    /// `true` or `false`.
    pub(super) fn is_true(&self, name: &str) -> Result<bool, Problem> {
        match self.given(name).next() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Problem::of_parameter(name, "must be true or false")),
        }
    }
}

/// The segments of a path that its template names.
fn segments(template: &'static str, path: &str) -> Result<Vec<(&'static str, String)>, Problem> {
    let pairs = template.split('/').zip(path.split('/'));
    let named = pairs.filter_map(|(name, text)| {
        let name = name.strip_prefix('{')?.strip_suffix('}')?;
        Some((name, text))
    });
    named
        .map(|(name, text)| {
            let text = percent_encoding::percent_decode_str(text).decode_utf8();
            let text = text.map(|text| text.into_owned()).ok();
            let text = text.filter(|text| is_parameter(text));
            let fault = || Problem::of_parameter(name, "is not a text, or is too long");
            text.map(|text| (name, text)).ok_or_else(fault)
        })
        .collect()
}

fn query(
    known: &'static [&'static str],
    text: &str,
) -> Result<Vec<(&'static str, String)>, Problem> {
    let mut query: Vec<(&'static str, String)> = Vec::new();
    let mut faults = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let mut fault = |detail: String| {
            faults.push(Fault {
                place: Place::Parameter(name.to_string()),
                detail,
            });
        };
        let plain = |known: &&&'static str| *known.trim_end_matches('*') == *name;
        let Some(parameter) = known.iter().find(plain) else {
            fault(match known {
                [] => "is unknown; there are no parameters here".to_owned(),
                _ => format!(
                    "is unknown; known are: {}",
                    known.join(", ").replace('*', "")
                ),
            });
            continue;
        };
        let (bare, repeats) = match parameter.strip_suffix('*') {
            Some(bare) => (bare, true),
            None => (*parameter, false),
        };
        if !repeats && query.iter().any(|(known, _)| *known == bare) {
            fault("is given twice".to_owned());
        } else if !is_parameter(&value) {
            fault("is too long, or contains a control character".to_owned());
        } else {
            query.push((bare, value.into_owned()));
        }
    }
    match faults.is_empty() {
        true => Ok(query),
        false => Err(Problem::with_faults(ProblemKind::InvalidRequest, faults)),
    }
}

fn is_parameter(text: &str) -> bool {
    text.chars().count() <= PARAMETER_CHARACTERS_MAX && !text.chars().any(char::is_control)
}

fn check_media_type(headers: &HeaderMap, expected: &str) -> Result<(), Problem> {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    match media_type.eq_ignore_ascii_case(expected) {
        true => Ok(()),
        false => Err(Problem::new(
            ProblemKind::UnsupportedMediaType,
            format!("send Content-Type: {expected}"),
        )),
    }
}

async fn collect(body: Incoming, octets_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let why = format!("the body may have at most {octets_max} octets");
        Problem::new(ProblemKind::TooLarge, why)
    };
    // The length may be announced: then a body that is too long is refused unread.
    if body.size_hint().lower() > octets_max as u64 {
        return Err(too_large());
    }
    match Limited::new(body, octets_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Problem::new(
            ProblemKind::InvalidRequest,
            "the body is truncated",
        )),
    }
}

fn parse(octets: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(octets).map_err(|error| {
        // The message of the parser names a place, and quotes nothing.
        let why = format!("the body is not JSON: {error}");
        Problem::new(ProblemKind::InvalidRequest, why)
    })
}
