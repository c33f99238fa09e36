//! Changes of composed state, for a history that the operator reads, and for readers of events.
//!
//! Unlike a record, a change is only appended, and nothing waits for it: the driver may lose some
//! when it cannot keep up, and counts them.

use std::ops::Range;

use crate::directory::peer_systems::Addressees;
use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::{Availability, Extended};

/// One change of a composed state: what it is now, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// When, in milliseconds since 1970 UTC.
    pub at: i64,
    /// The presentity.
    pub aor: Aor,
    /// The readers that the state is for.
    pub addressees: Addressees,
    /// The composed availability.
    pub availability: Availability,
    /// The PIDF basic status: true for open.
    pub is_open: bool,
    /// The dialog state that a lamp shows.
    pub lamp: CallState,
    /// Whether there is a call. Do-not-disturb may light a lamp without one.
    pub has_call: bool,
    /// The state in the vocabulary of the domain's composition style; None in the standard style.
    pub extended: Option<Extended>,
    /// The kind of source that decided.
    pub decider: &'static str,
    /// The rule that decided.
    pub rule: &'static str,
    /// The other party of the call that a lamp shows, as watchers may see it at most; a range of the
    /// arena, empty if there is none.
    pub party: Range<usize>,
    /// The note; a range of the arena, empty if there is none.
    pub note: Range<usize>,
}
