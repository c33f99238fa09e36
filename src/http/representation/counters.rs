//! Every counter.

use serde_json::{Map, Value, json};

use crate::http::representation::Representation;
use crate::http::representation::table::Table;
use crate::http::representation::text::write_silent;

/// The counters of all shards added up, and of the process.
#[derive(Debug)]
pub(crate) struct Counters {
    /// Name and value, in stable order: the shards' first.
    pub(crate) values: Vec<(&'static str, u64)>,
    /// Shards that did not answer.
    pub(crate) silent: Vec<u16>,
}

impl Counters {
    /// The value with a name; 0 when nothing counted it.
    pub(crate) fn value(&self, name: &str) -> u64 {
        let found = self.values.iter().find(|(known, _)| *known == name);
        found.map_or(0, |(_, value)| *value)
    }
}

impl Representation for Counters {
    fn text(&self, _: Option<usize>) -> String {
        let mut table = Table::new(&["COUNTER", "VALUE"]);
        for (name, value) in &self.values {
            table.add([(*name).to_owned(), value.to_string()]);
        }
        let mut text = String::new();
        table.write(None, &mut text);
        write_silent(&self.silent, &mut text);
        text
    }

    fn json(&self) -> Value {
        let values = self.values.iter();
        let counters: Map<String, Value> = values
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        json!({"counters": counters, "silent_shards": self.silent})
    }
}
