//! What a presentity's contributions say, in words, for `lamplighter why`.

use std::fmt::Write;

use crate::presence::call::CallDialog;
use crate::presence::call::Direction;
use crate::presence::call_set::CallSet;
use crate::presence::composition::Contributor;
use crate::presence::composition::Declaration;
use crate::presence::composition::Verdict;
use crate::presence::contribution::Explained;
use crate::presence::contribution::Source;
use crate::presence::presentity::CallStatement;
use crate::presence::presentity::Entity;
use crate::presence::subscription::Package;

impl Entity {
    pub(super) fn explain(&self, calls: &CallSet, verdict: &Verdict) -> Explained {
        let source = match self.package {
            Package::Presence => Source::Client(self.entity_tag),
            _ => Source::Publish(self.entity_tag),
        };
        let says = match &self.declaration {
            Some(declaration) => words_of_declaration(declaration),
            None => {
                let own = calls
                    .legs()
                    .iter()
                    .filter(|leg| leg.owner.publication == self.number);
                let legs: Vec<String> = own.map(|leg| words_of_call(&leg.call)).collect();
                if legs.is_empty() {
                    "no call".into()
                } else {
                    legs.join("; ")
                }
            }
        };
        let decides = verdict.decider == Contributor::Publication(self.number);
        Explained {
            source: source.to_string(),
            says,
            since: self.since,
            until: self.until,
            decides,
        }
    }
}

impl CallStatement {
    pub(super) fn explain(&self, verdict: &Verdict) -> Explained {
        Explained {
            source: Source::CallState.to_string(),
            says: words_of_call(&self.call),
            since: self.since,
            until: self.until,
            decides: verdict.decider == Contributor::CallState,
        }
    }
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
        // Told to nobody, not even here (W:D1.4).
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
    if let Some(note) = &declaration.note {
        // Writing to a String cannot fail.
        let _ = write!(words, ": {note}");
    }
    words
}
