//! Numbers in human-readable form.

/// The unit of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Microseconds.
    Time,
    Octets,
    /// A count, or a rate.
    Number,
}

impl Unit {
    pub(crate) fn text(self, value: f64) -> String {
        match self {
            Self::Time => time(value),
            Self::Octets => octets(value),
            Self::Number => number(value),
        }
    }
}

/// Microseconds with a unit that leaves three digits.
pub(crate) fn time(microseconds: f64) -> String {
    match microseconds {
        value if value >= 999_500.0 => format!("{} s", digits(value / 1e6)),
        value if value >= 999.5 => format!("{} ms", digits(value / 1e3)),
        value => format!("{} µs", digits(value)),
    }
}

/// Octets with a unit that leaves three digits.
pub(crate) fn octets(octets: f64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let mut value = octets;
    let mut unit = 0;
    while value.abs() >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

/// A number with groups of three digits, or with three digits in all.
pub(crate) fn number(value: f64) -> String {
    if value.abs() < 999.5 && value.fract() != 0.0 {
        return digits(value);
    }
    let text = format!("{:.0}", value.abs());
    let mut grouped = String::new();
    for (index, digit) in text.chars().enumerate() {
        if index > 0 && (text.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if value <= -0.5 {
        grouped.insert(0, '-');
    }
    grouped
}

/// Three significant digits.
pub(crate) fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 || size == 0.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A key as a phrase: `publish_to_lamp` as `publish to lamp`.
pub(crate) fn phrase(key: &str) -> String {
    key.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_abbreviated() {
        let times = [3.0, 1234.0, 999_600.0, 61_500_000.0].map(time);
        assert_eq!(times, ["3 µs", "1.23 ms", "1 s", "61.5 s"]);
        let sizes = [700.0, 2048.0, 1_500_000.0, 9e9].map(octets);
        assert_eq!(sizes, ["700 B", "2 KiB", "1.43 MiB", "8.38 GiB"]);
        let numbers = [0.0, 7.0, 0.25, 1000.0, 1_234_567.4, -4321.0].map(number);
        assert_eq!(numbers, ["0", "7", "0.25", "1,000", "1,234,567", "-4,321"]);
    }
}
