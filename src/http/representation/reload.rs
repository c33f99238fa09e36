//! The result of a reload.

use serde_json::{Value, json};

use crate::http::representation::Representation;

/// A configuration that is in force now.
#[derive(Debug)]
pub(crate) struct Reload {
    /// Warnings and a summary.
    pub(crate) lines: Vec<String>,
}

impl Representation for Reload {
    fn text(&self, _: Option<usize>) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn json(&self) -> Value {
        json!({"notes": self.lines})
    }
}
