//! What a key of a phone shows, and how a phone derives it from a document.

use std::fmt;

use crate::presence::call::CallState;
use crate::presence::document::{Document, dialog_info};

/// A lamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lamp {
    /// No NOTIFY has come yet.
    #[default]
    Unknown,
    /// No call.
    Off,
    /// A call rings: the lamp blinks.
    Ringing,
    /// In a call: the lamp is red.
    Busy,
}

impl Lamp {
    /// The lamp for the body of a NOTIFY; None if the body is not a dialog-info document.
    pub(super) fn of_document(body: &[u8]) -> Option<Self> {
        let Ok(Document::DialogInfo { dialogs, .. }) = dialog_info::parse(body) else {
            return None;
        };
        let lamp = |state| match state {
            CallState::Terminated => Self::Off,
            CallState::Early => Self::Ringing,
            CallState::Trying | CallState::Proceeding | CallState::Confirmed => Self::Busy,
        };
        Some(
            dialogs
                .first()
                .map_or(Self::Off, |dialog| lamp(dialog.state)),
        )
    }
}

impl fmt::Display for Lamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Unknown => "",
            Self::Off => "off",
            Self::Ringing => "blinking",
            Self::Busy => "red",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lamp(dialogs: &str) -> Option<Lamp> {
        let body = format!(
            "<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" \
             state=\"full\" entity=\"sip:101@example.com\">{dialogs}</dialog-info>"
        );
        Lamp::of_document(body.as_bytes())
    }

    #[test]
    fn a_state_is_a_lamp() {
        let dialog = |state: &str| format!("<dialog id=\"1\"><state>{state}</state></dialog>");
        assert_eq!(lamp(""), Some(Lamp::Off));
        assert_eq!(lamp(&dialog("terminated")), Some(Lamp::Off));
        assert_eq!(lamp(&dialog("early")), Some(Lamp::Ringing));
        assert_eq!(lamp(&dialog("confirmed")), Some(Lamp::Busy));
        assert_eq!(lamp("<dialog"), None);
    }
}
