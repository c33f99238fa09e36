//! A call leg as a source reports it: the `dialog` element of RFC 4235, as a value.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::presence::Aor;

/// The state of a call leg (RFC 4235 §3.7.1). Ordered by what a lamp should show first (W:B3.15,
/// C0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CallState {
    /// Ended.
    Terminated,
    /// INVITE sent, no response yet.
    Trying,
    /// A provisional response without a tag.
    Proceeding,
    /// Answered.
    Confirmed,
    /// Ringing.
    Early,
}

impl CallState {
    /// The text of a `state` element.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trying => "trying",
            Self::Proceeding => "proceeding",
            Self::Early => "early",
            Self::Confirmed => "confirmed",
            Self::Terminated => "terminated",
        }
    }

    /// How long this state is trusted unless it is reported again (W:B1.17). None: as long as its
    /// source says.
    #[must_use]
    pub const fn time_to_live_max(self) -> Option<Duration> {
        match self {
            Self::Trying | Self::Proceeding => Some(Duration::from_secs(10)),
            Self::Early => Some(Duration::from_secs(180)),
            Self::Confirmed | Self::Terminated => None,
        }
    }

    /// How far along the life of a leg this state is (RFC 4235 §3.7.1): a leg never goes back to a
    /// smaller number. Unlike [`Ord`], which is the order in which a lamp shows legs.
    #[must_use]
    pub const fn progress(self) -> u8 {
        match self {
            Self::Trying => 0,
            Self::Proceeding => 1,
            Self::Early => 2,
            Self::Confirmed => 3,
            Self::Terminated => 4,
        }
    }

    /// Returns whether the call is neither answered nor ended.
    #[must_use]
    pub const fn is_unanswered(self) -> bool {
        self.progress() < Self::Confirmed.progress()
    }
}

/// The direction of a call, seen from the presentity (W:C0.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// The presentity called.
    Initiator,
    /// The presentity is being called.
    Recipient,
}

/// One end of a call leg (RFC 4235 §4.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Party {
    /// The identity URI; empty if unknown.
    pub identity: Box<str>,
    /// The display name; empty if unknown.
    pub display: Box<str>,
    /// The target URI; empty if unknown.
    pub target: Box<str>,
    /// `+sip.rendering`: Some(false) is hold (RFC 4235 §4.1.6).
    pub rendering: Option<bool>,
}

/// One call leg, as one source reports it. Immutable: a change makes a new value. Shards share it by
/// reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallDialog {
    /// Its state. It comes first because comparing it is cheap and most reports change it.
    pub state: CallState,
    /// The `id` attribute, as written by the source when it first reported the leg. Watchers see
    /// only a digest of it.
    pub id: Box<str>,
    /// Call-ID, local tag and remote tag as seen from the presentity; empty if unknown.
    pub call_id: Box<str>,
    /// See `call_id`.
    pub local_tag: Box<str>,
    /// See `call_id`.
    pub remote_tag: Box<str>,
    /// Who called; None if the source does not say.
    pub direction: Option<Direction>,
    /// The presentity's end.
    pub local: Party,
    /// The other end.
    pub remote: Party,
    /// The other party is hidden from every watcher: CLIR (RFC 3323, RFC 3325 §9.3), or a number
    /// that its domain does not reveal (W:D1.4).
    pub remote_is_private: bool,
}

impl CallDialog {
    /// Returns whether it equals `other` apart from the `id`.
    #[must_use]
    pub fn equals_but_for_id(&self, other: &Self) -> bool {
        let Self {
            id: _,
            call_id,
            local_tag,
            remote_tag,
            direction,
            state,
            local,
            remote,
            remote_is_private,
        } = self;
        *state == other.state
            && *call_id == other.call_id
            && *local_tag == other.local_tag
            && *remote_tag == other.remote_tag
            && *direction == other.direction
            && *local == other.local
            && *remote == other.remote
            && *remote_is_private == other.remote_is_private
    }

    /// Returns whether the call is parked at `aor`: it is on hold, and a call to `aor` retrieves it
    /// (W:C8.1). A call that a user put on hold is not parked.
    #[must_use]
    pub fn is_parked_at(&self, aor: &Aor) -> bool {
        let target = &*self.remote.target;
        let address = target
            .split_once(':')
            .map_or(target, |(_, address)| address);
        let address = address.split([';', '?', '>']).next().unwrap_or_default();
        self.state == CallState::Confirmed
            && self.local.rendering == Some(false)
            && (address.eq_ignore_ascii_case(aor.as_str()) || address == aor.user())
    }

    /// The state that a lamp shows for this leg. An outgoing call lights the lamp steadily from its
    /// first INVITE, because many phones blink for every `early`, in either direction (W:C0.4, F3).
    /// A call without a direction counts as incoming (W:C2.4).
    #[must_use]
    pub const fn lamp_state(&self) -> CallState {
        match (self.direction, self.state) {
            (
                Some(Direction::Initiator),
                CallState::Trying | CallState::Proceeding | CallState::Early,
            ) => CallState::Confirmed,
            (_, state) => state,
        }
    }
}
