//! Composition: all contributions of a presentity made one state, with the explanation of what
//! decided (DESIGN §3, W:D2.13).
//!
//! One pure function decides for every package: a phone on `presence` and a phone on `dialog`
//! always agree. What the lamp of a dialog watcher shows ([`lamp`]) is also what the availability
//! follows, with one exception that is meant: a client may be `busy`, `away` or `do-not-disturb`
//! without a call, and a lamp shows calls alone.
//!
//! - A call is ringing as long as it is incoming (or its direction is unknown) and unanswered,
//!   `trying` and `proceeding` included; a call the presentity makes is busy from its first INVITE
//!   (W:C0.4).
//! - `on-the-phone`, said by a client, is a call without a party: the lamp lights as well.
//! - Branches of one call (equal Call-ID): once one is answered, those that are not are no longer
//!   shown.
//! - `basic` is open iff a client says open; when none says either, iff there is a call.
//!   Do-not-disturb is closed.

use std::cmp::Ordering;
use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;
use std::sync::LazyLock;
use std::time::Instant;

use crate::presence::activity::ActivitySet;
use crate::presence::activity::ON_THE_PHONE;
use crate::presence::appearance::Appearance;
use crate::presence::call::CallDialog;
use crate::presence::call::CallState;
use crate::presence::call::Direction;
use crate::presence::call::Party;
use crate::presence::contribution::Calls;
use crate::presence::contribution::Statement;
use crate::presence::features::Features;
use crate::presence::messages::Messages;
use crate::presence::registration::RegisteredContact;

/// What a presentity is, most important first: do-not-disturb > ringing > busy > away > available,
/// and `Offline` when no source says anything about reachability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Availability {
    /// Declared unavailable.
    DoNotDisturb,
    /// An unanswered incoming call.
    Ringing,
    /// In a call, or says so.
    Busy,
    /// Available but not there.
    Away,
    /// Declared available.
    Available,
    /// Declared closed, or nobody says anything.
    #[default]
    Offline,
}

impl Availability {
    /// What decides when several apply, the strongest first (W:D2.13). The one place to change the
    /// order.
    const PRECEDENCE: [Self; 6] = [
        Self::DoNotDisturb,
        Self::Ringing,
        Self::Busy,
        Self::Away,
        Self::Available,
        Self::Offline,
    ];

    /// The place in [`Self::PRECEDENCE`].
    fn rank(self) -> usize {
        Self::PRECEDENCE
            .iter()
            .position(|&other| other == self)
            .unwrap_or(usize::MAX)
    }
}

impl fmt::Display for Availability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DoNotDisturb => "do-not-disturb",
            Self::Ringing => "ringing",
            Self::Busy => "busy",
            Self::Away => "away",
            Self::Available => "available",
            Self::Offline => "offline",
        })
    }
}

/// The one state every document about a presentity is made of. Equality is what decides whether
/// watchers are told (W:A3.14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composed {
    /// The verdict.
    pub availability: Availability,
    /// `basic` of the PIDF.
    pub open: bool,
    /// Live call legs, the one a lamp should show first; never a terminated one.
    pub calls: Calls,
    /// RPID activities beyond what `availability` implies, in stable order.
    pub activities: Arc<[Box<str>]>,
    /// The note.
    pub note: Option<Arc<str>>,
    /// What is not about calls or presence; shared with the state before as long as it is the same.
    pub extras: Arc<Extras>,
}

/// The parts of a state that change seldom: what the packages beside `dialog` and `presence` tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Do-not-disturb and forwarding, as switched on.
    pub features: Features,
    /// The mailbox; None when nobody says anything about one.
    pub messages: Option<Messages>,
    /// The contacts that are registered, in the order of their `id`.
    pub contacts: Vec<RegisteredContact>,
    /// The appearances that are not idle, in the order of their index.
    pub appearances: Vec<Appearance>,
    /// The user's name.
    pub display: Option<Box<str>>,
}

/// Whose contribution it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Contributor {
    /// No source says anything.
    #[default]
    Nobody,
    /// `call_state.htm`.
    CallState,
    /// A publication, by the number the presentity gave it.
    Publication(u64),
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// The outcome.
    pub(crate) availability: Availability,
    /// Why, in words.
    pub(crate) rule: &'static str,
    /// Whose contribution it follows.
    pub(crate) decider: Contributor,
}

impl Default for Verdict {
    fn default() -> Self {
        Self {
            availability: Availability::Offline,
            rule: "no source says anything",
            decider: Contributor::Nobody,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.availability, self.rule)
    }
}

/// What a client declares, made ready for composing.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    /// See [`Statement::open`].
    pub(crate) open: Option<bool>,
    /// The activities we know.
    pub(crate) activities: ActivitySet,
    /// The note; never empty.
    pub(crate) note: Option<Arc<str>>,
    /// When it was declared.
    pub(crate) since: Instant,
}

impl Declaration {
    /// From a statement made at `since`.
    pub(crate) fn new(statement: Statement, since: Instant) -> Self {
        Self {
            open: statement.open,
            activities: ActivitySet::from_names(statement.activities.iter().map(|name| &**name)),
            note: statement
                .note
                .filter(|note| !note.is_empty())
                .map(Arc::from),
            since,
        }
    }

    /// What it alone would make of the presentity, and why.
    fn verdict(&self) -> (Availability, &'static str) {
        if self.activities.declares_do_not_disturb() {
            (Availability::DoNotDisturb, "a client declares it")
        } else if self.activities.contains(ON_THE_PHONE) {
            (Availability::Busy, "a client says on-the-phone")
        } else if self.activities.means(Availability::Busy) {
            (Availability::Busy, "a client says so")
        } else if self.activities.means(Availability::Away) {
            (Availability::Away, "a client says so")
        } else {
            match self.open {
                Some(true) => (Availability::Available, "a client declares open"),
                Some(false) => (Availability::Offline, "a client declares closed"),
                None => (Availability::Offline, "no client says open or closed"),
            }
        }
    }
}

/// The call that `on-the-phone` stands for: nothing is known about it.
static UNKNOWN_CALL: LazyLock<Arc<CallDialog>> = LazyLock::new(|| {
    Arc::new(CallDialog {
        id: ON_THE_PHONE.into(),
        call_id: Box::default(),
        local_tag: Box::default(),
        remote_tag: Box::default(),
        direction: None,
        state: CallState::Confirmed,
        local: Party::default(),
        remote: Party::default(),
        remote_is_private: false,
    })
});

/// Composes what the sources say into `composed`, whose old content does not matter but whose room
/// is used again. `previous` is the state before; what is equal in it is shared, not built anew.
pub(crate) fn compose<'a>(
    calls: impl Iterator<Item = (Contributor, &'a Arc<CallDialog>)> + Clone,
    declarations: impl Iterator<Item = (Contributor, &'a Declaration)> + Clone,
    previous: &Composed,
    composed: &mut Composed,
) -> Verdict {
    gather(calls.clone().map(|(_, call)| call), &mut composed.calls);
    let on_the_phone = declarations
        .clone()
        .find(|(_, said)| said.activities.contains(ON_THE_PHONE));
    let answered = |call: &Arc<CallDialog>| call.lamp_state() == CallState::Confirmed;
    if on_the_phone.is_some() && !composed.calls.iter().any(answered) {
        composed.calls.push(Arc::clone(&UNKNOWN_CALL));
    }
    composed
        .calls
        .sort_unstable_by(|one, other| lamp_order(one, other));

    let mut verdict = Verdict::default();
    for (decider, said) in declarations.clone() {
        let (availability, rule) = said.verdict();
        // The first to speak decides among equals; and anybody is more than nobody.
        if verdict.decider == Contributor::Nobody
            || availability.rank() < verdict.availability.rank()
        {
            verdict = Verdict {
                availability,
                rule,
                decider,
            };
        }
    }
    if let Some(first) = composed.calls.first() {
        let (availability, rule) = verdict_of_call(first);
        let owner = calls
            .into_iter()
            .find(|(_, call)| Arc::ptr_eq(call, first))
            .map(|(owner, _)| owner);
        // A call is a fact where `busy` is a word: it also decides among equals. Nobody's call is
        // what `on-the-phone` claims.
        if let Some(decider) = owner
            && availability.rank() <= verdict.availability.rank()
        {
            verdict = Verdict {
                availability,
                rule,
                decider,
            };
        }
    }

    composed.extras = Arc::clone(&previous.extras);
    composed.availability = verdict.availability;
    composed.open = is_open(
        verdict.availability,
        &composed.calls,
        declarations.clone().map(|(_, said)| said),
    );
    composed.note = note(declarations.clone().map(|(_, said)| said));
    let all = declarations.fold(ActivitySet::default(), |set, (_, said)| {
        set.union(said.activities)
    });
    let rest = implied_activity(composed).map_or(all, |implied| all.without(implied));
    share_activities(rest, previous, composed);
    verdict
}

/// What a dialog watcher's lamp shows. The writer of documents and the explanation both ask here.
#[must_use]
pub fn lamp(composed: &Composed) -> CallState {
    composed
        .calls
        .first()
        .map_or(CallState::Terminated, |call| call.lamp_state())
}

/// The RPID activity that says what `availability` says (W:D2.14); the others are in
/// [`Composed::activities`].
pub(crate) fn implied_activity(composed: &Composed) -> Option<&'static str> {
    match composed.availability {
        Availability::Ringing | Availability::Busy if !composed.calls.is_empty() => {
            Some(ON_THE_PHONE)
        }
        Availability::DoNotDisturb | Availability::Ringing | Availability::Busy => Some("busy"),
        Availability::Away => Some("away"),
        Availability::Available | Availability::Offline => None,
    }
}

/// Puts every call once into `kept`: of two reports of one leg the further one, of a call's
/// branches only answered ones when there are any. A presentity has few calls, and their number is
/// bounded.
fn gather<'a>(calls: impl Iterator<Item = &'a Arc<CallDialog>>, kept: &mut Calls) {
    kept.clear();
    for call in calls {
        match kept.iter_mut().find(|other| is_same_leg(other, call)) {
            Some(other) if other.state.progress() < call.state.progress() => {
                *other = Arc::clone(call)
            }
            Some(_) => {}
            None => kept.push(Arc::clone(call)),
        }
    }
    for index in (0..kept.len()).rev() {
        let branch = &kept[index];
        let is_shadowed = branch.state.is_unanswered()
            && !branch.call_id.is_empty()
            && kept
                .iter()
                .any(|other| other.call_id == branch.call_id && !other.state.is_unanswered());
        if is_shadowed {
            kept.remove(index);
        }
    }
}

fn is_same_leg(one: &CallDialog, other: &CallDialog) -> bool {
    !one.call_id.is_empty()
        && one.call_id == other.call_id
        && one.local_tag == other.local_tag
        && one.remote_tag == other.remote_tag
}

/// What a lamp shows first, comes first (W:B3.15, C0.3); among equals an incoming call, then
/// whatever is stable.
fn lamp_order(one: &CallDialog, other: &CallDialog) -> Ordering {
    let key = |call: &CallDialog| {
        (
            Reverse(call.lamp_state()),
            call.direction == Some(Direction::Initiator),
        )
    };
    key(one)
        .cmp(&key(other))
        .then_with(|| one.id.cmp(&other.id))
        .then_with(|| {
            (&one.call_id, &one.local_tag, &one.remote_tag).cmp(&(
                &other.call_id,
                &other.local_tag,
                &other.remote_tag,
            ))
        })
}

fn verdict_of_call(call: &CallDialog) -> (Availability, &'static str) {
    match (call.lamp_state(), call.state) {
        (CallState::Confirmed, CallState::Confirmed) => (Availability::Busy, "a call is confirmed"),
        (CallState::Confirmed, _) => (Availability::Busy, "a call is being made"),
        _ => (Availability::Ringing, "an incoming call is unanswered"),
    }
}

fn is_open<'a>(
    availability: Availability,
    calls: &Calls,
    declarations: impl Iterator<Item = &'a Declaration>,
) -> bool {
    let said = declarations
        .filter_map(|said| said.open)
        .reduce(|one, other| one || other);
    availability != Availability::DoNotDisturb && said.unwrap_or(!calls.is_empty())
}

/// The note of the strongest declaration that has one; of the newest among equals.
fn note<'a>(declarations: impl Iterator<Item = &'a Declaration>) -> Option<Arc<str>> {
    declarations
        .filter(|said| said.note.is_some())
        .min_by_key(|said| (said.verdict().0.rank(), Reverse(said.since)))
        .and_then(|said| said.note.clone())
}

/// Takes the list of `previous` when it is the same: a busy lamp must not cost a new list for a
/// client that is at lunch.
fn share_activities(rest: ActivitySet, previous: &Composed, composed: &mut Composed) {
    if previous
        .activities
        .iter()
        .map(|name| &**name)
        .eq(rest.names())
    {
        composed.activities = Arc::clone(&previous.activities);
    } else if !composed
        .activities
        .iter()
        .map(|name| &**name)
        .eq(rest.names())
    {
        composed.activities = rest.names().map(Box::from).collect();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
