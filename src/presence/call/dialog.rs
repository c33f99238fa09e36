//! A call leg as somebody reports it: the `dialog` element of RFC 4235, as a value.

use std::time::Duration;

use crate::presence::Aor;

/// How far a call leg got (RFC 4235 §3.7.1; W:B3.6). Ordered by what a lamp should show first
/// (W:B3.15, C0.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallState {
    /// Over.
    Terminated,
    /// INVITE sent, nothing back.
    Trying,
    /// A provisional answer without a tag.
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

    /// How long a statement of this state is believed without being renewed (W:B1.17).
    /// None: as long as its source says.
    #[must_use]
    pub const fn time_to_live_max(self) -> Option<Duration> {
        match self {
            Self::Trying | Self::Proceeding => Some(Duration::from_secs(10)),
            Self::Early => Some(Duration::from_secs(180)),
            Self::Confirmed | Self::Terminated => None,
        }
    }

    /// How far along the life of a leg this is (RFC 4235 §3.7.1): a leg never goes back to a
    /// smaller number. Not the order of [`Ord`], which is what a lamp shows first.
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

    /// Whether the call is neither answered nor over.
    #[must_use]
    pub const fn is_unanswered(self) -> bool {
        self.progress() < Self::Confirmed.progress()
    }
}

/// Who called, seen from the presentity (W:C0.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// The presentity called.
    Initiator,
    /// The presentity is being called.
    Recipient,
}

/// One end of a call leg (RFC 4235 §4.1.6).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Party {
    /// The identity URI; empty when unknown.
    pub identity: Box<str>,
    /// The display name; empty when unknown.
    pub display: Box<str>,
    /// The target URI; empty when unknown.
    pub target: Box<str>,
    /// `+sip.rendering`: Some(false) is hold (W:B3.10).
    pub rendering: Option<bool>,
}

/// One call leg, as one source reports it. Immutable; a change is a new value. Shared between
/// shards by reference.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallDialog {
    /// The `id` attribute, as the source wrote it when it first named the leg. Watchers see only a
    /// digest of it.
    pub id: Box<str>,
    /// Call-ID, local tag and remote tag as seen from the presentity; empty when unknown.
    pub call_id: Box<str>,
    /// See `call_id`.
    pub local_tag: Box<str>,
    /// See `call_id`.
    pub remote_tag: Box<str>,
    /// Who called; None when the source does not say.
    pub direction: Option<Direction>,
    /// How far it got.
    pub state: CallState,
    /// The presentity's end.
    pub local: Party,
    /// The other end.
    pub remote: Party,
    /// The other end is told to nobody: CLIR (W:B9.2), or a number whose domain does not reveal it
    /// (W:D1.4).
    pub remote_is_private: bool,
}

impl CallDialog {
    /// Whether it reports the same as `other`, whatever `id` either goes by.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
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
        *call_id == other.call_id
            && *local_tag == other.local_tag
            && *remote_tag == other.remote_tag
            && *direction == other.direction
            && *state == other.state
            && *local == other.local
            && *remote == other.remote
            && *remote_is_private == other.remote_is_private
    }

    /// Whether the call waits at `aor` to be taken: it is on hold, and whoever calls `aor` takes it
    /// (W:C8.1). A user's own call on hold is taken nowhere.
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

    /// What a lamp shows for this leg. A call the presentity makes itself lights the lamp steadily
    /// from its first INVITE, because many phones blink on every `early`, whoever called (W:C0.4,
    /// F3). A source that does not say who called is taken to mean an incoming call (W:C2.4).
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
