//! One dialog as its phone sees it, and what every NOTIFY must have before its body is read: the
//! dialog's tags, a CSeq one higher than the last, the package, a state that this moment allows.
//!
//! A NOTIFY with the CSeq and the branch of one that was heard is its retransmission: it is answered
//! again and not judged. A server need not wait for an answer before its next NOTIFY, so it may be one
//! of many.

use std::time::Instant;

use crate::swarm::exchange::Ticket;
use crate::wire::message::Incoming;
use crate::wire::message::before_byte;

/// NOTIFYs that are known again.
const KNOWN: usize = 32;

/// How far a subscription got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its SUBSCRIBE was not sent yet.
    #[default]
    New,
    /// SUBSCRIBE sent, or answered, and the lamps are watched.
    Active,
    /// Its un-SUBSCRIBE was sent.
    Ending,
    /// The last NOTIFY came.
    Ended,
    /// Refused, or nobody answered.
    Failed,
}

/// One dialog of a phone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscription {
    pub(crate) stage: Stage,
    /// Which of its lives this is: a phone that starts anew has new dialogs.
    pub(crate) generation: u32,
    /// CSeq of our last SUBSCRIBE.
    pub(crate) sequence: u32,
    /// The SUBSCRIBE in flight.
    pub(crate) ticket: Option<Ticket>,
    /// The run still waits for something of it.
    pub(crate) pending: bool,
    /// Our last SUBSCRIBE has its 2xx.
    pub(crate) answered: bool,
    /// How often it was put off by a 503.
    pub(crate) deferrals: u8,
    pub(crate) remote_tag: Box<str>,
    pub(crate) remote_target: Box<str>,
    /// The highest CSeq of a NOTIFY.
    seen: Option<u32>,
    /// CSeqs and branches of the last NOTIFYs, each at the place that its CSeq names.
    known: [(u32, u32); KNOWN],
    /// When the SUBSCRIBE was due whose NOTIFY is not there yet.
    pub(crate) asked: Option<Instant>,
    /// A SUBSCRIBE allows one NOTIFY that says nothing new, and asks for the full state.
    pub(crate) may_repeat: bool,
    /// Version of the last list; single documents are counted with the sight.
    pub(crate) list_version: Option<u32>,
}

/// What a NOTIFY is before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// Not of this dialog: answered 481.
    Stranger,
    /// Seen before.
    Retransmission,
    /// It came after the last one.
    AfterTheEnd,
    /// The next NOTIFY of the dialog.
    Next {
        first: bool,
        /// CSeq is not one higher than the last.
        out_of_order: bool,
        /// The subscription ended with it, as was asked.
        ended: bool,
        wrong: Option<Wrong>,
    },
}

/// What is plainly wrong with a NOTIFY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// Not `Event: dialog`.
    Package,
    /// No Subscription-State, or one that this moment does not allow.
    SubscriptionState,
}

impl Subscription {
    /// A SUBSCRIBE goes out that was due at `scheduled`.
    pub(crate) fn begin_subscribe(&mut self, stage: Stage, scheduled: Instant) {
        self.sequence += 1;
        self.answered = false;
        self.may_repeat = true;
        self.asked = Some(scheduled);
        self.stage = stage;
    }

    /// The phone has lost everything: the next SUBSCRIBE begins another dialog.
    pub(crate) fn forget(&mut self) {
        *self = Self {
            generation: self.generation + 1,
            pending: self.pending,
            ..Self::default()
        };
    }

    /// Whether a NOTIFY was seen.
    pub(crate) fn is_notified(&self) -> bool {
        self.seen.is_some()
    }

    /// Judges a NOTIFY but for its body; `ours` says whether its To-tag is this phone's.
    pub(crate) fn hear(&mut self, notify: &Incoming<'_>, ours: bool) -> Heard {
        if !ours || !self.learn_tag(notify.from_tag) {
            return Heard::Stranger;
        }
        let this = (notify.sequence, hash(notify.branch));
        let known = &mut self.known[notify.sequence as usize % KNOWN];
        if *known == this {
            return Heard::Retransmission;
        }
        if self.stage == Stage::Ended {
            return Heard::AfterTheEnd;
        }
        let last = self.seen;
        if last.is_none_or(|last| notify.sequence >= last) {
            self.seen = Some(notify.sequence);
            *known = this;
        }
        let state = before_byte(notify.subscription_state, b';').trim_ascii();
        let ends = state.eq_ignore_ascii_case(b"terminated");
        let is_state = ends || state.eq_ignore_ascii_case(b"active");
        let ending = self.stage == Stage::Ending;
        let wrong = if !notify.event.eq_ignore_ascii_case(b"dialog") {
            Some(Wrong::Package)
        } else if !is_state || (ends && !ending) {
            Some(Wrong::SubscriptionState)
        } else {
            None
        };
        if ends {
            self.stage = Stage::Ended;
        }
        Heard::Next {
            first: last.is_none(),
            out_of_order: last.is_some_and(|last| notify.sequence != last.wrapping_add(1)),
            ended: ends && ending,
            wrong,
        }
    }

    /// The notifier's tag comes with the 2xx or with the first NOTIFY, whichever is first; it must
    /// stay the same.
    pub(crate) fn learn_tag(&mut self, tag: &[u8]) -> bool {
        if self.remote_tag.is_empty()
            && let Ok(tag) = std::str::from_utf8(tag)
        {
            self.remote_tag = tag.into();
        }
        !tag.is_empty() && tag == self.remote_tag.as_bytes()
    }
}

/// What the version of a document means after the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Next,
    /// So many were skipped.
    Gap(u32),
    Again,
    Older,
    /// The first one, and not 0.
    BadStart,
}

/// Takes note of a version; `last` is the highest so far.
pub(crate) fn take_version(last: &mut Option<u32>, version: u32) -> Version {
    let before = *last;
    *last = Some(before.map_or(version, |before| before.max(version)));
    match before {
        None if version == 0 => Version::Next,
        None => Version::BadStart,
        Some(before) if version < before => Version::Older,
        Some(before) if version == before => Version::Again,
        Some(before) if version == before + 1 => Version::Next,
        Some(before) => Version::Gap(version - before - 1),
    }
}

/// Tells two branches apart: eight octets at a time, multiplied and turned. The upper half is what all
/// octets went into.
fn hash(bytes: &[u8]) -> u32 {
    let mut sum = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        sum = (sum.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    (sum >> 32) as u32
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::wire::message;

    fn hear(phone: &mut Subscription, sequence: u32, branch: u32, state: &str) -> Heard {
        let text = format!(
            "NOTIFY sip:x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{branch}\r\n\
             From: <sip:1001@abc.com>;tag=s\r\nTo: <sip:1002@abc.com>;tag=p\r\nCall-ID: c\r\n\
             CSeq: {sequence} NOTIFY\r\nEvent: dialog\r\nSubscription-State: {state}\r\n\
             Content-Length: 0\r\n\r\n"
        );
        phone.hear(&message::scan(text.as_bytes()).unwrap(), true)
    }

    const fn next(first: bool, out_of_order: bool, ended: bool, wrong: Option<Wrong>) -> Heard {
        Heard::Next {
            first,
            out_of_order,
            ended,
            wrong,
        }
    }

    #[test]
    fn the_numbers_of_a_dialog_are_followed() {
        let mut phone = Subscription::default();
        phone.begin_subscribe(Stage::Active, Instant::now());
        assert_eq!(
            hear(&mut phone, 7, 1, "active"),
            next(true, false, false, None)
        );
        assert_eq!(
            hear(&mut phone, 8, 2, "Active;x=1"),
            next(false, false, false, None)
        );
        assert_eq!(hear(&mut phone, 8, 2, "active"), Heard::Retransmission);
        assert_eq!(hear(&mut phone, 7, 1, "active"), Heard::Retransmission);
        assert_eq!(
            hear(&mut phone, 7, 9, "active"),
            next(false, true, false, None)
        );
        assert_eq!(
            hear(&mut phone, 8, 3, "active"),
            next(false, true, false, None)
        );
        assert_eq!(
            hear(&mut phone, 10, 4, "active"),
            next(false, true, false, None)
        );
        let early = next(false, false, false, Some(Wrong::SubscriptionState));
        assert_eq!(hear(&mut phone, 11, 5, "terminated;reason=timeout"), early);
        assert_eq!(hear(&mut phone, 12, 6, "active"), Heard::AfterTheEnd);
    }

    #[test]
    fn an_end_that_was_asked_for_is_right() {
        let mut phone = Subscription::default();
        phone.begin_subscribe(Stage::Active, Instant::now());
        hear(&mut phone, 7, 1, "active");
        let nonsense = next(false, false, false, Some(Wrong::SubscriptionState));
        assert_eq!(hear(&mut phone, 8, 2, "blue"), nonsense);
        phone.begin_subscribe(Stage::Ending, Instant::now());
        // A change that was on its way, then the end.
        assert_eq!(
            hear(&mut phone, 9, 3, "active"),
            next(false, false, false, None)
        );
        assert_eq!(
            hear(&mut phone, 10, 4, "terminated"),
            next(false, false, true, None)
        );
    }

    #[test]
    fn a_tag_is_learnt_once_and_forgotten_with_everything() {
        let mut phone = Subscription::default();
        assert!(phone.learn_tag(b"s"));
        assert!(!phone.learn_tag(b"t"));
        assert!(!Subscription::default().learn_tag(b""));
        phone.forget();
        assert_eq!((phone.generation, phone.stage), (1, Stage::New));
        assert!(phone.learn_tag(b"t"));
    }

    #[test]
    fn versions_go_up_by_one_from_nothing() {
        let mut last = None;
        let versions = [0, 1, 1, 4, 2, 5].map(|version| take_version(&mut last, version));
        let expected = [
            Version::Next,
            Version::Next,
            Version::Again,
            Version::Gap(2),
            Version::Older,
            Version::Next,
        ];
        assert_eq!(versions, expected);
        assert_eq!(take_version(&mut None, 3), Version::BadStart);
    }
}
