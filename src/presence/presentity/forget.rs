//! Erasure of all contributions to a presentity, and of its name in the calls of another, at the wish of
//! the person.

use crate::presence::DataSubject;
use crate::presence::call::CallSet;
use crate::presence::presentity::Presentity;
use crate::presence::presentity::statement_box::StatementBox;

/// How many contributions of each kind were erased, in the order of the report.
pub type Erased = [(&'static str, usize); 10];

impl Presentity {
    /// Erases all contributions. Returns what they were, and whether the composed state changed.
    /// Sources that go on report anew: the next refresh of a publication gets 412 (RFC 3903 §4.4).
    pub fn forget(&mut self) -> (Erased, bool) {
        let erased = self.contributions_by_kind();
        self.publications.clear();
        self.upstreams.clear();
        self.origins.clear();
        self.removals.clear();
        self.calls = CallSet::default();
        self.statements = StatementBox::default();
        self.is_known_by_calls = false;
        self.extras_are_stale = true;
        (erased, self.recompose())
    }

    /// Removes the names of people who are erased from the parties of the calls. Returns from how many calls,
    /// and whether the composed state changed.
    pub fn forget_party(&mut self, erased: &DataSubject) -> (usize, bool) {
        let named = self.calls.anonymise(erased)
            + self
                .statements
                .made_mut()
                .map_or(0, |statements| statements.anonymise(erased));
        (named, named > 0 && self.recompose())
    }

    fn contributions_by_kind(&self) -> Erased {
        let statements = self.statements.get();
        let dnd = [
            statements.do_not_disturb.is_some(),
            statements.call_state_dnd.is_some(),
        ];
        [
            ("publications", self.publications.len()),
            ("published calls", self.calls.legs().len()),
            ("reported calls", statements.calls().count()),
            (
                "do-not-disturb",
                dnd.into_iter().filter(|is_set| *is_set).count(),
            ),
            ("forwardings", statements.forwards.len()),
            ("notes", statements.note.iter().count()),
            ("presence statements", statements.presence.iter().count()),
            ("message counts", statements.messages.iter().count()),
            ("contacts", statements.registrations.len()),
            ("appearances", statements.appearances.len()),
        ]
    }
}
