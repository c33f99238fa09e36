//! Reads a JSON body: the fields of an object, each checked, and every fault with its JSON pointer.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::http::api::problem::{Fault, Place, Problem, ProblemKind};
use crate::sip::Uri;

/// Characters of a text: a note, a name, a URI.
const TEXT_CHARACTERS_MAX: usize = 1 << 10;
/// The longest time: a year.
const SECONDS_MAX: u64 = 366 * 24 * 3600;

/// The faults of a body.
#[derive(Debug, Default)]
pub(super) struct Faults(RefCell<Vec<Fault>>);

/// The fields of an object. A field that is not read is unknown, which is a fault.
pub(super) struct Fields<'v> {
    object: Option<&'v Map<String, Value>>,
    pointer: String,
    known: RefCell<Vec<&'static str>>,
    faults: &'v Faults,
}

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&self, pointer: String, detail: impl Into<String>) {
        self.0.borrow_mut().push(Fault {
            place: Place::Pointer(pointer),
            detail: detail.into(),
        });
    }

    /// The number of faults.
    pub(super) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// `read`, if there is no fault.
    pub(super) fn unless<T>(&self, read: T) -> Result<T, Problem> {
        match self.count() == 0 {
            true => Ok(read),
            false => Err(Problem::with_faults(
                ProblemKind::InvalidBody,
                self.0.take(),
            )),
        }
    }
}

impl<'v> Fields<'v> {
    /// The fields of the value at `pointer` of the body, which must be an object.
    pub(super) fn of(value: &'v Value, pointer: &str, faults: &'v Faults) -> Self {
        let object = value.as_object();
        if object.is_none() {
            faults.add(pointer.to_owned(), "must be an object");
        }
        Self {
            object,
            pointer: pointer.to_owned(),
            known: RefCell::default(),
            faults,
        }
    }

    /// The pointer of a field.
    fn pointer(&self, name: &str) -> String {
        format!("{}/{name}", self.pointer)
    }

    /// Adds a fault of a field.
    pub(super) fn fault(&self, name: &str, detail: impl Into<String>) {
        self.faults.add(self.pointer(name), detail);
    }

    /// A field; None if it is absent.
    fn value(&self, name: &'static str) -> Option<&'v Value> {
        self.known.borrow_mut().push(name);
        self.object?.get(name)
    }

    fn required<T>(&self, name: &'static str, read: Option<T>) -> Option<T> {
        let is_there = self.object.is_none_or(|object| object.contains_key(name));
        if !is_there {
            self.fault(name, "is missing");
        }
        read
    }

    /// A text without control characters, not empty.
    pub(super) fn text(&self, name: &'static str) -> Option<&'v str> {
        let Value::String(text) = self.value(name)? else {
            self.fault(name, "must be a string");
            return None;
        };
        let fault = if text.is_empty() {
            "must not be empty".to_owned()
        } else if text.chars().count() > TEXT_CHARACTERS_MAX {
            format!("is longer than {TEXT_CHARACTERS_MAX} characters")
        } else if text.chars().any(char::is_control) {
            "contains a control character".to_owned()
        } else {
            return Some(text);
        };
        self.fault(name, fault);
        None
    }

    /// A text of at most that many characters.
    pub(super) fn short_text(&self, name: &'static str, characters_max: usize) -> Option<&'v str> {
        let text = self.text(name)?;
        if text.chars().count() > characters_max {
            self.fault(name, format!("is longer than {characters_max} characters"));
            return None;
        }
        Some(text)
    }

    /// A required text.
    pub(super) fn required_text(&self, name: &'static str) -> Option<&'v str> {
        self.required(name, self.text(name))
    }

    /// A text that is a URI.
    pub(super) fn uri(&self, name: &'static str) -> Option<&'v str> {
        let text = self.text(name)?;
        if Uri::parse(text.as_bytes()).is_err() {
            self.fault(name, "is not a URI");
            return None;
        }
        Some(text)
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(*word));
        if found.is_none() {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.fault(name, format!("must be one of: {}", words.join(", ")));
        }
        found.map(|(_, meant)| *meant)
    }

    /// A required word, one of these.
    pub(super) fn required_word<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        self.required(name, self.word(name, words))
    }

    /// True or false.
    pub(super) fn boolean(&self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        if !value.is_boolean() {
            self.fault(name, "must be true or false");
        }
        value.as_bool()
    }

    /// A required true or false.
    pub(super) fn required_boolean(&self, name: &'static str) -> Option<bool> {
        self.required(name, self.boolean(name))
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, name: &'static str, min: u64, max: u64) -> Option<u64> {
        let value = self.value(name)?;
        let number = value.as_u64().filter(|number| (min..=max).contains(number));
        if number.is_none() {
            self.fault(name, format!("must be a whole number from {min} to {max}"));
        }
        number
    }

    /// A time in whole seconds, at least one.
    pub(super) fn seconds(&self, name: &'static str) -> Option<Duration> {
        self.number(name, 1, SECONDS_MAX).map(Duration::from_secs)
    }

    /// A list.
    pub(super) fn list(&self, name: &'static str, max: usize) -> Option<&'v [Value]> {
        let Value::Array(list) = self.value(name)? else {
            self.fault(name, "must be a list");
            return None;
        };
        if list.len() > max {
            self.fault(name, format!("has more than {max} entries"));
            return None;
        }
        Some(list)
    }

    /// A required list.
    pub(super) fn required_list(&self, name: &'static str, max: usize) -> Option<&'v [Value]> {
        self.required(name, self.list(name, max))
    }

    /// Ends the reading: every field that was not read is a fault.
    pub(super) fn end(self) {
        let known = self.known.borrow();
        let names = self.object.into_iter().flat_map(|object| object.keys());
        for name in names.filter(|name| !known.contains(&name.as_str())) {
            let escaped = name.replace('~', "~0").replace('/', "~1");
            let detail = format!("is unknown; known are: {}", known.join(", "));
            self.faults.add(self.pointer(&escaped), detail);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use serde_json::json;

    use super::*;

    /// The faults of a body, each with its place.
    fn faults(body: &Value) -> Vec<(String, String)> {
        let faults = Faults::default();
        let fields = Fields::of(body, "#", &faults);
        fields.required_text("text");
        fields.word("state", &[("on", 1), ("off", 0)]);
        fields.boolean("active");
        fields.number("rings", 1, 99);
        fields.uri("party");
        fields.end();
        let Err(problem) = faults.unless(()) else {
            return Vec::new();
        };
        let errors = problem.json()["errors"].as_array().unwrap().clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        errors
            .iter()
            .map(|error| (text(&error["pointer"]), text(&error["detail"])))
            .collect()
    }

    #[test]
    fn every_fault_has_its_place() {
        assert_eq!(faults(&json!({"text": "x"})), []);
        let null = faults(&json!({"text": "x", "state": null}));
        assert_eq!(null[0].0, "#/state");
        let all = faults(&json!({
            "text": "a\nb", "state": "On", "active": "yes", "rings": 1.5, "party": "x y", "a/b": 1
        }));
        let expected = [
            ("#/text", "contains a control character"),
            ("#/state", "must be one of: on, off"),
            ("#/active", "must be true or false"),
            ("#/rings", "must be a whole number from 1 to 99"),
            ("#/party", "is not a URI"),
            (
                "#/a~1b",
                "is unknown; known are: text, state, active, rings, party",
            ),
        ];
        let expected = expected.map(|(place, what)| (place.to_owned(), what.to_owned()));
        assert_eq!(all, expected);
        assert_eq!(
            faults(&json!({})),
            [("#/text".to_owned(), "is missing".to_owned())]
        );
        assert_eq!(
            faults(&json!([])),
            [("#".to_owned(), "must be an object".to_owned())]
        );
    }
}
