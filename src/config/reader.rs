//! The way from a TOML document to the types of `schema`: key by key, so that no fault hides
//! another.
//!
//! [`keys`] declares a table. One line declares a key: its name, its kind, its default (a key
//! without one is required) and its range. From that line come the field, the reading, the list of
//! known keys that misspelt ones are compared with, and the complaints.
//!
//! Guarantees: every key of every table is looked at. A value that is wrong is complained of once
//! and replaced, so that the check of the whole file can go on; the check's own complaints about
//! what was replaced are left out.

use std::ops::Range;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use crate::config::complaint::Complainer;
use crate::config::complaint::Source;
use crate::config::schema::TABLES;
use crate::config::suggestion::nearest;

/// Declares tables of the file:
/// `pub KEY: KIND;` is required, `pub KEY: KIND = DEFAULT;` and
/// `pub KEY: KIND = DEFAULT, in MIN..=MAX;` are not.
macro_rules! keys {
    ($(#[$meta:meta])* $visibility:vis struct $name:ident in $header:literal { $($keys:tt)* }) => {
        $crate::config::reader::keys!(
            @parse [$(#[$meta])* #[derive(Clone, Debug, PartialEq)] $visibility] $name $header []
            $($keys)*);
    };
    (@parse $head:tt $name:ident $header:literal [$($done:tt)*]
        $(#[$meta:meta])* pub $key:ident: $kind:ty; $($rest:tt)*) => {
        $crate::config::reader::keys!(@parse $head $name $header [$($done)*
            { [$(#[$meta])*] $key [$kind] (|keys: &mut $crate::config::reader::Keys<'_, '_, '_>| keys.required(stringify!($key))) }
        ] $($rest)*);
    };
    (@parse $head:tt $name:ident $header:literal [$($done:tt)*]
        $(#[$meta:meta])* pub $key:ident: $kind:ty = $default:expr; $($rest:tt)*) => {
        $crate::config::reader::keys!(@parse $head $name $header [$($done)*
            { [$(#[$meta])*] $key [$kind]
              (|keys: &mut $crate::config::reader::Keys<'_, '_, '_>| keys.optional(stringify!($key), || $default)) }
        ] $($rest)*);
    };
    (@parse $head:tt $name:ident $header:literal [$($done:tt)*]
        $(#[$meta:meta])* pub $key:ident: $kind:ty = $default:expr, in $range:expr; $($rest:tt)*) => {
        $crate::config::reader::keys!(@parse $head $name $header [$($done)*
            { [$(#[$meta])*] $key [$kind]
              (|keys: &mut $crate::config::reader::Keys<'_, '_, '_>| keys.ranged(stringify!($key), || $default, $range)) }
        ] $($rest)*);
    };
    (@parse [$($head:tt)*] $name:ident $header:literal
        [$({ [$($meta:tt)*] $key:ident [$kind:ty] $read:tt })*]) => {
        $($head)* struct $name { $($($meta)* pub $key: $kind,)* }

        impl $crate::config::reader::Table for $name {
            const HEADER: &'static str = $header;
            const KEYS: &'static [&'static str] = &[$(stringify!($key)),*];

            fn read(keys: &mut $crate::config::reader::Keys<'_, '_, '_>) -> Self {
                Self { $($key: $read(keys),)* }
            }
        }

        impl $crate::config::reader::Value for $name {
            const IS_TABLE: bool = true;

            fn read(
                found: &$crate::config::reader::Found<'_>,
                complainer: &mut $crate::config::complaint::Complainer<'_>,
            ) -> Option<Self> {
                $crate::config::reader::table(found, complainer)
            }
        }
    };
}

/// Declares a choice of words: `Variant = "word"`.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident {
        $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)*
    }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant,)* }

        impl $crate::config::reader::Value for $name {
            fn read(
                found: &$crate::config::reader::Found<'_>,
                complainer: &mut $crate::config::complaint::Complainer<'_>,
            ) -> Option<Self> {
                match found.word(&[$($word),*], complainer)? {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

pub(super) use keys;
pub(super) use words;

/// A kind of value.
pub(super) trait Value: Sized {
    /// Whether it is written as a table.
    const IS_TABLE: bool = false;

    /// Reads a value. None when it is of another kind, which is complained of.
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self>;

    /// How what was found could be written as a value of this kind.
    fn example(found: &Found<'_>) -> Option<String> {
        found.in_quotes()
    }
}

/// A kind of value that a table can be required to have.
pub(super) trait Required: Value {
    /// What stands for one that is missing or wrong. `place` is where that was complained of: the
    /// check's complaints about it are left out.
    fn placeholder(place: Range<usize>) -> Self;
}

/// A table with known keys.
pub(super) trait Table: Sized {
    /// How its header is written.
    const HEADER: &'static str;
    /// Its keys.
    const KEYS: &'static [&'static str];

    /// Reads its keys.
    fn read(keys: &mut Keys<'_, '_, '_>) -> Self;
}

/// A quantity that has bounds.
pub(super) trait Quantity: PartialOrd {
    /// For a sentence: `7`, `5s`.
    fn shown(&self) -> String;

    /// As it is written in the file.
    fn written(&self) -> String {
        self.shown()
    }
}

/// What has a quantity to compare with bounds.
pub(super) trait Bounded<Q> {
    /// The quantity, if there is one.
    fn quantity(&self) -> Option<&Q>;
}

/// A value as it stands in the file.
#[derive(Clone, Copy)]
pub(super) struct Found<'d> {
    /// The key it stands at.
    key: &'d str,
    /// Whether it is one of several in a list.
    is_item: bool,
    /// `from 1 to 10`
    bounds: Option<&'d str>,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Found<'d> {
    /// The value.
    pub(super) fn value(&self) -> &'d DeValue<'d> {
        self.value.get_ref()
    }

    /// Where it stands.
    pub(super) fn place(&self) -> Range<usize> {
        self.value.span()
    }

    /// The bounds of the key, if it has any.
    pub(super) const fn bounds(&self) -> Option<&'d str> {
        self.bounds
    }

    /// One of its items.
    fn item(&self, value: &'d Spanned<DeValue<'d>>) -> Self {
        Self {
            is_item: true,
            value,
            ..*self
        }
    }

    /// Complains that it is of another kind than `wants` names.
    pub(super) fn wrong(&self, wants: &str, complainer: &mut Complainer<'_>) {
        let (key, value) = (self.key, described(self.value()));
        self.wrong_as(&value, &format!("{key} wants {wants}"), complainer);
    }

    /// [`Self::wrong`] without a word about the value.
    pub(super) fn wrong_secretly(&self, wants: &str, complainer: &mut Complainer<'_>) {
        let remedy = format!("{} wants {wants}", self.key);
        self.wrong_as("of another kind", &remedy, complainer);
    }

    fn wrong_as(&self, value: &str, remedy: &str, complainer: &mut Complainer<'_>) {
        let verb = if self.is_item { "has in it" } else { "is" };
        complainer.misread(self.place(), format!("{} {verb} {value}", self.key), remedy);
    }

    /// The value as a text in quotes would be written; None for lists and tables.
    pub(super) fn in_quotes(&self) -> Option<String> {
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
    pub(super) fn word(&self, words: &[&str], complainer: &mut Complainer<'_>) -> Option<&'d str> {
        let known = words.join(", ");
        let DeValue::String(word) = self.value() else {
            self.wrong(
                &format!("one of these words, in quotes: {known}"),
                complainer,
            );
            return None;
        };
        if words.contains(&&**word) {
            return Some(word);
        }
        let remedy = match nearest(word, words) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("known here: {known}"),
        };
        complainer.misread(self.place(), format!("unknown value \"{word}\""), remedy);
        None
    }
}

/// The keys of one table of the file.
pub(super) struct Keys<'d, 'c, 's> {
    table: &'d DeTable<'d>,
    /// The header.
    place: Range<usize>,
    /// Values of unknown keys, each behind the key that was probably meant: they are read as its
    /// own, so that one misspelt key is one fault.
    strays: Vec<(&'static str, &'d Spanned<DeValue<'d>>)>,
    complainer: &'c mut Complainer<'s>,
}

impl<'d> Keys<'d, '_, '_> {
    fn find(&self, key: &'static str) -> Option<Found<'d>> {
        let stray = || {
            let stray = self.strays.iter().find(|(meant, _)| *meant == key);
            stray.map(|(_, value)| *value)
        };
        let value = self.table.get(key).or_else(stray)?;
        Some(Found {
            key,
            is_item: false,
            bounds: None,
            value,
        })
    }

    /// A key that must be there.
    pub(super) fn required<T: Required>(&mut self, key: &'static str) -> T {
        let Some(found) = self.find(key) else {
            let what = format!("the key \"{key}\" is missing here");
            self.complainer.missing(self.place.clone(), what, "add it");
            return T::placeholder(self.place.clone());
        };
        T::read(&found, self.complainer).unwrap_or_else(|| T::placeholder(found.place()))
    }

    /// A key with a default.
    pub(super) fn optional<T: Value>(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> T,
    ) -> T {
        let found = self.find(key);
        let value = found.and_then(|found| T::read(&found, self.complainer));
        value.unwrap_or_else(default)
    }

    /// A key with a default and bounds.
    pub(super) fn ranged<T: Value + Bounded<Q>, Q: Quantity>(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> T,
        range: RangeInclusive<Q>,
    ) -> T {
        let Some(found) = self.find(key) else {
            return default();
        };
        let bounds = format!(
            "from {} to {}",
            range.start().written(),
            range.end().written()
        );
        let found = Found {
            bounds: Some(&bounds),
            ..found
        };
        let Some(value) = T::read(&found, self.complainer) else {
            return default();
        };
        if let Some(quantity) = value.quantity()
            && !range.contains(quantity)
        {
            let what = format!("{key} is {}", quantity.shown());
            let remedy = format!("choose {bounds}");
            self.complainer.misread(found.place(), what, remedy);
        }
        value
    }
}

/// A table and everything in it.
fn read_table<T: Table>(
    table: &DeTable<'_>,
    place: Range<usize>,
    complainer: &mut Complainer<'_>,
) -> T {
    let mut strays = Vec::new();
    for (key, value) in table {
        if T::KEYS.contains(&&**key.get_ref()) {
            continue;
        }
        let meant = nearest(key.get_ref(), T::KEYS);
        let what = format!("unknown key \"{}\"", key.get_ref());
        let remedy = meant.map_or_else(
            || elsewhere(key.get_ref(), T::KEYS),
            |meant| format!("did you mean \"{meant}\"?"),
        );
        complainer.misread(key.span(), what, remedy);
        strays.extend(meant.map(|meant| (meant, value)));
    }
    T::read(&mut Keys {
        table,
        place,
        strays,
        complainer,
    })
}

/// What to do with a key that its table does not know.
fn elsewhere(key: &str, known: &[&str]) -> String {
    let homes = TABLES.iter().filter(|(_, keys)| keys.contains(&key));
    let homes: Vec<&str> = homes.map(|(header, _)| *header).collect();
    if homes.is_empty() {
        return format!("known here: {}", known.join(", "));
    }
    format!("it is a key of {}: put it there", homes.join(" and of "))
}

/// Reads a value that should be a table.
pub(super) fn table<T: Table>(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<T> {
    let table = match found.value() {
        DeValue::Table(table) => Some((table, found.place())),
        other => {
            let keys = T::KEYS.join(", ");
            found.wrong(&format!("a table: {} with {keys}", T::HEADER), complainer);
            // Two pairs of brackets where one pair is right.
            let first = other.as_array().and_then(|items| items.iter().next());
            first.and_then(|first| Some((first.get_ref().as_table()?, first.span())))
        }
    };
    table.map(|(table, place)| read_table(table, place, complainer))
}

/// The table that an empty file has.
pub(super) fn absent<T: Table>() -> T {
    let source = Source::default();
    read_table(&DeTable::new(), 0..0, &mut Complainer::new(&source))
}

/// Reads a whole file.
pub(super) fn document<T: Table>(source: &Source, complainer: &mut Complainer<'_>) -> T {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        syntax(error, source, complainer);
    }
    if errors.iter().any(|error| hides_structure(error, source)) {
        return absent();
    }
    read_table(document.get_ref(), document.span(), complainer)
}

/// What is not TOML. Nothing else of that line is believed.
fn syntax(error: &toml::de::Error, source: &Source, complainer: &mut Complainer<'_>) {
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
        "a value that is no number, nor true or false, stands in quotes".to_owned()
    } else {
        let message = error.message().lines().collect::<Vec<_>>().join(" ");
        message.replace('`', "")
    };
    let what = format!("this is not TOML: {what}");
    complainer.distrust(place, what, "correct the syntax (see toml.io)");
}

/// Whether an error makes it uncertain to which table the lines below it belong: it is in a header,
/// or in a text or a list that goes on over lines.
fn hides_structure(error: &toml::de::Error, source: &Source) -> bool {
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

/// A value in words.
fn described(value: &DeValue<'_>) -> String {
    const CHARACTERS_MAX: usize = 60;
    match value {
        DeValue::String(text) if text.chars().count() > CHARACTERS_MAX => {
            let begin: String = text.chars().take(CHARACTERS_MAX).collect();
            format!("the text \"{begin}...\"")
        }
        DeValue::String(text) => format!("the text \"{text}\""),
        DeValue::Integer(number) => format!("the number {}", number.as_str()),
        DeValue::Float(number) => format!("the number {}", number.as_str()),
        DeValue::Boolean(is_true) => is_true.to_string(),
        DeValue::Datetime(date) => format!("the date {date}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

impl Value for String {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::String(text) = found.value() {
            return Some(text.clone().into_owned());
        }
        let example = found.in_quotes().map(|text| format!(": {text}"));
        let wants = format!("a text in quotes{}", example.unwrap_or_default());
        found.wrong(&wants, complainer);
        None
    }
}

impl Value for std::path::PathBuf {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        String::read(found, complainer).map(Self::from)
    }
}

impl Value for bool {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        let DeValue::Boolean(is_true) = found.value() else {
            found.wrong("true or false, without quotes", complainer);
            return None;
        };
        Some(*is_true)
    }
}

macro_rules! whole_numbers {
    ($($kind:ty),*) => { $(
        impl Value for $kind {
            fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
                let number = match found.value() {
                    DeValue::Integer(number) => {
                        Self::from_str_radix(number.as_str(), number.radix()).ok()
                    }
                    _ => None,
                };
                if number.is_none() {
                    let all = format!("from 0 to {}", Self::MAX);
                    let bounds = found.bounds().unwrap_or(&all);
                    found.wrong(&format!("a whole number {bounds}"), complainer);
                }
                number
            }

            fn example(found: &Found<'_>) -> Option<String> {
                let text = found.in_quotes()?;
                let digits = text.trim_matches('"');
                digits.parse::<Self>().is_ok().then(|| digits.to_owned())
            }
        }

        impl Quantity for $kind {
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )* };
}

whole_numbers!(u8, u16, u32, usize);

impl<Q: Quantity> Bounded<Q> for Q {
    fn quantity(&self) -> Option<&Q> {
        Some(self)
    }
}

impl<Q: Quantity> Bounded<Q> for Option<Q> {
    fn quantity(&self) -> Option<&Q> {
        self.as_ref()
    }
}

impl<Q: Quantity> Bounded<Q> for Spanned<Q> {
    fn quantity(&self) -> Option<&Q> {
        Some(self.get_ref())
    }
}

impl<T: Value> Value for Option<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        T::read(found, complainer).map(Some)
    }
}

impl<T: Value> Value for Spanned<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        T::read(found, complainer).map(|value| Self::new(found.place(), value))
    }

    fn example(found: &Found<'_>) -> Option<String> {
        T::example(found)
    }
}

impl<T: Value + Default> Required for Spanned<T> {
    fn placeholder(place: Range<usize>) -> Self {
        Self::new(place, T::default())
    }
}

impl<T: Value> Value for Vec<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::Array(items) = found.value() {
            let items = items.iter().map(|item| found.item(item));
            return Some(
                items
                    .filter_map(|item| T::read(&item, complainer))
                    .collect(),
            );
        }
        let key = found.key;
        if T::IS_TABLE && matches!(found.value(), DeValue::Table(_)) {
            let what = format!("{key} is in single brackets, and there may be several");
            complainer.misread(found.place(), what, format!("write [[{key}]]"));
        } else if T::IS_TABLE {
            found.wrong(
                &format!("tables, each with its header: [[{key}]]"),
                complainer,
            );
        } else {
            let example = T::example(found).map(|text| format!(": [{text}]"));
            found.wrong(
                &format!("a list{}", example.unwrap_or_default()),
                complainer,
            );
        }
        // What else is wrong with it is told too.
        Some(T::read(found, complainer).into_iter().collect())
    }
}

impl<T: Value> Required for Vec<T> {
    fn placeholder(_: Range<usize>) -> Self {
        Self::new()
    }
}
