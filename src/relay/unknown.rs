//! People that a target does not know: for a while it is not asked for them again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::presence::Aor;

/// How long.
const UNKNOWN_FOR: Duration = Duration::from_secs(3600);

/// See the head of this file. As many as there are users at most.
#[derive(Debug, Default)]
pub(super) struct UnknownPeople(RefCell<HashMap<Aor, Instant>>);

impl UnknownPeople {
    /// Whether the target has said of late that it does not know a person.
    pub(super) fn has(&self, aor: &Aor) -> bool {
        let people = self.0.borrow();
        people.get(aor).is_some_and(|at| at.elapsed() < UNKNOWN_FOR)
    }

    /// The target does not know a person.
    pub(super) fn add(&self, aor: &Aor) {
        self.0.borrow_mut().insert(aor.clone(), Instant::now());
    }
}
