//! Composition: all contributions of a presentity made one state, with the explanation of what decided (DESIGN §3, W:D2.13).
//!
//! One pure function decides for every package: a phone on `presence` and a phone on `dialog` always agree.

use std::fmt;
use std::sync::Arc;

use crate::presence::contribution::Calls;

/// What a presentity is, most important first: do-not-disturb > ringing > busy > away > available, and `Offline` when no
/// source says anything about reachability.
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

/// The one state every document about a presentity is made of. Equality is what decides whether watchers are told (W:A3.14).
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
}
