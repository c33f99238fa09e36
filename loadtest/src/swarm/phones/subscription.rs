//! One subscription as seen by its phone, and the checks on every NOTIFY before its body is read:
//! the dialog's tags, a CSeq one higher than the last, the package, a permitted Subscription-State.
//!
//! A NOTIFY with the CSeq and the branch of an earlier one is a retransmission: the response is
//! sent again, and it is not checked. A server may send several NOTIFYs before the response to the
//! first, so several are remembered.

use std::time::Instant;

use crate::swarm::client::Ticket;
use crate::swarm::versions::{Version, Versions};
use crate::wire::message::{Incoming, before_byte};

/// Number of NOTIFYs remembered, to recognise their retransmissions.
const KNOWN: usize = 32;
/// How often a 503 is respected before it counts as a refusal.
const DEFERRALS_MAX: u8 = 10;

/// The state of a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// No SUBSCRIBE was sent yet.
    #[default]
    New,
    /// SUBSCRIBE sent, with or without a response.
    Active,
    /// SUBSCRIBE with Expires: 0 sent.
    Ending,
    /// The last NOTIFY arrived.
    Ended,
    /// A SUBSCRIBE was refused or timed out.
    Failed,
}

/// One subscription of a phone.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscription {
    phase: Phase,
    /// The number of its dialog: a phone that has lost a subscription begins another dialog.
    generation: u32,
    /// CSeq of our last SUBSCRIBE.
    sequence: u32,
    /// The ticket of the last SUBSCRIBE.
    ticket: Option<Ticket>,
    /// Whether the run waits for a response or a NOTIFY.
    is_awaited: bool,
    /// Whether our last SUBSCRIBE has its 2xx.
    is_answered: bool,
    /// How often a 503 deferred its SUBSCRIBE.
    deferrals: u8,
    remote_tag: Box<str>,
    remote_target: Box<str>,
    /// The highest CSeq of a NOTIFY.
    seen: Option<u32>,
    /// CSeqs and branch hashes of the last NOTIFYs, each at an index given by its CSeq.
    known: [(u32, u32); KNOWN],
    /// Due time of the SUBSCRIBE whose NOTIFY is outstanding.
    asked: Option<Instant>,
    /// A SUBSCRIBE requests the full state, so one NOTIFY after it may contain no change.
    may_repeat: bool,
    /// Versions of its lists. Each sight has the versions of its own documents.
    list_version: Versions,
}

/// The target and tags of a request in the dialog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Remote<'a> {
    pub(super) tag: &'a str,
    pub(super) target: &'a str,
}

/// The kind of a NOTIFY, determined before its body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Its tags are not those of the dialog.
    WrongTag,
    /// The retransmission of an earlier NOTIFY.
    Retransmission,
    /// It arrived after the one that ended the subscription.
    AfterTheEnd,
    Next(NextNotify),
}

/// The next NOTIFY of a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NextNotify {
    pub(super) is_first: bool,
    /// CSeq is not one higher than the last.
    pub(super) is_out_of_order: bool,
    /// It ends the subscription, as requested by our SUBSCRIBE.
    pub(super) ends: bool,
    pub(super) wrong: Option<Wrong>,
}

/// Faults of a NOTIFY's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// Not `Event: dialog`.
    Package,
    /// No Subscription-State, or one that is not permitted now.
    SubscriptionState,
}

impl Subscription {
    // ---- SUBSCRIBE

    /// A SUBSCRIBE that was due at `scheduled` is about to be sent.
    pub(super) fn begin_subscribe(&mut self, phase: Phase, scheduled: Instant) {
        self.sequence += 1;
        self.is_answered = false;
        self.may_repeat = true;
        self.asked = Some(scheduled);
        self.phase = phase;
    }

    /// The SUBSCRIBE was sent.
    pub(super) fn sent(&mut self, ticket: Ticket) {
        self.ticket = Some(ticket);
    }

    /// The SUBSCRIBE got a 2xx with this To-tag and this Contact. Returns false if the tag is
    /// wrong.
    pub(super) fn accepted(&mut self, tag: &[u8], contact: &[u8]) -> bool {
        self.is_answered = true;
        self.ticket = None;
        self.deferrals = 0;
        if !contact.is_empty() {
            self.remote_target = String::from_utf8_lossy(contact).into();
        }
        self.learn_tag(tag)
    }

    /// Returns whether a 503 is respected once more.
    pub(super) fn may_defer(&mut self) -> bool {
        self.deferrals = self.deferrals.saturating_add(1);
        self.deferrals <= DEFERRALS_MAX
    }

    /// A SUBSCRIBE was refused or timed out.
    pub(super) fn failed(&mut self) {
        self.phase = Phase::Failed;
    }

    /// The phone has lost the subscription: the next SUBSCRIBE begins another dialog. Returns the
    /// ticket of the last SUBSCRIBE.
    pub(super) fn lose(&mut self) -> Option<Ticket> {
        let ticket = self.ticket;
        *self = Self {
            generation: self.generation + 1,
            is_awaited: self.is_awaited,
            ..Self::default()
        };
        ticket
    }

    pub(super) fn is_active(&self) -> bool {
        self.phase == Phase::Active
    }

    pub(super) const fn generation(&self) -> u32 {
        self.generation
    }

    pub(super) const fn sequence(&self) -> u32 {
        self.sequence
    }

    /// The remote end of the dialog.
    pub(super) fn remote(&self) -> Remote<'_> {
        Remote {
            tag: &self.remote_tag,
            target: &self.remote_target,
        }
    }

    // ---- Waiting

    pub(super) const fn is_awaited(&self) -> bool {
        self.is_awaited
    }

    /// Starts to wait for it. Returns false if the run already waited for it.
    pub(super) fn await_it(&mut self) -> bool {
        !std::mem::replace(&mut self.is_awaited, true)
    }

    /// Stops waiting for it. Returns false if the run did not wait for it.
    pub(super) fn stop_awaiting(&mut self) -> bool {
        std::mem::take(&mut self.is_awaited)
    }

    /// Returns whether the 2xx and the NOTIFY of the last SUBSCRIBE have arrived.
    pub(super) fn has_settled(&self) -> bool {
        let is_notified = self.seen.is_some() && self.asked.is_none();
        self.is_answered
            && match self.phase {
                Phase::Active => is_notified,
                Phase::Ended => true,
                Phase::New | Phase::Ending | Phase::Failed => false,
            }
    }

    // ---- NOTIFY

    /// When the SUBSCRIBE that caused this NOTIFY was due; None for a NOTIFY of a change.
    pub(super) fn take_asked(&mut self) -> Option<Instant> {
        self.asked.take()
    }

    /// Checks the version of the next list.
    pub(super) fn take_list_version(&mut self, version: u32) -> Version {
        self.list_version.take(version)
    }

    /// Returns whether a NOTIFY may contain no change.
    pub(super) const fn may_repeat(&self) -> bool {
        self.may_repeat
    }

    /// The full state has arrived: from now on every NOTIFY must contain a change.
    pub(super) fn end_repeats(&mut self) {
        self.may_repeat = false;
    }

    /// Checks a NOTIFY without its body. `is_our_tag`: its To-tag is this phone's.
    pub(super) fn hear(&mut self, notify: &Incoming<'_>, is_our_tag: bool) -> Heard {
        if !is_our_tag || !self.learn_tag(notify.from_tag) {
            return Heard::WrongTag;
        }
        let this = (notify.sequence, hash(notify.branch));
        let known = &mut self.known[notify.sequence as usize % KNOWN];
        if *known == this {
            return Heard::Retransmission;
        }
        if self.phase == Phase::Ended {
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
        let ending = self.phase == Phase::Ending;
        let wrong = if !notify.event.eq_ignore_ascii_case(b"dialog") {
            Some(Wrong::Package)
        } else if !is_state || (ends && !ending) {
            Some(Wrong::SubscriptionState)
        } else {
            None
        };
        if ends {
            self.phase = Phase::Ended;
        }
        Heard::Next(NextNotify {
            is_first: last.is_none(),
            is_out_of_order: last.is_some_and(|last| notify.sequence != last.wrapping_add(1)),
            ends: ends && ending,
            wrong,
        })
    }

    /// Stores the notifier's tag from the 2xx or the first NOTIFY, whichever arrives first. Returns
    /// false if a later tag differs.
    fn learn_tag(&mut self, tag: &[u8]) -> bool {
        if self.remote_tag.is_empty()
            && let Ok(tag) = std::str::from_utf8(tag)
        {
            self.remote_tag = tag.into();
        }
        !tag.is_empty() && tag == self.remote_tag.as_bytes()
    }
}

/// Hashes a branch, eight octets at a time. The upper half of the sum depends on all octets.
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

    const fn next(
        is_first: bool,
        is_out_of_order: bool,
        ends: bool,
        wrong: Option<Wrong>,
    ) -> Heard {
        Heard::Next(NextNotify {
            is_first,
            is_out_of_order,
            ends,
            wrong,
        })
    }

    #[test]
    fn a_notify_is_judged_by_its_cseq_and_branch() {
        let mut phone = Subscription::default();
        phone.begin_subscribe(Phase::Active, Instant::now());
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
    fn an_end_that_our_subscribe_requested_is_no_fault() {
        let mut phone = Subscription::default();
        phone.begin_subscribe(Phase::Active, Instant::now());
        hear(&mut phone, 7, 1, "active");
        let nonsense = next(false, false, false, Some(Wrong::SubscriptionState));
        assert_eq!(hear(&mut phone, 8, 2, "blue"), nonsense);
        phone.begin_subscribe(Phase::Ending, Instant::now());
        // A change that was in transit, then the end.
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
    fn a_tag_is_learnt_once_per_dialog() {
        let mut phone = Subscription::default();
        assert!(phone.learn_tag(b"s"));
        assert!(!phone.learn_tag(b"t"));
        assert!(!Subscription::default().learn_tag(b""));
        phone.lose();
        assert_eq!((phone.generation, phone.phase), (1, Phase::New));
        assert!(phone.learn_tag(b"t"));
    }
}
