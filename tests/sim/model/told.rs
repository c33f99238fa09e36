//! Statements that are not made by PUBLISH: of each source only the last one counts.

use crate::model::composition::{Claim, Says, Word};
use crate::network::{MILLISECOND, Micros};

/// A statement that is not made by PUBLISH.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Told {
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
    told: Vec<Told>,
    is_known_to_a_registrar: bool,
    /// There is room for every presentity whose calls are reported in a run.
    pub(super) is_known_by_calls: bool,
}

impl Statements {
    /// The statement of a source replaces its last one. Returns whether that changes what counts.
    pub(super) fn hear(&mut self, now: Micros, told: Told) -> bool {
        let before = self.in_force(now);
        let is_same_source = |old: &Told| match (old, &told) {
            (Told::Registered(old, _), Told::Registered(new, _)) => old == new,
            (Told::Registered(..), Told::Unregistered) => true,
            _ => std::mem::discriminant(old) == std::mem::discriminant(&told),
        };
        self.told.retain(|old| !is_same_source(old));
        self.is_known_to_a_registrar |= matches!(told, Told::Registered(..) | Told::Unregistered);
        self.is_known_by_calls |= matches!(told, Told::CallState(_) | Told::Lamp(_));
        let says_nothing = match &told {
            Told::CallState(until) | Told::Lamp(until) => until.is_none_or(|until| until <= now),
            Told::DoNotDisturb(is_on) => !is_on,
            Told::Forward { is_active, target } => !is_active && target.is_empty(),
            Told::Note(note) => note.is_none(),
            Told::Presence(word) => word.is_none(),
            Told::Registered(_, until) => *until <= now,
            Told::Unregistered => true,
        };
        if !says_nothing {
            self.told.push(told);
        }
        self.in_force(now) != before
    }

    /// The statements without those that have run out.
    fn in_force(&self, now: Micros) -> Self {
        let mut statements = self.clone();
        let counts = |told: &Told| claim_of(told).until > now + MILLISECOND;
        statements.told.retain(counts);
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
        known.chain(self.told.iter().map(claim_of))
    }
}

/// The claims of a statement that is in force.
fn claim_of(told: &Told) -> Claim {
    let (until, says) = match told {
        Told::CallState(until) | Told::Lamp(until) => (until.unwrap_or_default(), Says::Call),
        Told::DoNotDisturb(_) => (FOR_GOOD, Says::DoNotDisturb),
        Told::Forward { is_active, target } => {
            let to_voice_mail = VOICE_MAIL.contains(target);
            let is_diverted = *is_active && !target.is_empty();
            let says = match is_diverted {
                true => Says::Forward { to_voice_mail },
                false => Says::Setting,
            };
            (FOR_GOOD, says)
        }
        Told::Note(note) => (FOR_GOOD, Says::Note(note.clone().unwrap_or_default())),
        Told::Presence(word) => {
            let word = word.clone().unwrap_or_default();
            (FOR_GOOD, Says::OperatorDeclared(word))
        }
        Told::Registered(_, until) => (*until, Says::Contact),
        Told::Unregistered => (FOR_GOOD, Says::Registrar),
    };
    Claim { until, says }
}
