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
        let ranges: Vec<Range<'_>> = ranges(headers).collect();
        let weight = |names: &[&str]| {
            let named = |name: &&str| {
                let mut ranges = ranges.iter();
                let found = ranges.find(|range| range.name.eq_ignore_ascii_case(name));
                found.map(|range| range.weight)
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

/// Whether Accept lists this media type, with all of these parameters, with at least the weight of text.
pub(crate) fn prefers(headers: &HeaderMap, name: &str, parameters: &[(&str, &str)]) -> bool {
    let weight = |is_it: &dyn Fn(&Range<'_>) -> bool| {
        let found = ranges(headers).filter(is_it);
        found.map(|range| range.weight).max().unwrap_or(0)
    };
    let wanted = weight(&|range| {
        let has = |(key, value): &(&str, &str)| range.parameter(key) == Some(value);
        range.name.eq_ignore_ascii_case(name) && parameters.iter().all(has)
    });
    let text = weight(&|range| range.name.eq_ignore_ascii_case("text/plain"));
    wanted > 0 && wanted >= text
}

/// `text/plain;q=0.5`: a media range, and its weight in thousandths. An invalid weight counts as 0.
struct Range<'h> {
    name: &'h str,
    parameters: &'h str,
    weight: u16,
}

/// All media ranges of Accept.
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = Range<'_>> {
    let lines = headers.get_all(header::ACCEPT).iter();
    let texts = lines.filter_map(|line| line.to_str().ok());
    texts.flat_map(|line| line.split(',')).map(Range::of)
}

impl<'h> Range<'h> {
    fn of(text: &'h str) -> Self {
        let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
        let mut range = Self {
            name: name.trim(),
            parameters,
            weight: 1000,
        };
        if let Some(weight) = range.parameter("q") {
            let weight = weight.parse::<f32>().ok();
            let weight = weight.filter(|weight| (0.0..=1.0).contains(weight));
            range.weight = weight.map_or(0, |weight| (weight * 1000.0) as u16);
        }
        range
    }

    /// The value of a parameter.
    fn parameter(&self, key: &str) -> Option<&'h str> {
        self.parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            name.trim()
                .eq_ignore_ascii_case(key)
                .then_some(value.trim())
        })
    }
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

    #[test]
    fn a_type_is_preferred_with_its_parameters() {
        let is_preferred = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.append(header::ACCEPT, line.parse().unwrap());
            prefers(
                &headers,
                "application/x",
                &[("proto", "A"), ("encoding", "b")],
            )
        };
        for line in [
            "application/x;proto=A;encoding=b",
            "application/x; encoding=b; proto=A; q=0.5, text/plain;q=0.3, */*;q=0.1",
            "text/plain;version=1;q=0.2,application/X;proto=A;encoding=b;q=0.2",
        ] {
            assert!(is_preferred(line), "{line}");
        }
        for line in [
            "*/*",
            "application/x",
            "application/x;proto=A",
            "application/x;proto=A;encoding=text",
            "application/x;proto=A;encoding=b;q=0",
            "application/x;proto=A;encoding=b;q=0.2, text/plain;q=0.3",
        ] {
            assert!(!is_preferred(line), "{line}");
        }
    }
}
