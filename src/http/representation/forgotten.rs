//! What was erased of an address.

use serde_json::{Map, Value, json};

use crate::http::representation::{Representation, visible};
use crate::presence::Aor;

/// An address was erased.
#[derive(Debug)]
pub(crate) struct Forgotten {
    /// The address.
    pub(crate) aor: Aor,
    /// What was erased, by its kind.
    pub(crate) counts: Vec<(&'static str, u64)>,
}

impl Representation for Forgotten {
    fn text(&self, _: Option<usize>) -> String {
        let aor = &self.aor;
        let found = self.counts.iter().filter(|(_, count)| *count > 0);
        let lines: String = found
            .map(|(kind, count)| format!("{count:>8} {kind}\n"))
            .collect();
        match lines.is_empty() {
            true => visible(&format!("nothing was known of {aor}")) + "\n",
            false => visible(&format!("erased of {aor}:")) + "\n" + &lines,
        }
    }

    fn json(&self) -> Value {
        let counts = self.counts.iter();
        let counts: Map<String, Value> = counts
            .map(|(kind, count)| (kind.replace([' ', '-'], "_"), json!(count)))
            .collect();
        json!({"aor": self.aor.as_str(), "erased": counts})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_is_counted_by_kind() {
        let mut forgotten = Forgotten {
            aor: Aor::new("123", "abc.com"),
            counts: vec![("notes", 0), ("changes in the history", 12)],
        };
        assert_eq!(
            forgotten.text(None),
            "erased of 123@abc.com:\n      12 changes in the history\n"
        );
        assert_eq!(
            forgotten.json(),
            json!({"aor": "123@abc.com", "erased": {"notes": 0, "changes_in_the_history": 12}})
        );
        forgotten.counts.pop();
        assert_eq!(forgotten.text(None), "nothing was known of 123@abc.com\n");
    }
}
