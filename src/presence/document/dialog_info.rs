//! `application/dialog-info+xml` (RFC 4235).
//!
//! A body is written in two pieces: the prolog differs per subscription (version, entity as written
//! by the phone); the rest is equal for all watchers with equal views, so it is written once per
//! change.
//!
//! Unless the profile allows more, exactly one `dialog` is written, the one that a lamp should
//! show, because many phones read only the first (W:B3.15, C0.3). Its `id` is a digest that is
//! constant for the duration of the call and reveals nothing.

use std::cmp::Reverse;
use std::sync::LazyLock;

use sha2::{Digest, Sha256};

use crate::presence::call::{CallDialog, CallParts, CallState, Direction};
use crate::presence::composition::Availability;
use crate::presence::document::xml::{write_attribute, write_escaped};
use crate::presence::document::{View, shown_party, xml};
use crate::presence::policy::Privacy;
use crate::presence::profile::{Idle, ParameterValue, Rendering, Unregistered};
use crate::presence::{Aor, Composed};

mod partial;
mod published;
mod reading;

pub use partial::{ShownDialogs, write_changes};
pub use published::write_call;
pub(in crate::presence::document) use reading::parse_by_template;
pub use reading::{DIALOGS_MAX, parse};

/// The media type.
pub const CONTENT_TYPE: &str = "application/dialog-info+xml";

/// Appends everything up to and including the opening `dialog-info` tag. `entity` is a URI, not yet
/// XML-escaped (RFC 4235 §4.1).
pub fn write_prolog(out: &mut Vec<u8>, version: u32, entity: &[u8]) {
    write_prolog_of("full", out, version, entity);
}

/// Like [`write_prolog`], for a document that has only changes: [`write_changes`].
pub fn write_partial_prolog(out: &mut Vec<u8>, version: u32, entity: &[u8]) {
    write_prolog_of("partial", out, version, entity);
}

fn write_prolog_of(state: &str, out: &mut Vec<u8>, version: u32, entity: &[u8]) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(b"<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"");
    xml::write_number(out, version);
    out.extend_from_slice(b"\" state=\"");
    out.extend_from_slice(state.as_bytes());
    out.extend_from_slice(b"\" entity=\"");
    write_escaped(out, entity);
    out.extend_from_slice(b"\">\n");
}

/// Appends the rest: the `dialog` elements of the view, or the idle one if there is none (W:C0.2),
/// and the closing tag.
pub fn write_dialogs(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, view: View) {
    let mut calls = shown_calls(aor, composed, view.rendering).peekable();
    if calls.peek().is_none() && shows_idle(composed, view.rendering) {
        out.extend_from_slice(b"<dialog id=\"idle\">\n<state>terminated</state>\n</dialog>\n");
    }
    for call in calls {
        write_dialog(out, aor, composed, call, view);
    }
    out.extend_from_slice(b"</dialog-info>\n");
}

/// Whether a watcher is shown a call, or do-not-disturb as one.
#[must_use]
pub fn shows_call(aor: &Aor, composed: &Composed, rendering: Rendering) -> bool {
    shown_calls(aor, composed, rendering).next().is_some()
}

/// The calls that a watcher is shown, starting with the one that its lamp should show. Calls of
/// equal rank keep the order of the composed state.
fn shown_calls<'a>(
    aor: &Aor,
    composed: &'a Composed,
    rendering: Rendering,
) -> impl Iterator<Item = &'a CallDialog> {
    let calls = || composed.calls.iter().map(|call| &**call);
    let first = calls().min_by_key(|call| rank(shown_state(aor, call, rendering), rendering));
    let others = calls().filter(move |call| {
        rendering.all_dialogs && first.is_some_and(|first| !std::ptr::eq(*call, first))
    });
    let first = first.or_else(|| do_not_disturb(composed, rendering));
    first.into_iter().chain(others)
}

/// The call that represents do-not-disturb, one for each state it can have. It has no party, so
/// that it cannot be picked up.
static DO_NOT_DISTURB: LazyLock<[CallDialog; 2]> = LazyLock::new(|| {
    [CallState::Confirmed, CallState::Early].map(|state| {
        CallDialog::from(CallParts {
            direction: Some(Direction::Recipient),
            ..CallParts::new("do-not-disturb", state)
        })
    })
});

/// How do-not-disturb is shown while there is no call.
fn do_not_disturb(composed: &Composed, rendering: Rendering) -> Option<&'static CallDialog> {
    if composed.availability != Availability::DoNotDisturb || !composed.calls.is_empty() {
        return None;
    }
    let domains = composed.extras.do_not_disturb_lamp;
    let state = rendering.do_not_disturb.unwrap_or(domains).state()?;
    DO_NOT_DISTURB.iter().find(|call| call.state == state)
}

/// The rank of a call: the call that a lamp should show has the lowest (W:B3.15, C0.3).
fn rank(state: CallState, rendering: Rendering) -> (bool, Reverse<CallState>) {
    let is_first = !rendering.ringing_over_in_use && state == CallState::Confirmed;
    (!is_first, Reverse(state))
}

/// The state shown for a call (W:C0.4, C8.1).
fn shown_state(aor: &Aor, call: &CallDialog, rendering: Rendering) -> CallState {
    if rendering.parked_is_early && call.is_parked_at(aor) {
        CallState::Early
    } else if rendering.caller_early_is_confirmed {
        call.lamp_state()
    } else {
        call.state
    }
}

/// Returns whether a terminated dialog is written for a user without a call.
fn shows_idle(composed: &Composed, rendering: Rendering) -> bool {
    // Only a user whose registration is reported counts as unregistered; otherwise every lamp would be
    // dark (W:C0.2, C0.12). A user with an alternative number does not count as unregistered.
    let is_missed = composed.is_unregistered && composed.availability == Availability::Unreachable;
    let is_dark = rendering.unregistered == Unregistered::Empty && is_missed;
    rendering.idle == Idle::Terminated && !is_dark
}

/// Child order as in the schema: state, local, remote (RFC 4235 §4.4).
fn write_dialog(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, call: &CallDialog, view: View) {
    let privacy = view.privacy;
    out.extend_from_slice(b"<dialog id=\"");
    out.extend_from_slice(&shown_id(aor, call));
    out.push(b'"');
    let keys = [
        ("call-id", call.call_id()),
        ("local-tag", call.local_tag()),
        ("remote-tag", call.remote_tag()),
    ];
    // A phone needs all three to pick up the call (W:C0.7).
    if privacy >= Privacy::Pickup && keys.iter().all(|(_, value)| !value.is_empty()) {
        for (name, value) in keys {
            write_attribute(out, name, value);
        }
    }
    match call.direction {
        Some(Direction::Initiator) => write_attribute(out, "direction", "initiator"),
        Some(Direction::Recipient) => write_attribute(out, "direction", "recipient"),
        None => {}
    }
    out.extend_from_slice(b">\n<state>");
    out.extend_from_slice(shown_state(aor, call, view.rendering).as_str().as_bytes());
    out.extend_from_slice(b"</state>\n");
    if privacy >= Privacy::AnonymousParty {
        write_local(out, aor, composed, call, view);
        write_remote(out, aor, call, privacy);
    }
    out.extend_from_slice(b"</dialog>\n");
}

/// Identity and target are both the watched address (W:C0.5, B9.4), never the device, which must not
/// be revealed.
fn write_local(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, call: &CallDialog, view: View) {
    let local = call.local();
    let own = Some(local.display).filter(|display| !display.is_empty());
    let display = own.or(composed.extras.display.as_deref());
    out.extend_from_slice(b"<local>\n<identity");
    if let Some(display) = display
        && view.privacy >= Privacy::Party
    {
        write_attribute(out, "display", display);
    }
    out.push(b'>');
    let start = out.len();
    xml::write_sip_uri(out, aor.user(), aor.domain());
    let uri = start..out.len();
    out.extend_from_slice(b"</identity>\n<target uri=\"");
    out.extend_from_within(uri);
    if local.rendering == Some(false) {
        out.extend_from_slice(b"\">\n<param pname=\"+sip.rendering\" pval=\"no\"");
        if view.rendering.parameter_value == ParameterValue::Both {
            out.extend_from_slice(b" pvalue=\"no\"");
        }
        out.extend_from_slice(b"/>\n</target>\n");
    } else {
        out.extend_from_slice(b"\"/>\n");
    }
    out.extend_from_slice(b"</local>\n");
}

fn write_remote(out: &mut Vec<u8>, aor: &Aor, call: &CallDialog, privacy: Privacy) {
    let Some(party) = shown_party(call, privacy) else {
        return;
    };
    // That of a hidden party is empty.
    let shows_target = privacy >= Privacy::Pickup && !party.target.is_empty();
    if party.identity.is_empty() && !shows_target {
        return;
    }
    out.extend_from_slice(b"<remote>\n");
    if !party.identity.is_empty() {
        out.extend_from_slice(b"<identity");
        if !party.display.is_empty() {
            write_attribute(out, "display", party.display);
        }
        out.push(b'>');
        xml::write_full_uri(out, aor, party.identity);
        out.extend_from_slice(b"</identity>\n");
    }
    if shows_target {
        out.extend_from_slice(b"<target uri=\"");
        xml::write_full_uri(out, aor, party.target);
        out.extend_from_slice(b"\"/>\n");
    }
    out.extend_from_slice(b"</remote>\n");
}

/// The `id` that watchers see: 16 hexadecimal digits of a digest of data that is constant for the
/// duration of the call.
fn shown_id(aor: &Aor, call: &CallDialog) -> [u8; 16] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digest = Sha256::new();
    for part in [aor.as_str(), call.id(), call.call_id()] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    let digest = digest.finalize();
    std::array::from_fn(|index| {
        let octet = digest[index / 2];
        DIGITS[usize::from(if index % 2 == 0 {
            octet >> 4
        } else {
            octet & 0xf
        })]
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
