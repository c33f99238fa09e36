//! A call leg as a source reports it: the `dialog` element of RFC 4235, as a value.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::presence::aor::{Aor, DataSubject, address_of};

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

/// The URI of a party that is not named (RFC 3323 §4.1.1.3).
pub const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// One end of a call leg (RFC 4235 §4.1.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party<'a> {
    /// The identity URI; empty if unknown.
    pub identity: &'a str,
    /// The display name; empty if unknown.
    pub display: &'a str,
    /// The target URI; empty if unknown.
    pub target: &'a str,
    /// `+sip.rendering`: Some(false) is hold (RFC 4235 §4.1.6).
    pub rendering: Option<bool>,
}

/// The parts of a call leg, to make one of. The order is that of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallParts<'a> {
    /// Its state.
    pub state: CallState,
    /// The `id` attribute, as written by the source when it first reported the leg. Watchers see
    /// only a digest of it.
    pub id: &'a str,
    /// Call-ID, local tag and remote tag as seen from the presentity; empty if unknown.
    pub call_id: &'a str,
    /// See `call_id`.
    pub local_tag: &'a str,
    /// See `call_id`.
    pub remote_tag: &'a str,
    /// Who called; None if the source does not say.
    pub direction: Option<Direction>,
    /// The presentity's end.
    #[serde(borrow)]
    pub local: Party<'a>,
    /// The other end.
    #[serde(borrow)]
    pub remote: Party<'a>,
    /// The other party is hidden from every watcher: CLIR (RFC 3323, RFC 3325 §9.3), or a number
    /// that its domain does not reveal (W:D1.4).
    pub remote_is_private: bool,
}

impl<'a> CallParts<'a> {
    /// A leg of which nothing is known but its `id` and state.
    #[must_use]
    pub fn new(id: &'a str, state: CallState) -> Self {
        Self {
            state,
            id,
            call_id: "",
            local_tag: "",
            remote_tag: "",
            direction: None,
            local: Party::default(),
            remote: Party::default(),
            remote_is_private: false,
        }
    }

    /// Its texts, in the order in which a [`CallDialog`] keeps them.
    fn texts(&self) -> [&'a str; TEXTS] {
        [
            self.id,
            self.call_id,
            self.local_tag,
            self.remote_tag,
            self.local.identity,
            self.local.display,
            self.local.target,
            self.remote.identity,
            self.remote.display,
            self.remote.target,
        ]
    }

    /// Octets of its texts.
    pub(crate) fn octets(&self) -> usize {
        self.texts().into_iter().map(str::len).sum()
    }
}

/// Texts of a call leg.
const TEXTS: usize = 10;

/// One call leg, as one source reports it. A change makes a new value; shards share it by reference.
/// All its texts are in one allocation, because a leg is read much more often than it is changed.
#[derive(Clone, PartialEq, Eq)]
pub struct CallDialog {
    /// Its state. It comes first because comparing it is cheap and most reports change it.
    pub state: CallState,
    /// Who called; None if the source does not say.
    pub direction: Option<Direction>,
    /// The other party is hidden from every watcher, see [`CallParts::remote_is_private`].
    pub remote_is_private: bool,
    /// `+sip.rendering` of the presentity's end and of the other end.
    renderings: [Option<bool>; 2],
    /// Where each text ends, in the order of [`CallParts::texts`].
    ends: [u32; TEXTS],
    texts: Box<str>,
}

const _: () = assert!(size_of::<CallDialog>() <= 64);

impl From<CallParts<'_>> for CallDialog {
    fn from(parts: CallParts<'_>) -> Self {
        let mut texts = String::with_capacity(parts.octets());
        let ends = parts.texts().map(|text| {
            texts.push_str(text);
            texts.len() as u32
        });
        Self {
            state: parts.state,
            direction: parts.direction,
            remote_is_private: parts.remote_is_private,
            renderings: [parts.local.rendering, parts.remote.rendering],
            ends,
            texts: texts.into(),
        }
    }
}

impl fmt::Debug for CallDialog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().fmt(formatter)
    }
}

impl Serialize for CallDialog {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.parts().serialize(to)
    }
}

impl<'de> Deserialize<'de> for CallDialog {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        CallParts::deserialize(from).map(Self::from)
    }
}

impl CallDialog {
    /// All its parts.
    #[must_use]
    pub fn parts(&self) -> CallParts<'_> {
        CallParts {
            state: self.state,
            id: self.id(),
            call_id: self.call_id(),
            local_tag: self.local_tag(),
            remote_tag: self.remote_tag(),
            direction: self.direction,
            local: self.local(),
            remote: self.remote(),
            remote_is_private: self.remote_is_private,
        }
    }

    /// The `id` attribute, see [`CallParts::id`].
    #[must_use]
    pub fn id(&self) -> &str {
        self.text(0)
    }

    /// Call-ID as seen from the presentity; empty if unknown.
    #[must_use]
    pub fn call_id(&self) -> &str {
        self.text(1)
    }

    /// The tag of the presentity's end; empty if unknown.
    #[must_use]
    pub fn local_tag(&self) -> &str {
        self.text(2)
    }

    /// The tag of the other end; empty if unknown.
    #[must_use]
    pub fn remote_tag(&self) -> &str {
        self.text(3)
    }

    /// The presentity's end.
    #[must_use]
    pub fn local(&self) -> Party<'_> {
        self.party(4, self.renderings[0])
    }

    /// The other end.
    #[must_use]
    pub fn remote(&self) -> Party<'_> {
        self.party(7, self.renderings[1])
    }

    fn party(&self, first: usize, rendering: Option<bool>) -> Party<'_> {
        Party {
            identity: self.text(first),
            display: self.text(first + 1),
            target: self.text(first + 2),
            rendering,
        }
    }

    #[inline]
    fn text(&self, index: usize) -> &str {
        let start = match index {
            0 => 0,
            _ => self.ends[index - 1] as usize,
        };
        let text = self.texts.get(start..self.ends[index] as usize);
        debug_assert!(text.is_some(), "a text lies within all of them");
        text.unwrap_or_default()
    }

    /// Returns whether it equals `other` apart from the `id`.
    #[must_use]
    pub fn equals_but_for_id(&self, other: &Self) -> bool {
        let [one, other] = [self, other].map(|call| CallParts {
            id: "",
            ..call.parts()
        });
        one == other
    }

    /// Removes the names of people who are erased from the parties of a call. False if neither is one: then other
    /// holders go on to share the call.
    pub(crate) fn anonymise(call: &mut Arc<Self>, erased: &DataSubject) -> bool {
        let mut parts = call.parts();
        let mut is_named = false;
        for party in [&mut parts.local, &mut parts.remote] {
            if erased.is_party(party.identity) || erased.is_party(party.target) {
                *party = Party {
                    identity: ANONYMOUS,
                    rendering: party.rendering,
                    ..Party::default()
                };
                is_named = true;
            }
        }
        if is_named {
            *call = Arc::new(Self::from(parts));
        }
        is_named
    }

    /// Returns whether the call is parked at `aor`: it is on hold, and a call to `aor` retrieves it
    /// (W:C8.1). A call that a user put on hold is not parked.
    #[must_use]
    pub fn is_parked_at(&self, aor: &Aor) -> bool {
        let address = address_of(self.remote().target);
        self.state == CallState::Confirmed
            && self.local().rendering == Some(false)
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
