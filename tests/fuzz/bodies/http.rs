//! The query and the form of a page: a field has one value, or the request is refused.

use lamplighter::http::call_state::fields::{FIELDS, Fields};

/// The first line is the query, the rest the form.
pub(crate) fn http(octets: &[u8]) {
    let at = octets.iter().position(|octet| *octet == b'\n');
    let (query, form) = octets.split_at(at.unwrap_or(octets.len()));
    let Ok(query) = std::str::from_utf8(query) else {
        return;
    };
    let form = form.strip_prefix(b"\n").unwrap_or(form);
    let Ok(fields) = Fields::parse(query, form, &FIELDS) else {
        return;
    };
    for name in FIELDS {
        let Some(value) = fields.value(name) else {
            continue;
        };
        let given = format!("{name}={}&{query}", value.len());
        assert!(
            Fields::parse(&given, form, &FIELDS).is_err(),
            "{name} twice"
        );
    }
}
