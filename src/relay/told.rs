//! What a target may show of each presentity because it was told so. After a restart the target is told their states
//! even if no source reports on them any more: a call may have ended meanwhile.
//!
//! Guarantee: traces are written down before the target is told, and crossed out after the target was told that
//! there is nothing any more. The file, `relays/NAME.told`, outlives a crash of the process; after a loss of power its
//! last lines may be missing. Each line is an address of record after a sign: `+` for all traces, `-` for none, else
//! a digit.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::presence::Aor;

/// Lines beyond those that are needed, until the file is written anew.
const SPARE_LINES: usize = 10_000;

/// What a target shows of a person because it was told so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traces(u8);

impl Traces {
    /// Nothing.
    pub(super) const NONE: Self = Self(0);
    /// A call.
    pub(super) const CALL: Self = Self(1);
    /// A note.
    pub(super) const NOTE: Self = Self(2);
    /// Do-not-disturb.
    pub(super) const DO_NOT_DISTURB: Self = Self(4);
    /// Everything, or the target does not show its parts apart.
    pub(super) const ALL: Self = Self(7);

    /// These if that is so.
    pub(super) const fn when(self, is_so: bool) -> Self {
        if is_so { self } else { Self::NONE }
    }

    /// These and those.
    pub(super) const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These but for those.
    pub(super) const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether those are among them.
    pub(super) const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    fn sign(self) -> char {
        match self {
            Self::NONE => '-',
            Self::ALL => '+',
            Self(bits) => char::from(b'0' + bits),
        }
    }

    fn of_sign(sign: char) -> Option<Self> {
        match sign {
            '-' => Some(Self::NONE),
            '+' => Some(Self::ALL),
            '1'..='6' => Some(Self(sign as u8 - b'0')),
            _ => None,
        }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Told {
    path: PathBuf,
    file: Option<File>,
    /// None of them without traces.
    people: HashMap<Aor, Traces>,
    lines: usize,
}

impl Told {
    /// The presentities of the relay of that name; none if the file cannot be read.
    pub(super) fn open(directory: &Path, name: &str) -> Self {
        let path = directory.join(format!("{name}.told"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let mut people = HashMap::new();
        for (aor, traces) in text.lines().filter_map(read) {
            match traces {
                Traces::NONE => people.remove(&aor),
                _ => people.insert(aor, traces),
            };
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
        self.people.keys()
    }

    /// The people with what the target may show of them.
    pub(super) fn all(&self) -> impl Iterator<Item = (Aor, Traces)> {
        let people = self.people.iter();
        people.map(|(aor, traces)| (aor.clone(), *traces))
    }

    /// What the target may show of a person.
    pub(super) fn traces(&self, aor: &Aor) -> Traces {
        self.people.get(aor).copied().unwrap_or_default()
    }

    /// The target may show this of a person from now on.
    ///
    /// # Errors
    /// It is not written down.
    pub(super) fn put(&mut self, aor: &Aor, traces: Traces) -> io::Result<()> {
        let before = match traces {
            Traces::NONE => self.people.remove(aor),
            _ => self.people.insert(aor.clone(), traces),
        };
        match before.unwrap_or_default() == traces {
            true => Ok(()),
            false => self.append(traces.sign(), aor),
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
        let people = self.people.iter();
        let lines = people.map(|(aor, traces)| format!("{}{aor}\n", traces.sign()));
        let lines: String = lines.collect();
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

/// What a line says.
fn read(line: &str) -> Option<(Aor, Traces)> {
    let mut rest = line.chars();
    let traces = Traces::of_sign(rest.next()?)?;
    let (user, domain) = rest.as_str().rsplit_once('@')?;
    Some((Aor::new(user, domain), traces))
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
        let call = Traces::CALL;
        for user in ["1", "2", "1"] {
            told.put(&aor(user), call.and(Traces::NOTE)).unwrap();
        }
        told.put(&aor("2"), Traces::NONE).unwrap();
        told.put(&aor("3"), Traces::NONE).unwrap();
        let mut told = open();
        assert_eq!(told.people().collect::<Vec<_>>(), [&aor("1")]);
        assert_eq!(told.traces(&aor("1")), call.and(Traces::NOTE));
        for _ in 0..SPARE_LINES {
            told.put(&aor("4"), Traces::ALL).unwrap();
            told.put(&aor("4"), Traces::NONE).unwrap();
        }
        let text = fs::read_to_string(directory.join("crm.told")).unwrap();
        assert!(text.lines().count() <= SPARE_LINES + 2);
        assert_eq!(open().people().collect::<Vec<_>>(), [&aor("1")]);
        assert_eq!(open().traces(&aor("1")), call.and(Traces::NOTE));
        fs::remove_dir_all(directory).unwrap();
    }
}
