//! The tables of `domains.toml`, and how they are written: one value a line, so that the line of a complaint
//! names the value.

use std::collections::HashMap;

use toml::de::{DeTable, DeValue};

use crate::config::text::canonical_domain;
use crate::directory::managed::{FaultPlace, Setting};

/// The head of the file.
const HEAD: &str = "# The domains, groups and policies that the HTTP API keeps, with the keys of the configuration. The server writes\n\
                    # this file anew at each change by the API: comments do not stay. `lamplighter check` checks it.\n";

/// All tables of the file.
#[derive(Default)]
pub(super) struct Tables {
    /// `[[domain]]`
    pub(super) domains: Vec<Table>,
    /// `[[group]]`
    pub(super) groups: Vec<Table>,
    /// `[[policy]]`, in the order in which they are tried.
    pub(super) policies: Vec<Table>,
}

/// A table. A place says where a value stands in a change; None: it was in the file before.
pub(super) struct Table {
    /// The place of the whole.
    pub(super) place: Option<FaultPlace>,
    pub(super) keys: Vec<Key>,
}

/// A key of a table.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) value: Setting,
    pub(super) place: Option<FaultPlace>,
}

impl Table {
    /// The value of a key; None if it has none or one of another kind.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.key(key)?.value {
            Setting::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Replaces the value of a key.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if let Some(key) = self.keys.iter_mut().find(|key| key.name == name) {
            key.value = Setting::Text(value.to_owned());
        }
    }

    /// A key.
    pub(super) fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names of a domain, in canonical form, its own first.
    pub(super) fn domain_names(&self) -> impl Iterator<Item = String> {
        let aliases = self.key("aliases").map(|key| &key.value);
        let aliases = match aliases {
            Some(Setting::List(aliases)) => aliases.as_slice(),
            _ => &[],
        };
        let aliases = aliases.iter().filter_map(|alias| match alias {
            Setting::Text(alias) => Some(alias.as_str()),
            _ => None,
        });
        let names = self.text("name").into_iter().chain(aliases);
        names.filter_map(canonical_domain)
    }
}

impl Tables {
    /// Reads the text of a file. None if it has other things than the tables of this file; reading it as part of
    /// the configuration then finds a fault.
    pub(super) fn read(text: &str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?.into_inner();
        let mut tables = Self::default();
        for (name, value) in &document {
            let kind = match &**name.get_ref() {
                "domain" => &mut tables.domains,
                "group" => &mut tables.groups,
                "policy" => &mut tables.policies,
                _ => return None,
            };
            for item in value.get_ref().as_array()?.iter() {
                kind.push(table_of(item.get_ref().as_table()?)?);
            }
        }
        Some(tables)
    }

    /// The text of the file, and the places of its lines, counted from 1.
    pub(super) fn write(&self) -> (String, HashMap<usize, FaultPlace>) {
        let mut writer = Writer::default();
        writer.text.push_str(HEAD);
        writer.line += HEAD.lines().count();
        let kinds = [
            ("domain", &self.domains),
            ("group", &self.groups),
            ("policy", &self.policies),
        ];
        for (header, tables) in kinds {
            tables.iter().for_each(|table| writer.table(header, table));
        }
        (writer.text, writer.places)
    }

    /// The octets that a domain takes in the file, with its groups and policies.
    pub(super) fn octets_of(&self, domain: &str) -> usize {
        let mut writer = Writer::default();
        let is_it = |table: &&Table| table.domain_names().next().as_deref() == Some(domain);
        let is_of = |table: &&Table| table.text("domain") == Some(domain);
        let domains = self.domains.iter().filter(is_it);
        let others = self.groups.iter().chain(&self.policies).filter(is_of);
        domains
            .chain(others)
            .for_each(|table| writer.table("", table));
        writer.text.len()
    }
}

fn table_of(table: &DeTable<'_>) -> Option<Table> {
    let keys = table.iter().map(|(name, value)| {
        Some(Key {
            name: name.get_ref().to_string(),
            value: setting(value.get_ref())?,
            place: None,
        })
    });
    Some(Table {
        place: None,
        keys: keys.collect::<Option<_>>()?,
    })
}

fn setting(value: &DeValue<'_>) -> Option<Setting> {
    Some(match value {
        DeValue::String(text) => Setting::Text(text.clone().into_owned()),
        DeValue::Boolean(is_true) => Setting::Boolean(*is_true),
        DeValue::Integer(number) => {
            let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
            Setting::Number(number.to_string())
        }
        DeValue::Array(items) => {
            let items = items.iter().map(|item| setting(item.get_ref()));
            Setting::List(items.collect::<Option<_>>()?)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => return None,
    })
}

/// The text, line by line.
#[derive(Default)]
struct Writer {
    text: String,
    /// How many lines are written.
    line: usize,
    places: HashMap<usize, FaultPlace>,
}

impl Writer {
    fn table(&mut self, header: &str, table: &Table) {
        self.line("", None);
        self.line(&format!("[[{header}]]"), table.place.clone());
        let is_head = |key: &&Key| key.name == "name" || key.name == "domain";
        for key in table.keys.iter().filter(is_head) {
            self.key(key);
        }
        for key in table.keys.iter().filter(|key| !is_head(key)) {
            self.key(key);
        }
    }

    fn key(&mut self, key: &Key) {
        let name = match is_bare(&key.name) {
            true => key.name.clone(),
            false => quoted(&key.name),
        };
        match &key.value {
            Setting::List(items) if !items.is_empty() => {
                self.line(&format!("{name} = ["), key.place.clone());
                for (index, item) in items.iter().enumerate() {
                    let place = key.place.as_ref().map(|place| place.item(index));
                    self.line(&format!("  {},", value(item)), place);
                }
                self.line("]", key.place.clone());
            }
            other => self.line(&format!("{name} = {}", value(other)), key.place.clone()),
        }
    }

    fn line(&mut self, line: &str, place: Option<FaultPlace>) {
        self.text.push_str(line);
        self.text.push('\n');
        self.line += 1;
        if let Some(place) = place {
            self.places.insert(self.line, place);
        }
    }
}

fn is_bare(key: &str) -> bool {
    let is_legal = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'_' || octet == b'-';
    !key.is_empty() && key.bytes().all(is_legal)
}

fn value(setting: &Setting) -> String {
    match setting {
        Setting::Text(text) => quoted(text),
        Setting::Number(number) => number.clone(),
        Setting::Boolean(is_true) => is_true.to_string(),
        Setting::List(items) => {
            let items: Vec<String> = items.iter().map(value).collect();
            format!("[{}]", items.join(", "))
        }
    }
}

/// A basic string of TOML, on one line.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            _ if character.is_ascii_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(character)));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = |text: &str| Setting::Text(text.to_owned());
        let values = [
            ("name", text("abc.com")),
            ("a b\"", text("\"\\\u{0}\n\t\u{7f}é\u{1f600}")),
            ("privacy", Setting::Number("2".to_owned())),
            ("open", Setting::Boolean(true)),
            ("none", Setting::List(Vec::new())),
            (
                "orbits",
                Setting::List(vec![text("700-709"), Setting::List(vec![text("1")])]),
            ),
        ];
        let keys = values.map(|(name, value)| Key {
            name: name.to_owned(),
            value,
            place: Some(FaultPlace::Pointer(format!("#/{name}"))),
        });
        let table = Table {
            place: Some(FaultPlace::Name),
            keys: keys.to_vec(),
        };
        let tables = Tables {
            domains: vec![table],
            ..Tables::default()
        };
        let (text, places) = tables.write();
        let read = Tables::read(&text).unwrap();
        assert_eq!(read.domains.len(), 1);
        for key in &keys {
            let read = read.domains[0].key(&key.name).unwrap();
            assert_eq!(read.value, key.value, "{text}");
        }
        let at = |what: &str| {
            let line = text.lines().position(|line| line.contains(what)).unwrap();
            places[&(line + 1)].clone()
        };
        let pointer = |pointer: &str| FaultPlace::Pointer(pointer.to_owned());
        assert_eq!(at("[[domain]]"), FaultPlace::Name);
        assert_eq!(at("privacy"), pointer("#/privacy"));
        assert_eq!(at("orbits"), pointer("#/orbits"));
        assert_eq!(at("700-709"), pointer("#/orbits/0"));
        assert_eq!(read.write().1, HashMap::new());
    }

    #[test]
    fn other_files_are_not_taken_for_ours() {
        for text in [
            "[[account]]\nuser = \"1\"\n",
            "[domain]\nname = \"a\"\n",
            "domain = [1]\n",
            "[[domain]]\nname = 1.5\n",
            "[[domain]\n",
        ] {
            assert!(Tables::read(text).is_none(), "{text}");
        }
        assert!(Tables::read("").is_some());
    }
}
