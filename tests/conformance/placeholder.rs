//! Placeholders: names for values that the server chooses at random, so that a dialogue can be
//! written before it is run.
//!
//! `{tag1}` matches any token at its first occurrence and the same octets afterwards; the peer may
//! use it in its messages. `{cseq1}` matches a number, and `{cseq1+2}` that number plus two: a name
//! that begins with `cseq` or `number` is numeric. `{x00}` is an octet, `{ab*3}` is `ababab`.

use std::collections::BTreeMap;

/// The values of the names.
#[derive(Clone, Default)]
pub(crate) struct Bindings {
    values: BTreeMap<String, String>,
}

/// A piece of a line with placeholders.
enum Piece<'a> {
    Literal(Vec<u8>),
    Name { name: &'a str, plus: u64 },
}

impl Bindings {
    /// The value of a name, if it is known.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Replaces the names in a line by their values; the error is a name without a value.
    pub(crate) fn expand(&self, line: &str) -> Result<Vec<u8>, String> {
        let mut octets = Vec::new();
        for piece in pieces(line) {
            match piece {
                Piece::Literal(literal) => octets.extend(literal),
                Piece::Name { name, plus } => octets.extend(
                    self.plus(name, plus)
                        .ok_or_else(|| format!("{{{name}}} is unknown"))?,
                ),
            }
        }
        Ok(octets)
    }

    /// Returns whether `actual` matches the line `expected`; if so, the new names get their values.
    pub(crate) fn matches(&mut self, expected: &str, actual: &[u8]) -> bool {
        let mut learned = self.clone();
        let mut rest = actual;
        for piece in pieces(expected) {
            let octets = match piece {
                Piece::Literal(literal) => literal,
                Piece::Name { name, plus } => match learned.plus(name, plus) {
                    Some(value) => value,
                    None => match learned.learn(name, plus, rest) {
                        Some(value) => value,
                        None => return false,
                    },
                },
            };
            match rest.strip_prefix(octets.as_slice()) {
                Some(behind) => rest = behind,
                None => return false,
            }
        }
        if rest.is_empty() {
            *self = learned;
        }
        rest.is_empty()
    }

    /// The line as written in a dialogue: named values replaced by their names, octets that are not
    /// text escaped.
    pub(crate) fn generalize(&self, line: &[u8]) -> String {
        let mut text = escape(line);
        // The longest first, so that no value is split by a shorter one inside it; very short
        // values could occur by chance.
        let mut named: Vec<_> = self
            .values
            .iter()
            .filter(|(_, value)| value.len() >= 8 && !is_number(value))
            .collect();
        named.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        for (name, value) in named {
            text = text.replace(value.as_str(), &format!("{{{name}}}"));
        }
        text
    }

    /// Gives `value` a new name of that kind, or returns the name it has.
    pub(crate) fn name_for(&mut self, kind: &str, value: &str) -> String {
        if let Some((name, _)) = self
            .values
            .iter()
            .find(|(name, known)| name.starts_with(kind) && *known == value)
        {
            return name.clone();
        }
        let number = 1 + self
            .values
            .keys()
            .filter(|name| name.starts_with(kind))
            .count();
        let name = format!("{kind}{number}");
        self.values.insert(name.clone(), value.to_owned());
        name
    }

    fn plus(&self, name: &str, plus: u64) -> Option<Vec<u8>> {
        let value = self.values.get(name)?;
        match plus {
            0 => Some(value.clone().into_bytes()),
            _ => Some((value.parse::<u64>().ok()? + plus).to_string().into_bytes()),
        }
    }

    fn learn(&mut self, name: &str, plus: u64, from: &[u8]) -> Option<Vec<u8>> {
        let fits: fn(&u8) -> bool = if is_numeric(name) {
            u8::is_ascii_digit
        } else {
            is_token_octet
        };
        let length = from.iter().take_while(|octet| fits(octet)).count();
        let value = std::str::from_utf8(&from[..length])
            .ok()
            .filter(|value| !value.is_empty() && plus == 0)?;
        self.values.insert(name.to_owned(), value.to_owned());
        Some(value.as_bytes().to_vec())
    }
}

fn is_numeric(name: &str) -> bool {
    name.starts_with("cseq") || name.starts_with("number")
}

fn is_number(value: &str) -> bool {
    value.bytes().all(|octet| octet.is_ascii_digit())
}

fn is_token_octet(octet: &u8) -> bool {
    octet.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(octet)
}

/// Splits a line at its placeholders and octet escapes. A brace that is neither is kept unchanged.
fn pieces(line: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = line;
    while let Some(open) = rest.find('{') {
        pieces.push(Piece::Literal(rest.as_bytes()[..open].to_vec()));
        let close = rest[open..]
            .find('}')
            .map_or(rest.len(), |length| open + length);
        let inside = &rest[open + 1..close];
        pieces.push(placeholder(inside).unwrap_or_else(|| {
            Piece::Literal(rest.as_bytes()[open..(close + 1).min(rest.len())].to_vec())
        }));
        rest = rest.get(close + 1..).unwrap_or_default();
    }
    pieces.push(Piece::Literal(rest.as_bytes().to_vec()));
    pieces
}

fn placeholder(inside: &str) -> Option<Piece<'_>> {
    if let Some((what, times)) = inside.split_once('*').filter(|(what, _)| !what.is_empty()) {
        return times
            .parse()
            .ok()
            .map(|times| Piece::Literal(what.repeat(times).into_bytes()));
    }
    if let Some(hexadecimal) = inside.strip_prefix('x').filter(|digits| digits.len() == 2) {
        return u8::from_str_radix(hexadecimal, 16)
            .ok()
            .map(|octet| Piece::Literal(vec![octet]));
    }
    let (name, plus) = match inside.split_once('+') {
        Some((name, plus)) => (name, plus.parse().ok()?),
        None => (inside, 0),
    };
    let letters = name.trim_end_matches(|character: char| character.is_ascii_digit());
    let is_name = letters.len() < name.len()
        && letters.bytes().all(|octet| octet.is_ascii_lowercase())
        && !letters.is_empty();
    is_name.then_some(Piece::Name { name, plus })
}

/// Octets as written in a dialogue.
pub(crate) fn escape(octets: &[u8]) -> String {
    let mut text = String::new();
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '{' || character == '}' {
                text.extend(
                    character
                        .to_string()
                        .bytes()
                        .map(|octet| format!("{{x{octet:02x}}}")),
                );
            } else {
                text.push(character);
            }
        }
        text.extend(
            chunk
                .invalid()
                .iter()
                .map(|octet| format!("{{x{octet:02x}}}")),
        );
    }
    if text.ends_with(' ') {
        text.pop();
        text.push_str("{x20}");
    }
    text
}

#[test]
fn a_placeholder_is_bound_by_its_first_match() {
    let mut bindings = Bindings::default();
    assert!(bindings.matches("To: <sip:a@b>;tag={tag1}", b"To: <sip:a@b>;tag=77fe"));
    assert!(bindings.matches("From: x;tag={tag1};y", b"From: x;tag=77fe;y"));
    assert!(!bindings.matches("From: x;tag={tag1}", b"From: x;tag=77ff"));
    assert!(!bindings.matches("From: x;tag={tag2}", b"From: y;tag=1"));
    assert!(
        bindings.value("tag2").is_none(),
        "a line that does not match teaches nothing"
    );
    assert_eq!(bindings.expand("{tag1}{x00}").unwrap(), b"77fe\0");
    assert!(bindings.expand("{tag9}").is_err());
}

#[test]
fn a_number_can_be_counted_up() {
    let mut bindings = Bindings::default();
    assert!(bindings.matches("CSeq: {cseq1} NOTIFY", b"CSeq: 41 NOTIFY"));
    assert!(bindings.matches("CSeq: {cseq1+1} NOTIFY", b"CSeq: 42 NOTIFY"));
    assert!(!bindings.matches("CSeq: {cseq1+1} NOTIFY", b"CSeq: 43 NOTIFY"));
}
