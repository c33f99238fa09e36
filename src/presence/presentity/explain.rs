//! What a presentity's contributions say, in words, for `lamplighter why`.

use std::fmt::Write;
use std::time::Instant;

use crate::presence::call::Appearance;
use crate::presence::call::CallDialog;
use crate::presence::call::Direction;
use crate::presence::composition::Contributor;
use crate::presence::composition::Declaration;
use crate::presence::composition::Verdict;
use crate::presence::event::Package;
use crate::presence::presentity::Presentity;
use crate::presence::presentity::publishing::Entity;
use crate::presence::presentity::publishing::Holding;
use crate::presence::presentity::statements::CallStatement;
use crate::presence::presentity::statements::Statements;
use crate::presence::registration::Registration;
use crate::presence::registration::Reporter;
use crate::presence::source::CallSource;
use crate::presence::source::Forward;
use crate::presence::source::ForwardKind;
use crate::presence::source::Messages;
use crate::presence::source::Source;

/// One source's statement, for `lamplighter why`.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The source's name: `publish:5f3c...`, `http:call_state`.
    pub source: String,
    /// The statement in words: `early recipient from sip:12@abc.com`, `open, away: lunch`.
    pub says: String,
    /// When it was made.
    pub since: Instant,
    /// When it expires; None if only its source ends it.
    pub until: Option<Instant>,
    /// Whether it decides the composed state.
    pub decides: bool,
}

impl Presentity {
    /// The alternative number in the account: no source states it, but it counts.
    pub(super) fn explain_account(&self) -> Option<Explained> {
        let number = self.rules.alternative.as_ref()?;
        Some(Explained {
            source: Source::Alternative.to_string(),
            says: format!("reachable at {number}"),
            since: self.rules_since?,
            until: None,
            decides: self.verdict.decider == Contributor::Account,
        })
    }
}

impl Entity {
    pub(super) fn explain(&self, presentity: &Presentity) -> Explained {
        let source = match self.package {
            Package::Presence => Source::Client(self.entity_tag),
            _ => Source::Publish(self.entity_tag),
        };
        let reported = || {
            let registrations = presentity.statements.registrations.iter();
            registrations.filter(|one| one.reporter == Reporter::Publication(self.number))
        };
        let says = match &self.holding {
            Holding::Declaration(declaration) => words_of_declaration(declaration),
            Holding::Messages(messages) => words_of_messages(messages),
            Holding::Legs => {
                let legs = presentity.calls.legs().iter();
                let own = legs.filter(|leg| leg.owner.publication == self.number);
                list(own.map(|leg| words_of_call(&leg.call)), "no call")
            }
            Holding::Contacts => list(
                reported().map(|one| format!("{} is registered", one.contact.uri)),
                "no contact is registered",
            ),
        };
        let decides = match presentity.verdict.decider {
            Contributor::Publication(number) => number == self.number,
            Contributor::Contact(id) => reported().any(|one| one.contact.id == id),
            _ => false,
        };
        Explained {
            source: source.to_string(),
            says,
            since: self.since,
            until: Some(self.until),
            decides,
        }
    }
}

impl Statements {
    pub(super) fn explain(&self, verdict: &Verdict) -> impl Iterator<Item = Explained> {
        let stated = |source: Source, says: String, since, contributor| Explained {
            source: source.to_string(),
            says,
            since,
            until: None,
            decides: contributor == verdict.decider && contributor != Contributor::Nobody,
        };
        let mut explained = Vec::new();
        for (source, name, slot) in [
            (CallSource::CallState, Source::CallState, &self.call_state),
            (CallSource::Operator, Source::Lamp, &self.lamp),
        ] {
            let decides = verdict.decider == Contributor::Call(source);
            explained.extend(slot.iter().map(|call| call.explain(&name, decides)));
        }
        explained.extend(self.call_state_dnd.iter().map(|(stated, until)| Explained {
            source: Source::CallState.to_string(),
            says: "do-not-disturb".into(),
            since: stated.since,
            until: Some(*until),
            decides: verdict.decider == Contributor::Call(CallSource::CallState),
        }));
        explained.extend(self.do_not_disturb.iter().map(|switch| {
            let by = Contributor::DoNotDisturb;
            stated(
                Source::DoNotDisturb,
                "do-not-disturb".into(),
                switch.since,
                by,
            )
        }));
        explained.extend(self.forwards.iter().map(|forward| {
            let by = match forward.what.kind {
                ForwardKind::Immediate => Contributor::Forward,
                ForwardKind::Busy | ForwardKind::NoAnswer => Contributor::Nobody,
            };
            let says = words_of_forward(&forward.what);
            stated(Source::Forward, says, forward.since, by)
        }));
        explained.extend(self.note.iter().map(|note| {
            let says = note.what.to_string();
            stated(Source::Note, says, note.since, Contributor::Nobody)
        }));
        explained.extend(self.presence.iter().map(|declaration| {
            let says = words_of_declaration(declaration);
            let by = Contributor::OperatorPresence;
            stated(Source::Presence, says, declaration.since, by)
        }));
        explained.extend(self.messages.iter().map(|messages| {
            let says = words_of_messages(&messages.what);
            stated(Source::Messages, says, messages.since, Contributor::Nobody)
        }));
        let registered = self.registrations.iter();
        explained.extend(registered.filter_map(|one| explain_registration(one, verdict)));
        explained.extend(self.registrations.empty_since().map(|since| {
            let says = "no contact is registered".into();
            stated(Source::Registrar, says, since, Contributor::Registrar)
        }));
        explained.extend(self.appearances.iter().map(|appearance| {
            let says = words_of_appearance(&appearance.what);
            stated(
                Source::Appearance,
                says,
                appearance.since,
                Contributor::Nobody,
            )
        }));
        explained.into_iter()
    }
}

impl CallStatement {
    fn explain(&self, name: &Source, decides: bool) -> Explained {
        Explained {
            source: name.to_string(),
            says: words_of_call(&self.call),
            since: self.since,
            until: self.until,
            decides,
        }
    }
}

/// A contact that a REGISTER reported. Those of a publication are explained with the publication.
fn explain_registration(registration: &Registration, verdict: &Verdict) -> Option<Explained> {
    (registration.reporter == Reporter::Register).then(|| Explained {
        source: Source::Register(registration.contact.uri.clone()).to_string(),
        says: "registered".into(),
        since: registration.since,
        until: registration.until,
        decides: verdict.decider == Contributor::Contact(registration.contact.id),
    })
}

fn list(words: impl Iterator<Item = String>, nothing: &str) -> String {
    let words: Vec<String> = words.collect();
    if words.is_empty() {
        nothing.into()
    } else {
        words.join("; ")
    }
}

/// `always to sip:*97@abc.com`
fn words_of_forward(forward: &Forward) -> String {
    let mut words = String::from(match forward.kind {
        ForwardKind::Immediate => "always",
        ForwardKind::Busy => "when busy",
        ForwardKind::NoAnswer => "without an answer",
    });
    if let Some(rings) = forward.ring_count {
        // Writing to a String cannot fail.
        let _ = write!(words, " after {rings} rings");
    }
    if forward.target.is_empty() {
        words.push_str(" to nowhere");
    } else {
        words.extend([" to ", &*forward.target]);
    }
    if !forward.is_active {
        words.push_str(", off");
    }
    words
}

/// `messages waiting, voice 2 new 8 old`
fn words_of_messages(messages: &Messages) -> String {
    let mut words = String::from(if messages.are_waiting {
        "messages waiting"
    } else {
        "no messages waiting"
    });
    for (class, counts) in &messages.counts {
        let class = format!("{class:?}").to_lowercase();
        let _ = write!(words, ", {class} {} new {} old", counts.new, counts.old);
    }
    words
}

/// `1 held with "Bob" <sip:bob@abc.com>`
fn words_of_appearance(appearance: &Appearance) -> String {
    let mut words = format!("{} {}", appearance.index, appearance.state.as_str());
    if let Some(party) = &appearance.party {
        words.extend([" with ", &**party]);
    }
    words
}

/// `early recipient from sip:12@abc.com`
fn words_of_call(call: &CallDialog) -> String {
    let mut words = String::from(call.state.as_str());
    let preposition = match call.direction {
        Some(Direction::Initiator) => {
            words.push_str(" initiator");
            "to"
        }
        Some(Direction::Recipient) => {
            words.push_str(" recipient");
            "from"
        }
        None => "with",
    };
    let names = [
        &call.remote.identity,
        &call.remote.target,
        &call.remote.display,
    ];
    if call.remote_is_private {
        // Shown nowhere, not even here (W:D1.4).
        words.extend([" ", preposition, " a private party"]);
    } else if let Some(party) = names.into_iter().find(|name| !name.is_empty()) {
        words.extend([" ", preposition, " ", party]);
    }
    if call.local.rendering == Some(false) {
        words.push_str(", on hold");
    }
    words
}

/// `open, away: lunch`
fn words_of_declaration(declaration: &Declaration) -> String {
    let mut words = String::from(match declaration.open {
        Some(true) => "open",
        Some(false) => "closed",
        None => "neither open nor closed",
    });
    if declaration.activities.declares_do_not_disturb() {
        words.push_str(", do-not-disturb");
    }
    for name in declaration.activities.names() {
        words.extend([", ", name]);
    }
    if let Some(number) = &declaration.alternative {
        words.extend([", reachable at ", &**number]);
    }
    if let Some(note) = &declaration.note {
        // Writing to a String cannot fail.
        let _ = write!(words, ": {note}");
    }
    words
}
