//! Declarations: what a client or the operator states about the availability of a presentity.

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::presence::composition::Availability;
use crate::presence::composition::activity::{ActivitySet, ON_THE_PHONE};
use crate::presence::source::RichPresence;
use crate::presence::wall_clock;

/// A [`RichPresence`], prepared for composition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Declaration {
    /// See [`RichPresence::open`].
    pub(crate) open: Option<bool>,
    /// The known activities.
    pub(crate) activities: ActivitySet,
    /// The note; never empty.
    pub(crate) note: Option<Arc<str>>,
    /// See [`RichPresence::alternative`]; never empty.
    pub(crate) alternative: Option<Box<str>>,
    /// When it was declared.
    #[serde(with = "wall_clock::instant")]
    pub(crate) since: Instant,
}

/// The rule by which `on-the-phone` makes a user busy.
pub(super) const ON_THE_PHONE_RULE: &str = "a client published on-the-phone";

/// How declarations are interpreted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Understanding {
    /// `closed` declares do-not-disturb (W:D2.11).
    pub(super) closed_is_do_not_disturb: bool,
    /// `on-the-phone` counts as a declaration. Otherwise it belongs to the telephony track.
    pub(super) on_the_phone_counts: bool,
}

impl Declaration {
    /// Makes a declaration of a statement made at `since`.
    pub(crate) fn new(statement: RichPresence, since: Instant) -> Self {
        let alternative = statement.alternative;
        Self {
            open: statement.open,
            activities: ActivitySet::from_names(statement.activities.iter().map(|name| &**name)),
            note: statement
                .note
                .filter(|note| !note.is_empty())
                .map(Arc::from),
            alternative: alternative.filter(|number| !number.is_empty()),
            since,
        }
    }

    /// Returns whether it says anything about availability.
    pub(super) fn says_something(&self) -> bool {
        self.open.is_some() || self.activities != ActivitySet::default()
    }

    /// Returns whether it claims a call.
    pub(super) fn is_on_the_phone(&self) -> bool {
        self.activities.contains(ON_THE_PHONE)
    }

    /// The availability given by this declaration alone, and the reason.
    pub(super) fn verdict(&self, understood: Understanding) -> (Availability, &'static str) {
        let rest = self.activities.without(ON_THE_PHONE);
        if self.activities.declares_do_not_disturb() {
            (Availability::DoNotDisturb, "a client published it")
        } else if understood.closed_is_do_not_disturb && self.open == Some(false) {
            (Availability::DoNotDisturb, "a client published closed")
        } else if understood.on_the_phone_counts && self.is_on_the_phone() {
            (Availability::Busy, ON_THE_PHONE_RULE)
        } else if rest.means(Availability::Busy) {
            (Availability::Busy, "a client published it")
        } else if rest.means(Availability::Away) {
            (Availability::Away, "a client published it")
        } else {
            match self.open {
                Some(true) => (Availability::Available, "a client published open"),
                Some(false) => (Availability::Offline, "a client published closed"),
                None => (Availability::Offline, "no client published open or closed"),
            }
        }
    }
}
