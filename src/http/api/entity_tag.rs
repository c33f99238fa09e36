//! Entity tags (RFC 9110 §8.8.3) of what several clients may edit, and the conditions of requests on them.

use hyper::header;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::http::api::problem::{Problem, ProblemKind};
use crate::presence::fixed_hash::SipHash13;

/// The tag of a representation.
pub(super) fn of(json: &Value) -> HeaderValue {
    of_octets(json.to_string().as_bytes())
}

/// The tag of a representation as it is sent.
pub(crate) fn of_octets(octets: &[u8]) -> HeaderValue {
    let tag = format!("\"{:016x}\"", SipHash13::of(octets));
    HeaderValue::try_from(tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// Whether the client has this representation already (`If-None-Match` of a GET).
pub(crate) fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    lists(headers, header::IF_NONE_MATCH, Some(tag)).unwrap_or(false)
}

/// Refuses a change if `present`, the current representation, does not meet its conditions. None: it does
/// not exist yet.
pub(super) fn check(headers: &HeaderMap, present: Option<&Value>) -> Result<(), Problem> {
    let tag = present.map(of);
    let failed = |why| Err(Problem::new(ProblemKind::PreconditionFailed, why));
    if lists(headers, header::IF_MATCH, tag.as_ref()) == Some(false) {
        return failed("If-Match does not list its current entity tag");
    }
    if lists(headers, header::IF_NONE_MATCH, tag.as_ref()) == Some(true) {
        return failed("it exists, and If-None-Match lists its entity tag");
    }
    Ok(())
}

/// Whether a header lists a tag; `*` is every tag. None if there is no such header.
fn lists(headers: &HeaderMap, name: HeaderName, tag: Option<&HeaderValue>) -> Option<bool> {
    let mut lines = headers.get_all(name).iter().peekable();
    lines.peek()?;
    let tag = tag.and_then(|tag| tag.to_str().ok());
    let listed = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|listed| listed.trim().trim_start_matches("W/"))
        .any(|listed| tag.is_some_and(|tag| listed == "*" || listed == tag));
    Some(listed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn conditions_are_about_the_present_representation() {
        let (old, new) = (json!({"a": 1}), json!({"a": 2}));
        let with =
            |name: HeaderName, value: &HeaderValue| HeaderMap::from_iter([(name, value.clone())]);
        let any = HeaderValue::from_static("*");
        let is_ok = |headers: &HeaderMap, present| check(headers, present).is_ok();
        let if_old = with(header::IF_MATCH, &of(&old));
        assert!(is_ok(&if_old, Some(&old)));
        assert!(!is_ok(&if_old, Some(&new)));
        assert!(!is_ok(&if_old, None));
        assert!(!is_ok(&with(header::IF_MATCH, &any), None));
        let if_none = with(header::IF_NONE_MATCH, &any);
        assert!(is_ok(&if_none, None));
        assert!(!is_ok(&if_none, Some(&new)));
        assert!(is_ok(&HeaderMap::new(), Some(&new)));
        assert!(is_known(&with(header::IF_NONE_MATCH, &of(&old)), &of(&old)));
        assert!(!is_known(
            &with(header::IF_NONE_MATCH, &of(&old)),
            &of(&new)
        ));
    }
}
