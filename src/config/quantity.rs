//! Quantities with units, as an operator writes them: `30`, `"30 s"`, `"2h"`, `"64 KiB"`.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::Visitor;

/// A time span: a whole number of seconds, or a text with units (`"500ms"`, `"1h 30m"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(pub Duration);

impl Interval {
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

impl<'de> Deserialize<'de> for Interval {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IntervalVisitor;

        impl Visitor<'_> for IntervalVisitor {
            type Value = Interval;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(
                    "a time span: seconds as a number, or a text like \"500ms\", \"30 s\", \"2h\"",
                )
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Interval, E> {
                u64::try_from(seconds)
                    .map(Interval::from_secs)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(seconds), &self))
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Interval, E> {
                Ok(Interval::from_secs(seconds))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Interval, E> {
                humantime::parse_duration(text.trim())
                    .map(Interval)
                    .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(IntervalVisitor)
    }
}

/// An amount of memory: a whole number of octets, or a text with a unit (`"64 KiB"`, `"4 MiB"`,
/// `"1500 B"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Octets(pub usize);

/// Units and their octets; the decimal ones mean what they say.
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

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OctetsVisitor;

        impl Visitor<'_> for OctetsVisitor {
            type Value = Octets;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter
                    .write_str("a size: octets as a number, or a text like \"64 KiB\", \"4 MiB\"")
            }

            fn visit_i64<E: de::Error>(self, octets: i64) -> Result<Octets, E> {
                usize::try_from(octets)
                    .map(Octets)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(octets), &self))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Octets, E> {
                Octets::from_text(text)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(OctetsVisitor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Sample {
        interval: Option<Interval>,
        octets: Option<Octets>,
    }

    fn interval(text: &str) -> Result<Duration, String> {
        toml::from_str::<Sample>(&format!("interval = {text}"))
            .map(|sample| sample.interval.unwrap().0)
            .map_err(|error| error.message().to_owned())
    }

    fn octets(text: &str) -> Result<usize, String> {
        toml::from_str::<Sample>(&format!("octets = {text}"))
            .map(|sample| sample.octets.unwrap().0)
            .map_err(|error| error.message().to_owned())
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
        assert!(octets("\"64 potatoes\"").is_err());
        assert!(octets("\"99999999999999999999 GiB\"").is_err());
        assert!(octets("\"17179869184 GiB\"").is_err());
    }
}
