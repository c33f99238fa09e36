//! The statements about a presentity that are not publications: the last update of each source.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::presence::DataSubject;
use crate::presence::call::{
    Appearance, AppearanceState, CallDialog, CallParts, CallState, appearance,
};
use crate::presence::composition::{Contributor, Declaration};
use crate::presence::presentity::GRACE;
use crate::presence::registration::Registrations;
use crate::presence::source::{CallSource, Features, Forward, Messages, StateUpdate};
use crate::presence::wall_clock;

/// All of these statements.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Statements {
    pub(super) call_state: Option<CallStatement>,
    /// Do-not-disturb, which `call_state.htm` set instead of a call, and when it ends.
    pub(super) call_state_dnd: Option<DoNotDisturb>,
    pub(super) lamp: Option<CallStatement>,
    pub(super) do_not_disturb: Option<Stated<()>>,
    /// At most one of each kind, in the order of the kinds.
    pub(super) forwards: Vec<Stated<Forward>>,
    pub(super) note: Option<Stated<Arc<str>>>,
    pub(super) presence: Option<Declaration>,
    pub(super) messages: Option<Stated<Messages>>,
    pub(super) registrations: Registrations,
    /// The appearances that are not idle, in the order of their index.
    pub(super) appearances: Vec<Stated<Appearance>>,
}

impl Default for Statements {
    fn default() -> Self {
        Self::BLANK
    }
}

/// A statement, and when it was first made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Stated<T> {
    pub(super) what: T,
    #[serde(with = "wall_clock::instant")]
    pub(super) since: Instant,
}

/// The call that a source last reported.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DoNotDisturb {
    pub(super) stated: Stated<()>,
    #[serde(with = "wall_clock::instant")]
    pub(super) until: Instant,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct CallStatement {
    pub(super) call: Arc<CallDialog>,
    #[serde(with = "wall_clock::instant")]
    pub(super) since: Instant,
    #[serde(with = "wall_clock::optional_instant")]
    pub(super) until: Option<Instant>,
}

impl Statements {
    /// No statements.
    pub(super) const BLANK: Self = Self {
        call_state: None,
        call_state_dnd: None,
        lamp: None,
        do_not_disturb: None,
        forwards: Vec::new(),
        note: None,
        presence: None,
        messages: None,
        registrations: Registrations::NONE,
        appearances: Vec::new(),
    };

    /// Applies the update of a source.
    pub(super) fn take(&mut self, said: StateUpdate, now: Instant) {
        match said {
            StateUpdate::Call {
                source,
                call,
                expires,
            } => {
                let until = expires.and_then(|expires| now.checked_add(expires));
                match source {
                    CallSource::CallState => {
                        let before = self.call_state.as_ref().map(|statement| &statement.call);
                        let call = call.map(|call| answered(before, call));
                        let life = call.as_ref().and_then(|call| call.state.time_to_live_max());
                        let end = life.map(|life| now + life);
                        let until = until.into_iter().chain(end).min();
                        restate_call(&mut self.call_state, call, until, now);
                    }
                    CallSource::Operator => restate_call(&mut self.lamp, call, until, now),
                }
            }
            StateUpdate::CallStateDoNotDisturb(life) => {
                self.call_state = None;
                self.take_call_state_dnd(life, now);
            }
            StateUpdate::DoNotDisturb(is_on) => {
                restate(&mut self.do_not_disturb, is_on.then_some(()), now);
            }
            StateUpdate::Forward(forward) => self.take_forward(forward, now),
            StateUpdate::Note(note) => {
                let note = note.filter(|note| !note.is_empty());
                restate(&mut self.note, note, now);
            }
            StateUpdate::Presence(statement) => {
                self.presence = statement.map(|statement| Declaration::new(statement, now));
            }
            StateUpdate::Messages(messages) => restate(&mut self.messages, messages, now),
            StateUpdate::Registered(contacts) => self.registrations.register(contacts, now),
            StateUpdate::Unregistered => self.registrations.unregister(now),
            StateUpdate::Appearance(appearance) => self.take_appearance(appearance, now),
        }
    }

    /// Applies do-not-disturb that was reported as the state of a call; no life: its end.
    pub(super) fn take_call_state_dnd(&mut self, life: Duration, now: Instant) {
        let before = self.call_state_dnd.take();
        let since = before.map_or(now, |before| before.stated.since);
        let stated = Stated { what: (), since };
        let until = now + life;
        let after = DoNotDisturb { stated, until };
        self.call_state_dnd = Some(after).filter(|_| !life.is_zero());
    }

    /// Removes the names of people who are erased from the parties of the calls; from how many.
    pub(super) fn anonymise(&mut self, erased: &DataSubject) -> usize {
        let calls = [&mut self.call_state, &mut self.lamp].into_iter().flatten();
        let calls = calls.map(|statement| &mut statement.call);
        calls
            .map(|call| usize::from(CallDialog::anonymise(call, erased)))
            .sum()
    }

    /// Drops expired statements. Returns whether anything but a call was dropped.
    pub(super) fn expire(&mut self, now: Instant) -> bool {
        for slot in [&mut self.call_state, &mut self.lamp] {
            let until = slot.as_ref().and_then(|statement| statement.until);
            if until.is_some_and(|until| until <= now) {
                *slot = None;
            }
        }
        let dnd = self.call_state_dnd.take();
        self.call_state_dnd = dnd.filter(|dnd| dnd.until > now);
        self.registrations.expire(GRACE, now)
    }

    /// The next time at which [`Self::expire`] must be called.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let calls = [&self.call_state, &self.lamp].into_iter().flatten();
        calls
            .filter_map(|statement| statement.until)
            .chain(self.call_state_dnd.as_ref().map(|dnd| dnd.until))
            .chain(self.registrations.next_expiry(GRACE))
            .min()
    }

    /// Returns whether there is no statement, and no registrar has ever reported on the user.
    pub(super) fn are_blank(&self) -> bool {
        let Self {
            call_state,
            call_state_dnd,
            lamp,
            do_not_disturb,
            forwards,
            note,
            presence,
            messages,
            registrations,
            appearances,
        } = self;
        call_state.is_none()
            && call_state_dnd.is_none()
            && lamp.is_none()
            && do_not_disturb.is_none()
            && forwards.is_empty()
            && note.is_none()
            && presence.is_none()
            && messages.is_none()
            && !registrations.are_known()
            && appearances.is_empty()
    }

    /// The call of each source that has one.
    pub(super) fn calls(&self) -> impl Iterator<Item = (Contributor, &Arc<CallDialog>)> + Clone {
        let by = [
            (CallSource::CallState, &self.call_state),
            (CallSource::Operator, &self.lamp),
        ];
        by.into_iter().filter_map(|(source, slot)| {
            let statement = slot.as_ref()?;
            Some((Contributor::Call(source), &statement.call))
        })
    }

    /// Since when a source states that call.
    pub(super) fn since_of(&self, call: &Arc<CallDialog>) -> Option<Instant> {
        let mut calls = [&self.call_state, &self.lamp].into_iter().flatten();
        let statement = calls.find(|statement| Arc::ptr_eq(&statement.call, call))?;
        Some(statement.since)
    }

    /// The features that are set.
    pub(super) fn features(&self) -> Features {
        let forwards = self.forwards.iter().map(|stated| stated.what.clone());
        Features {
            do_not_disturb: self.do_not_disturb.is_some(),
            forwards: forwards.collect(),
        }
    }

    fn take_forward(&mut self, forward: Forward, now: Instant) {
        let kind = |stated: &Stated<Forward>| stated.what.kind;
        let is_blank = !forward.is_active && forward.target.is_empty();
        let place = self.forwards.binary_search_by_key(&forward.kind, kind);
        put(&mut self.forwards, place, forward, is_blank, now);
    }

    fn take_appearance(&mut self, appearance: Appearance, now: Instant) {
        if !appearance::INDEXES.contains(&appearance.index) {
            return;
        }
        let index = |stated: &Stated<Appearance>| stated.what.index;
        let is_idle = appearance.state == AppearanceState::Idle;
        let place = self
            .appearances
            .binary_search_by_key(&appearance.index, index);
        put(&mut self.appearances, place, appearance, is_idle, now);
    }
}

/// A call that was ringing and is now answered keeps its `id` and direction, where reports tell no more of a call
/// than its other party.
pub(super) fn answered(before: Option<&Arc<CallDialog>>, call: Arc<CallDialog>) -> Arc<CallDialog> {
    let rang = before
        .filter(|before| call.state == CallState::Confirmed && before.remote() == call.remote());
    rang.map_or_else(
        || Arc::clone(&call),
        |rang| {
            let answered = CallParts {
                id: rang.id(),
                direction: rang.direction,
                ..call.parts()
            };
            Arc::new(answered.into())
        },
    )
}

/// Inserts `what` at its position in an ordered list, or removes the entry at that position.
fn put<T: PartialEq>(
    list: &mut Vec<Stated<T>>,
    place: Result<usize, usize>,
    what: T,
    clears: bool,
    now: Instant,
) {
    match place {
        Ok(place) if clears => {
            list.remove(place);
        }
        Ok(place) if list[place].what == what => {}
        Ok(place) => list[place] = Stated { what, since: now },
        Err(_) if clears => {}
        Err(place) => list.insert(place, Stated { what, since: now }),
    }
}

/// Replaces a statement, unless it is equal.
fn restate<T: PartialEq>(slot: &mut Option<Stated<T>>, what: Option<T>, now: Instant) {
    let is_same = slot.as_ref().map(|stated| &stated.what) == what.as_ref();
    if !is_same {
        *slot = what.map(|what| Stated { what, since: now });
    }
}

/// Replaces a call; repeating it only changes when it ends.
fn restate_call(
    slot: &mut Option<CallStatement>,
    call: Option<Arc<CallDialog>>,
    until: Option<Instant>,
    now: Instant,
) {
    let is_over = until.is_some_and(|until| until <= now);
    let call = call.filter(|call| call.state != CallState::Terminated && !is_over);
    *slot = call.map(|call| match slot.take() {
        Some(old) if old.call.equals_but_for_id(&call) => CallStatement { until, ..old },
        _ => CallStatement {
            call,
            since: now,
            until,
        },
    });
}
