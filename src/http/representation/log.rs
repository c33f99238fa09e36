//! What the server logs.

use serde_json::{Value, json};

use crate::http::representation::Representation;

/// The filter in force.
#[derive(Debug)]
pub(crate) struct LogFilter(pub(crate) String);

impl Representation for LogFilter {
    fn text(&self, _: Option<usize>) -> String {
        format!("logging {}\n", self.0)
    }

    fn json(&self) -> Value {
        json!({"filter": self.0})
    }
}
