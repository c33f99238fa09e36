//! What the operator sends: the fields of a query and of a form, or a document.

use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::Request;
use hyper::body::{Bytes, Incoming};

use crate::directory::Directory;
use crate::http::control::aor;
use crate::http::control::refusal::ControlRefusal;
use crate::presence::Aor;

/// Octets of a body: the members of the longest list, or a document of rules.
const BODY_OCTETS_MAX: usize = 256 << 10;
/// The field that asks for a table of any width.
const WIDE: &str = "wide";
/// Octets of a text: a note, a name, a URI.
const TEXT_OCTETS_MAX: usize = 1 << 10;
/// Maximum duration in a field.
const TIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// What the body of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyKind {
    /// Ignored (GET).
    Ignored,
    /// Form fields, in addition to those in the query.
    Fields,
    /// A document; all fields are in the query.
    Document,
}

/// Named texts, each there once at most, and a document. A field that the page does not know is
/// refused: a misspelt one would otherwise do nothing, silently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    fields: Vec<(&'static str, String)>,
    document: Bytes,
}

impl Form {
    /// Reads a request for a page that knows these fields.
    pub(crate) async fn read(
        request: Request<Incoming>,
        kind: BodyKind,
        known: &[&'static str],
    ) -> Result<Self, ControlRefusal> {
        let (head, body) = request.into_parts();
        let query = head.uri.query().unwrap_or_default();
        match kind {
            BodyKind::Ignored => Self::parse(query, b"", known),
            BodyKind::Fields => Self::parse(query, &collect(body).await?, known),
            BodyKind::Document => {
                let document = collect(body).await?;
                Ok(Self {
                    document,
                    ..Self::parse(query, b"", known)?
                })
            }
        }
    }

    /// A form with these fields, each given once.
    pub(crate) fn of(fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self {
            fields: fields.into_iter().collect(),
            document: Bytes::new(),
        }
    }

    /// With a document.
    pub(crate) fn with_document(self, document: Bytes) -> Self {
        Self { document, ..self }
    }

    /// Reads a query and the body of a form as one list. `+` is a space, escapes are resolved.
    fn parse(query: &str, body: &[u8], known: &[&'static str]) -> Result<Self, ControlRefusal> {
        let mut fields: Vec<(&'static str, String)> = Vec::with_capacity(known.len());
        let all = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(body));
        for (name, value) in all {
            let field = known.iter().find(|known| **known == name);
            let field = field.ok_or_else(|| ControlRefusal::UnknownField {
                name: name.clone().into_owned(),
                known: known.join(", "),
            })?;
            if fields.iter().any(|(name, _)| name == field) {
                return Err(ControlRefusal::Repeated(field));
            }
            fields.push((field, value.into_owned()));
        }
        Ok(Self {
            fields,
            document: Bytes::new(),
        })
    }

    /// The document.
    pub(super) fn document(&self) -> &[u8] {
        &self.document
    }

    /// Whether a table is to have all its columns, at any width.
    pub(crate) fn is_wide(&self) -> Result<bool, ControlRefusal> {
        self.is_yes(WIDE)
    }

    /// A field that must be there.
    pub(super) fn required(&self, name: &'static str) -> Result<&str, ControlRefusal> {
        self.optional(name)?.ok_or(ControlRefusal::Missing(name))
    }

    /// A field; None when it is absent or empty. Control characters are refused.
    pub(super) fn optional(&self, name: &'static str) -> Result<Option<&str>, ControlRefusal> {
        let Some(text) = self.long(name) else {
            return Ok(None);
        };
        if text.len() > TEXT_OCTETS_MAX {
            return Err(ControlRefusal::TooLong(name, TEXT_OCTETS_MAX));
        }
        if text.chars().any(char::is_control) {
            return Err(ControlRefusal::ControlCharacter(name));
        }
        Ok(Some(text))
    }

    /// A field of any length, which the caller splits.
    pub(super) fn long(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.trim())
            .filter(|value| !value.is_empty())
    }

    /// A field that must be there and be one of these words.
    pub(super) fn word<T, const N: usize>(
        &self,
        name: &'static str,
        words: [(&'static str, T); N],
    ) -> Result<T, ControlRefusal> {
        let text = self.required(name)?;
        let all = words.each_ref().map(|(word, _)| *word);
        let found = words.into_iter().find(|(word, _)| *word == text);
        found
            .map(|(_, meant)| meant)
            .ok_or_else(|| ControlRefusal::NoWord {
                field: name,
                words: all.join(", "),
            })
    }

    /// `yes` or `no`; absent is no.
    pub(super) fn is_yes(&self, name: &'static str) -> Result<bool, ControlRefusal> {
        match self.optional(name)? {
            None => Ok(false),
            Some(_) => self.word(name, [("yes", true), ("no", false)]),
        }
    }

    /// A number.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u32>, ControlRefusal> {
        let read = |text: &str| text.parse().map_err(|_| ControlRefusal::NoNumber(name));
        self.optional(name)?.map(read).transpose()
    }

    /// Where an earlier page ended.
    pub(super) fn cursor(&self, name: &'static str) -> Result<Option<i64>, ControlRefusal> {
        let read = |text: &str| text.parse().map_err(|_| ControlRefusal::NoNumber(name));
        self.optional(name)?.map(read).transpose()
    }

    /// A time span: `600`, `10m`, `1h 30m`.
    pub(super) fn time(&self, name: &'static str) -> Result<Option<Duration>, ControlRefusal> {
        let read = |text: &str| {
            let seconds = text.parse().map(Duration::from_secs).ok();
            seconds
                .or_else(|| humantime::parse_duration(text).ok())
                .filter(|time| *time <= TIME_MAX)
                .ok_or(ControlRefusal::NoTime(name))
        };
        self.optional(name)?.map(read).transpose()
    }

    /// The field `aor`: an address that the directory knows.
    pub(super) fn known_aor(&self, directory: &Directory) -> Result<Aor, ControlRefusal> {
        let aor = self.address("aor", directory)?;
        if directory.exists(&aor) {
            Ok(aor)
        } else {
            Err(ControlRefusal::NoAddress(aor))
        }
    }

    /// A field that holds an address of a domain we serve.
    pub(super) fn address(
        &self,
        name: &'static str,
        directory: &Directory,
    ) -> Result<Aor, ControlRefusal> {
        Ok(aor::resolve(self.required(name)?, directory)?)
    }

    /// A field that holds an address of any domain.
    pub(super) fn any_address(
        &self,
        name: &'static str,
        directory: &Directory,
    ) -> Result<Aor, ControlRefusal> {
        let aor = aor::of_any_domain(self.required(name)?, directory);
        Ok(aor.ok_or(aor::NotAnAor::Unreadable)?)
    }
}

/// The whole body of a request.
async fn collect(body: Incoming) -> Result<Bytes, ControlRefusal> {
    let limited = Limited::new(body, BODY_OCTETS_MAX);
    let collected = limited.collect().await;
    // Cut off or too long: the operator sees which.
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|_| ControlRefusal::BodyTooLong(BODY_OCTETS_MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const KNOWN: [&str; 3] = ["aor", "note", "expires"];

    #[test]
    fn unknown_and_repeated_fields_are_refused() {
        let parse = |query, body: &str| Form::parse(query, body.as_bytes(), &KNOWN);
        let form = parse("aor=1%40h", "note=out+to+lunch").unwrap();
        assert_eq!(form.required("aor"), Ok("1@h"));
        assert_eq!(form.optional("note"), Ok(Some("out to lunch")));
        assert_eq!(
            form.required("expires"),
            Err(ControlRefusal::Missing("expires"))
        );
        assert_eq!(
            parse("aor=1", "aor=2"),
            Err(ControlRefusal::Repeated("aor"))
        );
        let refusal = parse("expire=1", "").unwrap_err().to_string();
        assert_eq!(
            refusal,
            "unknown field \"expire\"; valid fields: aor, note, expires"
        );
    }

    #[test]
    fn texts_are_bounded() {
        let note = |text: &str| {
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("note", text)
                .finish();
            let form = Form::parse(&query, b"", &KNOWN).unwrap();
            form.optional("note").map(|text| text.map(str::to_owned))
        };
        let long = "x".repeat(1024);
        assert_eq!(note(&long), Ok(Some(long.clone())));
        assert_eq!(
            note(&(long + "x")),
            Err(ControlRefusal::TooLong("note", 1024))
        );
        assert_eq!(
            note("a\u{1b}[2J"),
            Err(ControlRefusal::ControlCharacter("note"))
        );
        assert_eq!(note("  "), Ok(None));
    }

    #[test]
    fn a_switch_is_yes_or_no() {
        let form = |query| Form::parse(query, b"", &KNOWN).unwrap();
        assert_eq!(form("").is_yes("note"), Ok(false));
        assert_eq!(form("note=no").is_yes("note"), Ok(false));
        assert_eq!(form("note=yes").is_yes("note"), Ok(true));
        let refusal = form("note=1").is_yes("note").unwrap_err();
        assert_eq!(refusal.to_string(), "note must be one of: yes, no");
    }

    #[test]
    fn times_are_seconds_or_words() {
        let time = |text: &str| {
            let query = format!("expires={text}");
            Form::parse(&query, b"", &KNOWN).unwrap().time("expires")
        };
        let seconds = |seconds| Ok(Some(Duration::from_secs(seconds)));
        assert_eq!(time("600"), seconds(600));
        assert_eq!(time("10m"), seconds(600));
        assert_eq!(time("1h+30m"), seconds(5400));
        assert_eq!(time(""), Ok(None));
        for wrong in ["-1", "soon", "2y", "99999999999999999999"] {
            assert_eq!(
                time(wrong),
                Err(ControlRefusal::NoTime("expires")),
                "{wrong}"
            );
        }
    }
}
