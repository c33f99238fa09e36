//! Parses a report: the call state in the fields, for the account that they authenticate.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::directory::Domain;
use crate::http::call_state::ReportRefusal;
use crate::http::call_state::fields::Fields;
use crate::http::credentials::{Login, log_in};
use crate::http::engine::Engine;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::call::{CallDialog, CallParts, CallState, Direction, Party};
use crate::presence::source::{CallSource, StateUpdate};
use crate::sip::uri::sip_uri;

/// Characters of a number.
const NUMBER_CHARACTERS_MAX: usize = 64;
/// Prefix of the ids of calls that are reported here.
const ID_PREFIX: &str = "call_state";

/// The name of the page in lists of failures.
const PAGE: &str = "call_state.htm";

/// Values of `state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ringing,
    Busy,
    DoNotDisturb,
    Idle,
}

impl State {
    fn from_word(word: &str) -> Result<Self, ReportRefusal> {
        Ok(match word {
            "ringing" => Self::Ringing,
            "busy" => Self::Busy,
            "dnd" => Self::DoNotDisturb,
            "idle" => Self::Idle,
            _ => {
                let why = "state must be one of: ringing, busy, dnd, idle\n";
                return Err(ReportRefusal::Malformed(why));
            }
        })
    }
}

/// The report of an authenticated request. No `Debug`: the number must reach no log.
pub(super) struct Report {
    /// The presentity.
    pub(super) aor: Aor,
    /// Its new state.
    pub(super) said: StateUpdate,
}

impl Report {
    /// Reads the fields, then checks the password. A malformed field is refused before any account
    /// is looked up, so that the refusal does not tell which accounts there are.
    pub(super) async fn new<E: Engine>(
        fields: &Fields,
        peer: IpAddr,
        site: &Site<E>,
    ) -> Result<Self, ReportRefusal> {
        let directory = &site.directory();
        let missing = ReportRefusal::Malformed("domain, user and password are required\n");
        let domain = fields.value("domain").ok_or(missing)?;
        let user = fields.value("user").ok_or(missing)?;
        let password = fields.value("password").ok_or(missing)?;
        let number = number(fields.value("number").unwrap_or_default())?;
        let seconds = fields.value("expires").map(seconds).transpose()?;
        let state = fields.value("state").filter(|word| !word.is_empty());
        let state = state.map(State::from_word).transpose()?;

        let login = Login {
            page: PAGE,
            domain,
            user,
            password,
            peer,
        };
        let (aor, domain) = log_in(login, directory, site).await?;
        let cap = domain.max_call_duration;
        let expires = seconds.map_or(cap, |seconds| Duration::from_secs(seconds).min(cap));
        let call = |state| {
            let id = site.call_numbers.next(ID_PREFIX);
            call(id, state, number.as_deref(), domain)
        };
        let said = said(state, number.is_some(), expires, call);
        Ok(Self { aor, said })
    }
}

/// What a request says: without a `state`, a number means busy and none idle (W:D1.3). A state that
/// lasts no time at all is over (W:D1.5).
fn said(
    state: Option<State>,
    has_number: bool,
    expires: Duration,
    call: impl FnOnce(CallState) -> CallDialog,
) -> StateUpdate {
    let otherwise = if has_number { State::Busy } else { State::Idle };
    let state = match state.unwrap_or(otherwise) {
        State::DoNotDisturb => return StateUpdate::CallStateDoNotDisturb(expires),
        State::Ringing => Some(CallState::Early),
        State::Busy => Some(CallState::Confirmed),
        State::Idle => None,
    };
    let state = state.filter(|_| !expires.is_zero());
    StateUpdate::Call {
        source: CallSource::CallState,
        expires: Some(state.map_or(Duration::ZERO, |_| expires)),
        call: state.map(call).map(Arc::new),
    }
}

/// A number without its spaces; None when nothing is left (W:D1.3, D1.11). Only characters of
/// telephone numbers and SIP users are accepted, which mean nothing in HTML, headers or shells
/// (W:E3.28).
fn number(text: &str) -> Result<Option<String>, ReportRefusal> {
    let number: String = text.chars().filter(|character| *character != ' ').collect();
    let is_dialled = |character: char| {
        character.is_ascii_alphanumeric() || "+-._*#~!$()/:;=@,%".contains(character)
    };
    if number.len() > NUMBER_CHARACTERS_MAX || !number.chars().all(is_dialled) {
        return Err(ReportRefusal::Malformed(
            "number is too long, or contains a character that is not allowed\n",
        ));
    }
    Ok((!number.is_empty()).then_some(number))
}

/// Whole seconds; a number too large for a u64 counts as its maximum.
fn seconds(text: &str) -> Result<u64, ReportRefusal> {
    if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(ReportRefusal::Malformed(
            "expires must be a number of seconds\n",
        ));
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// The call leg with `number` at its other end. The direction is not reported, but a ringing phone
/// must be the callee. The engine keeps the first `id` as long as the same call is reported.
fn call(id: Box<str>, state: CallState, number: Option<&str>, domain: &Domain) -> CallDialog {
    let identity = number.map(|number| sip_uri(number, &domain.name));
    CallDialog::from(CallParts {
        direction: (state == CallState::Early).then_some(Direction::Recipient),
        remote: Party {
            identity: identity.as_deref().unwrap_or_default(),
            ..Party::default()
        },
        remote_is_private: !domain.reveal_number,
        ..CallParts::new(&id, state)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_number_loses_its_spaces_and_nothing_else() {
        assert_eq!(number(" 49 30 12"), Ok(Some("493012".to_owned())));
        assert_eq!(
            number("+49(30)12-3*#"),
            Ok(Some("+49(30)12-3*#".to_owned()))
        );
        assert_eq!(number(""), Ok(None));
        assert_eq!(number("  "), Ok(None));
        assert_eq!(number(&"1".repeat(64)).unwrap().unwrap().len(), 64);
        for bad in [
            "<script>",
            "1\r\nX:",
            "1\0",
            "1\t2",
            "1\"2",
            "1&2",
            "ü",
            "1\u{a0}2",
            "1\u{202e}2",
            "a\\b",
            "`id`",
        ] {
            assert!(number(bad).is_err(), "{bad:?}");
        }
        assert!(number(&"1".repeat(65)).is_err());
    }

    #[test]
    fn expires_is_digits_alone() {
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(seconds("007200"), Ok(7200));
        assert_eq!(seconds("99999999999999999999999"), Ok(u64::MAX));
        for bad in ["", "-1", "+1", " 1", "7200.5", "1e3", "0x10", "١", "7200s"] {
            assert!(seconds(bad).is_err(), "{bad:?}");
        }
    }
}
