//! One resource of a list, and the state of it that the phone was sent.

use crate::presence::policy::Decision;
use crate::shard::contract::ids::WatchSlot;

/// Whether a resource is on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// On the list; its state is reported.
    Listed,
    /// Taken off the list; a NOTIFY must still report this (W:D4.5).
    Leaving,
    /// Taken off the list, which a NOTIFY has reported; its position is kept.
    Gone,
    /// On the list, but no such user exists here: reported as terminated, `noresource` (RFC 5367).
    Unknown,
}

/// One resource.
#[derive(Debug)]
pub(crate) struct Resource {
    /// The URI as written in the list.
    pub(super) uri: Box<str>,
    /// Display name, used as key label (W:B5.7).
    pub(super) name: Box<str>,
    pub(super) slot: Option<WatchSlot>,
    /// Basis of its RLMI instance id and Content-IDs (RFC 4662 §5.3-5.5; W:B5.8).
    pub(super) number: u32,
    pub(super) decision: Decision,
    pub(super) membership: Membership,
    /// The version of its next document (W:B5.9).
    pub(super) version: u32,
    /// What the phone was last sent: the hash of the body (odd), or an even code for an instance
    /// without a body (`shown_as`); 0 if the phone might not have received it.
    pub(super) shown: u64,
    /// Its state must be included in a coming NOTIFY.
    pub(super) is_marked: bool,
    /// Not yet included in the full state being sent: must be included even if unchanged.
    pub(super) is_owed: bool,
    /// The phone has been sent this resource, and may display it.
    pub(super) is_displayed: bool,
    /// Listed explicitly, not through a roster; stays whether or not the user is present.
    pub(super) is_fixed: bool,
    /// Its owner has reported its state.
    pub(super) is_known: bool,
}

/// A resource that is no longer on the list, and that the phone may still show. Full state in one
/// NOTIFY simply omits it; if full state takes several NOTIFYs, one of them reports the instance as
/// terminated.
#[derive(Debug)]
pub(crate) struct Leaver {
    pub(super) uri: Box<str>,
    pub(super) name: Box<str>,
    pub(super) number: u32,
    pub(super) is_reported: bool,
}

/// One resource that a NOTIFY reports.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReportedResource {
    /// Its place in the list.
    pub(crate) place: usize,
    /// The hash or code of what is shown: see [`Resource::has_shown`].
    pub(crate) shown: u64,
    pub(crate) has_document: bool,
}

// Questions.
impl Resource {
    /// The URI as written in the list.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Display name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Where its presentity is watched; None if it does not exist or was taken off the list.
    #[inline]
    pub(crate) const fn slot(&self) -> Option<WatchSlot> {
        self.slot
    }

    /// The number of its instance.
    #[inline]
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// What the phone may see of it.
    #[inline]
    pub(crate) const fn decision(&self) -> Decision {
        self.decision
    }

    /// Whether it is on the list.
    #[inline]
    pub(crate) const fn membership(&self) -> Membership {
        self.membership
    }

    /// The version of its next document.
    #[inline]
    pub(crate) const fn version(&self) -> u32 {
        self.version
    }

    /// Whether the phone was last sent this, and the full state in progress need not repeat it.
    #[inline]
    pub(crate) const fn has_shown(&self, shown: u64) -> bool {
        self.shown == shown && !self.is_owed
    }
}

// Changes.
impl Resource {
    /// Returns whether the next NOTIFY may have to report it. Full state reports a removed resource
    /// by omitting it.
    #[inline]
    pub(crate) fn take_due(&mut self, is_full: bool) -> bool {
        if self.membership == Membership::Gone {
            // The phone has acknowledged the NOTIFY that reported it gone.
            self.is_displayed = false;
            return false;
        }
        self.is_marked && !(is_full && self.membership == Membership::Leaving)
    }

    /// The next NOTIFY need not report it.
    #[inline]
    pub(crate) fn unmark(&mut self) {
        self.is_marked = false;
        self.is_owed = false;
    }

    /// Its owner has reported a state, or no longer has to. Returns whether that was outstanding.
    pub(super) fn take_known(&mut self) -> bool {
        !std::mem::replace(&mut self.is_known, true)
    }

    /// Takes it off the list without a NOTIFY that reports this.
    pub(super) fn set_gone(&mut self) {
        self.membership = Membership::Gone;
        self.unmark();
    }

    /// A NOTIFY reports it.
    pub(super) fn reported(&mut self, report: ReportedResource) {
        self.version += u32::from(report.has_document);
        self.shown = report.shown;
        self.unmark();
        self.is_displayed = true;
        if self.membership == Membership::Leaving {
            self.membership = Membership::Gone;
        }
    }
}

impl Leaver {
    /// The URI as written in the list.
    pub(crate) fn uri(&self) -> &str {
        &self.uri
    }

    /// Display name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The number of its instance.
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// Whether a NOTIFY has reported that it ended.
    pub(crate) const fn is_reported(&self) -> bool {
        self.is_reported
    }
}
