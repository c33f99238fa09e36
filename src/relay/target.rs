//! What all kinds of targets have in common: they are told states, and may fail.

use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::sync::Notify;

use crate::presence::Aor;
use crate::relay::queue::Entry;
use crate::relay::state::State;
use crate::relay::told::{Told, Traces};

/// Another system.
pub(super) trait Target {
    /// Tells it a state. The relay limits how long that takes. A state is told again if that failed, so a
    /// target may learn it twice.
    fn tell<'a>(&'a self, entry: &'a Entry) -> LocalBoxFuture<'a, Result<(), Fault>>;

    /// States that it is told at once.
    fn lanes(&self) -> usize;

    /// Whether it can be told of a person at all. States of others are not queued.
    fn takes(&self, _aor: &Aor) -> bool {
        true
    }

    /// What it shows of a person after it was told that state; `shown` is what it may show before.
    fn traces(&self, state: &State, _shown: Traces) -> Traces {
        Traces::ALL.when(!state.is_at_rest())
    }

    /// Whether it is told states of which it shows nothing, and has shown nothing before.
    fn wants_rest(&self) -> bool {
        true
    }

    /// After which time a state that it was told is told again, although nothing has changed; None for never.
    fn again(&self, _state: &State, _shown: Traces) -> Option<Duration> {
        None
    }

    /// What an earlier process has told it, before it is told anything.
    fn begin(&self, _told: &Told) {}

    /// What it does besides; dropped when the relay ends. `is_back` says that it can be told again: it is told all states
    /// anew, at once.
    fn attend<'a>(&'a self, _is_back: &'a Notify) -> LocalBoxFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

/// Why a state was not told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// In words. Names no person, no address of a person and no secret.
    pub(crate) why: String,
    /// What to do.
    pub(crate) remedy: Remedy,
}

/// What to do about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// This person's state is tried again; others go on.
    Retry,
    /// The target takes no states: all of them wait, for as long as it asked for.
    Wait(Option<Duration>),
    /// The target refuses us: as [`Self::Wait`], until an operator mends that.
    Forbidden,
    /// The state can never be told.
    GiveUp,
    /// The target does not know this person: as [`Self::GiveUp`], but nothing is wrong with the relay.
    Unknown,
}

impl Fault {
    /// The target cannot be reached, or is not ready.
    pub(super) fn wait(why: impl Into<String>) -> Self {
        Self::new(why, Remedy::Wait(None))
    }

    /// With that remedy.
    pub(super) fn new(why: impl Into<String>, remedy: Remedy) -> Self {
        Self {
            why: why.into(),
            remedy,
        }
    }
}
