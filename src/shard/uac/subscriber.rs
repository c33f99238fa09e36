//! A subscription of ours: its dialog, and how long it lasts (RFC 6665 §4.1).

use std::time::{Duration, Instant};

use crate::presence::document;
use crate::presence::event::Package;
use crate::sip::dialog::Dialog;
use crate::sip::emit;

/// A subscription of ours.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) package: Package,
    /// None until the first NOTIFY, which creates it (RFC 6665 §4.4.1). The NOTIFYs of other forks
    /// get 481, so that there is one dialog.
    pub(super) dialog: Option<Dialog>,
    /// When it ends unless it is refreshed.
    pub(super) expires_at: Option<Instant>,
    /// A NOTIFY came since the latest SUBSCRIBE was sent.
    pub(super) is_notified: bool,
}

impl Subscriber {
    pub(super) const fn new(package: Package) -> Self {
        Self {
            package,
            dialog: None,
            expires_at: None,
            is_notified: false,
        }
    }

    /// The headers of a SUBSCRIBE.
    pub(super) fn write_headers(&self, arena: &mut Vec<u8>, expires: u32) {
        emit::plain_header(arena, "Event", self.package.token().as_bytes());
        let accept = document::accepted(self.package);
        emit::plain_header(arena, "Accept", accept.as_bytes());
        emit::header_number(arena, "Expires", u64::from(expires));
    }

    /// The server grants so much time from now on. When to refresh: after half of it.
    pub(super) fn granted(&mut self, expires: Duration, now: Instant) -> Instant {
        self.expires_at = Some(now + expires);
        now + expires / 2
    }

    /// The server ended the subscription, or forgot it: the next SUBSCRIBE begins a new one.
    pub(super) fn ended(&mut self) {
        self.dialog = None;
        self.expires_at = None;
    }

    /// Whether the server may have a subscription that a SUBSCRIBE can end.
    pub(super) fn is_established(&self, now: Instant) -> bool {
        self.dialog.is_some() && self.expires_at.is_none_or(|end| now < end)
    }
}
