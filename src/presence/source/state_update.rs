//! State updates from sources other than PUBLISH: the operator's commands, a phone's feature event, a
//! registrar's REGISTER, the HTTP hook. Each becomes a contribution with a name of its own.
//!
//! Repeating an update changes nothing. Texts may have any length here: their parsers limit them.

use std::sync::Arc;
use std::time::Duration;

use crate::presence::call::{Appearance, CallDialog};
use crate::presence::source::{Forward, Messages, RichPresence};

/// The source that reports a call outside of publications. A source has one call: a later update
/// replaces its earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallSource {
    /// `call_state.htm`: `http:call_state`.
    CallState,
    /// The operator lights a virtual resource or fills an orbit: `operator:lamp`.
    Operator,
}

/// A source's statement about a presentity.
#[derive(Clone, Debug)]
pub enum StateUpdate {
    /// Its call, or that it has none.
    Call {
        /// The source.
        source: CallSource,
        /// The call; None for no call.
        call: Option<Arc<CallDialog>>,
        /// How long the call is trusted; None until the next update. A call of
        /// [`CallSource::CallState`] is also bounded by
        /// [`crate::presence::call::CallState::time_to_live_max`]; a lamp that the operator set to
        /// blink keeps blinking.
        expires: Option<Duration>,
    },
    /// Do-not-disturb instead of a call, from [`CallSource::CallState`], for this long; the next
    /// update of that source ends it.
    CallStateDoNotDisturb(Duration),
    /// Do-not-disturb is set or cleared: `feature:dnd`.
    DoNotDisturb(bool),
    /// A call forwarding is set: `feature:forward`. One that is off and has no target is removed.
    Forward(Forward),
    /// The operator's note, which takes precedence over all other notes; None removes it:
    /// `operator:note`.
    Note(Option<Arc<str>>),
    /// The operator's statement on availability, as RPID activity names and `open`. It overrides
    /// what the clients declare, until None removes it: `operator:presence`.
    Presence(Option<RichPresence>),
    /// The messages in the mailbox; None removes the statement: `operator:messages`.
    Messages(Option<Messages>),
    /// Contacts that are registered from now on, each with its duration (zero ends it):
    /// `register:<uri>`. Those beyond [`crate::presence::registration::CONTACTS_MAX`] are ignored.
    Registered(Vec<(Box<str>, Duration)>),
    /// No contact is registered any longer.
    Unregistered,
    /// The state of an appearance of a shared line: `operator:appearance`. An index outside
    /// [`crate::presence::call::appearance::INDEXES`] is ignored.
    Appearance(Appearance),
}
