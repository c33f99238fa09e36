//! Syntax errors: the complaints about them, and how much of the file can still be trusted.

use crate::config::complaint::{Complainer, Source};

/// Complains of a syntax error. Nothing else on that line is trusted.
pub(super) fn complain(error: &toml::de::Error, source: &Source, complainer: &mut Complainer<'_>) {
    let place = error.span().unwrap_or(0..0);
    if error.message().starts_with("duplicate key") {
        let key = source.text.get(place.clone()).unwrap_or_default();
        let what = format!("the key \"{key}\" is given twice");
        complainer.misread(place, what, "keep one of the two");
        return;
    }
    let begin = source.text.get(place.start..).unwrap_or_default();
    let what = if begin.starts_with(char::is_alphabetic) {
        // The parser takes `fast` for a misspelt `false`.
        "a string needs quotes".to_owned()
    } else {
        let message = error.message().lines().collect::<Vec<_>>().join(" ");
        message.replace('`', "")
    };
    let what = format!("invalid TOML: {what}");
    complainer.distrust(place, what, "correct the syntax (see https://toml.io)");
}

/// Whether the error may affect the lines below it: it is in a table header or a multi-line string
/// or array.
pub(super) fn hides_structure(error: &toml::de::Error, source: &Source) -> bool {
    let Some(place) = error.span() else {
        return true;
    };
    let line = source.text.lines().nth(source.line_of(place.start) - 1);
    let line = line.unwrap_or_default().trim_start();
    let is_duplicate = error.message().starts_with("duplicate key");
    let is_open = |mark: &str| line.contains(mark) || error.message().contains(mark);
    !is_duplicate
        && (line.starts_with('[') || ["\"\"\"", "'''", "unclosed"].into_iter().any(is_open))
}
