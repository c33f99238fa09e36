//! `application/rlmi+xml` (RFC 4662 §5): the root of a list's body.
//!
//! Written as a stream, so that a list of any length needs no memory: [`begin`], [`write_name`], a
//! [`write_resource`] for each resource, [`end`]. Read by [`parse`].

use std::io::Write;

use crate::presence::document::multipart::ContentId;
use crate::presence::document::xml;
use crate::presence::document::xml::write_escaped;
use crate::presence::event::Termination;

mod reading;

pub use reading::{Outline, OutlineInstance, OutlineResource, OutlineState, parse};

/// The media type.
pub const CONTENT_TYPE: &str = "application/rlmi+xml";

/// The state of a resource's virtual subscription (RFC 4662 §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceState {
    /// The watcher is notified of its state.
    Active,
    /// No policy has decided yet.
    Pending,
    /// It ended, for this reason.
    Terminated(Termination),
}

/// The only instance of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Identifies it within the resource for as long as it exists. At most 8 characters (W:B5.8).
    pub id: u32,
    /// Its state.
    pub state: InstanceState,
    /// The body part with its state; None if this body has none.
    pub content_id: Option<ContentId>,
}

/// Begins the document. `uri` is the request URI of the SUBSCRIBE, not yet XML-escaped (W:B5.4).
pub fn begin(out: &mut Vec<u8>, uri: &[u8], version: u32, full_state: bool) {
    out.extend_from_slice(xml::DECLARATION);
    out.extend_from_slice(b"<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"");
    write_escaped(out, uri);
    // Writing to a Vec cannot fail.
    let _ = writeln!(out, "\" version=\"{version}\" fullState=\"{full_state}\">");
}

/// Appends the name of the list itself (RFC 4662 §5.3), after [`begin`].
pub fn write_name(out: &mut Vec<u8>, name: &str) {
    xml::write_text_element(out, "name", name);
}

/// Appends a resource, with its name unless the client cannot parse one (W:B5.7, G1). Without an
/// instance, nothing is known about its state yet. `uri` is not yet XML-escaped.
pub fn write_resource(
    out: &mut Vec<u8>,
    uri: &[u8],
    name: Option<&str>,
    instance: Option<Instance>,
) {
    out.extend_from_slice(b"<resource uri=\"");
    write_escaped(out, uri);
    out.extend_from_slice(b"\">\n");
    if let Some(name) = name {
        xml::write_text_element(out, "name", name);
    }
    if let Some(instance) = instance {
        write_instance(out, instance);
    }
    out.extend_from_slice(b"</resource>\n");
}

fn write_instance(out: &mut Vec<u8>, instance: Instance) {
    let _ = write!(out, "<instance id=\"{:x}\" state=\"", instance.id);
    match instance.state {
        InstanceState::Active => out.extend_from_slice(b"active\""),
        InstanceState::Pending => out.extend_from_slice(b"pending\""),
        InstanceState::Terminated(termination) => {
            let _ = write!(out, "terminated\" reason=\"{}\"", termination.reason());
        }
    }
    if let Some(content_id) = instance.content_id {
        let _ = write!(out, " cid=\"{content_id}\"");
    }
    out.extend_from_slice(b"/>\n");
}

/// Ends the document.
pub fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"</list>\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
