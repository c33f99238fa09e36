//! The page of parked calls that a phone shows in its browser (W:C11, D4.7), in the form of each
//! maker: every line names an orbit, the parked party and since when, and dials the orbit.
//!
//! Guarantees: a page is shorter than [`OCTETS_MAX`] and has at most [`ENTRIES_MAX`] lines, or as many
//! as the phone takes; if some are left out it says how many. Every XML form is well-formed whatever
//! the names are. Equal entries give equal octets.
//!
//! Not here: who may see the page, which party is shown ([`shown_party`](super::shown_party)), which
//! browser asks. The head of each file says where its form is documented; no form was tried with a
//! real phone.

use std::time::Duration;

mod aastra;
mod cisco;
mod grandstream;
mod panasonic;
mod plain;
mod polycom;
mod snom;
mod yealink;

/// A page is shorter: some phones take no longer one.
pub const OCTETS_MAX: usize = 8 << 10;
/// Lines of a page.
pub const ENTRIES_MAX: usize = 30;
/// Seconds until a phone loads the page again, if it can be told to.
pub const REFRESH_SECONDS: u32 = 5;

/// Characters of a line.
const LABEL_CHARACTERS_MAX: usize = 48;
/// The title of the page.
const TITLE: &str = "Parked calls";
/// What the page says if there is none.
const NONE: &str = "No parked calls";

/// A kind of browser: what form the page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// The minibrowser of snom.
    Snom,
    /// The XML browser of Yealink.
    Yealink,
    /// The XML API of Aastra and Mitel.
    Aastra,
    /// The XML services of Cisco, also on its SPA phones.
    Cisco,
    /// The microbrowser of Polycom: XHTML.
    Polycom,
    /// The XML applications of Grandstream.
    Grandstream,
    /// The XML applications of Panasonic.
    Panasonic,
    /// Any other: plain text.
    Plain,
}

/// A parked call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user to call for it: the orbit.
    pub orbit: String,
    /// The parked party, as the page may show it; empty if it may not.
    pub party: String,
    /// How long it has been parked; None if unknown.
    pub age: Option<Duration>,
}

/// What one page shows.
#[derive(Clone, Copy)]
struct Page<'a> {
    entries: &'a [Entry],
    /// How many more there are.
    left_out: usize,
    /// Where the page is loaded again; None if that is unknown.
    url: Option<&'a str>,
}

impl Browser {
    /// The value of Content-Type.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Polycom => "text/html; charset=UTF-8",
            Self::Plain => "text/plain; charset=UTF-8",
            _ => "text/xml; charset=UTF-8",
        }
    }

    /// Whether it loads the page again if a Refresh header says so.
    #[must_use]
    pub const fn obeys_refresh_header(self) -> bool {
        matches!(
            self,
            Self::Yealink | Self::Aastra | Self::Cisco | Self::Polycom
        )
    }

    /// The page for it. `url` is that of the page itself.
    #[must_use]
    pub fn page(self, entries: &[Entry], url: Option<&str>) -> Vec<u8> {
        let mut count = entries.len().min(self.entries_max());
        loop {
            let page = Page {
                entries: &entries[..count],
                left_out: entries.len() - count,
                url,
            };
            let octets = self.write(page);
            if octets.len() < OCTETS_MAX || count == 0 {
                return octets;
            }
            // Lines are of similar lengths.
            count = (count * OCTETS_MAX / octets.len()).min(count - 1);
        }
    }

    const fn entries_max(self) -> usize {
        match self {
            Self::Panasonic => panasonic::ENTRIES_MAX,
            _ => ENTRIES_MAX,
        }
    }

    fn write(self, page: Page<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(OCTETS_MAX);
        let write = match self {
            Self::Snom => snom::write,
            Self::Yealink => yealink::write,
            Self::Aastra => aastra::write,
            Self::Cisco => cisco::write,
            Self::Polycom => polycom::write,
            Self::Grandstream => grandstream::write,
            Self::Panasonic => panasonic::write,
            Self::Plain => plain::write,
        };
        write(&mut out, page);
        out
    }
}

impl Page<'_> {
    fn is_empty(self) -> bool {
        self.entries.is_empty() && self.left_out == 0
    }

    /// `5 more`, if there are more.
    fn more(self) -> Option<String> {
        (self.left_out > 0).then(|| format!("{} more", self.left_out))
    }

    /// The line below the calls: that there is none, or how many more there are.
    fn last_line(self) -> Option<String> {
        match self.is_empty() {
            true => Some(NONE.to_owned()),
            false => self.more(),
        }
    }

    /// The title of a form that has no other place for the number of those left out.
    fn title(self) -> String {
        self.more()
            .map_or_else(|| TITLE.to_owned(), |more| format!("{TITLE}, {more}"))
    }
}

impl Entry {
    /// `701 Alice 12345678 1:05`. To be short enough it lacks the end of the party.
    fn label(&self, characters_max: usize) -> String {
        let age = self.age.map(clock);
        let taken = [Some(&self.orbit), age.as_ref()].into_iter().flatten();
        let taken: usize = taken.map(|text| text.chars().count() + 1).sum();
        let party = self
            .party
            .chars()
            .take(characters_max.saturating_sub(taken));
        let party: String = party.collect();
        let parts = [
            &*self.orbit,
            party.trim(),
            age.as_deref().unwrap_or_default(),
        ];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        let label = parts.collect::<Vec<_>>().join(" ");
        let characters = label.chars().take(characters_max);
        characters
            .map(|character| {
                if character.is_control() {
                    ' '
                } else {
                    character
                }
            })
            .collect()
    }
}

/// `1:05`, `1:02:05`
fn clock(age: Duration) -> String {
    let seconds = age.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
