//! Client transactions of SUBSCRIBE and PUBLISH (RFC 3261 §17.1.2): Timer E, Timer F, and matching
//! by branch.
//!
//! Every request has the same retransmission intervals, so there is one queue of timers per
//! interval, each in order of time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::swarm::key::{Key, SubscriptionKey, Table, UserKey};

/// Timer E: 500 ms, doubled up to T2.
const INTERVALS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Timer F: 64 * T1.
const TIMER_F: Duration = Duration::from_secs(32);
/// The queue that contains only Timer F, for streams.
const TIMER_F_QUEUE: usize = INTERVALS.len();

/// Number of buffers kept for later requests.
const BUFFERS_MAX: usize = 4096;

/// The purpose of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum Purpose {
    /// The SUBSCRIBE that begins a dialog.
    Subscribe(SubscriptionKey),
    /// A SUBSCRIBE in the dialog.
    Refresh(SubscriptionKey),
    /// The SUBSCRIBE with Expires: 0 that ends the dialog.
    Unsubscribe(SubscriptionKey),
    /// A PUBLISH with a document.
    Publish(UserKey),
    /// The PUBLISH that removes the publication.
    Withdraw(UserKey),
}

/// The owner of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum Owner {
    Subscription(SubscriptionKey),
    User(UserKey),
}

/// A request to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) struct Planned {
    pub(in crate::swarm) purpose: Purpose,
    /// When the scenario scheduled it. Latencies count from here, so that a late sender hides
    /// nothing.
    pub(in crate::swarm) scheduled: Instant,
}

/// A request that was sent.
#[derive(Clone, Copy, Debug)]
pub(in crate::swarm) struct Sent {
    pub(in crate::swarm) planned: Planned,
    pub(in crate::swarm) port: u32,
    /// Whether it carries credentials.
    pub(in crate::swarm) is_authorized: bool,
}

/// Identifies a transaction: a slot, and the generation of that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) struct Ticket {
    slot: Slot,
    serial: u64,
}

/// The action required by a timer.
#[derive(Debug)]
pub(in crate::swarm) enum Due<'a> {
    /// Send this request again from this port.
    Retransmit { port: u32, request: &'a [u8] },
    /// Timer F fired: the transaction has ended without a response.
    TimedOut(Sent),
}

/// The transactions that wait for a final response.
#[derive(Debug)]
pub(in crate::swarm) struct Transactions {
    /// Buffers of ended transactions, to be reused.
    buffers: Vec<Vec<u8>>,
    /// The prefix of every branch of this run.
    prefix: String,
    /// There is no Timer E on streams.
    is_reliable: bool,
    slots: Table<Slot, Option<Transaction>>,
    free: Vec<Slot>,
    queues: [VecDeque<(Instant, Ticket)>; INTERVALS.len() + 1],
    serial: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slot(u32);

#[derive(Debug)]
struct Transaction {
    sent: Sent,
    request: Vec<u8>,
    started: Instant,
    /// The queue of its next timer.
    interval: usize,
    serial: u64,
}

impl Transactions {
    pub(super) fn new(run: u32, is_reliable: bool) -> Self {
        Self {
            buffers: Vec::new(),
            prefix: format!("z9hG4bK{run:08x}."),
            is_reliable,
            slots: Table::new(),
            free: Vec::new(),
            queues: Default::default(),
            serial: 0,
        }
    }

    /// The number of transactions waiting for a response.
    pub(super) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Starts a transaction; `write` gets the branch and appends the request. Also returns the
    /// request.
    pub(super) fn start(
        &mut self,
        sent: Sent,
        now: Instant,
        write: impl FnOnce(&str, &mut Vec<u8>),
    ) -> (Ticket, &[u8]) {
        self.serial += 1;
        let free = self.free.pop();
        let slot = free.unwrap_or_else(|| self.slots.push(None));
        let serial = self.serial;
        let ticket = Ticket { slot, serial };
        let mut request = self.buffers.pop().unwrap_or_default();
        let branch = format!("{}{:x}.{serial:x}", self.prefix, slot.0);
        write(&branch, &mut request);
        let queue = if self.is_reliable { TIMER_F_QUEUE } else { 0 };
        self.queues[queue].push_back((now + Self::interval(queue), ticket));
        let transaction = self.slots[slot].insert(Transaction {
            sent,
            request,
            started: now,
            interval: 0,
            serial,
        });
        (ticket, &transaction.request)
    }

    /// The transaction to which a response belongs, and its request.
    pub(super) fn find(&self, branch: &[u8]) -> Option<(Ticket, &[u8])> {
        let text = std::str::from_utf8(branch.strip_prefix(self.prefix.as_bytes())?).ok()?;
        let (slot, serial) = text.split_once('.')?;
        let ticket = Ticket {
            slot: Slot(u32::from_str_radix(slot, 16).ok()?),
            serial: u64::from_str_radix(serial, 16).ok()?,
        };
        let transaction = self.slots.get(ticket.slot)?.as_ref()?;
        let is_meant = transaction.serial == ticket.serial;
        is_meant.then_some((ticket, &transaction.request))
    }

    /// Ends a transaction, which must be running.
    pub(super) fn finish(&mut self, ticket: Ticket) -> Sent {
        let transaction = self.slots[ticket.slot].take();
        let Some(transaction) = transaction.filter(|one| one.serial == ticket.serial) else {
            unreachable!("{ticket:?} names a transaction that has ended");
        };
        self.free.push(ticket.slot);
        self.recycle(transaction.request);
        transaction.sent
    }

    /// Ends a transaction if it is still running.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        if self.is_running(ticket) {
            self.finish(ticket);
        }
    }

    /// Ends all transactions.
    pub(super) fn abandon(&mut self) -> Vec<Sent> {
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.free.clear();
        let running = self.slots.drain().flatten();
        running.map(|transaction| transaction.sent).collect()
    }

    /// When the next timer fires.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let first = self.queues.iter().filter_map(VecDeque::front);
        first.map(|(due, _)| *due).min()
    }

    /// The next action due at `now`.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Due<'_>> {
        let ticket = self.next_due(now)?;
        let is_timed_out = |one: &Transaction| now.duration_since(one.started) >= TIMER_F;
        if self.slots[ticket.slot].as_ref().is_some_and(is_timed_out) {
            return Some(Due::TimedOut(self.finish(ticket)));
        }
        let Some(transaction) = &mut self.slots[ticket.slot] else {
            unreachable!("timers of ended transactions are skipped");
        };
        transaction.interval = (transaction.interval + 1).min(INTERVALS.len() - 1);
        let next = transaction.interval;
        self.queues[next].push_back((now + INTERVALS[next], ticket));
        Some(Due::Retransmit {
            port: transaction.sent.port,
            request: &transaction.request,
        })
    }

    /// Removes the next timer that is due and whose transaction is still running.
    fn next_due(&mut self, now: Instant) -> Option<Ticket> {
        for queue in 0..self.queues.len() {
            while let Some(&(due, ticket)) = self.queues[queue].front() {
                if due > now {
                    break;
                }
                self.queues[queue].pop_front();
                if self.is_running(ticket) {
                    return Some(ticket);
                }
            }
        }
        None
    }

    fn is_running(&self, ticket: Ticket) -> bool {
        let slot = self.slots.get(ticket.slot).and_then(Option::as_ref);
        slot.is_some_and(|transaction| transaction.serial == ticket.serial)
    }

    /// Keeps the buffer of an ended transaction.
    fn recycle(&mut self, mut buffer: Vec<u8>) {
        if self.buffers.len() < BUFFERS_MAX {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    fn interval(queue: usize) -> Duration {
        INTERVALS.get(queue).copied().unwrap_or(TIMER_F)
    }
}

impl Purpose {
    pub(in crate::swarm) const fn owner(self) -> Owner {
        match self {
            Self::Subscribe(key) | Self::Refresh(key) | Self::Unsubscribe(key) => {
                Owner::Subscription(key)
            }
            Self::Publish(user) | Self::Withdraw(user) => Owner::User(user),
        }
    }

    pub(in crate::swarm) const fn method(self) -> &'static str {
        match self.owner() {
            Owner::Subscription(_) => "SUBSCRIBE",
            Owner::User(_) => "PUBLISH",
        }
    }

    /// Returns whether it ends a subscription or a publication, with Expires: 0.
    pub(in crate::swarm) const fn is_last(self) -> bool {
        matches!(self, Self::Unsubscribe(_) | Self::Withdraw(_))
    }
}

impl Key for Slot {
    fn from_number(number: u32) -> Self {
        Self(number)
    }

    fn number(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn sent(purpose: Purpose, now: Instant) -> Sent {
        Sent {
            planned: Planned {
                purpose,
                scheduled: now,
            },
            port: 1,
            is_authorized: false,
        }
    }

    fn started(is_reliable: bool, now: Instant) -> (Transactions, Vec<u8>) {
        let mut transactions = Transactions::new(7, is_reliable);
        let purpose = Purpose::Subscribe(SubscriptionKey::from_number(3));
        let write = |branch: &str, out: &mut Vec<u8>| out.extend_from_slice(branch.as_bytes());
        let branch = transactions
            .start(sent(purpose, now), now, write)
            .1
            .to_vec();
        (transactions, branch)
    }

    #[test]
    fn timer_e_doubles_up_to_t2_and_timer_f_ends_it() {
        let start = Instant::now();
        let (mut transactions, _) = started(false, start);
        let mut sent = Vec::new();
        let end = loop {
            let now = transactions.poll_timeout().unwrap();
            match transactions.handle_timeout(now).unwrap() {
                Due::Retransmit { port: 1, .. } => sent.push((now - start).as_millis()),
                Due::Retransmit { port, .. } => panic!("a retransmission from port {port}"),
                Due::TimedOut(_) => break (now - start).as_millis(),
            }
        };
        assert_eq!(
            sent,
            [
                500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500
            ]
        );
        assert!((32_000..36_000).contains(&end), "{end}");
        assert_eq!(transactions.in_flight(), 0);
    }

    #[test]
    fn a_stream_has_timer_f_alone() {
        let start = Instant::now();
        let (mut transactions, _) = started(true, start);
        let now = transactions.poll_timeout().unwrap();
        assert_eq!(now - start, TIMER_F);
        assert!(matches!(
            transactions.handle_timeout(now),
            Some(Due::TimedOut(_))
        ));
    }

    #[test]
    fn a_response_finds_its_transaction_and_no_other() {
        let now = Instant::now();
        let (mut transactions, branch) = started(false, now);
        let (ticket, request) = transactions.find(&branch).unwrap();
        assert_eq!(request, branch);
        assert!(transactions.find(b"z9hG4bK00000008.0.1").is_none());
        assert!(transactions.find(b"z9hG4bK00000007.9.1").is_none());
        let purpose = transactions.finish(ticket).planned.purpose;
        assert_eq!(purpose, Purpose::Subscribe(SubscriptionKey::from_number(3)));
        assert!(transactions.find(&branch).is_none());
        let publish = Purpose::Publish(UserKey::from_number(1));
        transactions.start(sent(publish, now), now, |_, _| {});
        assert!(
            transactions.find(&branch).is_none(),
            "the slot has another transaction now"
        );
        transactions.cancel(ticket);
        assert_eq!(transactions.in_flight(), 1, "only its own is cancelled");
        let later = now + Duration::from_millis(500);
        assert!(matches!(
            transactions.handle_timeout(later),
            Some(Due::Retransmit { .. })
        ));
        assert!(transactions.handle_timeout(later).is_none());
    }
}
