//! The erasure of one person, or of all people of a domain: all changes of the addresses, and their names where
//! they were the party of others. In steps, so that meanwhile changes are appended.

use crate::presence::DataSubject;
use crate::presence::call::ANONYMOUS;
use crate::presence::history::HistoryErased;
use crate::store::error::StoreError;
use crate::store::history::journal::{Journal, STEP_ROWS};

/// Changes whose party is looked at in one step.
const PARTIES_PER_STEP: usize = 10_000;

/// An erasure under way.
#[derive(Debug)]
pub(super) struct Erasure {
    subject: DataSubject,
    erased: HistoryErased,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Changes,
    /// Mentions behind this number.
    Mentions(i64),
}

impl Erasure {
    /// Of those people.
    pub(super) fn new(subject: DataSubject) -> Self {
        Self {
            subject,
            erased: HistoryErased::default(),
            stage: Stage::Changes,
        }
    }

    /// One step; what was erased if it was the last.
    pub(super) fn step(
        &mut self,
        journal: &mut Journal,
    ) -> Result<Option<HistoryErased>, StoreError> {
        match self.stage {
            Stage::Changes => {
                let removed = journal.transact(|journal| match &self.subject {
                    DataSubject::Person(aor) => journal.remove_newest(aor.domain(), aor.user()),
                    DataSubject::Domain(domain) => journal.remove_domain(domain),
                })?;
                self.erased.changes += removed as u64;
                if removed < STEP_ROWS {
                    self.stage = Stage::Mentions(i64::MIN);
                }
                Ok(None)
            }
            Stage::Mentions(after) => {
                let next = journal.transact(|journal| self.erase_mentions(journal, after))?;
                if let Some(next) = next {
                    self.stage = Stage::Mentions(next);
                    return Ok(None);
                }
                journal.empty_log()?;
                Ok(Some(self.erased))
            }
        }
    }

    /// Erases the mentions in the changes behind a number. The number to go on from; None at the end.
    fn erase_mentions(
        &mut self,
        journal: &mut Journal,
        after: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let connection = &journal.connection;
        let mut find = connection.prepare_cached(
            "SELECT number, party FROM change WHERE number > ?1 ORDER BY number LIMIT ?2",
        )?;
        let mut rows = find.query((after, PARTIES_PER_STEP as i64))?;
        let (mut mentions, mut seen, mut last) = (Vec::new(), 0, after);
        while let Some(row) = rows.next()? {
            (last, seen) = (row.get(0)?, seen + 1);
            let party = row.get_ref(1)?.as_str_or_null()?;
            if party.is_some_and(|party| self.subject.is_party(party)) {
                mentions.push(last);
            }
        }
        let mut rename =
            connection.prepare_cached("UPDATE change SET party = ?2 WHERE number = ?1")?;
        for number in &mentions {
            rename.execute((number, ANONYMOUS))?;
        }
        self.erased.mentions += mentions.len() as u64;
        Ok((seen == PARTIES_PER_STEP).then_some(last))
    }
}
