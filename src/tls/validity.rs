//! When a certificate begins and ends to be valid (RFC 5280 §4.1.2.5).

use std::time::SystemTime;

/// The tags of DER that are met on the way (X.690).
const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
/// The version of a certificate.
const VERSION: u8 = 0xa0;

/// The times between which a certificate is valid; None if it is not a certificate.
pub(super) fn of(certificate: &[u8]) -> Option<(SystemTime, SystemTime)> {
    let (certificate, _) = take(SEQUENCE, certificate)?;
    let (signed, _) = take(SEQUENCE, certificate)?;
    let rest = take(VERSION, signed).map_or(signed, |(_, rest)| rest);
    let (_serial_number, rest) = take(INTEGER, rest)?;
    let (_algorithm, rest) = take(SEQUENCE, rest)?;
    let (_issuer, rest) = take(SEQUENCE, rest)?;
    let (validity, _) = take(SEQUENCE, rest)?;
    let (not_before, rest) = time(validity)?;
    let (not_after, _) = time(rest)?;
    Some((not_before, not_after))
}

/// The first element, if it has that tag, and what is behind it.
fn take(tag: u8, octets: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = octets.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        // The length follows, in that many octets.
        0x81..=0x84 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let number = |sum: usize, octet: &u8| sum << 8 | usize::from(*octet);
            (length.iter().fold(0, number), rest)
        }
        _ => return None,
    };
    (*found == tag)
        .then(|| rest.split_at_checked(length))
        .flatten()
}

/// The first element, which is a time, and what is behind it.
fn time(octets: &[u8]) -> Option<(SystemTime, &[u8])> {
    let short = take(UTC_TIME, octets).map(|found| (2, found));
    let (year_digits, (text, rest)) =
        short.or_else(|| Some((4, take(GENERALIZED_TIME, octets)?)))?;
    let text = str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let is_whole = text.len() == year_digits + 10 && text.bytes().all(|c| c.is_ascii_digit());
    let (year, text) = text.split_at_checked(year_digits).filter(|_| is_whole)?;
    let century = match year_digits {
        2 if year < "50" => "20",
        2 => "19",
        _ => "",
    };
    let pair = |index: usize| text.get(2 * index..2 * index + 2).unwrap_or_default();
    let [month, day, hour, minute, second] = [0, 1, 2, 3, 4].map(pair);
    let written = format!("{century}{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    Some((humantime::parse_rfc3339(&written).ok()?, rest))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn seconds(time: SystemTime) -> u64 {
        time.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs()
    }

    /// Times as they stand in a certificate, and `date -u +%s` of each.
    #[test]
    fn a_time_has_two_or_four_digits_for_its_year() {
        let table: [(u8, &str, Option<u64>); 8] = [
            (UTC_TIME, "261129120000Z", Some(1_795_953_600)),
            (UTC_TIME, "700101000001Z", Some(1)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (UTC_TIME, "261129120000", None),
            (UTC_TIME, "26112912000Z", None),
            (UTC_TIME, "261329120000Z", None),
            (INTEGER, "261129120000Z", None),
        ];
        for (tag, text, expected) in table {
            let mut octets = vec![tag, text.len() as u8];
            octets.extend_from_slice(text.as_bytes());
            let found = time(&octets).map(|(time, _)| seconds(time));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn a_certificate_says_when_it_is_valid() {
        let mut parameters = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2020, 2, 29);
        parameters.not_after = rcgen::date_time_ymd(2051, 7, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let (not_before, not_after) = of(certificate.der()).unwrap();
        assert_eq!(seconds(not_before), 1_582_934_400);
        assert_eq!(seconds(not_after), 2_571_782_400);
        for length in 0..60 {
            assert_eq!(of(&certificate.der()[..length]), None);
        }
    }
}
