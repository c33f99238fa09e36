//! The faults of a configuration file: the line, what is wrong, and how to correct it.

use std::collections::HashSet;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::{fmt, fs, io};

use crate::presence::fixed_hash::SipHash13;

/// A configuration text and its name.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Name shown in error messages: the path.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Octets of a file: room for a million accounts.
const FILE_OCTETS_MAX: u64 = 256 << 20;

impl Source {
    /// Reads the configuration. Never blocks: only regular files are read, because a FIFO or terminal
    /// may have no end.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Complaints> {
        let remedy = "name an existing, readable file with --config or LAMPLIGHTER_CONFIG";
        Self::read_or(path, remedy)
    }

    /// [`Self::read`] for any file; `remedy` is what to do if it cannot be read.
    pub(super) fn read_or(path: &Path, remedy: &str) -> Result<Self, Complaints> {
        let name = path.display().to_string();
        let fault = |line, what, remedy: &str| Complaints {
            name: name.clone(),
            complaints: vec![Complaint {
                file: None,
                line,
                what,
                remedy: remedy.to_owned(),
            }],
        };
        let octets = octets(path)
            .map_err(|error| fault(None, format!("cannot be read: {error}"), remedy))?;
        let text = String::from_utf8(octets).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + memchr::memchr_iter(b'\n', good).count();
            let what = "the text is not UTF-8".to_owned();
            fault(Some(line), what, "save the file as UTF-8")
        })?;
        Ok(Self { name, text })
    }

    /// A second file. Its offsets go on behind those of `first`, with a gap, so that an offset tells the file.
    pub(super) fn behind(self, first: &Self) -> Self {
        let gap = " ".repeat(first.text.len() + 1);
        Self {
            text: gap + &self.text,
            ..self
        }
    }

    /// The hash of the text, for comparison with a later one. Wherever it is read: a gap before it does not count.
    pub(super) fn hash(&self) -> u64 {
        SipHash13::of(self.text.trim_start_matches(' ').as_bytes())
    }

    /// The directory of the file; relative paths are resolved against it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        let parent = Path::new(&self.name).parent();
        parent.unwrap_or_else(|| Path::new(""))
    }

    /// The line an offset lies in, counted from 1.
    #[must_use]
    pub fn line_of(&self, offset: usize) -> usize {
        let before = self
            .text
            .as_bytes()
            .get(..offset)
            .unwrap_or(self.text.as_bytes());
        1 + memchr::memchr_iter(b'\n', before).count()
    }
}

/// What a regular file holds.
pub(super) fn octets(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a FIFO would wait for its other end.
    let mut options = fs::OpenOptions::new();
    let options = options.read(true).custom_flags(libc::O_NONBLOCK);
    let file = options.open(path)?;
    let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return refuse("not a regular file");
    }
    if metadata.len() > FILE_OCTETS_MAX {
        return refuse("longer than 256 MiB");
    }
    let mut octets = Vec::new();
    file.take(FILE_OCTETS_MAX).read_to_end(&mut octets)?;
    Ok(octets)
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, if it is not the configuration.
    pub file: Option<String>,
    /// The line, from 1; None when the fault has none.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// All faults of a configuration, in the order of its lines; those of other files behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaints {
    /// The file.
    pub name: String,
    /// The faults; at least one.
    pub complaints: Vec<Complaint>,
}

impl fmt::Display for Complaints {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, complaint) in self.complaints.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            let file = complaint.file.as_ref().unwrap_or(&self.name);
            write!(formatter, "{file}:")?;
            if let Some(line) = complaint.line {
                write!(formatter, "{line}:")?;
            }
            write!(formatter, " {}; {}", complaint.what, complaint.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaints {}

/// Gathers faults while the configuration is checked: the operator's file and, behind it, the one that the HTTP
/// API keeps.
#[derive(Debug)]
pub(super) struct Complainer<'a> {
    source: &'a Source,
    /// The second file.
    managed: Option<&'a Source>,
    /// Whether tables are missing because a file could not be read.
    is_partial: bool,
    complaints: Vec<Complaint>,
    /// Spans of values that could not be read and were replaced by a placeholder.
    misread: HashSet<(usize, usize)>,
    /// Lines that are not TOML; true: of the second file.
    distrusted: HashSet<(bool, usize)>,
}

impl<'a> Complainer<'a> {
    /// Nothing found yet.
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            managed: None,
            is_partial: false,
            complaints: Vec::new(),
            misread: HashSet::new(),
            distrusted: HashSet::new(),
        }
    }

    /// Goes on in the second file, which begins behind the first.
    pub(super) fn go_on_in(&mut self, managed: &'a Source) {
        self.managed = Some(managed);
    }

    /// Tables are missing: what refers to them is no fault.
    pub(super) fn miss_tables(&mut self) {
        self.is_partial = true;
    }

    /// Whether tables are missing because a file could not be read.
    pub(super) const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Whether a place is in the second file.
    pub(super) fn is_managed(&self, place: &Range<usize>) -> bool {
        self.managed.is_some() && place.start > self.source.text.len()
    }

    /// The file of a place.
    fn source_of(&self, place: &Range<usize>) -> &'a Source {
        match self.managed.filter(|_| self.is_managed(place)) {
            Some(managed) => managed,
            None => self.source,
        }
    }

    /// Adds a fault at a place in the file. An empty place, that of a default, has no line. A value that
    /// was substituted by the reader gets no further complaint.
    pub(super) fn add(
        &mut self,
        place: Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.is_misread(&place) {
            self.push(place, what.into(), remedy.into());
        }
    }

    /// A value or a key that could not be read.
    pub(super) fn misread(
        &mut self,
        place: Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(place.clone(), what, remedy);
        self.misread.insert((place.start, place.end));
    }

    /// A key missing from the table whose header is at `place`.
    pub(super) fn missing(&mut self, place: Range<usize>, what: String, remedy: &str) {
        self.misread.insert((place.start, place.end));
        self.push(place, what, remedy.to_owned());
    }

    /// A line with a syntax error; no further errors are reported for it.
    pub(super) fn distrust(&mut self, place: Range<usize>, what: String, remedy: &str) {
        let line = self.line_of(&place);
        if self.distrusted.insert((self.is_managed(&place), line)) {
            self.complain(&place, Some(line), what, remedy.to_owned());
        }
    }

    /// Whether the reader complained of the value at a place.
    pub(super) fn is_misread(&self, place: &Range<usize>) -> bool {
        self.misread.contains(&(place.start, place.end))
            || !place.is_empty() && {
                let line = (self.is_managed(place), self.line_of(place));
                self.distrusted.contains(&line)
            }
    }

    /// Whether any value inside this span was replaced.
    pub(super) fn is_misread_within(&self, place: &Range<usize>) -> bool {
        let is_within = |(start, end): &(usize, usize)| place.start <= *start && *end <= place.end;
        self.misread.iter().any(is_within)
    }

    fn push(&mut self, place: Range<usize>, what: String, remedy: String) {
        let line = (!place.is_empty()).then(|| self.line_of(&place));
        self.complain(&place, line, what, remedy);
    }

    fn complain(
        &mut self,
        place: &Range<usize>,
        line: Option<usize>,
        what: String,
        remedy: String,
    ) {
        let is_managed = self.is_managed(place);
        self.complaints.push(Complaint {
            file: is_managed.then(|| self.source_of(place).name.clone()),
            line,
            what,
            remedy,
        });
    }

    /// A warning about a place in the file: `FILE:LINE: what`.
    pub(super) fn note(&self, place: &Range<usize>, what: &str) -> String {
        format!(
            "{}:{}: {what}",
            self.source_of(place).name,
            self.line_of(place)
        )
    }

    /// The line of a place, in its file.
    pub(super) fn line_of(&self, place: &Range<usize>) -> usize {
        self.source_of(place).line_of(place.start)
    }

    /// `line 3`, for a complaint at another place; with the file if that is in the other one.
    pub(super) fn mention(&self, place: &Range<usize>, at: &Range<usize>) -> String {
        let line = self.line_of(place);
        match self.is_managed(place) == self.is_managed(at) {
            true => format!("line {line}"),
            false => format!("line {line} of {}", self.source_of(place).name),
        }
    }

    /// How many faults were found.
    pub(super) fn count(&self) -> usize {
        self.complaints.len()
    }

    /// The second file, if there is one.
    pub(super) const fn managed(&self) -> Option<&'a Source> {
        self.managed
    }

    /// Its file, the first.
    pub(super) fn source(&self) -> &Source {
        self.source
    }

    /// Adds the faults of another file, which the configuration names.
    pub(super) fn append(&mut self, other: Complaints) {
        let Complaints { name, complaints } = other;
        let complaints = complaints.into_iter().map(|complaint| Complaint {
            file: Some(name.clone()),
            ..complaint
        });
        self.complaints.extend(complaints);
    }

    /// Ok if no error was found.
    pub(super) fn verdict(self) -> Result<(), Complaints> {
        self.verdict_on(Some(()))
    }

    /// A value, if nothing was wrong; it is None only if something was.
    pub(super) fn verdict_on<T>(mut self, value: Option<T>) -> Result<T, Complaints> {
        debug_assert!(
            value.is_some() || !self.complaints.is_empty(),
            "a fault is told"
        );
        if let Some(value) = value.filter(|_| self.complaints.is_empty()) {
            return Ok(value);
        }
        self.complaints
            .sort_by(|one, other| (&one.file, one.line).cmp(&(&other.file, other.line)));
        Err(Complaints {
            name: self.source.name.clone(),
            complaints: self.complaints,
        })
    }
}
