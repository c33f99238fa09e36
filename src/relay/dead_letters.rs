//! The file of states that were given up: JSON lines, `relays/NAME.dead.jsonl` in the data directory.
//!
//! Guarantee: it and the file before it (`NAME.dead.jsonl.old`) take at most so many octets each; older
//! letters are gone.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Octets of one file.
const OCTETS_MAX: u64 = 8 << 20;

/// Makes the directory of the files of all relays.
pub(super) fn make_directory(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)
}

/// The dead letters of a relay.
#[derive(Debug)]
pub(super) struct DeadLetters {
    file: PathBuf,
    octets_max: u64,
}

impl DeadLetters {
    /// Those of the relay of that name.
    pub(super) fn new(directory: &Path, name: &str) -> Self {
        Self {
            file: directory.join(format!("{name}.dead.jsonl")),
            octets_max: OCTETS_MAX,
        }
    }

    /// Appends what could not be told, and why.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn append(&self, why: &str, event: Value) -> io::Result<()> {
        let line = format!("{}\n", json!({"why": why, "event": event}));
        let octets = fs::metadata(&self.file).map_or(0, |file| file.len());
        if octets + line.len() as u64 > self.octets_max {
            fs::rename(&self.file, self.file.with_extension("jsonl.old"))?;
        }
        let mut options = OpenOptions::new();
        let mut file = options
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.file)?;
        file.write_all(line.as_bytes())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_bounded() {
        let directory = std::env::temp_dir().join(format!("dead-letters-{}", std::process::id()));
        make_directory(&directory).unwrap();
        let letters = DeadLetters {
            octets_max: 100,
            ..DeadLetters::new(&directory, "crm")
        };
        for number in 0..20 {
            letters
                .append("HTTP 500", json!({"number": number}))
                .unwrap();
        }
        let read = |name: &str| fs::read_to_string(directory.join(name)).unwrap();
        let (old, new) = (read("crm.dead.jsonl.old"), read("crm.dead.jsonl"));
        assert!(old.len() <= 100 && new.len() <= 100);
        let last: Value = serde_json::from_str(new.lines().last().unwrap()).unwrap();
        assert_eq!(last, json!({"why": "HTTP 500", "event": {"number": 19}}));
        fs::remove_dir_all(directory).unwrap();
    }
}
