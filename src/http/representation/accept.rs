//! Which format the client prefers (RFC 9110 §12.5.1).

use hyper::header;
use hyper::header::HeaderMap;

/// A format of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text for a terminal, unless the client asks for something else.
    Text,
    /// `application/json`
    Json,
    /// `text/csv`
    Csv,
}

impl Format {
    /// JSON or CSV if Accept lists it with at least the weight of text. Wildcards do not count; a
    /// client that accepts none of them still gets text.
    pub(crate) fn preferred(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(header::ACCEPT).iter();
        let texts = lines.filter_map(|line| line.to_str().ok());
        let ranges: Vec<(&str, u16)> = texts.flat_map(|line| line.split(',')).map(range).collect();
        let weight = |names: &[&str]| {
            let named = |name: &&str| {
                let mut ranges = ranges.iter();
                let found = ranges.find(|(range, _)| range.eq_ignore_ascii_case(name));
                found.map(|(_, weight)| *weight)
            };
            names.iter().find_map(named).unwrap_or(0)
        };
        let json = weight(&["application/json"]);
        let csv = weight(&["text/csv"]);
        let text = weight(&["text/plain", "text/*"]);
        if csv > json && csv >= text {
            Self::Csv
        } else if json > 0 && json >= text {
            Self::Json
        } else {
            Self::Text
        }
    }
}

/// `text/plain;q=0.5`: a media range, and its weight in thousandths. An invalid weight counts as 0.
fn range(text: &str) -> (&str, u16) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then_some(value)
    });
    let thousandths = |weight: &str| {
        let weight: f32 = weight.trim().parse().ok()?;
        (0.0..=1.0)
            .contains(&weight)
            .then_some((weight * 1000.0) as u16)
    };
    (
        range,
        weight.map_or(1000, |weight| thousandths(weight).unwrap_or(0)),
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn preferred(lines: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::ACCEPT, line.parse().unwrap());
        }
        Format::preferred(&headers)
    }

    #[test]
    fn csv_is_for_clients_that_name_it() {
        assert_eq!(preferred(&["text/csv"]), Format::Csv);
        assert_eq!(preferred(&["text/csv, */*"]), Format::Csv);
        assert_eq!(preferred(&["text/csv, application/json"]), Format::Json);
        assert_eq!(preferred(&["text/csv;q=0.5, text/plain"]), Format::Text);
        assert_eq!(preferred(&["text/csv;q=0"]), Format::Text);
    }

    #[test]
    fn json_is_for_clients_that_name_it() {
        for line in [
            "application/json",
            "Application/JSON",
            "application/json, text/plain, */*",
            "text/plain;q=0.5, application/json;q=0.8",
            "text/html, application/json;charset=utf-8;q=0.1",
            "application/json ; q=1.0",
        ] {
            assert_eq!(preferred(&[line]), Format::Json, "{line}");
        }
        assert_eq!(preferred(&["text/html", "application/json"]), Format::Json);
        for line in [
            "",
            "*/*",
            "application/*",
            "text/plain",
            "text/plain, application/json;q=0.9",
            "text/*, application/json;q=0.9",
            "application/json;q=0",
            "application/json;q=much",
            "application/json;q=7",
            "application/jsonp",
            "image/png",
        ] {
            assert_eq!(preferred(&[line]), Format::Text, "{line:?}");
        }
        assert_eq!(preferred(&[]), Format::Text);
    }
}
