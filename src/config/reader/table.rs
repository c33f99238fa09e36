//! Tables of the file: reads keys one by one and reports unknown ones.

use std::ops::{Range, RangeInclusive};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::complaint::{Complainer, Source};
use crate::config::reader::{Bounded, Found, Quantity, Required, Table, Tables, Value, syntax};
use crate::config::suggestion::nearest;

/// The keys of one table of the file.
pub(in crate::config) struct Keys<'d, 'c, 's> {
    table: &'d DeTable<'d>,
    /// The header.
    place: Range<usize>,
    /// Values of unknown keys, each with the key that was probably meant. They are read as values of
    /// that key, so that a misspelt key is one fault.
    strays: Vec<(&'static str, &'d Spanned<DeValue<'d>>)>,
    /// The tables of the file.
    tables: Tables,
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
            tables: self.tables,
        })
    }

    /// A key that must be there.
    pub(in crate::config) fn required<T: Required>(&mut self, key: &'static str) -> T {
        let Some(found) = self.find(key) else {
            let what = format!("the key \"{key}\" is missing");
            self.complainer.missing(self.place.clone(), what, "add it");
            return T::placeholder(self.place.clone());
        };
        T::read(&found, self.complainer).unwrap_or_else(|| T::placeholder(found.place()))
    }

    /// A key with a default.
    pub(in crate::config) fn optional<T: Value>(
        &mut self,
        key: &'static str,
        default: impl FnOnce() -> T,
    ) -> T {
        let found = self.find(key);
        let value = found.and_then(|found| T::read(&found, self.complainer));
        value.unwrap_or_else(default)
    }

    /// A key with a default and bounds.
    pub(in crate::config) fn ranged<T: Value + Bounded<Q>, Q: Quantity>(
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
            let remedy = format!("choose a value {bounds}");
            self.complainer.misread(found.place(), what, remedy);
        }
        value
    }
}

/// A table and everything in it.
fn read_table<T: Table>(
    table: &DeTable<'_>,
    place: Range<usize>,
    tables: Tables,
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
            || elsewhere(key.get_ref(), T::KEYS, tables),
            |meant| format!("did you mean \"{meant}\"?"),
        );
        complainer.misread(key.span(), what, remedy);
        strays.extend(meant.map(|meant| (meant, value)));
    }
    T::read(&mut Keys {
        table,
        place,
        strays,
        tables,
        complainer,
    })
}

/// The remedy for a key that its table does not know.
fn elsewhere(key: &str, known: &[&str], tables: Tables) -> String {
    let homes = tables.iter().filter(|(_, keys)| keys.contains(&key));
    let homes: Vec<&str> = homes.map(|(header, _)| *header).collect();
    let known = known.join(", ");
    match homes.is_empty() {
        true => format!("valid keys: {known}"),
        false => format!("it belongs in {}; valid keys: {known}", homes.join(" or ")),
    }
}

/// Reads a value that should be a table.
pub(in crate::config) fn table<T: Table>(
    found: &Found<'_>,
    complainer: &mut Complainer<'_>,
) -> Option<T> {
    let table = match found.value() {
        DeValue::Table(table) => Some((table, found.place())),
        other => {
            let keys = T::KEYS.join(", ");
            found.wrong(&format!("a table: {} with {keys}", T::HEADER), complainer);
            // Two pairs of brackets instead of one.
            let first = other.as_array().and_then(|items| items.iter().next());
            first.and_then(|first| Some((first.get_ref().as_table()?, first.span())))
        }
    };
    table.map(|(table, place)| read_table(table, place, found.tables, complainer))
}

/// The table that an empty file has.
pub(in crate::config) fn absent<T: Table>() -> T {
    let source = Source::default();
    read_table(&DeTable::new(), 0..0, &[], &mut Complainer::new(&source))
}

/// Reads a whole file, whose tables are `tables`. None, with a complaint, if a fault hides its structure.
pub(in crate::config) fn document<T: Table>(
    source: &Source,
    tables: Tables,
    complainer: &mut Complainer<'_>,
) -> Option<T> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    for error in &errors {
        syntax::complain(error, source, complainer);
    }
    if errors
        .iter()
        .any(|error| syntax::hides_structure(error, source))
    {
        complainer.miss_tables();
        return None;
    }
    let place = document.span();
    Some(read_table(document.get_ref(), place, tables, complainer))
}
