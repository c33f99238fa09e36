//! The fields of a query and a form (`application/x-www-form-urlencoded`).

/// The names of the fields; their order does not matter (W:D1.1).
pub const FIELDS: [&str; 6] = ["domain", "user", "password", "number", "expires", "state"];

/// The fields a page knows, each at most once. Unknown ones are not kept. Not `Debug`: a password
/// may be among them.
#[derive(Clone, PartialEq, Eq)]
pub struct Fields(Vec<(&'static str, String)>);

/// A field occurs twice; the request is refused because it is ambiguous (W:E3.28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl Fields {
    /// Reads a query and the body of a form as one list. `+` is a space, escapes are resolved.
    ///
    /// # Errors
    /// A field is given twice.
    pub fn parse(query: &str, body: &[u8], known: &[&'static str]) -> Result<Self, Repeated> {
        let mut fields = Self(Vec::with_capacity(known.len()));
        let all = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(body));
        for (name, value) in all {
            let Some(name) = known.iter().find(|known| **known == name) else {
                continue;
            };
            if fields.value(name).is_some() {
                return Err(Repeated);
            }
            fields.0.push((name, value.into_owned()));
        }
        Ok(fields)
    }

    /// A field's value: None when it is absent, empty if it has no value.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["user", "number"];

    fn value(query: &str, body: &[u8], name: &str) -> Option<String> {
        Fields::parse(query, body, &KNOWN)
            .ok()
            .unwrap()
            .value(name)
            .map(str::to_owned)
    }

    #[test]
    fn fields_are_unescaped() {
        assert_eq!(
            value("user=a%40b&number=%2B49+30", b"", "user").as_deref(),
            Some("a@b")
        );
        assert_eq!(
            value("user=a&number=%2B49+30", b"", "number").as_deref(),
            Some("+49 30")
        );
        assert_eq!(value("user", b"", "user").as_deref(), Some(""));
        assert_eq!(value("user=a", b"number=7", "number").as_deref(), Some("7"));
        assert_eq!(value("", b"", "user"), None);
    }

    #[test]
    fn unknown_fields_are_ignored_and_known_ones_are_single() {
        assert_eq!(value("x=1&x=2&user=a", b"", "user").as_deref(), Some("a"));
        assert!(Fields::parse("user=a&user=a", b"", &KNOWN).is_err());
        assert!(Fields::parse("user=a&%75ser=b", b"", &KNOWN).is_err());
        assert!(Fields::parse("user=a", b"user=a", &KNOWN).is_err());
    }
}
