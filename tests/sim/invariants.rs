//! The invariants of every subscription at every moment, checked on the octets that leave the node,
//! before the network can lose them.
//!
//! The checker does not know how the engine works. It sees the messages that leave the node and
//! those that reach it, and checks for each dialog:
//! - a 2xx to SUBSCRIBE comes first and is followed by a NOTIFY within a bound (W:A2.1, A2.5);
//! - CSeq and document version increase by exactly one per new NOTIFY; retransmissions are the same
//!   octets at Timer E's times;
//! - no new NOTIFY before the last one got its response or timed out (W:A3.4);
//! - no NOTIFY without new state, unless a SUBSCRIBE or its minimum rate asks for it (W:A3.14,
//!   B6.2);
//! - a subscription with a `min-rate` is notified at that rate while its phone responds (W:B6.2);
//! - a list is notified in full after a SUBSCRIBE and after a lost NOTIFY (W:B5.4);
//! - `expires` of Subscription-State is the remaining time (W:A1.14);
//! - after a 503 with Retry-After there is a pause, and then another NOTIFY, see
//!   [`pauses`](crate::pauses);
//! - an address that has never responded gets few octets, see [`paths`](crate::paths), and so do all of
//!   them together, see [`amplification`](crate::amplification); a dialog
//!   whose path is not proven yet waits for the response to another dialog's NOTIFY there (W:E3.8);
//! - the subscription ends when due, not before, with one last NOTIFY (W:A2.6, A3.9).

pub(crate) mod restart;

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use lamplighter::shard::{ConnectionId, Flow};

use crate::amplification::Amplification;
use crate::invariants::restart::{Agreed, Orphan};
use crate::network::{MILLISECOND, Micros, SECOND};
use crate::paths::{Paths, Wait};
use crate::pauses::Pauses;

/// Timer F.
const TIMER_F: Micros = 32 * SECOND;

/// A broken invariant.
#[derive(Clone, Debug)]
pub(crate) struct Violation {
    pub(crate) at: Micros,
    pub(crate) invariant: &'static str,
    pub(crate) detail: String,
}

/// Bounds on delays; they depend on the run's options.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The grace of a subscription after its expiry.
    pub(crate) grace: Micros,
    /// Longest wait of a NOTIFY for its phone's rate limit.
    pub(crate) pace: Micros,
    /// Time between two NOTIFYs to a phone that has used up its burst.
    pub(crate) interval: Micros,
    /// Longest delay through the shards.
    pub(crate) propagation: Micros,
    /// Longest time for which a 2xx waits for its record. The subscription begins before.
    pub(crate) hold: Micros,
    /// Whether the allowance for addresses that have proved nothing may be used up.
    pub(crate) is_allowance_small: bool,
}

/// The value of Subscription-State.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SubscriptionState {
    Active { expires: u64 },
    Terminated { reason: String },
}

/// A NOTIFY that leaves the node.
#[derive(Clone, Debug)]
pub(crate) struct Notify {
    /// Call-ID, the phone's tag, our tag.
    pub(crate) key: String,
    pub(crate) cseq: u32,
    /// Hash of the whole message.
    pub(crate) octets_hash: u64,
    /// Hash of the document without its version.
    pub(crate) essence_hash: u64,
    /// Version of a dialog-info or a list.
    pub(crate) version: Option<u32>,
    /// Whether it is a partial notification of a list.
    pub(crate) is_partial: bool,
    /// It belongs to a list that its phone accepts in parts: further parts of a fetch may follow.
    pub(crate) may_go_on: bool,
    /// The configuration was reloaded since the last NOTIFY: a repetition is permitted.
    pub(crate) is_reconfigured: bool,
    pub(crate) subscription_state: SubscriptionState,
    pub(crate) least_rate: LeastRate,
    /// 0 for datagrams.
    pub(crate) connection: ConnectionId,
    /// The shard that sends it, and its destination.
    pub(crate) path: (u16, SocketAddr),
    pub(crate) body_octets: usize,
}

/// The expiry in a NOTIFY that precedes the last one of a fetch: without a body, or with a part of
/// a list.
const WITHHELD_EXPIRES: u64 = 32;

impl Notify {
    /// Returns whether the state of a fetch may still follow.
    fn may_be_withheld(&self) -> bool {
        let expires = WITHHELD_EXPIRES;
        (self.body_octets == 0 || self.may_go_on)
            && self.subscription_state == SubscriptionState::Active { expires }
    }
}

/// How often a subscription is notified without a change (RFC 6446).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LeastRate {
    /// Never.
    Nothing,
    /// `min-rate`: the time between two NOTIFYs.
    Every(Micros),
    /// `adaptive-min-rate`: the time depends on earlier NOTIFYs.
    Adaptive,
}

/// A phone's response to a NOTIFY.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotifyResponse {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<u64>,
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Accepted,
    Refused,
    /// With Retry-After.
    Postponed,
    TimedOut,
    /// The phone has moved to another path: the response from the old path is no longer awaited.
    Abandoned,
}

/// The last NOTIFY of a dialog.
#[derive(Debug)]
struct Last {
    cseq: u32,
    octets_hash: u64,
    essence_hash: u64,
    /// The shard that sent it, and its destination.
    path: (u16, SocketAddr),
    first_at: Micros,
    latest_at: Micros,
    transmissions: u32,
    outcome: Option<(Micros, Outcome)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The terminated NOTIFY left.
    Notified,
    /// The phone responded with 481.
    Refused,
    /// The node crashed and has no record of it.
    Lost,
    /// The node removed its record, and a dialog goes on that a copy of its SUBSCRIBE began: a last NOTIFY
    /// may leave, but need not.
    Replaced,
}

#[derive(Debug)]
struct Dialog {
    /// Call-ID, the phone's tag, our tag.
    key: String,
    /// Highest CSeq of a SUBSCRIBE that got a 2xx.
    subscribe_cseq: u32,
    deadline: Micros,
    unsubscribed: bool,
    /// Since when a NOTIFY is due after a 2xx.
    owes_since: Option<Micros>,
    /// Time for the NOTIFYs that were due to its phone before the subscription began: a looping
    /// phone delays itself.
    behind: Micros,
    /// NOTIFYs without retransmissions: the version of the next document.
    sent: u32,
    last: Option<Last>,
    pauses: Pauses,
    /// As stated in the last NOTIFY.
    least_rate: LeastRate,
    end: Option<End>,
    /// As stated in the last 2xx.
    flow: Flow,
    flow_lost: bool,
    /// A NOTIFY over the flow got its response.
    is_proven: bool,
    /// A response arrived at the moment Timer F fired: which of the two the engine saw first is
    /// unknown.
    uncertain: bool,
    /// The node may have recovered it with another expiry, or although it had ended, until the next 2xx.
    is_doubtful: bool,
    /// The node recovered it with an older flow, until the next 2xx: its phone is no longer there.
    has_left: bool,
    /// What was agreed when its first 2xx left.
    first_agreed: Agreed,
    /// When the node wrote that it needs no record any more.
    removed_at: Option<Micros>,
    /// After a crash, until the next NOTIFY: the CSeq that it must exceed.
    floor: Option<u32>,
    /// After a crash, until the next document: its version may be any above `sent`.
    is_recovered: bool,
    /// The node crashed since it began.
    has_crashed: bool,
    /// The CSeq of the last NOTIFY that left before its first 2xx.
    before_2xx: Option<u32>,
    /// A NOTIFY left before this 2xx: the first one that is seen may be a copy of it, and the one that
    /// the SUBSCRIBE wants follows.
    may_repeat: bool,
}

/// The checker of one run.
#[derive(Debug)]
pub(crate) struct Checker {
    bounds: Bounds,
    dialogs: Vec<Dialog>,
    dialogs_by_key: HashMap<String, usize>,
    pub(crate) paths: Paths,
    pub(crate) amplification: Amplification,
    pub(crate) violations: Vec<Violation>,
    /// NOTIFYs that were not retransmissions.
    pub(crate) notifies: u64,
    /// Subscriptions that were active at a crash, and how many of them were notified first afterwards
    /// without a SUBSCRIBE.
    pub(crate) continued: u64,
    pub(crate) notified_unasked: u64,
    /// Streams that have ended.
    closed: HashSet<ConnectionId>,
    /// Streams that the node opened.
    dialed: HashMap<ConnectionId, Flow>,
    /// Dialogs that the store kept although their 2xx never left, by our tags.
    orphans: HashMap<String, Orphan>,
    /// When the node had all records back after its last crash; None while it is down, or has not.
    recovered_at: Option<Micros>,
}

impl Checker {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            dialogs: Vec::new(),
            dialogs_by_key: HashMap::new(),
            paths: Paths::default(),
            amplification: Amplification::default(),
            violations: Vec::new(),
            notifies: 0,
            continued: 0,
            notified_unasked: 0,
            closed: HashSet::new(),
            dialed: HashMap::new(),
            orphans: HashMap::new(),
            recovered_at: Some(0),
        }
    }

    pub(crate) fn fail(&mut self, at: Micros, invariant: &'static str, detail: impl Into<String>) {
        self.violations.push(Violation {
            at,
            invariant,
            detail: detail.into(),
        });
    }

    /// A 2xx to a SUBSCRIBE leaves; so may a copy of an old one.
    pub(crate) fn subscribe_accepted(
        &mut self,
        now: Micros,
        key: &str,
        cseq: u32,
        expires: u64,
        flow: &Flow,
    ) {
        let Some(&at) = self.dialogs_by_key.get(key) else {
            let owed = self.dialogs.iter().filter(|it| it.is_owed_at(flow.peer));
            let behind = owed.count() as u64 * self.bounds.interval;
            let flow_lost = self.closed.contains(&flow.connection);
            let tag = key.rsplit(' ').next().unwrap_or_default();
            let orphan = self.orphans.remove(tag);
            let begun = Dialog::begin(now, key, (cseq, expires), flow, orphan);
            self.note_successor(&begun);
            self.dialogs_by_key
                .insert(key.to_owned(), self.dialogs.len());
            self.dialogs.push(Dialog {
                behind,
                flow_lost,
                ..begun
            });
            return;
        };
        let dialog = &mut self.dialogs[at];
        if cseq <= dialog.subscribe_cseq {
            return;
        }
        dialog.subscribe_cseq = cseq;
        dialog.deadline = now + expires * SECOND;
        dialog.unsubscribed |= expires == 0;
        dialog.owes_since.get_or_insert(now);
        if let Some(last) = &mut dialog.last
            && (dialog.flow != *flow || dialog.is_doubtful && last.path.1 != flow.peer)
        {
            last.outcome.get_or_insert((now, Outcome::Abandoned));
            self.paths.abandon(last.path.1);
        }
        dialog.is_proven &= dialog.flow == *flow;
        dialog.flow = *flow;
        dialog.flow_lost = self.closed.contains(&flow.connection);
        dialog.is_doubtful = false;
        dialog.has_left = false;
        if dialog.end == Some(End::Notified) {
            self.fail(now, "a 2xx after the end", key);
        }
    }

    /// A NOTIFY leaves.
    pub(crate) fn notify_sent(&mut self, now: Micros, notify: &Notify) {
        let Some(&at) = self.dialogs_by_key.get(&notify.key) else {
            let tag = notify.key.rsplit(' ').next().unwrap_or_default();
            if let Some(orphan) = self.orphans.get_mut(tag) {
                // Others may wait for its response.
                orphan.notify_sent(notify);
                let _ = self.paths.notify_sent(now, notify.path, 0);
                return;
            }
            return self.fail(now, "a NOTIFY before any 2xx", format!("{notify:?}"));
        };
        let bounds = self.bounds;
        let dialog = &mut self.dialogs[at];
        if dialog.before_2xx == Some(notify.cseq) {
            // A copy of the last NOTIFY of an orphan.
            let _ = self.paths.notify_sent(now, notify.path, 0);
            return;
        }
        if let Some(flow) = self.dialed.get(&notify.connection)
            && dialog.flow_lost
        {
            if flow.peer.ip() != dialog.flow.peer.ip() {
                let detail = format!("{notify:?}\n    after {dialog:?}");
                return self.fail(now, "a NOTIFY to an address that never asked", detail);
            }
            dialog.flow = *flow;
            dialog.flow_lost = self.closed.contains(&flow.connection);
            // Its phone is told everything again.
            if let Some(last) = &mut dialog.last {
                last.outcome = Some((now, Outcome::Abandoned));
            }
        }
        let is_copy = dialog
            .last
            .as_ref()
            .is_some_and(|last| last.cseq == notify.cseq);
        let is_datagram = notify.connection == ConnectionId::default();
        let paths = &mut self.paths;
        let verdict = if is_copy {
            dialog.check_copy(now, notify, bounds).and_then(|()| {
                let transmissions = dialog.last.as_ref().map_or(0, |last| last.transmissions);
                paths.notify_sent_again(notify.path.1, transmissions)
            })
        } else {
            self.notifies += 1;
            let of_path = match is_datagram {
                true => paths.notify_sent(now, notify.path, notify.body_octets),
                false => Ok(()),
            };
            dialog.check_new(now, notify, bounds).and(of_path)
        };
        if let Err(invariant) = verdict {
            let detail = format!("{notify:?}\n    after {dialog:?}");
            self.fail(now, invariant, detail);
        }
        if !is_copy {
            let dialog = &mut self.dialogs[at];
            let is_first = dialog.floor.is_some();
            self.notified_unasked += u64::from(is_first && dialog.owes_since.is_none());
            dialog.remember(now, notify);
        }
    }

    /// A response to a NOTIFY reached the node. Only the first one counts.
    pub(crate) fn notify_response(
        &mut self,
        now: Micros,
        key: &str,
        cseq: u32,
        response: NotifyResponse,
    ) {
        let Some(&at) = self.dialogs_by_key.get(key) else {
            let tag = key.rsplit(' ').next().unwrap_or_default();
            let orphan = self.orphans.get_mut(tag);
            if let Some(path) = orphan.and_then(|it| it.notify_response(now, cseq, response)) {
                self.paths.prove(now, path);
            }
            return;
        };
        let dialog = &mut self.dialogs[at];
        let Some(last) = dialog.last.as_mut().filter(|last| last.cseq == cseq) else {
            return;
        };
        let waited = now - last.first_at;
        let is_at_timer_f = waited.abs_diff(TIMER_F) < SECOND;
        match last.outcome {
            // After Timer F a response belongs to no transaction, and proves nothing.
            None | Some((_, Outcome::TimedOut)) if waited > TIMER_F => {
                dialog.uncertain |= is_at_timer_f;
                if is_at_timer_f {
                    self.paths.note_proof(last.path.1);
                }
                return;
            }
            // A repeated response proves the path; it is not a response to the NOTIFY in flight now.
            Some(_) => return self.paths.note_proof(last.path.1),
            None => {}
        }
        dialog.uncertain |= is_at_timer_f;
        self.paths.prove(now, last.path);
        if response.status < 200 {
            return;
        }
        dialog.pauses.note(now, response);
        let outcome = match (response.status, response.retry_after) {
            (..300, _) => Outcome::Accepted,
            (503, Some(_)) => Outcome::Postponed,
            _ => Outcome::Refused,
        };
        last.outcome = Some((now, outcome));
        dialog.is_proven = true;
        if response.status == 481 {
            dialog.end.get_or_insert(End::Refused);
        }
    }

    /// The node opened a stream: dialogs whose own was lost may go on on it.
    pub(crate) fn stream_dialed(&mut self, flow: Flow) {
        self.dialed.insert(flow.connection, flow);
    }

    /// A stream ended: messages in flight on it are lost.
    pub(crate) fn stream_closed(&mut self, now: Micros, connection: ConnectionId) {
        self.closed.insert(connection);
        for dialog in self
            .dialogs
            .iter_mut()
            .filter(|dialog| dialog.flow.connection == connection)
        {
            dialog.flow_lost = true;
            if let Some(last) = &mut dialog.last {
                last.outcome.get_or_insert((now, Outcome::TimedOut));
            }
        }
    }

    /// Checks for events that are overdue.
    pub(crate) fn sweep(&mut self, now: Micros) {
        let (bounds, paths, recovered_at) = (self.bounds, &self.paths, self.recovered_at);
        let late = |dialog: &mut Dialog| {
            // The record of an older dialog may still be to come.
            let is_back = recovered_at.is_some() || !dialog.has_crashed;
            let recovered_at = recovered_at.filter(|_| dialog.has_crashed).unwrap_or(0);
            if !is_back {
                return None;
            }
            Some((
                dialog.is_late(now, bounds, paths, recovered_at)?,
                format!("{dialog:?}"),
            ))
        };
        if let Some((invariant, detail)) = self.dialogs.iter_mut().find_map(late) {
            self.fail(now, invariant, detail);
        }
    }

    /// When the last NOTIFY of a dialog left for the first time; None if there was none.
    pub(crate) fn last_notified(&self, key: &str) -> Option<Micros> {
        let dialog = &self.dialogs[*self.dialogs_by_key.get(key)?];
        dialog.last.as_ref().map(|last| last.first_at)
    }

    /// Whether a NOTIFY of a dialog is a copy of one that left before the first 2xx: its content is of that
    /// time.
    pub(crate) fn is_from_before(&self, key: &str, cseq: u32) -> bool {
        let dialog = self.dialogs_by_key.get(key);
        dialog.is_some_and(|dialog| self.dialogs[*dialog].before_2xx == Some(cseq))
    }

    /// When the last pause requested by the phone ends; 0 if it requested none.
    pub(crate) fn paused_until(&self, key: &str) -> Micros {
        let dialog = self.dialogs_by_key.get(key);
        dialog.map_or(0, |dialog| self.dialogs[*dialog].pauses.over_at())
    }

    /// Returns whether a dialog may have ended without a NOTIFY: its path was not proven in time,
    /// or it is unknown whether a response or Timer F came first. Or, after a crash, its NOTIFYs may not
    /// reach its phone.
    pub(crate) fn may_be_gone(&self, now: Micros, key: &str) -> bool {
        let dialog = self.dialogs_by_key.get(key);
        dialog.is_some_and(|dialog| {
            let dialog = &self.dialogs[*dialog];
            let is_over = now > dialog.deadline;
            let may_be_gone = dialog.uncertain || dialog.is_doubtful || dialog.has_left || is_over;
            may_be_gone || matches!(dialog.end, Some(End::Lost | End::Replaced))
        })
    }

    /// Returns whether a NOTIFY of a dialog got a response, so that none needs to be sent without
    /// its body.
    pub(crate) fn is_proven(&self, key: &str) -> bool {
        let dialog = self.dialogs_by_key.get(key);
        dialog.is_some_and(|dialog| self.dialogs[*dialog].is_proven)
    }

    /// Returns whether a 2xx to a SUBSCRIBE is no copy of an earlier one.
    pub(crate) fn is_news(&self, key: &str, cseq: u32) -> bool {
        let dialog = self.dialogs_by_key.get(key);
        dialog.is_none_or(|dialog| cseq > self.dialogs[*dialog].subscribe_cseq)
    }

    /// Returns whether a dialog had a 2xx.
    pub(crate) fn knows(&self, key: &str) -> bool {
        self.dialogs_by_key.contains_key(key)
    }

    /// Dialogs that had a 2xx.
    pub(crate) fn dialogs(&self) -> usize {
        self.dialogs.len()
    }
}

impl Dialog {
    /// Its first 2xx leaves. It was an `orphan` if that is the second one: the first was lost with the
    /// process, and the phone repeated its SUBSCRIBE.
    fn begin(
        now: Micros,
        key: &str,
        (cseq, expires): (u32, u64),
        flow: &Flow,
        orphan: Option<Orphan>,
    ) -> Self {
        let (deadline, is_over) = (now + expires * SECOND, expires == 0);
        let is_orphan = orphan.is_some();
        let Orphan { last, pauses, .. } = orphan.unwrap_or_default();
        Self {
            key: key.to_owned(),
            subscribe_cseq: cseq,
            deadline,
            unsubscribed: is_over,
            owes_since: Some(now),
            behind: 0,
            sent: 0,
            last: None,
            pauses,
            least_rate: LeastRate::Nothing,
            end: None,
            flow: *flow,
            flow_lost: false,
            is_proven: false,
            uncertain: false,
            is_doubtful: false,
            has_left: false,
            first_agreed: Agreed {
                subscribe_cseq: cseq,
                deadline,
                flow: *flow,
                is_over,
            },
            removed_at: is_over.then_some(now),
            floor: None,
            is_recovered: is_orphan,
            has_crashed: is_orphan,
            before_2xx: last.map(|(cseq, _)| cseq),
            may_repeat: last.is_some(),
        }
    }

    fn check_copy(
        &mut self,
        now: Micros,
        notify: &Notify,
        bounds: Bounds,
    ) -> Result<(), &'static str> {
        let Some(last) = &mut self.last else {
            return Ok(());
        };
        let gap = now - last.latest_at;
        last.latest_at = now;
        last.transmissions += 1;
        if notify.octets_hash != last.octets_hash {
            return Err("a retransmission with other octets");
        }
        if notify.connection != ConnectionId::default() {
            return Err("a retransmission over a stream");
        }
        if gap < 490 * MILLISECOND
            || last.transmissions > 11
            || now - last.first_at > TIMER_F + SECOND
        {
            return Err("a retransmission that is not due by Timer E");
        }
        match last.outcome {
            Some((responded, _)) if now > responded + bounds.propagation => {
                Err("a retransmission after the response")
            }
            _ => Ok(()),
        }
    }

    fn check_new(&self, now: Micros, notify: &Notify, bounds: Bounds) -> Result<(), &'static str> {
        self.check_numbers(notify)?;
        let is_lost = |last: &Last| !matches!(last.outcome, Some((_, Outcome::Accepted)));
        if notify.is_partial
            && !self.uncertain
            && !self.is_doubtful
            && (self.owes_since.is_some() || self.last.as_ref().is_none_or(is_lost))
        {
            return Err("a partial document where full state is due");
        }
        if self.uncertain || self.is_doubtful {
            return Ok(());
        }
        let is_last = matches!(
            notify.subscription_state,
            SubscriptionState::Terminated { .. }
        );
        match self.end {
            Some(End::Replaced) if is_last => {}
            Some(End::Lost | End::Replaced) => return Err("a NOTIFY in a dialog without a record"),
            Some(End::Notified) => return Err("a NOTIFY after the terminated one"),
            Some(End::Refused) => return Err("a NOTIFY after 481"),
            None => {}
        }
        if let Some(last) = &self.last {
            if last.outcome.is_none() && now < last.first_at + TIMER_F - 10 * MILLISECOND {
                return Err("a NOTIFY while another is outstanding");
            }
            let is_news = self.owes_since.is_some() || self.may_repeat || is_last;
            if now + 10 * MILLISECOND < self.pauses.over_at() && !is_news {
                return Err("a NOTIFY before the pause after a 503 is over");
            }
            let delivered = matches!(last.outcome, Some((_, Outcome::Accepted)));
            let repeats = notify.essence_hash == last.essence_hash && self.owes_since.is_none();
            if repeats
                && !self.may_repeat
                && self.least_rate == LeastRate::Nothing
                && !notify.is_reconfigured
                && delivered
                && matches!(notify.subscription_state, SubscriptionState::Active { .. })
            {
                return Err("a NOTIFY without a change and without a SUBSCRIBE");
            }
        }
        let may_follow = !self.is_proven || notify.may_go_on;
        // After a crash, the last NOTIFY has the full state too.
        let is_over = self.unsubscribed || self.has_crashed && now + SECOND > self.deadline;
        if is_over && may_follow && notify.may_be_withheld() {
            return Ok(());
        }
        self.check_subscription_state(now, &notify.subscription_state, bounds)
    }

    fn check_numbers(&self, notify: &Notify) -> Result<(), &'static str> {
        if let Some(last) = &self.last
            && notify.cseq != last.cseq.wrapping_add(1)
        {
            return Err("CSeq does not go up by one");
        }
        if self.floor.is_some_and(|floor| notify.cseq <= floor) {
            return Err("a lower CSeq after a crash");
        }
        // NOTIFYs without a document count (W:B3.4).
        match notify.version {
            Some(version) if self.is_recovered && version < self.sent => {
                Err("a lower version after a crash")
            }
            Some(version) if !self.is_recovered && version != self.sent => Err(match self.sent {
                0 => "the first version is not 0",
                _ => "the version does not go up by one",
            }),
            _ => Ok(()),
        }
    }

    fn check_subscription_state(
        &self,
        now: Micros,
        state: &SubscriptionState,
        bounds: Bounds,
    ) -> Result<(), &'static str> {
        match state {
            SubscriptionState::Active { .. } if self.unsubscribed => {
                Err("active after the unsubscribe")
            }
            SubscriptionState::Active { expires } => {
                let stated = expires * SECOND;
                let left = self.deadline.saturating_sub(now);
                let sane = stated <= left + 1500 * MILLISECOND
                    && stated + 2 * SECOND + bounds.hold >= left;
                if sane {
                    Ok(())
                } else {
                    Err("Subscription-State expires is not the remaining time")
                }
            }
            // Whether policy requires this is not judged here.
            SubscriptionState::Terminated { reason } if reason == "rejected" => Ok(()),
            SubscriptionState::Terminated { .. }
                if !self.unsubscribed && now + SECOND + bounds.hold < self.deadline =>
            {
                Err("terminated before its expiry")
            }
            SubscriptionState::Terminated { reason } if reason != "timeout" => {
                Err("terminated for another reason than timeout")
            }
            SubscriptionState::Terminated { .. } => Ok(()),
        }
    }

    fn remember(&mut self, now: Micros, notify: &Notify) {
        // The last NOTIFY of a fetch is still due.
        if !(self.unsubscribed && notify.may_be_withheld()) {
            self.owes_since = None;
        }
        self.may_repeat &= self.last.is_none();
        self.pauses.end(now);
        self.least_rate = notify.least_rate;
        self.floor = None;
        if let Some(version) = notify.version
            && std::mem::take(&mut self.is_recovered)
        {
            self.sent = version;
        }
        self.sent += 1;
        if matches!(
            notify.subscription_state,
            SubscriptionState::Terminated { .. }
        ) {
            self.end = Some(End::Notified);
        }
        self.last = Some(Last {
            cseq: notify.cseq,
            octets_hash: notify.octets_hash,
            essence_hash: notify.essence_hash,
            path: notify.path,
            first_at: now,
            latest_at: now,
            transmissions: 1,
            // No response arrives on a stream that has ended.
            outcome: self.flow_lost.then_some((now, Outcome::TimedOut)),
        });
    }

    /// Returns whether a NOTIFY to the phone there is due.
    fn is_owed_at(&self, peer: SocketAddr) -> bool {
        self.owes_since.is_some() && self.end.is_none() && self.flow.peer == peer
    }

    /// The overdue event, if there is one.
    fn is_late(
        &mut self,
        now: Micros,
        bounds: Bounds,
        paths: &Paths,
        recovered_at: Micros,
    ) -> Option<&'static str> {
        if self.end.is_some() || self.flow_lost || self.uncertain || self.is_doubtful {
            return None;
        }
        let mut path_at = 0;
        if !self.is_proven && bounds.is_allowance_small {
            return None;
        }
        if !self.is_proven {
            match paths.wait(now, self.flow.peer) {
                Wait::Over(at) => path_at = at,
                Wait::Waits => return None,
                Wait::MayBeGone => {
                    self.uncertain = true;
                    return None;
                }
            }
        }
        let resolved_at = match &mut self.last {
            None => 0,
            Some(last) => {
                if last.outcome.is_none() && now >= last.first_at + TIMER_F {
                    last.outcome = Some((last.first_at + TIMER_F, Outcome::TimedOut));
                }
                match last.outcome {
                    None => return None,
                    // Probation: the engine chooses when to try again, and may give up.
                    Some((_, Outcome::TimedOut)) => return None,
                    Some((_, Outcome::Postponed)) => self.pauses.over_at(),
                    Some((at, Outcome::Refused)) => at + 5 * SECOND,
                    Some((at, Outcome::Accepted | Outcome::Abandoned)) => at,
                }
            }
        };
        let resolved_at = path_at.max(resolved_at).max(recovered_at);
        // While a 2xx waits for its record, NOTIFYs wait for it; after a crash they wait for a record
        // that reserves CSeq numbers.
        let slack = 2 * SECOND + bounds.pace + self.behind + bounds.propagation + bounds.hold;
        if self
            .owes_since
            .is_some_and(|owes| now > owes.max(resolved_at) + slack)
        {
            return Some("no NOTIFY after a 2xx");
        }
        let is_postponed = |last: &Last| matches!(last.outcome, Some((_, Outcome::Postponed)));
        let is_due = self.owes_since.is_none() && now > resolved_at + slack;
        if self.last.as_ref().is_some_and(is_postponed) && is_due {
            return Some("no NOTIFY after the pause that a 503 asked for");
        }
        // After a crash the period counts from the recovery, or, if its stream was lost, from the next
        // SUBSCRIBE, which asks for a NOTIFY anyway.
        let notified_at = self
            .last
            .as_ref()
            .map_or(recovered_at, |last| last.first_at);
        if let LeastRate::Every(period) = self.least_rate
            && self.owes_since.is_none()
            && now > (notified_at + period).max(resolved_at) + slack
        {
            return Some("no NOTIFY although its min-rate asks for one");
        }
        (now > (self.deadline + bounds.grace).max(resolved_at) + slack + SECOND)
            .then_some("expired without a last NOTIFY")
    }
}

#[cfg(test)]
#[path = "invariants_tests.rs"]
mod tests;
