//! The result of a backup.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::http::representation::{Representation, visible};

/// A backup that was written.
#[derive(Debug)]
pub(crate) struct Backup {
    /// Its file.
    pub(crate) file: PathBuf,
    /// Its size.
    pub(crate) octets: u64,
}

impl Representation for Backup {
    fn text(&self, _: Option<usize>) -> String {
        let (file, octets) = (self.file.display().to_string(), self.octets);
        format!("{}: {octets} octets\n", visible(&file))
    }

    fn json(&self) -> Value {
        json!({"file": self.file.display().to_string(), "octets": self.octets})
    }
}
