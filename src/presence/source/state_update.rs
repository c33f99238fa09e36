//! Statements that are no publication: what the operator says by a command, a phone by a feature
//! event, a registrar by a REGISTER, the HTTP hook by a request. Each becomes a contribution with a
//! name of its own.
//!
//! Saying the same again changes nothing. Texts are taken as long as they are: whoever reads them
//! from outside bounds them.

use std::sync::Arc;
use std::time::Duration;

use crate::presence::call::Appearance;
use crate::presence::call::CallDialog;
use crate::presence::source::Forward;
use crate::presence::source::Messages;
use crate::presence::source::RichPresence;

/// Who says that there is a call. Each has one voice: a later statement replaces its earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallSource {
    /// `call_state.htm`: `http:call_state`.
    CallState,
    /// The operator lights a virtual resource or fills an orbit: `operator:lamp`.
    Operator,
}

/// What somebody says about a presentity.
#[derive(Clone, Debug)]
pub enum StateUpdate {
    /// The call it is in, or that it is in none; believed that long at most (None: until said
    /// otherwise).
    Call {
        /// Who says so.
        source: CallSource,
        /// The call; None clears.
        call: Option<Arc<CallDialog>>,
        /// How long it is believed. What [`CallSource::CallState`] says is also bounded by
        /// [`crate::presence::call::CallState::time_to_live_max`]; a lamp that the operator makes
        /// blink, blinks.
        expires: Option<Duration>,
    },
    /// [`CallSource::CallState`] says do-not-disturb in place of a call, for that long; its next
    /// word takes it back.
    CallStateDoNotDisturb(Duration),
    /// Do-not-disturb goes on or off: `feature:dnd`.
    DoNotDisturb(bool),
    /// A forwarding is set: `feature:forward`. One that is off and goes nowhere is forgotten.
    Forward(Forward),
    /// The operator's note, which goes before any other; None takes it away: `operator:note`.
    Note(Option<Arc<str>>),
    /// The operator's word on availability, by RPID activity names and `open`. It stands for what
    /// the clients declare, until None takes it away: `operator:presence`.
    Presence(Option<RichPresence>),
    /// What waits in the mailbox; None takes it away: `operator:messages`.
    Messages(Option<Messages>),
    /// Contacts that are registered from now on for that long (zero: no longer): `register:<uri>`.
    /// Beyond [`crate::presence::registration::CONTACTS_MAX`] they are passed over.
    Registered(Vec<(Box<str>, Duration)>),
    /// No contact is registered any more.
    Unregistered,
    /// What an appearance of a shared line does: `operator:appearance`. An index outside
    /// [`crate::presence::call::appearance::INDEXES`] is passed over.
    Appearance(Appearance),
}
