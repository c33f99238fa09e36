//! Calls, and do-not-disturb in their place, that peer systems report by HTTP: by `call_state.htm`, the API or a feed.
//!
//! Each system has one call of its own, beside those of all other sources: two servers that tell each other by webhook
//! would otherwise end each other's calls. It is a publication that no PUBLISH names; its origin says of which system it is.
//! Do-not-disturb is one of all: the last system that reported it has it, and alone ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::presence::call::{CallDialog, CallState};
use crate::presence::event::Package;
use crate::presence::origin::Origin;
use crate::presence::presentity::Presentity;
use crate::presence::presentity::origins::Contributed;
use crate::presence::presentity::publishing::{Holding, StoredPublication};
use crate::presence::presentity::statements::answered;
use crate::presence::source::{CallSource, EntityTag, StateUpdate};

/// The end of a call whose report names none.
const USUAL_LIFE: Duration = Duration::from_secs(24 * 3600);

impl Presentity {
    /// Applies the call of a peer system, or that it has none. Returns whether the composed state changed.
    pub(super) fn apply_reported_call(
        &mut self,
        origin: Origin,
        call: Option<Arc<CallDialog>>,
        expires: Option<Duration>,
        now: Instant,
    ) -> bool {
        self.drop_expired(now);
        self.end_call_beside(origin);
        let expires = expires.unwrap_or(USUAL_LIFE);
        let is_over = |call: &CallDialog| call.state == CallState::Terminated || expires.is_zero();
        match call.filter(|call| !is_over(call)) {
            Some(call) => self.put_reported(origin, call, now + expires, now),
            None => self.end_reported(origin, now),
        }
        self.know_by_calls(Some(origin));
        self.origins.keep(&self.publications, self.statements.get());
        self.recompose()
    }

    /// Applies do-not-disturb of a peer system in place of its call.
    pub(super) fn apply_reported_do_not_disturb(
        &mut self,
        origin: Origin,
        life: Duration,
        now: Instant,
    ) -> bool {
        self.drop_expired(now);
        self.end_call_beside(origin);
        self.end_reported(origin, now);
        // That of another source is not its to end.
        if !life.is_zero() {
            self.statements.make().take_call_state_dnd(life, now);
            let contributed = Contributed::CallStateDoNotDisturb;
            self.origins.note(contributed, Some(origin));
            self.extras_are_stale = true;
        }
        self.know_by_calls(Some(origin));
        self.origins.keep(&self.publications, self.statements.get());
        self.recompose()
    }

    /// A report of a call by HTTP ends do-not-disturb that was reported so, unless a peer system has reported it.
    pub(super) fn end_call_state_dnd_before(&mut self, said: &StateUpdate) {
        let source = CallSource::CallState;
        if matches!(said, StateUpdate::Call { source: by, .. } if *by == source)
            && !self.origins.has(Contributed::CallStateDoNotDisturb)
            && let Some(statements) = self.statements.made_mut()
        {
            self.extras_are_stale |= statements.call_state_dnd.take().is_some();
        }
    }

    /// Ends what that system stated beside its call: do-not-disturb, or a call from before its name was known.
    fn end_call_beside(&mut self, origin: Origin) {
        let stated = [Contributed::CallState, Contributed::CallStateDoNotDisturb];
        for contributed in stated {
            if self.origins.of(origin).any(|known| known == contributed)
                && let Some(statements) = self.statements.made_mut()
            {
                statements.hide(contributed);
                self.extras_are_stale = true;
            }
        }
    }

    fn put_reported(
        &mut self,
        origin: Origin,
        call: Arc<CallDialog>,
        until: Instant,
        now: Instant,
    ) {
        let place = self.reported(origin);
        let number = place.map_or(self.publication_next, |place| {
            self.publications[place].number
        });
        let legs = self.calls.legs().iter();
        let mut own = legs.filter(|leg| leg.owner.publication == number);
        let before = own.next().map(|leg| &leg.call);
        let call = match before {
            // Repeated: it keeps its `id`.
            Some(before) if before.equals_but_for_id(&call) => Arc::clone(before),
            before => answered(before, call),
        };
        let entity = StoredPublication {
            number,
            package: Package::Dialog,
            entity_tag: EntityTag::UNPUBLISHED,
            publisher: origin.publisher(),
            is_feeder: true,
            since: now,
            until,
            holding: Holding::Legs,
        };
        // One call of each system: the configuration bounds them.
        let dialogs = vec![CallDialog::clone(&call)];
        self.calls
            .apply(entity.owner(), dialogs, true, usize::MAX, now);
        match place {
            Some(place) => self.publications[place] = entity,
            None => {
                self.publication_next += 1;
                self.publications.push(entity);
                self.note_publication(number, Some(origin));
            }
        }
    }

    fn end_reported(&mut self, origin: Origin, now: Instant) {
        if let Some(place) = self.reported(origin) {
            let number = self.publications.remove(place).number;
            self.calls.remove(number, now);
        }
    }

    /// The place of what that system has reported.
    fn reported(&self, origin: Origin) -> Option<usize> {
        self.publications.iter().position(|entity| {
            let contributed = Contributed::Publication(entity.number);
            entity.entity_tag == EntityTag::UNPUBLISHED
                && self.origins.of(origin).any(|known| known == contributed)
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::presence::call::CallParts;
    use crate::presence::composition::Availability;

    const HOUR: Duration = Duration::from_secs(3600);

    fn report(id: &str, state: CallState) -> StateUpdate {
        StateUpdate::Call {
            source: CallSource::CallState,
            call: Some(Arc::new(CallParts::new(id, state).into())),
            expires: Some(HOUR),
        }
    }

    fn end() -> StateUpdate {
        StateUpdate::Call {
            source: CallSource::CallState,
            call: None,
            expires: Some(Duration::ZERO),
        }
    }

    fn calls(presentity: &Presentity) -> Vec<(String, CallState)> {
        let calls = presentity.composed().calls.iter();
        let calls = calls.map(|call| (call.id().to_owned(), call.state));
        calls.collect()
    }

    #[test]
    fn a_system_ends_its_own_call_alone() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        let [one, two] = ["one", "two"].map(|name| Some(Origin::of(name)));
        presentity.apply_from(one, report("1", CallState::Confirmed), now);
        presentity.apply_from(two, report("2", CallState::Confirmed), now);
        presentity.apply_from(None, report("3", CallState::Confirmed), now);
        assert_eq!(presentity.composed().calls.len(), 3);
        assert!(!presentity.apply_from(Some(Origin::of("other")), end(), now));
        for (origin, left) in [(one, 2), (None, 1), (two, 0)] {
            assert!(presentity.apply_from(origin, end(), now));
            assert_eq!(presentity.composed().calls.len(), left);
            assert!(!presentity.apply_from(origin, end(), now));
        }
        assert!(presentity.publications.is_empty());
    }

    #[test]
    fn a_call_that_is_repeated_or_answered_keeps_its_id() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        let there = Some(Origin::of("there"));
        assert!(presentity.apply_from(there, report("1", CallState::Early), now));
        assert!(!presentity.apply_from(there, report("2", CallState::Early), now));
        assert!(presentity.apply_from(there, report("3", CallState::Confirmed), now));
        assert_eq!(calls(&presentity), [("1".to_owned(), CallState::Confirmed)]);
        assert_eq!(presentity.publications.len(), 1);
        presentity.expire(now + 2 * HOUR);
        assert_eq!(calls(&presentity), []);
    }

    #[test]
    fn do_not_disturb_of_a_system_ends_with_its_next_call() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        let there = Some(Origin::of("there"));
        presentity.apply_from(there, StateUpdate::CallStateDoNotDisturb(HOUR), now);
        let quiet = Availability::DoNotDisturb;
        assert_eq!(presentity.composed().availability, quiet);
        presentity.apply_from(there, report("1", CallState::Confirmed), now);
        presentity.apply_from(there, end(), now);
        assert_eq!(presentity.composed().availability, Availability::Available);
    }

    #[test]
    fn a_system_does_not_end_do_not_disturb_of_another() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        let [one, two] = ["one", "two"].map(|name| Some(Origin::of(name)));
        let [dnd, none] = [HOUR, Duration::ZERO].map(StateUpdate::CallStateDoNotDisturb);
        for other in [None, one] {
            presentity.apply_from(other, dnd.clone(), now);
            presentity.apply_from(two, none.clone(), now);
            presentity.apply_from(two, end(), now);
            let quiet = Availability::DoNotDisturb;
            assert_eq!(presentity.composed().availability, quiet);
            presentity.apply_from(other, none.clone(), now);
            assert_ne!(presentity.composed().availability, quiet);
        }
    }

    #[test]
    fn do_not_disturb_of_a_system_stands_beside_calls_of_others() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        let there = Some(Origin::of("there"));
        presentity.apply_from(None, report("1", CallState::Confirmed), now);
        presentity.apply_from(there, StateUpdate::CallStateDoNotDisturb(HOUR), now);
        assert_eq!(calls(&presentity), [("1".to_owned(), CallState::Confirmed)]);
        presentity.apply_from(None, end(), now);
        let quiet = Availability::DoNotDisturb;
        assert_eq!(
            (calls(&presentity).len(), presentity.composed().availability),
            (0, quiet)
        );
        assert!(presentity.without(&[Origin::of("there")]).is_some());
        presentity.apply_from(
            there,
            StateUpdate::CallStateDoNotDisturb(Duration::ZERO),
            now,
        );
        assert_eq!(presentity.composed().availability, Availability::Available);
    }
}
