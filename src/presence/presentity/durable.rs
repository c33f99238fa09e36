//! The contributions to a presentity in the form of a durable record.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::presence::call::CallSet;
use crate::presence::composition::Rules;
use crate::presence::presentity::Presentity;
use crate::presence::presentity::origins::Origins;
use crate::presence::presentity::publishing::{Removal, StoredPublication};
use crate::presence::presentity::statements::Statements;
use crate::presence::presentity::upstream::Upstreams;

/// All contributions to a presentity, to be written.
#[derive(Debug, Serialize)]
pub struct Contributions<'a> {
    publications: &'a [StoredPublication],
    calls: &'a CallSet,
    statements: &'a Statements,
    is_known_by_calls: bool,
    publication_next: u64,
    removals: &'a [Removal],
    upstreams: &'a Upstreams,
    origins: &'a Origins,
}

/// All contributions to a presentity, as they were read back.
#[derive(Debug, Deserialize)]
pub struct RecoveredContributions {
    publications: Vec<StoredPublication>,
    calls: CallSet,
    statements: Statements,
    is_known_by_calls: bool,
    publication_next: u64,
    removals: Vec<Removal>,
    upstreams: Upstreams,
    origins: Origins,
}

impl Presentity {
    /// What a durable record of this presentity holds. The composed state follows from it.
    #[must_use]
    pub fn contributions(&self) -> Contributions<'_> {
        Contributions {
            publications: &self.publications,
            removals: &self.removals,
            calls: &self.calls,
            statements: self.statements.get(),
            is_known_by_calls: self.is_known_by_calls,
            publication_next: self.publication_next,
            upstreams: &self.upstreams,
            origins: &self.origins,
        }
    }

    /// A presentity with these contributions and rules. What expired meanwhile is composed like the
    /// rest: [`Self::expire`] drops it, and says whether that changes anything.
    #[must_use]
    pub fn recovered(contributions: RecoveredContributions, rules: Arc<Rules>) -> Self {
        let mut presentity = Self {
            publications: contributions.publications,
            removals: contributions.removals,
            calls: contributions.calls,
            statements: contributions.statements.into(),
            is_known_by_calls: contributions.is_known_by_calls,
            publication_next: contributions.publication_next,
            upstreams: contributions.upstreams,
            origins: contributions.origins,
            extras_are_stale: true,
            rules,
            ..Self::default()
        };
        presentity.recompose();
        presentity
    }
}
