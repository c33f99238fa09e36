//! The true state of a user of a PBX: calls that ring, are answered and end.

use std::collections::VecDeque;

use crate::documents::{Document, Leg, State};
use crate::model::Word;
use crate::model::upstream::Said;
use crate::network::{Micros, SECOND};
use crate::phone::lists::Package;
use crate::random::Rng;

/// How long a state is remembered after it changed.
const REMEMBERED: Micros = 60 * SECOND;
/// Calls of a user at once.
const CALLS_MAX: usize = 2;

/// A user.
#[derive(Debug, Default)]
pub(crate) struct User {
    legs: Vec<Leg>,
    /// What was true before, and until when.
    past: VecDeque<(Micros, Vec<Leg>)>,
}

impl User {
    /// A call begins, is answered, or ends. `serial` names a new call. Returns the time to the next change.
    pub(crate) fn change(
        &mut self,
        now: Micros,
        serial: u64,
        every: Micros,
        rng: &mut Rng,
    ) -> Micros {
        self.past.push_back((now, self.legs.clone()));
        self.past.retain(|(until, _)| *until + REMEMBERED > now);
        let ringing = self.legs.iter().position(|leg| leg.state == State::Early);
        match ringing {
            Some(at) if rng.chance(600) => self.legs[at].state = State::Confirmed,
            Some(at) => {
                self.legs.remove(at);
            }
            None if self.legs.len() < CALLS_MAX && (self.legs.is_empty() || rng.chance(300)) => {
                self.legs.push(call(serial, rng));
            }
            None => {
                let at = rng.below(self.legs.len() as u64) as usize;
                self.legs.remove(at);
            }
        }
        let rings = self.legs.iter().any(|leg| leg.state == State::Early);
        // A phone rings for less than three minutes.
        let longest = if rings { every.min(30 * SECOND) } else { every };
        rng.between(SECOND, 2 * longest)
    }

    /// All its calls.
    pub(crate) fn legs(&self) -> &[Leg] {
        &self.legs
    }

    /// The whole state as a document.
    pub(crate) fn document(&self, package: Package) -> Document {
        match package {
            Package::Dialog => Document::Dialogs {
                full: true,
                legs: self.legs.clone(),
            },
            Package::Presence => {
                let is = |state| self.legs.iter().any(|leg| leg.state == state);
                Document::Presence {
                    open: true,
                    activity: match (is(State::Confirmed), is(State::Early)) {
                        (true, _) => Some("on-the-phone"),
                        (false, true) => Some("busy"),
                        (false, false) => None,
                    },
                    note: None,
                }
            }
        }
    }

    /// Whether something was true at some time since `from`.
    pub(crate) fn was(&self, said: &Said, from: Micros) -> bool {
        let past = self.past.iter().filter(|(until, _)| *until >= from);
        let mut states = past.map(|(_, legs)| legs).chain([&self.legs]);
        states.any(|legs| {
            let then = Self {
                legs: legs.clone(),
                past: VecDeque::new(),
            };
            match said {
                Said::Calls(_) => said.is_alike(&Said::Calls(legs.clone())),
                Said::Word(_) => match then.document(Package::Presence) {
                    Document::Presence { open, activity, .. } => said.is_alike(&Said::Word(Word {
                        open: Some(open),
                        activity,
                        ..Word::default()
                    })),
                    Document::Dialogs { .. } => false,
                },
            }
        })
    }
}

fn call(serial: u64, rng: &mut Rng) -> Leg {
    let recipient = rng.chance(700);
    Leg {
        id: format!("c{serial}"),
        call_id: format!("c{serial}@pbx"),
        local_tag: format!("l{serial}"),
        remote_tag: format!("r{serial}"),
        recipient,
        state: match recipient || rng.chance(500) {
            true => State::Early,
            false => State::Confirmed,
        },
        remote: match rng.chance(700) {
            true => rng.below(3).to_string(),
            false => String::new(),
        },
    }
}
