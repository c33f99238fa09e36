//! The composed state of a presentity: what every document about it is made of.

use std::sync::Arc;

use crate::presence::call::{Appearance, Calls, SpecificDialog};
use crate::presence::composition::{Availability, Extended, Style, Tracks};
use crate::presence::profile::DoNotDisturbLamp;
use crate::presence::registration::{EndedContact, RegisteredContact};
use crate::presence::source::{Features, Messages};

/// The one state that every document about a presentity is made of. Watchers are notified if it
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
    /// State of other packages; shared with the previous state if unchanged.
    pub extras: Arc<Extras>,
}

impl Composed {
    /// The state of a user about whom nothing is known.
    #[must_use]
    pub fn of_unknown(style: Style) -> Self {
        let availability = match style {
            // A user who is not known to be reachable is unreachable (W:D2.12).
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

    /// The state without any call but `dialog`, for a document about dialogs. Do-not-disturb, which
    /// such a document may show as a dialog, is no part of it.
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

/// The parts of a state that change seldom: those of the packages besides `dialog` and `presence`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Do-not-disturb and call forwarding, as switched on.
    pub features: Features,
    /// The mailbox; None if no source says anything about one.
    pub messages: Option<Messages>,
    /// The registered contacts, in the order of their `id`.
    pub contacts: Vec<RegisteredContact>,
    /// Contacts that ended lately, for watchers that were shown them.
    pub ended_contacts: Vec<EndedContact>,
    /// The appearances that are not idle, in the order of their index.
    pub appearances: Vec<Appearance>,
    /// The number or URI that reaches the user while no contact is registered: the contact of a PIDF
    /// (W:D2.6). None if there is none, or a contact is registered.
    pub alternative: Option<Box<str>>,
    /// The user's name.
    pub display: Option<Box<str>>,
    /// What lamps show of do-not-disturb, unless a phone's profile says otherwise.
    pub do_not_disturb_lamp: DoNotDisturbLamp,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Composed;
    use crate::presence::call::{CallDialog, CallState, Party, SpecificDialog};
    use crate::presence::composition::Availability;

    fn call(call_id: &str, local_tag: &str, remote_tag: &str) -> CallDialog {
        CallDialog {
            id: call_id.into(),
            call_id: call_id.into(),
            local_tag: local_tag.into(),
            remote_tag: remote_tag.into(),
            direction: None,
            state: CallState::Early,
            local: Party::default(),
            remote: Party::default(),
            remote_is_private: false,
        }
    }

    #[test]
    fn one_of_many_by_what_is_known_of_it() {
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
