//! The presentities that a target knows to be something else than at rest. After a restart the target is told their
//! states even if no source reports on them any more: a call may have ended meanwhile.
//!
//! Guarantee: a person is written down before the target is told, and crossed out after the target was told that
//! there is nothing any more. The file, `relays/NAME.told`, outlives a crash of the process; after a loss of power its
//! last lines may be missing.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::presence::Aor;

/// Lines beyond those that are needed, until the file is written anew.
const SPARE_LINES: usize = 10_000;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Told {
    path: PathBuf,
    file: Option<File>,
    people: HashSet<Aor>,
    lines: usize,
}

impl Told {
    /// The presentities of the relay of that name; none if the file cannot be read.
    pub(super) fn open(directory: &Path, name: &str) -> Self {
        let path = directory.join(format!("{name}.told"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut people = HashSet::new();
        for line in text.lines() {
            let aor = |text: &str| {
                let (user, domain) = text.rsplit_once('@')?;
                Some(Aor::new(user, domain))
            };
            match line.split_at_checked(1) {
                Some(("+", rest)) => people.extend(aor(rest)),
                Some(("-", rest)) => {
                    aor(rest).map(|aor| people.remove(&aor));
                }
                _ => {}
            }
        }
        Self {
            path,
            file: None,
            people,
            lines: usize::MAX,
        }
    }

    /// The people.
    pub(super) fn people(&self) -> impl Iterator<Item = &Aor> {
        self.people.iter()
    }

    /// The target is about to be told something of a person.
    ///
    /// # Errors
    /// It is not written down.
    pub(super) fn write_down(&mut self, aor: &Aor) -> io::Result<()> {
        match self.people.insert(aor.clone()) {
            true => self.append('+', aor),
            false => Ok(()),
        }
    }

    /// The target knows that there is nothing about a person.
    ///
    /// # Errors
    /// It is not crossed out.
    pub(super) fn cross_out(&mut self, aor: &Aor) -> io::Result<()> {
        match self.people.remove(aor) {
            true => self.append('-', aor),
            false => Ok(()),
        }
    }

    fn append(&mut self, sign: char, aor: &Aor) -> io::Result<()> {
        let lines_max = self.people.len().saturating_mul(2) + SPARE_LINES;
        let mut file = match self.file.take() {
            Some(file) if self.lines < lines_max => file,
            _ => return self.write_anew(),
        };
        file.write_all(format!("{sign}{aor}\n").as_bytes())?;
        self.lines += 1;
        self.file = Some(file);
        Ok(())
    }

    fn write_anew(&mut self) -> io::Result<()> {
        let fresh = self.path.with_extension("told.new");
        let lines: String = self.people.iter().map(|aor| format!("+{aor}\n")).collect();
        let mut options = OpenOptions::new();
        let options = options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&fresh)?;
        file.write_all(lines.as_bytes())?;
        fs::rename(&fresh, &self.path)?;
        self.lines = self.people.len();
        self.file = Some(file);
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::relay::dead_letters::make_directory;

    #[test]
    fn people_are_found_again_and_the_file_stays_short() {
        let directory = std::env::temp_dir().join(format!("told-{}", std::process::id()));
        make_directory(&directory).unwrap();
        let aor = |user: &str| Aor::new(user, "a.test");
        let open = || Told::open(&directory, "crm");
        let mut told = open();
        for user in ["1", "2", "1"] {
            told.write_down(&aor(user)).unwrap();
        }
        told.cross_out(&aor("2")).unwrap();
        told.cross_out(&aor("3")).unwrap();
        let mut told = open();
        assert_eq!(told.people().collect::<Vec<_>>(), [&aor("1")]);
        for _ in 0..SPARE_LINES {
            told.write_down(&aor("4")).unwrap();
            told.cross_out(&aor("4")).unwrap();
        }
        let text = fs::read_to_string(directory.join("crm.told")).unwrap();
        assert!(text.lines().count() <= SPARE_LINES + 2);
        assert_eq!(open().people().collect::<Vec<_>>(), [&aor("1")]);
        fs::remove_dir_all(directory).unwrap();
    }
}
