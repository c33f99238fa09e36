//! Which contributions came from a system that is told of the presentity as well, and the presentity as that
//! system is told of it: without them (W:D1.16).
//!
//! Registrations and appearances of shared lines have no origin: no relay tells them.

use serde::{Deserialize, Serialize};

use crate::presence::origin::Origin;
use crate::presence::presentity::Presentity;
use crate::presence::presentity::publishing::StoredPublication;
use crate::presence::presentity::statements::Statements;
use crate::presence::registration::ContactEnd;
use crate::presence::source::{CallSource, ForwardKind, StateUpdate};

/// A contribution that has an origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Contributed {
    Publication(u64),
    CallState,
    Lamp,
    DoNotDisturb,
    Forward(ForwardKind),
    Note,
    Presence,
    Messages,
    /// That the user is known by calls, even if there are none now. Of all that have said so.
    KnownByCalls,
    /// Do-not-disturb that was reported as the state of a call.
    CallStateDoNotDisturb,
}

/// The contributions with a known origin.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Origins(Vec<(Contributed, Origin)>);

impl Contributed {
    /// The contribution that an update replaces; None if it has no origin.
    pub(super) const fn of(update: &StateUpdate) -> Option<Self> {
        Some(match update {
            StateUpdate::Call { source, .. } => match source {
                CallSource::CallState => Self::CallState,
                CallSource::Operator => Self::Lamp,
            },
            StateUpdate::CallStateDoNotDisturb(_) => Self::CallStateDoNotDisturb,
            StateUpdate::DoNotDisturb(_) => Self::DoNotDisturb,
            StateUpdate::Forward(forward) => Self::Forward(forward.kind),
            StateUpdate::Note(_) => Self::Note,
            StateUpdate::Presence(_) => Self::Presence,
            StateUpdate::Messages(_) => Self::Messages,
            StateUpdate::Registered(_) | StateUpdate::Unregistered | StateUpdate::Appearance(_) => {
                return None;
            }
        })
    }
}

impl Origins {
    /// Notes that a system, or [`Origin::own`], has reported calls.
    fn note_calls(&mut self, origin: Origin) {
        let entry = (Contributed::KnownByCalls, origin);
        if !self.0.contains(&entry) {
            self.0.push(entry);
        }
    }

    /// Those that have reported calls. None if no peer system has.
    fn callers(&self) -> impl Iterator<Item = Origin> {
        let all = self.0.iter();
        let calls = all.filter(|(contributed, _)| *contributed == Contributed::KnownByCalls);
        calls.map(|(_, origin)| *origin)
    }

    /// Notes the origin of a contribution, or that it has none.
    pub(super) fn note(&mut self, contributed: Contributed, origin: Option<Origin>) {
        self.0.retain(|(known, _)| *known != contributed);
        self.0.extend(origin.map(|origin| (contributed, origin)));
    }

    /// Whether a contribution came from a system.
    pub(super) fn has(&self, contributed: Contributed) -> bool {
        self.0.iter().any(|(known, _)| *known == contributed)
    }

    /// The contributions of a system.
    pub(super) fn of(&self, origin: Origin) -> impl Iterator<Item = Contributed> {
        let all = self.0.iter().filter(move |(_, known)| *known == origin);
        all.map(|(contributed, _)| *contributed)
    }

    /// Drops the entries of contributions that are gone.
    pub(super) fn keep(&mut self, publications: &[StoredPublication], statements: &Statements) {
        self.0.retain(|(contributed, _)| match contributed {
            Contributed::Publication(number) => {
                publications.iter().any(|entity| entity.number == *number)
            }
            Contributed::KnownByCalls => true,
            statement => statements.has(*statement),
        });
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Presentity {
    /// A source has reported calls.
    pub(super) fn know_by_calls(&mut self, origin: Option<Origin>) {
        let is_apart = self.origins.callers().next().is_some();
        if is_apart && origin.is_none() || !is_apart && origin.is_some() && self.is_known_by_calls {
            self.origins.note_calls(Origin::own());
        }
        if let Some(origin) = origin {
            self.origins.note_calls(origin);
        }
        self.is_known_by_calls = true;
    }

    /// The presentity without the contributions that came from these systems; None if there are none.
    #[must_use]
    pub fn without(&self, systems: &[Origin]) -> Option<Self> {
        let of_upstreams = self.upstreams.origins();
        let of_upstreams =
            of_upstreams.map(|(number, origin)| (Contributed::Publication(number), origin));
        let all = self.origins.0.iter().copied().chain(of_upstreams);
        let of_them = all.filter(|(_, origin)| systems.contains(origin));
        let mut hidden: Vec<Contributed> = of_them.map(|(contributed, _)| contributed).collect();
        let mut callers = self.origins.callers();
        if callers.any(|caller| !systems.contains(&caller)) {
            hidden.retain(|contributed| *contributed != Contributed::KnownByCalls);
        }
        if hidden.is_empty() {
            return None;
        }
        let mut rest = self.clone();
        hidden
            .into_iter()
            .for_each(|contributed| rest.hide(contributed));
        rest.extras_are_stale = true;
        rest.recompose();
        Some(rest)
    }

    fn hide(&mut self, contributed: Contributed) {
        if let Contributed::Publication(number) = contributed {
            let since = self
                .publications
                .iter()
                .find(|entity| entity.number == number);
            let Some(since) = since.map(|entity| entity.since) else {
                return;
            };
            self.publications.retain(|entity| entity.number != number);
            self.calls.remove(number, since);
            if let Some(statements) = self.statements.made_mut() {
                let registrations = &mut statements.registrations;
                registrations.abandon(number, ContactEnd::Deactivated, since);
            }
        } else if contributed == Contributed::KnownByCalls {
            self.is_known_by_calls = false;
        } else if let Some(statements) = self.statements.made_mut() {
            statements.hide(contributed);
        }
    }
}

impl Statements {
    fn has(&self, contributed: Contributed) -> bool {
        match contributed {
            Contributed::CallState => self.call_state.is_some(),
            Contributed::CallStateDoNotDisturb => self.call_state_dnd.is_some(),
            Contributed::Lamp => self.lamp.is_some(),
            Contributed::DoNotDisturb => self.do_not_disturb.is_some(),
            Contributed::Forward(kind) => self.forwards.iter().any(|one| one.what.kind == kind),
            Contributed::Note => self.note.is_some(),
            Contributed::Presence => self.presence.is_some(),
            Contributed::Messages => self.messages.is_some(),
            Contributed::Publication(_) | Contributed::KnownByCalls => false,
        }
    }

    pub(super) fn hide(&mut self, contributed: Contributed) {
        match contributed {
            Contributed::CallState => self.call_state = None,
            Contributed::CallStateDoNotDisturb => self.call_state_dnd = None,
            Contributed::Lamp => self.lamp = None,
            Contributed::DoNotDisturb => self.do_not_disturb = None,
            Contributed::Forward(kind) => self.forwards.retain(|stated| stated.what.kind != kind),
            Contributed::Note => self.note = None,
            Contributed::Presence => self.presence = None,
            Contributed::Messages => self.messages = None,
            Contributed::Publication(_) | Contributed::KnownByCalls => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::presence::call::{CallParts, CallState};
    use crate::presence::composition::Availability;
    use crate::presence::document::Document;
    use crate::presence::event::Package;
    use crate::presence::presentity::{Condition, Publication, PublicationLimits};
    use crate::presence::source::EntityTag;

    const MINUTE: Duration = Duration::from_secs(60);
    const LIMITS: PublicationLimits = PublicationLimits {
        expires_min: Duration::from_secs(1),
        expires_max: Duration::from_secs(3600),
        expires_default: MINUTE,
        publications_max: 8,
        calls_max: 8,
    };

    fn there() -> Origin {
        Origin::of("there")
    }

    /// A PUBLISH of a call from that system.
    fn publish(
        presentity: &mut Presentity,
        call: &str,
        condition: Condition,
        origin: Option<Origin>,
        now: Instant,
    ) -> EntityTag {
        let dialog = CallParts::new(call, CallState::Confirmed);
        let publication = Publication {
            package: Package::Dialog,
            condition,
            expires: Some(60),
            document: Some(Ok(Document::DialogInfo {
                entity: None,
                full: true,
                dialogs: vec![dialog.into()],
            })),
            publisher: call.len() as u64,
            is_feeder: false,
            origin,
        };
        let fresh = EntityTag(call.len() as u128);
        let applied = presentity.apply_publication(publication, fresh, &LIMITS, now);
        applied.unwrap().0.entity_tag
    }

    fn call_state(call: Option<&str>) -> StateUpdate {
        let call = call.map(|id| Arc::new(CallParts::new(id, CallState::Confirmed).into()));
        StateUpdate::Call {
            source: CallSource::CallState,
            call,
            expires: Some(MINUTE),
        }
    }

    fn availability_without(presentity: &Presentity) -> Option<Availability> {
        let rest = presentity.without(&[there()]);
        rest.map(|rest| rest.composed().availability)
    }

    #[test]
    fn a_publication_is_hidden_from_the_system_that_made_it() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        publish(&mut presentity, "here", Condition::None, None, now);
        assert!(presentity.without(&[there()]).is_none(), "it said nothing");
        let tag = publish(
            &mut presentity,
            "there",
            Condition::None,
            Some(there()),
            now,
        );
        assert_eq!(presentity.composed().calls.len(), 2);
        let rest = presentity.without(&[there()]).unwrap();
        assert_eq!(rest.composed().calls.len(), 1);
        assert!(presentity.without(&[Origin::of("elsewhere")]).is_none());
        // What it changes is its own as before.
        publish(
            &mut presentity,
            "there",
            Condition::Matches(tag),
            Some(there()),
            now,
        );
        assert!(presentity.without(&[there()]).is_some());
        presentity.expire(now + 2 * MINUTE);
        assert!(presentity.without(&[there()]).is_none(), "all expired");
    }

    #[test]
    fn a_statement_is_of_the_system_that_made_it_last() {
        let (mut presentity, now) = (Presentity::default(), Instant::now());
        presentity.apply_from(Some(there()), call_state(Some("1")), now);
        assert_eq!(presentity.composed().availability, Availability::Busy);
        assert_eq!(
            availability_without(&presentity),
            Some(Availability::Offline),
            "what it alone has said is not known here"
        );
        // A call of another source stands beside it.
        presentity.apply_from(None, call_state(Some("2")), now);
        assert_eq!(availability_without(&presentity), Some(Availability::Busy));
        presentity.apply_from(Some(there()), call_state(None), now);
        assert_eq!(availability_without(&presentity), None);
        let note = || StateUpdate::Note(Some("lunch".into()));
        presentity.apply_from(Some(there()), note(), now);
        assert!(availability_without(&presentity).is_some());
        presentity.apply_from(None, note(), now);
        assert_eq!(availability_without(&presentity), None);
        let dnd = StateUpdate::DoNotDisturb(true);
        presentity.apply_from(Some(there()), dnd, now);
        assert_eq!(availability_without(&presentity), Some(Availability::Busy));
        let rest = presentity.without(&[there()]).unwrap();
        assert!(!rest.composed().extras.features.do_not_disturb);
        presentity.forget();
        assert_eq!(availability_without(&presentity), None);
    }

    #[test]
    fn an_address_is_one_system_however_it_is_written() {
        let [plain, mapped] = ["192.0.2.1", "::ffff:192.0.2.1"].map(|text| text.parse().unwrap());
        assert_eq!(Origin::of_address(plain), Origin::of_address(mapped));
        assert_eq!(Origin::of_address(plain), Origin::of("192.0.2.1"));
    }
}
