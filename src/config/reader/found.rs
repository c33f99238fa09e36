//! A value in the file, and the complaints about a value of the wrong kind.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::complaint::Complainer;
use crate::config::reader::Tables;
use crate::config::suggestion::nearest;

/// A value in the file.
#[derive(Clone, Copy)]
pub(in crate::config) struct Found<'d> {
    /// Its key.
    pub(super) key: &'d str,
    /// Whether it is one of several in a list.
    pub(super) is_item: bool,
    /// `from 1 to 10`
    pub(super) bounds: Option<&'d str>,
    pub(super) value: &'d Spanned<DeValue<'d>>,
    /// The tables of the file.
    pub(super) tables: Tables,
}

impl<'d> Found<'d> {
    /// The value.
    pub(in crate::config) fn value(&self) -> &'d DeValue<'d> {
        self.value.get_ref()
    }

    /// Its place in the file.
    pub(in crate::config) fn place(&self) -> Range<usize> {
        self.value.span()
    }

    /// The bounds of the key, if it has any.
    pub(in crate::config) const fn bounds(&self) -> Option<&'d str> {
        self.bounds
    }

    /// One of its items.
    pub(super) fn item(&self, value: &'d Spanned<DeValue<'d>>) -> Self {
        Self {
            is_item: true,
            value,
            ..*self
        }
    }

    /// Complains that it is not of the kind that `wants` names.
    pub(in crate::config) fn wrong(&self, wants: &str, complainer: &mut Complainer<'_>) {
        let value = described(self.value());
        self.wrong_as(&value, &format!("expected {wants}"), complainer);
    }

    /// [`Self::wrong`] without showing the value, for secrets.
    pub(in crate::config) fn wrong_secretly(&self, wants: &str, complainer: &mut Complainer<'_>) {
        let remedy = format!("expected {wants}");
        self.wrong_as("of the wrong type", &remedy, complainer);
    }

    fn wrong_as(&self, value: &str, remedy: &str, complainer: &mut Complainer<'_>) {
        let verb = if self.is_item { "contains" } else { "is" };
        complainer.misread(self.place(), format!("{} {verb} {value}", self.key), remedy);
    }

    /// The value as a text in quotes; None for lists and tables.
    pub(in crate::config) fn in_quotes(&self) -> Option<String> {
        Some(match self.value() {
            DeValue::String(text) => format!("\"{text}\""),
            DeValue::Integer(number) => format!("\"{}\"", number.as_str()),
            DeValue::Float(number) => format!("\"{}\"", number.as_str()),
            DeValue::Boolean(is_true) => format!("\"{is_true}\""),
            DeValue::Datetime(date) => format!("\"{date}\""),
            DeValue::Array(_) | DeValue::Table(_) => return None,
        })
    }

    /// The value, if it is one of `words`.
    pub(in crate::config) fn word(
        &self,
        words: &[&str],
        complainer: &mut Complainer<'_>,
    ) -> Option<&'d str> {
        let known = words.join(", ");
        let DeValue::String(word) = self.value() else {
            self.wrong(&format!("one of these quoted strings: {known}"), complainer);
            return None;
        };
        if words.contains(&&**word) {
            return Some(word);
        }
        let remedy = match nearest(word, words) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("valid values: {known}"),
        };
        complainer.misread(self.place(), format!("unknown value \"{word}\""), remedy);
        None
    }
}

/// A value in words.
fn described(value: &DeValue<'_>) -> String {
    const CHARACTERS_MAX: usize = 60;
    match value {
        DeValue::String(text) if text.chars().count() > CHARACTERS_MAX => {
            let begin: String = text.chars().take(CHARACTERS_MAX).collect();
            format!("the string \"{begin}...\"")
        }
        DeValue::String(text) => format!("the string \"{text}\""),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(is_true) => is_true.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
