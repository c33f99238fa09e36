//! What each source asserts about a presentity, for `lamplighter why`.

use std::sync::Arc;
use std::time::Instant;

use crate::presence::composition::{Contributor, Verdict};
use crate::presence::event::Package;
use crate::presence::presentity::publishing::{Holding, StoredPublication};
use crate::presence::presentity::statements::{CallStatement, Statements};
use crate::presence::presentity::{Assertion, Presentity};
use crate::presence::registration::{Registration, Reporter};
use crate::presence::source::{CallSource, EntityTag, ForwardKind, Source};

/// One source's statement, for `lamplighter why`.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The source.
    pub source: Source,
    /// What it asserts.
    pub asserts: Assertion,
    /// When it first asserted this.
    pub since: Instant,
    /// When the contribution expires; None if it lasts until its source replaces it.
    pub until: Option<Instant>,
    /// Since when the source is not heard any more; None while it is, or if that is not known.
    pub stale_since: Option<Instant>,
    /// Whether it decides the composed state.
    pub decides: bool,
}

impl Presentity {
    /// The kind of source that decided the composed state, as the beginning of the name of a
    /// [`Source`]: `publish`, `http:call_state`.
    #[must_use]
    pub fn decider(&self) -> &'static str {
        match self.verdict.decider {
            Contributor::NoSource => "none",
            Contributor::Call(CallSource::CallState) => "http:call_state",
            Contributor::Call(CallSource::Operator) => "operator:lamp",
            Contributor::Publication(number) if self.upstreams.of(number).is_some() => "upstream",
            Contributor::Publication(number) => {
                let mut publications = self.publications.iter();
                match publications.find(|entity| entity.number == number) {
                    Some(entity) if entity.package == Package::Presence => "client",
                    _ => "publish",
                }
            }
            Contributor::DoNotDisturb => "feature:dnd",
            Contributor::Forward => "feature:forward",
            Contributor::OperatorPresence => "operator:presence",
            Contributor::Contact(_) | Contributor::Registrar => "register",
            Contributor::Account => "account:alternative",
        }
    }

    /// The alternative number of the account: no source states it, but it counts.
    pub(super) fn explain_account(&self) -> Option<Explained> {
        let number = self.rules.alternative.as_ref()?;
        Some(Explained {
            source: Source::Alternative,
            asserts: Assertion::Alternative(number.clone()),
            since: self.rules_since?,
            until: None,
            stale_since: None,
            decides: self.verdict.decider == Contributor::Account,
        })
    }
}

impl StoredPublication {
    pub(super) fn explain(&self, presentity: &Presentity) -> Explained {
        let upstream = presentity.upstreams.of(self.number);
        let source = match (upstream, self.package) {
            (Some(upstream), _) => Source::Upstream(Arc::clone(&upstream.connector)),
            (None, _) if self.entity_tag == EntityTag::UNPUBLISHED => Source::CallState,
            (None, Package::Presence) => Source::Client(self.entity_tag),
            (None, _) => Source::Publish(self.entity_tag),
        };
        let reported = || {
            let registrations = presentity.statements.get().registrations.iter();
            registrations.filter(|one| one.reporter == Reporter::Publication(self.number))
        };
        let asserts = match &self.holding {
            Holding::Declaration(declaration) => Assertion::Presence(declaration.into()),
            Holding::Messages(messages) => Assertion::Messages(messages.clone()),
            Holding::Legs => {
                let legs = presentity.calls.legs().iter();
                let own = legs.filter(|leg| leg.owner.publication == self.number);
                Assertion::Calls(own.map(|leg| (&*leg.call).into()).collect())
            }
            Holding::Contacts => {
                Assertion::Contacts(reported().map(|one| one.contact.uri.clone()).collect())
            }
        };
        let decides = match presentity.verdict.decider {
            Contributor::Publication(number) => number == self.number,
            Contributor::Contact(id) => reported().any(|one| one.contact.id == id),
            _ => false,
        };
        Explained {
            source,
            asserts,
            since: self.since,
            until: Some(self.until),
            stale_since: upstream.and_then(|upstream| upstream.stale_since),
            decides,
        }
    }
}

impl Statements {
    /// What each source states, in the order of the report.
    pub(super) fn explain(&self, verdict: &Verdict) -> impl Iterator<Item = Explained> {
        let mut explained = self.explain_calls(verdict);
        explained.extend(self.explain_switches(verdict));
        explained.extend(self.explain_announcements(verdict));
        let registered = self.registrations.iter();
        explained.extend(registered.filter_map(|one| explain_registration(one, verdict)));
        explained.extend(self.registrations.empty_since().map(|since| {
            let asserts = Assertion::Contacts(Vec::new());
            let decides = verdict.decider == Contributor::Registrar;
            stated(Source::Registrar, asserts, since, decides)
        }));
        explained.extend(self.appearances.iter().map(|appearance| {
            let asserts = Assertion::Appearance(appearance.what.clone());
            stated(Source::Appearance, asserts, appearance.since, false)
        }));
        explained.into_iter()
    }

    /// Calls, and do-not-disturb that was reported with them.
    fn explain_calls(&self, verdict: &Verdict) -> Vec<Explained> {
        let mut explained = Vec::new();
        for (source, name, slot) in [
            (CallSource::CallState, Source::CallState, &self.call_state),
            (CallSource::Operator, Source::Lamp, &self.lamp),
        ] {
            let decides = verdict.decider == Contributor::Call(source);
            explained.extend(slot.iter().map(|call| call.explain(&name, decides)));
        }
        explained.extend(self.call_state_dnd.iter().map(|dnd| Explained {
            source: Source::CallState,
            asserts: Assertion::DoNotDisturb,
            since: dnd.stated.since,
            until: Some(dnd.until),
            stale_since: None,
            decides: verdict.decider == Contributor::Call(CallSource::CallState),
        }));
        explained
    }

    /// Do-not-disturb and forwarding.
    fn explain_switches(&self, verdict: &Verdict) -> impl Iterator<Item = Explained> {
        let decider = verdict.decider;
        let do_not_disturb = self.do_not_disturb.iter().map(move |switch| {
            let decides = decider == Contributor::DoNotDisturb;
            let asserts = Assertion::DoNotDisturb;
            stated(Source::DoNotDisturb, asserts, switch.since, decides)
        });
        let forwards = self.forwards.iter().map(move |forward| {
            let is_immediate = forward.what.kind == ForwardKind::Immediate;
            let decides = is_immediate && decider == Contributor::Forward;
            let asserts = Assertion::Forward(forward.what.clone());
            stated(Source::Forward, asserts, forward.since, decides)
        });
        do_not_disturb.chain(forwards)
    }

    /// The note, the presence and the waiting messages set by the operator.
    fn explain_announcements(&self, verdict: &Verdict) -> impl Iterator<Item = Explained> {
        let decider = verdict.decider;
        let note = self.note.iter().map(|note| {
            let asserts = Assertion::Note(Arc::clone(&note.what));
            stated(Source::Note, asserts, note.since, false)
        });
        let presence = self.presence.iter().map(move |declaration| {
            let asserts = Assertion::Presence(declaration.into());
            let decides = decider == Contributor::OperatorPresence;
            stated(Source::Presence, asserts, declaration.since, decides)
        });
        let messages = self.messages.iter().map(|messages| {
            let asserts = Assertion::Messages(messages.what.clone());
            stated(Source::Messages, asserts, messages.since, false)
        });
        note.chain(presence).chain(messages)
    }
}

impl CallStatement {
    fn explain(&self, name: &Source, decides: bool) -> Explained {
        Explained {
            source: name.clone(),
            asserts: Assertion::Calls(vec![(&*self.call).into()]),
            since: self.since,
            until: self.until,
            stale_since: None,
            decides,
        }
    }
}

/// A statement that lasts until its source replaces it.
fn stated(source: Source, asserts: Assertion, since: Instant, decides: bool) -> Explained {
    Explained {
        source,
        asserts,
        since,
        until: None,
        stale_since: None,
        decides,
    }
}

/// A contact that a REGISTER or the operator reported. Those of a publication are explained with the publication.
fn explain_registration(registration: &Registration, verdict: &Verdict) -> Option<Explained> {
    let uri = registration.contact.uri.clone();
    (registration.reporter == Reporter::Register).then(|| Explained {
        source: match registration.is_bound() {
            true => Source::Register(uri),
            false => Source::Contact(uri),
        },
        asserts: Assertion::Registered,
        since: registration.since,
        until: registration.until,
        stale_since: None,
        decides: verdict.decider == Contributor::Contact(registration.contact.id),
    })
}
