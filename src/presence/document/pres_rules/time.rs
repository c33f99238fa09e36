//! `xs:dateTime` with a time zone (RFC 4745 §7.3), as seconds since 1970.

/// Seconds since 1970 UTC; None if the text is not a time, has no time zone, or is before 1970. A leap
/// second counts as the second after it; fractions are dropped.
pub(super) fn unix_secs(text: &str) -> Option<u64> {
    let (date, time) = text.split_once('T')?;
    let zone_at = time.find(['Z', '+', '-'])?;
    let (time, zone) = time.split_at(zone_at);
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':')?;
    let is_time = matches!(
        (year, month, day, hour, minute, second),
        (1970..=9999, 1..=12, 1..=31, 0..=23, 0..=59, 0..=60)
    );
    let is_fraction = !fraction.is_empty() && fraction.bytes().all(|digit| digit.is_ascii_digit());
    if !is_time || !is_fraction || day > days_of(year, month) {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    u64::try_from(seconds - offset_secs(zone)?).ok()
}

/// `Z`, `+01:00`, `-05:30`
fn offset_secs(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, offset) = match zone.strip_prefix('+') {
        Some(offset) => (1, offset),
        None => (-1, zone.strip_prefix('-')?),
    };
    let [hours, minutes] = numbers(offset, ':')?;
    (hours <= 14 && minutes <= 59).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Numbers of two digits; four for a year.
fn numbers<const COUNT: usize>(text: &str, separator: char) -> Option<[i64; COUNT]> {
    let mut numbers = [0; COUNT];
    let mut fields = text.split(separator);
    for number in &mut numbers {
        let field = fields.next()?;
        let is_number = matches!(field.len(), 2 | 4) && field.bytes().all(|d| d.is_ascii_digit());
        *number = field.parse().ok().filter(|_| is_number)?;
    }
    fields.next().is_none().then_some(numbers)
}

const fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date in the Gregorian calendar.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leap_days = before / 4 - before / 100 + before / 400;
    // There are 719 162 days between January 1 of the years 1 and 1970.
    let of_years = before * 365 + leap_days - 719_162;
    let of_months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    of_years + of_months + day - 1
}

#[cfg(test)]
mod tests {
    use super::unix_secs;

    #[test]
    fn times() {
        let table = [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2026-11-22T12:54:04Z", Some(1_795_352_044)),
            ("2026-11-22T13:54:04+01:00", Some(1_795_352_044)),
            ("2026-11-22T07:24:04.5-05:30", Some(1_795_352_044)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("9999-12-31T23:59:59Z", Some(253_402_300_799)),
            ("1969-12-31T23:59:59Z", None),
            ("1970-01-01T00:00:00+01:00", None),
            ("2023-02-29T12:00:00Z", None),
            ("2023-04-31T12:00:00Z", None),
            ("2023-13-01T12:00:00Z", None),
            ("2023-01-01T24:00:00Z", None),
            ("2023-01-01T12:00:00", None),
            ("2023-01-01T12:00:00.Z", None),
            ("2023-01-01T12:00Z", None),
            ("2023-01-01", None),
            ("2023-1-1T12:00:00Z", None),
            ("2023-01-01T12:00:00+1:00", None),
            ("2023-01-01T12:00:00+99:00", None),
            ("\u{fc}T\u{fc}Z", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(unix_secs(text), expected, "{text}");
        }
    }
}
