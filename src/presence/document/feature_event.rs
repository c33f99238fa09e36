//! `application/x-as-feature-event+xml` (W:C9): do-not-disturb and call forwarding, exchanged
//! between a phone and the PBX.
//!
//! A phone sends its command in the body of a SUBSCRIBE. The features are sent as `multipart/mixed`
//! with one event for do-not-disturb and one for each kind of forwarding, whether on or off, so
//! that a phone never keeps outdated state.

use std::io::Write;
use std::sync::Arc;

use crate::presence::Composed;
use crate::presence::document::xml::{Element, Name, Visitor};
use crate::presence::document::{DocumentFault, multipart, xml};
use crate::presence::source::{Forward, ForwardKind};

/// The media type of a command, and of each event.
pub const CONTENT_TYPE: &str = "application/x-as-feature-event+xml";

/// The namespace that is written. Elements are read by local name only, because phones in the field
/// use a variant of this namespace (W:C9.1).
const NAMESPACE: &str = "http://www.ecma-international.org/standards/ecma-323/csta/ed3";

/// Maximum octets of a target.
const TARGET_OCTETS_MAX: usize = 1024;
/// Maximum rings before a call is forwarded; a larger number is ignored.
const RING_COUNT_MAX: u32 = 100;

/// The kinds of forwarding, in the order of [`ForwardKind`].
const KINDS: [(ForwardKind, &str); 3] = [
    (ForwardKind::Immediate, "forwardImmediate"),
    (ForwardKind::Busy, "forwardBusy"),
    (ForwardKind::NoAnswer, "forwardNoAns"),
];

/// Appends all events. [`multipart::write_mixed`] writes the Content-Type for them.
pub fn write_events(out: &mut Vec<u8>, composed: &Composed) {
    let features = &composed.extras.features;
    write_part(out, |out| {
        write_do_not_disturb(out, features.do_not_disturb);
    });
    for (kind, name) in KINDS {
        let forward = features.forwards.iter().find(|set| set.kind == kind);
        write_part(out, |out| write_forwarding(out, name, forward));
    }
    multipart::end(out);
}

fn write_part(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    multipart::begin_part(out, None, CONTENT_TYPE);
    out.extend_from_slice(xml::DECLARATION);
    write(out);
    multipart::end_part(out);
}

fn write_do_not_disturb(out: &mut Vec<u8>, is_on: bool) {
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "<DoNotDisturbEvent xmlns=\"{NAMESPACE}\">\n<device/>\n\
        <doNotDisturbOn>{is_on}</doNotDisturbOn>\n</DoNotDisturbEvent>\n"
    );
}

fn write_forwarding(out: &mut Vec<u8>, kind: &str, forward: Option<&Forward>) {
    let is_active = forward.is_some_and(|forward| forward.is_active);
    let _ = write!(
        out,
        "<ForwardingEvent xmlns=\"{NAMESPACE}\">\n<device/>\n\
        <forwardingType>{kind}</forwardingType>\n<forwardStatus>{is_active}</forwardStatus>\n"
    );
    let target = forward.map_or("", |forward| &forward.target);
    xml::write_text_element(out, "forwardTo", target);
    if let Some(rings) = forward.and_then(|forward| forward.ring_count) {
        let _ = writeln!(out, "<ringCount>{rings}</ringCount>");
    }
    out.extend_from_slice(b"</ForwardingEvent>\n");
}

/// A command from a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeatureCommand {
    /// `SetDoNotDisturb`
    DoNotDisturb(bool),
    /// `SetForwarding`
    Forward(Forward),
}

/// Reads a command from a phone.
///
/// # Errors
/// `Malformed` for anything not well-formed, another root, and a command that does not say whether
/// to switch the feature on or off; `TooLarge` over a limit.
pub fn parse(body: &[u8]) -> Result<FeatureCommand, DocumentFault> {
    let mut reading = Reading::default();
    xml::read(body, &mut reading)?;
    let is_on = reading.is_on.ok_or(DocumentFault::Malformed)?;
    if !reading.is_forwarding {
        return Ok(FeatureCommand::DoNotDisturb(is_on));
    }
    Ok(FeatureCommand::Forward(Forward {
        kind: reading.kind.ok_or(DocumentFault::Malformed)?,
        is_active: is_on,
        target: reading.target,
        ring_count: reading.ring_count,
    }))
}

struct Reading {
    is_forwarding: bool,
    is_on: Option<bool>,
    kind: Option<ForwardKind>,
    target: Arc<str>,
    ring_count: Option<u32>,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            is_forwarding: false,
            is_on: None,
            kind: None,
            target: "".into(),
            ring_count: None,
        }
    }
}

impl Visitor for Reading {
    const NAMES: &'static [&'static str] = &[
        "SetDoNotDisturb",
        "doNotDisturbOn",
        "SetForwarding",
        "forwardingType",
        "activateForward",
        "forwardDN",
        "ringCount",
    ];

    fn start(&mut self, element: &Element<'_>, parents: &[Name]) -> Result<(), DocumentFault> {
        if parents.is_empty() {
            self.is_forwarding = match element.name.1 {
                "SetDoNotDisturb" => false,
                "SetForwarding" => true,
                _ => return Err(DocumentFault::Malformed),
            };
        }
        Ok(())
    }

    fn end(&mut self, name: Name, parents: &[Name], text: &str) -> Result<(), DocumentFault> {
        let text = text.trim();
        match (parents, name.1, self.is_forwarding) {
            ([_], "doNotDisturbOn", false) | ([_], "activateForward", true) => {
                self.is_on = Some(boolean(text)?);
            }
            ([_], "forwardingType", true) => {
                let is_named = |(_, name): &&(ForwardKind, &str)| text.eq_ignore_ascii_case(name);
                let kind = KINDS
                    .iter()
                    .find(is_named)
                    .ok_or(DocumentFault::Malformed)?;
                self.kind = Some(kind.0);
            }
            ([_], "forwardDN", true) => {
                if text.len() > TARGET_OCTETS_MAX {
                    return Err(DocumentFault::TooLarge);
                }
                self.target = text.into();
            }
            ([_], "ringCount", true) => {
                let rings = text.parse().ok();
                self.ring_count = rings.filter(|&rings| rings <= RING_COUNT_MAX);
            }
            _ => {}
        }
        Ok(())
    }
}

fn boolean(text: &str) -> Result<bool, DocumentFault> {
    match text {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(DocumentFault::Malformed),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
