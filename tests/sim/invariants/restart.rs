//! What the checker expects of a dialog after its node crashed and recovered.
//!
//! The new process knows what the store kept: CSeq and version go on above all that was sent, in full
//! state. It does not know which paths were proven, what phones refused, and what was in flight.

use std::net::SocketAddr;

use lamplighter::shard::ConnectionId;

use super::{Checker, Dialog, End, LeastRate, Notify, NotifyResponse, Outcome};
use crate::network::Micros;
use crate::pauses::Pauses;

/// The record of a dialog that the store kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Its newest record.
    Newest,
    /// An older record: its expiry or flow may be older than the phone's, and it may have ended since.
    Older,
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
        let mut missing = None;
        for dialog in &mut self.dialogs {
            let kept = kept(dialog.our_tag());
            if kept == Kept::Nothing && is_synced && dialog.is_living(now) && !dialog.is_removed {
                missing.get_or_insert_with(|| format!("{dialog:?}"));
            }
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
        self.recovered_at = now;
        for dialog in &mut self.dialogs {
            if let Some(since) = &mut dialog.owes_since {
                *since = now.max(*since);
            }
        }
    }

    /// The record of a dialog is written, or removed.
    pub(crate) fn recorded(&mut self, tag: &str, is_removed: bool) {
        let of_tag = |dialog: &&mut Dialog| dialog.our_tag() == tag;
        if let Some(dialog) = self.dialogs.iter_mut().find(of_tag) {
            dialog.is_removed = is_removed;
        }
    }

    /// A 481 to a SUBSCRIBE leaves.
    pub(crate) fn subscribe_unknown(&mut self, now: Micros, key: &str) {
        let Some(&at) = self.dialogs_by_key.get(key) else {
            return;
        };
        let dialog = &self.dialogs[at];
        // Without a response to its last NOTIFY the node may have given it up.
        let is_silent = dialog
            .last
            .as_ref()
            .is_some_and(|last| matches!(last.outcome, None | Some((_, Outcome::TimedOut))));
        if dialog.is_living(now) && !dialog.is_removed && !is_silent {
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

    /// Whether its phone may rely on it: nothing has ended it, and nothing may have.
    fn is_living(&self, now: Micros) -> bool {
        let may_be_gone = self.uncertain || self.is_doubtful;
        !self.unsubscribed && self.end.is_none() && now < self.deadline && !may_be_gone
    }

    fn crash(&mut self, now: Micros, kept: Kept) {
        if let Some(last) = self.last.take() {
            self.floor = Some(last.cseq);
        }
        self.is_recovered = true;
        self.has_crashed = true;
        self.flow_lost |= self.flow.connection != ConnectionId::default();
        self.pauses = Pauses::default();
        self.least_rate = LeastRate::Nothing;
        self.is_proven = false;
        // The SUBSCRIBE may be repeated to the new process.
        self.subscribe_cseq = self.subscribe_cseq.saturating_sub(1);
        match kept {
            // The node may not have read it: the response was on its way between two shards.
            Kept::Newest if self.end == Some(End::Refused) => {
                self.is_doubtful = true;
                self.end = None;
            }
            // It had run out: perhaps a 2xx that would have renewed it never left.
            Kept::Newest if now > self.deadline => self.is_doubtful = true,
            Kept::Newest => {}
            Kept::Older => {
                self.is_doubtful = true;
                self.end = None;
            }
            Kept::Nothing => {
                self.end.get_or_insert(End::Lost);
            }
        }
        if let Some(since) = &mut self.owes_since {
            *since = now;
        }
    }
}

#[cfg(test)]
#[path = "restart_tests.rs"]
mod tests;
