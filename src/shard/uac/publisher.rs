//! A publication of ours: the entity tag that names it, and the document (RFC 3903 §4).

use std::time::{Duration, Instant};

use crate::presence::call::CallState;
use crate::presence::document::dialog_info;
use crate::presence::event::Package;
use crate::sip::emit;

/// The `id` of the one dialog in our documents.
const DIALOG_ID: &str = "probe";

/// A publication of ours. Its package is `dialog`.
#[derive(Debug)]
pub(super) struct Publisher {
    state: CallState,
    /// The document's version; it goes up with each one.
    version: u32,
    /// What the server calls the publication; None while it has none.
    pub(super) entity_tag: Option<Box<[u8]>>,
    /// When it ends unless it is refreshed.
    pub(super) expires_at: Option<Instant>,
}

impl Publisher {
    pub(super) const fn new(state: CallState) -> Self {
        Self {
            state,
            version: 0,
            entity_tag: None,
            expires_at: None,
        }
    }

    /// The body of the next PUBLISH: a document if it begins the publication, nothing if it
    /// refreshes or removes it (RFC 3903 §4.1).
    pub(super) fn body(&mut self, target: &str) -> Vec<u8> {
        let mut body = Vec::new();
        if self.entity_tag.is_none() {
            dialog_info::write_call(&mut body, self.version, target, (DIALOG_ID, self.state));
            self.version += 1;
        }
        body
    }

    /// The headers of a PUBLISH.
    pub(super) fn write_headers(&self, arena: &mut Vec<u8>, expires: u32) {
        emit::plain_header(arena, "Event", Package::Dialog.token().as_bytes());
        emit::header_number(arena, "Expires", u64::from(expires));
        if let Some(entity_tag) = &self.entity_tag {
            emit::header(arena, "SIP-If-Match", entity_tag);
        }
    }

    /// The server has it, and grants so much time from now on. When to refresh: after half of it.
    pub(super) fn granted(
        &mut self,
        entity_tag: Option<&[u8]>,
        expires: Duration,
        now: Instant,
    ) -> Instant {
        if let Some(entity_tag) = entity_tag {
            self.entity_tag = Some(entity_tag.into());
        }
        self.expires_at = Some(now + expires);
        now + expires / 2
    }

    /// The server has it no more: the next PUBLISH begins a new one.
    pub(super) fn ended(&mut self) {
        self.entity_tag = None;
        self.expires_at = None;
    }

    /// Whether the server may have a publication that a PUBLISH can remove.
    pub(super) fn is_established(&self, now: Instant) -> bool {
        self.entity_tag.is_some() && self.expires_at.is_none_or(|end| now < end)
    }
}
