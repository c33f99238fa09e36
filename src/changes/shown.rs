//! The state of a presentity as JSON: in the API, its events and relays.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::changes::Change;
use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::{Availability, Extended, ImagicleStatus};
use crate::shard::contract::report::PresentityState;

/// A state that was asked for.
pub(crate) fn of_state(state: &PresentityState, directory: &Directory) -> Value {
    let mut json = Shown::from(state).json(directory.name_of(&state.aor));
    json["call_seconds"] = state.call_age.as_ref().map(Duration::as_secs).into();
    json
}

/// A state that has just changed.
pub(crate) fn of_change(change: Change<'_>, directory: &Directory) -> Value {
    let mut json = Shown::from(change).json(directory.name_of(&change.state.aor));
    json["time"] = time(change.state.at).into();
    json
}

/// `2026-11-29T12:00:00.123Z`
pub(crate) fn time(unix_milliseconds: i64) -> String {
    humantime::format_rfc3339_millis(system_time(unix_milliseconds)).to_string()
}

/// A time in milliseconds since 1970 UTC.
pub(crate) fn system_time(unix_milliseconds: i64) -> SystemTime {
    let since_1970 = Duration::from_millis(unix_milliseconds.max(0).unsigned_abs());
    let time = SystemTime::UNIX_EPOCH.checked_add(since_1970);
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// What is shown of a state, as far as the domain lets watchers see it at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown<'a> {
    /// The presentity.
    pub(crate) aor: &'a Aor,
    /// The composed availability.
    pub(crate) availability: Availability,
    /// The PIDF basic status: true for open.
    pub(crate) is_open: bool,
    /// The dialog state that a lamp shows.
    pub(crate) lamp: CallState,
    /// Whether there is a call. Do-not-disturb may light a lamp without one.
    pub(crate) has_call: bool,
    /// The state in the vocabulary of the domain's composition style; None in the standard style.
    pub(crate) extended: Option<Extended>,
    /// The other party of the call that a lamp shows; empty if there is none.
    pub(crate) party: &'a str,
    /// The note; empty if there is none.
    pub(crate) note: &'a str,
}

impl<'a> From<&'a PresentityState> for Shown<'a> {
    fn from(state: &'a PresentityState) -> Self {
        Self {
            aor: &state.aor,
            availability: state.availability,
            is_open: state.is_open,
            lamp: state.lamp,
            has_call: state.has_call,
            extended: state.extended,
            party: &state.party,
            note: &state.note,
        }
    }
}

impl<'a> From<Change<'a>> for Shown<'a> {
    fn from(change: Change<'a>) -> Self {
        let state = change.state;
        Self {
            aor: &state.aor,
            availability: state.availability,
            is_open: state.is_open,
            lamp: state.lamp,
            has_call: state.has_call,
            extended: state.extended,
            party: change.party,
            note: change.note,
        }
    }
}

impl Shown<'_> {
    /// As JSON, with the display name of the presentity.
    pub(crate) fn json(&self, name: &str) -> Value {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let tracks = match self.extended {
            Some(Extended::Imagicle(tracks)) => Some(tracks),
            _ => None,
        };
        let word = |status: Option<ImagicleStatus>| status.map(ImagicleStatus::as_str);
        json!({
            "aor": self.aor.as_str(),
            "name": name,
            "availability": self.availability.as_str(),
            "basic": if self.is_open { "open" } else { "closed" },
            "lamp": self.lamp.as_str(),
            "status": self.extended.map(Extended::as_str),
            "telephony": tracks.and_then(|tracks| word(tracks.telephony)),
            "rich": tracks.and_then(|tracks| word(tracks.rich)),
            "party": some(self.party),
            "note": some(self.note),
        })
    }
}
