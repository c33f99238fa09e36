//! The state of a presentity, as the API and its events show it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::directory::Directory;
use crate::http::changes::Change;
use crate::http::representation::time;
use crate::presence::Aor;
use crate::presence::call::CallState;
use crate::presence::composition::{Availability, Extended, ImagicleStatus};
use crate::shard::contract::report::PresentityState;

/// A state that was asked for.
pub(crate) fn of_state(state: &PresentityState, directory: &Directory) -> Value {
    let shown = Shown {
        aor: &state.aor,
        availability: state.availability,
        is_open: state.is_open,
        lamp: state.lamp,
        extended: state.extended,
        party: &state.party,
        note: &state.note,
    };
    let mut json = shown.json(directory);
    json["call_seconds"] = state.call_age.as_ref().map(Duration::as_secs).into();
    json
}

/// A state that has just changed.
pub(crate) fn of_change(change: Change<'_>, directory: &Directory) -> Value {
    let state = change.state;
    let shown = Shown {
        aor: &state.aor,
        availability: state.availability,
        is_open: state.is_open,
        lamp: state.lamp,
        extended: state.extended,
        party: change.party,
        note: change.note,
    };
    let mut json = shown.json(directory);
    json["time"] = time(state.at).into();
    json
}

/// The fields of both.
struct Shown<'a> {
    aor: &'a Aor,
    availability: Availability,
    is_open: bool,
    lamp: CallState,
    extended: Option<Extended>,
    party: &'a str,
    note: &'a str,
}

impl Shown<'_> {
    fn json(&self, directory: &Directory) -> Value {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let tracks = match self.extended {
            Some(Extended::Imagicle(tracks)) => Some(tracks),
            _ => None,
        };
        let word = |status: Option<ImagicleStatus>| status.map(ImagicleStatus::as_str);
        json!({
            "aor": self.aor.as_str(),
            "name": directory.name_of(self.aor),
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
