//! What the checker expects of a dialog after its node crashed and recovered.
//!
//! Nothing acknowledged is missing, CSeq and version go on above all that was sent, and the first
//! document has full state. What else is expected of a dialog is expected again, except for this:
//! - CSeq and version may skip numbers once. A NOTIFY writes no record, so the new process goes on
//!   beyond all that the last record reserves.
//! - A 2xx may come twice: its phone repeats a SUBSCRIBE whose 2xx was lost with the process. A dialog
//!   of which no 2xx ever left, an [`Orphan`], is notified meanwhile.
//! - A refresh is acknowledged before its record is durable, so that it waits for no disk. If the record
//!   is lost, what was [`Agreed`] before counts until the next 2xx: a phone that has moved since then
//!   is not reached, and the subscription may end earlier.
//! - A pause after a 503 ends. No record has it; at worst the phone refuses one NOTIFY more.
//! - A path counts as unproven until the next response, as it may have been proven after the record.
//! - Dialogs over a stream wait for the next SUBSCRIBE: the stream ended with the process.
//! - What is due to a phone is due from the end of the recovery on, and so is the next NOTIFY of a
//!   `min-rate`: the record of its dialog may be the last that comes back.
//! - A dialog is doubtful until the next 2xx if its phone responded with 481, which the node may not
//!   have read, or if it had run out, and a 2xx that renews it may still have been held.

use std::net::SocketAddr;

use lamplighter::shard::{ConnectionId, Flow};

use super::{Checker, Dialog, End, Notify, NotifyResponse, Outcome};
use crate::network::{Micros, SECOND};
use crate::pauses::Pauses;

/// How long after its record was removed a subscription may be taken for active: until its last NOTIFY has
/// left, or the 2xx to the SUBSCRIBE that ends it.
const ENDING_MAX: Micros = 40 * SECOND;

/// What was agreed with the phone of a dialog when a record of it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// The CSeq of the last SUBSCRIBE.
    pub(super) subscribe_cseq: u32,
    pub(super) deadline: Micros,
    pub(super) flow: Flow,
    /// It had run out: perhaps a 2xx that renews it was still held.
    pub(super) is_over: bool,
}

/// The record of a dialog that the store kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Its newest record.
    Newest,
    /// An older record, of the time when this was agreed; None for one before the first 2xx left.
    Older(Option<Agreed>),
    /// Nothing.
    Nothing,
}

/// A dialog that the store kept although no 2xx of it ever left. The node notifies its phone.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Orphan {
    /// CSeq and path of its last NOTIFY.
    pub(super) last: Option<(u32, (u16, SocketAddr))>,
    /// CSeq of the last NOTIFY that got a final response.
    answered: Option<u32>,
    pub(super) pauses: Pauses,
}

impl Orphan {
    pub(super) fn notify_sent(&mut self, notify: &Notify) {
        self.last = Some((notify.cseq, notify.path));
    }

    /// A response to its NOTIFY with that CSeq. Returns the path that it proves.
    pub(super) fn notify_response(
        &mut self,
        now: Micros,
        cseq: u32,
        response: NotifyResponse,
    ) -> Option<(u16, SocketAddr)> {
        let (last, path) = self.last?;
        let is_news = cseq == last && self.answered != Some(cseq);
        if is_news && response.status >= 200 {
            self.answered = Some(cseq);
            self.pauses.note(now, response);
        }
        Some(path)
    }
}

impl Checker {
    /// The node crashed. `kept` returns what the store kept of the dialog with our tag; if `is_synced`,
    /// it must have kept every acknowledged subscription.
    pub(crate) fn crashed(&mut self, now: Micros, is_synced: bool, kept: impl Fn(&str) -> Kept) {
        self.paths.forget();
        self.recovered_at = None;
        let mut missing = None;
        for dialog in &mut self.dialogs {
            let kept = kept(dialog.our_tag());
            let may_be_removed = dialog.is_ending(now) || dialog.is_silent();
            if kept == Kept::Nothing && is_synced && dialog.is_living(now) && !may_be_removed {
                missing.get_or_insert_with(|| format!("{dialog:?}"));
            }
            self.continued += u64::from(kept != Kept::Nothing && dialog.is_living(now));
            dialog.crash(now, kept);
        }
        if let Some(dialog) = missing {
            self.fail(now, "an acknowledged subscription has no record", dialog);
        }
    }

    /// The store kept a dialog of which no 2xx was sent: NOTIFYs in it are expected.
    pub(crate) fn expect_orphan(&mut self, tag: &str) {
        self.orphans.insert(tag.to_owned(), Orphan::default());
    }

    /// Whether a dialog with our tag had a 2xx.
    pub(crate) fn knows_tag(&self, tag: &str) -> bool {
        self.dialogs.iter().any(|dialog| dialog.our_tag() == tag)
    }

    /// Whether the node crashed since a dialog began.
    pub(crate) fn has_crashed(&self, key: &str) -> bool {
        let dialog = self.dialogs_by_key.get(key);
        dialog.is_some_and(|dialog| self.dialogs[*dialog].has_crashed)
    }

    /// The node has recovered: what is due to a phone is due from now on.
    pub(crate) fn recovered(&mut self, now: Micros) {
        self.recovered_at = Some(now);
        for dialog in &mut self.dialogs {
            if let Some(since) = &mut dialog.owes_since {
                *since = now.max(*since);
            }
        }
    }

    /// A dialog begins. Its phone may have repeated the SUBSCRIBE of an older one, whose record came back
    /// later and was removed: that dialog has ended without a NOTIFY.
    pub(super) fn note_successor(&mut self, begun: &Dialog) {
        for older in &mut self.dialogs {
            let is_replaced = older.has_crashed && older.removed_at.is_some();
            if is_replaced && older.subscribe() == begun.subscribe() {
                older.end.get_or_insert(End::Replaced);
            }
        }
    }

    /// The record of a dialog is written, or removed. Returns what is agreed with its phone, if it had a
    /// 2xx.
    pub(crate) fn recorded(&mut self, now: Micros, tag: &str, is_removed: bool) -> Option<Agreed> {
        let at = self.dialogs.iter().position(|it| it.our_tag() == tag)?;
        let (before, newer) = self.dialogs.split_at_mut(at + 1);
        let dialog = before.last_mut()?;
        let is_newer = |it: &Dialog| it.end.is_none() && it.subscribe() == dialog.subscribe();
        if is_removed && dialog.has_crashed && newer.iter().any(is_newer) {
            dialog.end.get_or_insert(End::Replaced);
        }
        dialog.removed_at = match is_removed {
            true => dialog.removed_at.or(Some(now)),
            false => None,
        };
        Some(dialog.agreed(now))
    }

    /// A 481 to a SUBSCRIBE leaves.
    pub(crate) fn subscribe_unknown(&mut self, now: Micros, key: &str) {
        let Some(&at) = self.dialogs_by_key.get(key) else {
            return;
        };
        let dialog = &self.dialogs[at];
        if dialog.is_living(now) && !dialog.is_ending(now) && !dialog.is_silent() {
            let detail = format!("{dialog:?}");
            self.fail(now, "481 for an active subscription", detail);
        }
    }
}

impl Dialog {
    /// Our tag: the end of its key.
    fn our_tag(&self) -> &str {
        self.key.rsplit(' ').next().unwrap_or_default()
    }

    /// Its Call-ID and the tag of its phone: the beginning of its key.
    fn subscribe(&self) -> &str {
        self.key
            .rsplit_once(' ')
            .map_or("", |(beginning, _)| beginning)
    }

    /// Whether its last NOTIFY has no response: the node may have given it up.
    fn is_silent(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| matches!(last.outcome, None | Some((_, Outcome::TimedOut))))
    }

    /// Whether its phone may rely on it: nothing has ended it, and nothing may have.
    fn is_living(&self, now: Micros) -> bool {
        let may_be_gone = self.uncertain || self.is_doubtful;
        !self.unsubscribed && self.end.is_none() && now < self.deadline && !may_be_gone
    }

    /// Whether the node has removed its record, and had no time to say so. It cannot tell a phone whose
    /// stream has ended.
    fn is_ending(&self, now: Micros) -> bool {
        let is_recent = |at| self.flow_lost || now < at + ENDING_MAX;
        self.removed_at.is_some_and(is_recent)
    }

    /// What is agreed with its phone.
    pub(super) fn agreed(&self, now: Micros) -> Agreed {
        Agreed {
            subscribe_cseq: self.subscribe_cseq,
            deadline: self.deadline,
            flow: self.flow,
            is_over: now > self.deadline,
        }
    }

    /// The node goes on with an older record: it knows nothing of a refresh, a move or an end since.
    fn go_back_to(&mut self, agreed: Agreed) {
        self.is_doubtful |= agreed.is_over;
        self.has_left = self.flow != agreed.flow;
        self.subscribe_cseq = agreed.subscribe_cseq;
        self.deadline = agreed.deadline;
        self.flow = agreed.flow;
        self.flow_lost = false;
        self.end = None;
        self.unsubscribed = false;
        self.removed_at = None;
    }

    fn crash(&mut self, now: Micros, kept: Kept) {
        if let Some(last) = self.last.take() {
            self.floor = Some(last.cseq);
        }
        self.is_recovered = true;
        self.has_crashed = true;
        self.pauses = Pauses::default();
        self.is_proven = false;
        match kept {
            // The node may not have read it: the response was on its way between two shards.
            Kept::Newest if self.end == Some(End::Refused) => {
                self.is_doubtful = true;
                self.end = None;
            }
            // It had run out: perhaps a 2xx that would have renewed it never left.
            Kept::Newest if now > self.deadline => self.is_doubtful = true,
            Kept::Newest => {}
            Kept::Older(agreed) => self.go_back_to(agreed.unwrap_or(self.first_agreed)),
            Kept::Nothing => {
                self.end.get_or_insert(End::Lost);
            }
        }
        // The SUBSCRIBE may be repeated to the new process.
        self.subscribe_cseq = self.subscribe_cseq.saturating_sub(1);
        self.flow_lost |= self.flow.connection != ConnectionId::default();
        if let Some(since) = &mut self.owes_since {
            *since = now;
        }
    }
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
