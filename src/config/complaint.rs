//! What is wrong with a configuration file: where, what, and what to do about it.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use crate::config::suggestion::nearest;

/// A configuration text and the name it goes by.
#[derive(Clone, Debug)]
pub struct Source {
    /// What complaints call it: the path.
    pub name: String,
    /// The text.
    pub text: String,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Complaints> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Self { name, text }),
            Err(error) => {
                let what = format!("cannot be read: {error}");
                let remedy = "give an existing, readable UTF-8 file with --config".to_owned();
                Err(Complaints {
                    name,
                    complaints: vec![Complaint {
                        line: None,
                        what,
                        remedy,
                    }],
                })
            }
        }
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

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The line, from 1; None when the fault has none.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// All faults of a file, in the order of its lines.
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
            write!(formatter, "{}:", self.name)?;
            if let Some(line) = complaint.line {
                write!(formatter, "{line}:")?;
            }
            write!(formatter, " {}; {}", complaint.what, complaint.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Complaints {}

/// Gathers faults while a file is checked.
#[derive(Debug)]
pub(super) struct Complainer<'a> {
    source: &'a Source,
    complaints: Vec<Complaint>,
}

impl<'a> Complainer<'a> {
    /// Nothing found yet.
    pub(super) fn new(source: &'a Source) -> Self {
        Self {
            source,
            complaints: Vec::new(),
        }
    }

    /// A fault at a place in the file; an empty place (a default, which stands nowhere) has no
    /// line.
    pub(super) fn add(
        &mut self,
        place: Range<usize>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let line = (!place.is_empty()).then(|| self.source.line_of(place.start));
        self.complaints.push(Complaint {
            line,
            what: what.into(),
            remedy: remedy.into(),
        });
    }

    /// A remark about a place that is no fault: `FILE:LINE: what`.
    pub(super) fn note(&self, place: &Range<usize>, what: &str) -> String {
        format!("{}:{}: {what}", self.source.name, self.line_of(place))
    }

    /// The line of a place.
    pub(super) fn line_of(&self, place: &Range<usize>) -> usize {
        self.source.line_of(place.start)
    }

    /// Whether nothing is wrong.
    pub(super) fn verdict(mut self) -> Result<(), Complaints> {
        if self.complaints.is_empty() {
            return Ok(());
        }
        self.complaints.sort_by_key(|complaint| complaint.line);
        Err(Complaints {
            name: self.source.name.clone(),
            complaints: self.complaints,
        })
    }
}

/// The parser's complaint as ours: with a line, and with the word that was probably meant.
pub(super) fn from_parser(error: &toml::de::Error, source: &Source) -> Complaints {
    let line = error.span().map(|span| source.line_of(span.start));
    let message = error.message();
    let (what, remedy) = if message.starts_with("unknown field") {
        misspelt(message, "key")
    } else if message.starts_with("unknown variant") {
        misspelt(message, "value")
    } else if let Some(missing) = message.strip_prefix("missing field ") {
        (
            format!("the key {} is missing here", missing.replace('`', "\"")),
            "add it".to_owned(),
        )
    } else if message.starts_with("duplicate key") {
        (message.replace('`', "\""), "keep one of the two".to_owned())
    } else if message.starts_with("invalid type") || message.starts_with("invalid value") {
        (message.replace('`', ""), "correct the value".to_owned())
    } else {
        let text = message.lines().collect::<Vec<_>>().join(" ");
        (
            format!("this is not TOML: {text}"),
            "correct the syntax (see toml.io)".to_owned(),
        )
    };
    Complaints {
        name: source.name.clone(),
        complaints: vec![Complaint { line, what, remedy }],
    }
}

/// ``unknown field `nmae`, expected one of `name`, `data_dir` ``: the first word in backticks is
/// the offender, the others are what is known.
fn misspelt(message: &str, kind: &str) -> (String, String) {
    let mut words = message.split('`').skip(1).step_by(2);
    let offender = words.next().unwrap_or_default();
    let known: Vec<&str> = words.collect();
    let what = format!("unknown {kind} \"{offender}\"");
    let remedy = match nearest(offender, &known) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("known here: {}", known.join(", ")),
    };
    (what, remedy)
}
