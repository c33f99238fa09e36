//! The contributions to a presentity in the form of a durable record.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::call::CallSet;
use crate::presence::presentity::Presentity;
use crate::presence::presentity::publishing::StoredPublication;
use crate::presence::presentity::statements::Statements;

/// All contributions to a presentity, to be written.
#[derive(Debug, Serialize)]
pub struct Contributions<'a> {
    publications: &'a [StoredPublication],
    calls: &'a CallSet,
    statements: &'a Statements,
    is_known_by_calls: bool,
    publication_next: u64,
}

/// All contributions to a presentity, as they were read back.
#[derive(Debug, Deserialize)]
pub struct RecoveredContributions {
    publications: Vec<StoredPublication>,
    calls: CallSet,
    statements: Statements,
    is_known_by_calls: bool,
    publication_next: u64,
}

impl Presentity {
    /// What a durable record of this presentity holds. The composed state follows from it.
    #[must_use]
    pub fn contributions(&self) -> Contributions<'_> {
        Contributions {
            publications: &self.publications,
            calls: &self.calls,
            statements: &self.statements,
            is_known_by_calls: self.is_known_by_calls,
            publication_next: self.publication_next,
        }
    }

    /// A presentity with these contributions. What expired before `now` is dropped. Its rules are
    /// the default ones until [`Self::set_rules`].
    #[must_use]
    pub fn recovered(contributions: RecoveredContributions, now: Instant) -> Self {
        let mut presentity = Self {
            publications: contributions.publications,
            calls: contributions.calls,
            statements: contributions.statements,
            is_known_by_calls: contributions.is_known_by_calls,
            publication_next: contributions.publication_next,
            extras_are_stale: true,
            ..Self::default()
        };
        presentity.drop_expired(now);
        presentity.recompose();
        presentity
    }
}
