//! What Teams shows of people because we have told it so. The reader of Teams asks for it: what comes back is not news.
//!
//! Guarantee: a trace is here before Teams is told of it, and with the time of its end after that.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::presence::Aor;
use crate::relay::told::Traces;

/// See the head of this file. At most as many people as were told of.
#[derive(Debug, Default)]
pub(crate) struct OwnTraces(Mutex<Option<HashMap<Aor, Own>>>);

#[derive(Clone, Copy, Debug, Default)]
struct Own {
    traces: Traces,
    /// What was cleared last, and when.
    cleared: Option<(Traces, Instant)>,
}

impl OwnTraces {
    /// What an earlier process has told.
    pub(in crate::relay) fn begin(&self, told: impl Iterator<Item = (Aor, Traces)>) {
        let own = |(aor, traces)| {
            let cleared = None;
            (aor, Own { traces, cleared })
        };
        *self.inner() = Some(told.map(own).collect());
    }

    /// Whether it is known what an earlier process has told.
    pub(super) fn has_begun(&self) -> bool {
        self.inner().is_some()
    }

    /// Teams may show that of a person from now on.
    pub(super) fn put(&self, aor: &Aor, traces: Traces) {
        let mut inner = self.inner();
        let own = inner.get_or_insert_default().entry(aor.clone());
        let own = own.or_default();
        let gone = own.traces.without(traces);
        if gone != Traces::NONE {
            own.cleared = Some((gone, Instant::now()));
        }
        own.traces = traces;
    }

    /// What Teams has shown of a person because of us at any time since `since`; None if that is not known yet.
    pub(super) fn since(&self, aor: &Aor, since: Option<Instant>) -> Option<Traces> {
        let inner = self.inner();
        let own = inner.as_ref()?.get(aor).copied().unwrap_or_default();
        let cleared = own
            .cleared
            .filter(|(_, at)| since.is_none_or(|since| *at >= since));
        let cleared = cleared.map_or(Traces::NONE, |(traces, _)| traces);
        Some(own.traces.and(cleared))
    }

    fn inner(&self) -> MutexGuard<'_, Option<HashMap<Aor, Own>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cleared_is_ours_for_a_while() {
        let (own, aor) = (OwnTraces::default(), Aor::new("1", "a.test"));
        let before = Instant::now();
        assert_eq!(own.since(&aor, None), None, "not known yet");
        own.begin([(aor.clone(), Traces::CALL)].into_iter());
        assert_eq!(own.since(&aor, Some(before)), Some(Traces::CALL));
        own.put(&aor, Traces::NOTE);
        let both = Traces::CALL.and(Traces::NOTE);
        assert_eq!(own.since(&aor, Some(before)), Some(both));
        let after = Instant::now();
        assert_eq!(own.since(&aor, Some(after)), Some(Traces::NOTE));
        let other = Aor::new("2", "a.test");
        assert_eq!(own.since(&other, Some(before)), Some(Traces::NONE));
    }
}
