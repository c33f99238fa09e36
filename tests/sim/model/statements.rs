//! Statements that are not made by PUBLISH: of each source only the last one counts.

use crate::model::composition::{Claim, Says, Word};
use crate::network::{MILLISECOND, Micros};

/// A statement that is not made by PUBLISH.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Update {
    /// `call_state.htm`: in a call until then, or in none.
    CallState(Option<Micros>),
    /// The operator switches the lamp on until then, or off.
    Lamp(Option<Micros>),
    DoNotDisturb(bool),
    /// Forwarding of all calls, on or off.
    Forward {
        is_active: bool,
        target: &'static str,
    },
    Note(Option<String>),
    Presence(Option<Word>),
    /// The contact with this number is registered until then; a time in the past removes it.
    Registered(u8, Micros),
    Unregistered,
}

/// Forwarding targets that mean voice mail (W:D3.19).
pub(crate) const VOICE_MAIL: [&str; 2] = ["*97", "sip:*97@example.com"];

/// The expiry of a statement that counts until it is withdrawn.
const FOR_GOOD: Micros = Micros::MAX / 2;

/// The last statement of each source that has one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Statements {
    updates: Vec<Update>,
    is_known_to_a_registrar: bool,
    /// There is room for every presentity whose calls are reported in a run.
    pub(super) is_known_by_calls: bool,
}

impl Statements {
    /// The statement of a source replaces its last one. Returns whether that changes what counts.
    pub(super) fn apply(&mut self, now: Micros, update: Update) -> bool {
        let before = self.in_force(now);
        let is_same_source = |old: &Update| match (old, &update) {
            (Update::Registered(old, _), Update::Registered(new, _)) => old == new,
            (Update::Registered(..), Update::Unregistered) => true,
            _ => std::mem::discriminant(old) == std::mem::discriminant(&update),
        };
        self.updates.retain(|old| !is_same_source(old));
        self.is_known_to_a_registrar |=
            matches!(update, Update::Registered(..) | Update::Unregistered);
        self.is_known_by_calls |= matches!(update, Update::CallState(_) | Update::Lamp(_));
        let says_nothing = match &update {
            Update::CallState(until) | Update::Lamp(until) => {
                until.is_none_or(|until| until <= now)
            }
            Update::DoNotDisturb(is_on) => !is_on,
            Update::Forward { is_active, target } => !is_active && target.is_empty(),
            Update::Note(note) => note.is_none(),
            Update::Presence(word) => word.is_none(),
            Update::Registered(_, until) => *until <= now,
            Update::Unregistered => true,
        };
        if !says_nothing {
            self.updates.push(update);
        }
        self.in_force(now) != before
    }

    /// The statements without those that have run out.
    fn in_force(&self, now: Micros) -> Self {
        let mut statements = self.clone();
        let counts = |update: &Update| claim_of(update).until > now + MILLISECOND;
        statements.updates.retain(counts);
        statements
    }

    /// The claims of all statements.
    pub(super) fn claims(&self) -> impl Iterator<Item = Claim> {
        let registrar = self.is_known_to_a_registrar.then_some(Claim {
            until: FOR_GOOD,
            says: Says::Registrar,
        });
        let calls = self.is_known_by_calls.then_some(Claim {
            until: FOR_GOOD,
            says: Says::KnownByCalls,
        });
        let known = registrar.into_iter().chain(calls);
        known.chain(self.updates.iter().map(claim_of))
    }
}

/// The claims of a statement that is in force.
fn claim_of(update: &Update) -> Claim {
    let (until, says) = match update {
        Update::CallState(until) | Update::Lamp(until) => (until.unwrap_or_default(), Says::Call),
        Update::DoNotDisturb(_) => (FOR_GOOD, Says::DoNotDisturb),
        Update::Forward { is_active, target } => {
            let to_voice_mail = VOICE_MAIL.contains(target);
            let is_diverted = *is_active && !target.is_empty();
            let says = match is_diverted {
                true => Says::Forward { to_voice_mail },
                false => Says::Setting,
            };
            (FOR_GOOD, says)
        }
        Update::Note(note) => (FOR_GOOD, Says::Note(note.clone().unwrap_or_default())),
        Update::Presence(word) => {
            let word = word.clone().unwrap_or_default();
            (FOR_GOOD, Says::OperatorDeclared(word))
        }
        Update::Registered(_, until) => (*until, Says::Contact),
        Update::Unregistered => (FOR_GOOD, Says::Registrar),
    };
    Claim { until, says }
}
