//! A subscription of ours: its dialog, and how long it lasts (RFC 6665 §4.1).

use std::time::{Duration, Instant};

use crate::presence::document;
use crate::presence::event::Package;
use crate::shard::contract::turn::Turn;
use crate::sip::dialog::{Dialog, Sequence};
use crate::sip::emit;

/// The shortest time before a refresh: a server that grants no time is not to be stormed.
pub(super) const REFRESH_MIN: Duration = Duration::from_secs(2);

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
    /// Whether it is one of many that are to be refreshed at different times.
    is_spread: bool,
    /// NOTIFYs in a row whose CSeq was too low.
    late: u8,
}

/// How far a CSeq must have fallen to show that the server counts anew: a NOTIFY that was overtaken by so
/// many is older than any retransmission.
const SETBACK_MIN: u32 = 256;
/// The types of a list, beside those of its states.
const LIST_TYPES: &[u8] = b"multipart/related, application/rlmi+xml";
/// So many CSeqs in a row that are too low show it, too.
const LATE_MAX: u8 = 3;

impl Subscriber {
    /// A subscription of a probe.
    pub(super) const fn new(package: Package) -> Self {
        Self {
            package,
            is_spread: false,
            late: 0,
            dialog: None,
            expires_at: None,
            is_notified: false,
        }
    }

    /// One of the many subscriptions of a connector.
    pub(super) fn of_connector(package: Package) -> Self {
        Self {
            is_spread: true,
            ..Self::new(package)
        }
    }

    /// Checks the CSeq of a NOTIFY (RFC 3261 §12.2.2). FreeSWITCH counts anew after it was restarted: a
    /// number that is much lower, or the third in a row that is too low, is taken.
    pub(super) fn take_sequence(&mut self, number: u32) -> Sequence {
        let Some(dialog) = &mut self.dialog else {
            return Sequence::Next;
        };
        let highest = dialog.remote_sequence();
        if dialog.take_sequence(number) == Sequence::Next {
            self.late = 0;
            return Sequence::Next;
        }
        if number == highest {
            // A repetition: it shows nothing, however often it comes.
            return Sequence::OutOfOrder;
        }
        self.late += 1;
        let is_setback = highest - number >= SETBACK_MIN || self.late >= LATE_MAX;
        if !is_setback {
            return Sequence::OutOfOrder;
        }
        self.late = 0;
        dialog.count_from(number);
        Sequence::Next
    }

    /// The headers of a SUBSCRIBE. `is_list`: the server is to answer with a list (RFC 4662 §4.1).
    pub(super) fn write_headers(&self, arena: &mut Vec<u8>, expires: u32, is_list: bool) {
        emit::plain_header(arena, "Event", self.package.token().as_bytes());
        let accept = document::accepted(self.package);
        emit::plain_header(arena, "Accept", accept.as_bytes());
        if is_list {
            emit::plain_header(arena, "Accept", LIST_TYPES);
            emit::plain_header(arena, "Supported", b"eventlist");
        }
        emit::header_number(arena, "Expires", u64::from(expires));
    }

    /// The server grants so much time from now on. When to refresh: after half of it, but not at once; a connector's
    /// some tenths earlier, so that its users do not come at once.
    pub(super) fn granted(&mut self, expires: Duration, turn: &mut Turn<'_>) -> Instant {
        self.expires_at = Some(turn.now + expires);
        let half = (expires / 2).max(REFRESH_MIN);
        match self.is_spread {
            true => turn.now + half * (700 + turn.random.below(301)) / 1000,
            false => turn.now + half,
        }
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
