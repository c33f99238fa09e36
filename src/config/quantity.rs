//! Quantities with units, as an operator writes them: `30`, `"30 s"`, `"2h"`, `"64 KiB"`.

use std::fmt;
use std::time::Duration;

use toml::de::DeValue;

use crate::config::complaint::Complainer;
use crate::config::reader::{Found, Quantity, Value};

/// A time span: a whole number of seconds, or a text with units (`"500ms"`, `"1h 30m"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub Duration);

impl Interval {
    /// A second.
    pub const SECOND: Self = Self::from_secs(1);
    /// An hour.
    pub const HOUR: Self = Self::from_secs(3600);

    /// Whole days.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days * 86_400)
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// Whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

impl Value for Interval {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        let interval = match found.value() {
            DeValue::Integer(seconds) => u64::from_str_radix(seconds.as_str(), seconds.radix())
                .ok()
                .map(Self::from_secs),
            DeValue::String(text) => humantime::parse_duration(text.trim()).ok().map(Self),
            _ => None,
        };
        if interval.is_none() {
            let wants =
                "a time span: a number of seconds, or a string like \"500ms\", \"30 s\", \"2h\"";
            found.wrong(wants, complainer);
        }
        interval
    }
}

impl Quantity for Interval {
    fn shown(&self) -> String {
        self.to_string()
    }

    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

/// An amount of memory: a whole number of octets, or a text with a unit (`"64 KiB"`, `"4 MiB"`,
/// `"1500 B"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Octets(pub usize);

/// Units; kB and MB are decimal.
const UNITS: [(&str, usize); 7] = [
    ("b", 1),
    ("kib", 1 << 10),
    ("mib", 1 << 20),
    ("gib", 1 << 30),
    ("kb", 1_000),
    ("mb", 1_000_000),
    ("gb", 1_000_000_000),
];

impl Octets {
    /// Reads `64 KiB`; None when it is not understood or too large.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let digits = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: usize = number.parse().ok()?;
        let unit = unit.trim_start().to_ascii_lowercase();
        let factor = match unit.as_str() {
            "" => 1,
            _ => UNITS.iter().find(|(name, _)| *name == unit)?.1,
        };
        number.checked_mul(factor).map(Self)
    }
}

impl fmt::Display for Octets {
    /// In the largest unit that needs no fraction.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |factor: usize| self.0 >= factor && self.0.is_multiple_of(factor);
        let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        let unit = units.into_iter().find(|(_, factor)| fits(*factor));
        let (name, factor) = unit.unwrap_or(("B", 1));
        write!(formatter, "{} {name}", self.0 / factor)
    }
}

impl Value for Octets {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        let octets = match found.value() {
            DeValue::Integer(octets) => usize::from_str_radix(octets.as_str(), octets.radix())
                .ok()
                .map(Self),
            DeValue::String(text) => Self::from_text(text),
            _ => None,
        };
        if octets.is_none() {
            let wants = "a size: a number of octets, or a string like \"64 KiB\", \"4 MiB\"";
            found.wrong(wants, complainer);
        }
        octets
    }
}

impl Quantity for Octets {
    fn shown(&self) -> String {
        self.to_string()
    }

    fn written(&self) -> String {
        format!("\"{self}\"")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::config::complaint::Source;
    use crate::config::reader::{document, keys};

    keys! {
        /// Both kinds.
        struct Sample in "" {
            /// A time span.
            pub interval: Option<Interval> = None;
            /// A size.
            pub octets: Option<Octets> = None;
        }
    }

    fn sample(text: &str) -> Result<Sample, String> {
        let source = Source {
            name: String::new(),
            text: text.to_owned(),
        };
        let mut complainer = Complainer::new(&source);
        let sample = document(&source, &[], &mut complainer).unwrap();
        let verdict = complainer.verdict().map_err(|fault| fault.to_string());
        verdict.map(|()| sample)
    }

    fn interval(text: &str) -> Result<Duration, String> {
        sample(&format!("interval = {text}")).map(|sample| sample.interval.unwrap().0)
    }

    fn octets(text: &str) -> Result<usize, String> {
        sample(&format!("octets = {text}")).map(|sample| sample.octets.unwrap().0)
    }

    #[test]
    fn an_interval_is_seconds_or_a_text() {
        assert_eq!(interval("60"), Ok(Duration::from_secs(60)));
        assert!(interval("\"60\"").unwrap_err().contains("time span"));
        assert_eq!(interval("\"32 s\""), Ok(Duration::from_secs(32)));
        assert_eq!(interval("\"500ms\""), Ok(Duration::from_millis(500)));
        assert_eq!(interval("\"2h\""), Ok(Duration::from_secs(7200)));
        assert!(interval("-1").is_err());
        assert!(interval("1.5").is_err());
        assert!(interval("\"soon\"").is_err());
    }

    #[test]
    fn a_size_is_octets_or_a_text() {
        assert_eq!(octets("1500"), Ok(1500));
        assert_eq!(octets("\"64 KiB\""), Ok(65_536));
        assert_eq!(octets("\"4MiB\""), Ok(4 << 20));
        assert_eq!(octets("\"10 kB\""), Ok(10_000));
        assert!(octets("-1").is_err());
        let text = |octets| Octets(octets).to_string();
        assert_eq!(
            (text(1400), text(65_536), text(4 << 20)),
            ("1400 B".into(), "64 KiB".into(), "4 MiB".into())
        );
        assert!(octets("\"64 potatoes\"").is_err());
        assert!(octets("\"99999999999999999999 GiB\"").is_err());
        assert!(octets("\"17179869184 GiB\"").is_err());
    }
}
