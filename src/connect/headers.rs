//! `Name: value` lines, as both protocols write them.
//!
//! The text is outside input: octets that are no UTF-8 are replaced, and lines without a colon are skipped.

/// Headers of one frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers(Vec<(Box<str>, Box<str>)>);

impl Headers {
    /// The headers in these lines.
    pub(super) fn parse(lines: &[u8]) -> Self {
        let lines = lines.split(|octet| *octet == b'\n');
        let headers = lines.filter_map(|line| {
            let line = String::from_utf8_lossy(line);
            let (name, value) = line.split_once(':')?;
            Some((name.trim().into(), value.trim().into()))
        });
        Self(headers.collect())
    }

    /// The first value of a header; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let mut headers = self.0.iter();
        let known = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map_or("", |(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case_and_the_first_counts() {
        let headers =
            Headers::parse(b"Event: Hold\r\nNO COLON\r\nA: b: c\r\na: d\r\n: e\r\n\xff: f");
        assert_eq!(headers.get("event"), "Hold");
        assert_eq!(headers.get("a"), "b: c");
        assert_eq!(headers.get("missing"), "");
    }
}
