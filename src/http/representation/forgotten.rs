//! What was erased of a person, and what is left.

use serde_json::{Map, Value, json};

use crate::http::representation::{Representation, visible};
use crate::presence::Aor;

/// A kind of record, and how many.
pub(crate) type Count = (&'static str, u64);

/// A person was erased.
#[derive(Debug)]
pub(crate) struct Forgotten {
    /// The address.
    pub(crate) aor: Aor,
    /// What was erased.
    pub(crate) erased: Vec<Count>,
    /// What names it and belongs to others.
    pub(crate) left: Vec<Count>,
    /// Files of the store that were set aside as damaged, and may name it.
    pub(crate) files: Vec<String>,
}

impl Representation for Forgotten {
    fn text(&self, _: Option<usize>) -> String {
        let aor = &self.aor;
        let erased = lines(&self.erased);
        let mut text = match erased.is_empty() {
            true => visible(&format!("nothing was known of {aor}")) + "\n",
            false => visible(&format!("erased of {aor}:")) + "\n" + &erased,
        };
        let left = lines(&self.left);
        if !left.is_empty() {
            text += &format!("not erased, because it is of others:\n{left}");
        }
        if !self.files.is_empty() {
            text += "not looked at, because it was set aside as damaged; remove it when you need it no more:\n";
            text.extend(
                self.files
                    .iter()
                    .map(|file| format!("  {}\n", visible(file))),
            );
        }
        text
    }

    fn json(&self) -> Value {
        json!({
            "aor": self.aor.as_str(),
            "erased": counts(&self.erased),
            "not_erased": counts(&self.left),
            "damaged_files": self.files,
        })
    }
}

/// A line for each kind of which there are any.
fn lines(counts: &[Count]) -> String {
    let found = counts.iter().filter(|(_, count)| *count > 0);
    found
        .map(|(kind, count)| format!("  {kind}: {count}\n"))
        .collect()
}

fn counts(counts: &[Count]) -> Map<String, Value> {
    let counts = counts.iter();
    counts
        .map(|(kind, count)| (kind.replace([' ', '-'], "_"), json!(count)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_erased_and_what_is_left_is_counted_by_kind() {
        let mut forgotten = Forgotten {
            aor: Aor::new("123", "abc.com"),
            erased: vec![("notes", 0), ("changes in the history", 12)],
            left: vec![("subscriptions of others", 3)],
            files: vec!["/var/lib/state.sqlite.damaged-1".to_owned()],
        };
        assert_eq!(
            forgotten.text(None),
            "erased of 123@abc.com:\n  changes in the history: 12\n\
             not erased, because it is of others:\n  subscriptions of others: 3\n\
             not looked at, because it was set aside as damaged; remove it when you need it no more:\n\
             \x20 /var/lib/state.sqlite.damaged-1\n"
        );
        assert_eq!(
            forgotten.json(),
            json!({
                "aor": "123@abc.com",
                "erased": {"notes": 0, "changes_in_the_history": 12},
                "not_erased": {"subscriptions_of_others": 3},
                "damaged_files": ["/var/lib/state.sqlite.damaged-1"],
            })
        );
        forgotten.erased.pop();
        forgotten.left.clear();
        forgotten.files.clear();
        assert_eq!(forgotten.text(None), "nothing was known of 123@abc.com\n");
    }
}
