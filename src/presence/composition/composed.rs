//! The composed state of a presentity, from which every document about it is written.

use std::sync::Arc;

use crate::presence::call::{Appearance, Calls, SpecificDialog};
use crate::presence::composition::{Availability, Extended, Style, Tracks};
use crate::presence::profile::DoNotDisturbLamp;
use crate::presence::registration::{EndedContact, RegisteredContact};
use crate::presence::source::{Features, Messages};

/// The state from which every document about a presentity is written. Watchers are notified if it
/// changes (W:A3.14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Composed {
    /// The verdict.
    pub availability: Availability,
    /// `basic` of the PIDF.
    pub open: bool,
    /// True if a registrar has reported on this user and no contact is registered (W:C0.12).
    pub is_unregistered: bool,
    /// The verdict in the terms of the domain's style; None in the standard style.
    pub extended: Option<Extended>,
    /// Live call legs, never a terminated one. The first is the one that a lamp should show.
    pub calls: Calls,
    /// RPID activities beyond what `availability` implies, in stable order.
    pub activities: Arc<[Box<str>]>,
    /// The note.
    pub note: Option<Arc<str>>,
    /// State that is not about calls or presence; shared with the previous composed state while it
    /// is equal.
    pub extras: Arc<Extras>,
}

impl Composed {
    /// The state of a user without contributions.
    #[must_use]
    pub fn of_unknown(style: Style) -> Self {
        let availability = match style {
            // A user that is not known to be reachable is unreachable (W:D2.12).
            Style::Alceo => Availability::Unreachable,
            Style::Standard | Style::Imagicle => Availability::Offline,
        };
        let extended = match style {
            Style::Standard => None,
            Style::Alceo => Some(Extended::Alceo(availability.into())),
            Style::Imagicle => Some(Extended::Imagicle(Tracks {
                combined: availability.into(),
                telephony: None,
                rich: None,
            })),
        };
        Self {
            availability,
            extended,
            ..Self::default()
        }
    }

    /// Whether a presence document about the user would say nothing: offline, without a call, an activity or a note, and no
    /// registrar has reported.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        let is_away = matches!(
            self.availability,
            Availability::Offline | Availability::Unreachable
        );
        is_away
            && !self.open
            && !self.is_unregistered
            && self.calls.is_empty()
            && self.activities.is_empty()
            && self.note.is_none()
    }

    /// The state with no call except `dialog`, for a document about specific dialogs. It does not
    /// include do-not-disturb, which such a document could show as a dialog.
    #[must_use]
    pub fn narrowed_to(&self, dialog: &SpecificDialog) -> Self {
        let mut narrowed = self.clone();
        narrowed.calls.retain(|call| dialog.matches(call));
        if narrowed.availability == Availability::DoNotDisturb {
            narrowed.availability = Availability::default();
        }
        narrowed
    }
}

/// The parts of a state that rarely change: those of the packages other than `dialog` and
/// `presence`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Do-not-disturb and call forwarding, as set.
    pub features: Features,
    /// The mailbox; None if no source says anything about one.
    pub messages: Option<Messages>,
    /// The registered contacts, in the order of their `id`.
    pub contacts: Vec<RegisteredContact>,
    /// Contacts that ended recently, for watchers that were sent them.
    pub ended_contacts: Vec<EndedContact>,
    /// The appearances that are not idle, in the order of their index.
    pub appearances: Vec<Appearance>,
    /// The number or URI that reaches the user while no contact is registered: the contact of a PIDF
    /// (W:D2.6). None if there is none, or a contact is registered.
    pub alternative: Option<Box<str>>,
    /// The user's display name.
    pub display: Option<Box<str>>,
    /// How lamps show do-not-disturb, unless a phone's profile overrides it.
    pub do_not_disturb_lamp: DoNotDisturbLamp,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Composed;
    use crate::presence::call::{CallDialog, CallParts, CallState, SpecificDialog};
    use crate::presence::composition::Availability;

    fn call(call_id: &str, local_tag: &str, remote_tag: &str) -> CallDialog {
        CallDialog::from(CallParts {
            call_id,
            local_tag,
            remote_tag,
            ..CallParts::new(call_id, CallState::Early)
        })
    }

    #[test]
    fn calls_match_by_the_identifiers_that_are_known() {
        let calls = [
            call("a", "l", "r"),
            call("a", "l", "other"),
            call("b", "", ""),
            call("", "", ""),
        ];
        let composed = Composed {
            availability: Availability::DoNotDisturb,
            calls: calls.into_iter().map(Arc::new).collect(),
            ..Composed::default()
        };
        let table = [
            (["a", "l", "r"], 1),
            (["a", "l", ""], 2),
            (["a", "r", "l"], 0),
            (["A", "l", "r"], 0),
            (["b", "l", "r"], 1),
            (["c", "", ""], 0),
        ];
        for ([call_id, local_tag, remote_tag], calls) in table {
            let dialog = SpecificDialog {
                call_id: call_id.into(),
                local_tag: local_tag.into(),
                remote_tag: remote_tag.into(),
            };
            let narrowed = composed.narrowed_to(&dialog);
            assert_eq!(narrowed.calls.len(), calls, "{dialog:?}");
            assert_eq!(narrowed.availability, Availability::Offline);
        }
    }
}
