//! Client transactions of SUBSCRIBE and PUBLISH (RFC 3261 §17.1.2): Timer E, Timer F, and finding
//! one by its branch.
//!
//! All retransmission intervals are the same for everybody, so the timers are one queue per
//! interval, each in order of time.

use std::collections::VecDeque;
use std::time::Duration;
use std::time::Instant;

/// Timer E: 500 ms, doubled up to T2.
const INTERVALS: [Duration; 4] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Timer F: 64 * T1.
const TIMER_F: Duration = Duration::from_secs(32);
/// The queue of Timer F alone, for streams.
const TIMER_F_QUEUE: usize = INTERVALS.len();

/// Buffers kept for the next requests.
const BUFFERS_MAX: usize = 4096;

/// Why a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The SUBSCRIBE of that subscription.
    Subscribe(u32),
    /// Its SUBSCRIBE in the dialog.
    Refresh(u32),
    /// The un-SUBSCRIBE of that subscription.
    Unsubscribe(u32),
    /// The PUBLISH of that presentity.
    Publish(u32),
    /// The PUBLISH that withdraws what that presentity published.
    Withdraw(u32),
}

/// A request that waits for its final response.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) purpose: Purpose,
    pub(crate) port: u32,
    /// When it should have been sent: latencies count from here, so that a late sender hides
    /// nothing.
    pub(crate) scheduled: Instant,
    /// Whether it carries credentials.
    pub(crate) authorized: bool,
    pub(crate) bytes: Vec<u8>,
    started: Instant,
    interval: usize,
    serial: u64,
}

/// Names a slot and which of its tenants is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    slot: u32,
    serial: u64,
}

/// What a timer asks for.
#[derive(Debug)]
pub(crate) enum Due {
    /// Send the request of that ticket again.
    Retransmit(Ticket),
    /// Nobody answered in time.
    TimedOut(Exchange),
}

/// The exchanges in flight.
#[derive(Debug)]
pub(crate) struct Exchanges {
    /// Buffers of those that ended, to be used again.
    buffers: Vec<Vec<u8>>,
    /// Told apart from branches of other runs.
    prefix: String,
    /// No Timer E on streams.
    reliable: bool,
    slots: Vec<Option<Exchange>>,
    free: Vec<u32>,
    queues: [VecDeque<(Instant, Ticket)>; INTERVALS.len() + 1],
    serial: u64,
}

impl Exchanges {
    pub(crate) fn new(run: u32, reliable: bool) -> Self {
        Self {
            buffers: Vec::new(),
            prefix: format!("z9hG4bK{run:08x}."),
            reliable,
            slots: Vec::new(),
            free: Vec::new(),
            queues: Default::default(),
            serial: 0,
        }
    }

    /// How many wait for an answer.
    pub(crate) fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Starts one; `write` gets the branch and appends the request.
    pub(crate) fn start(
        &mut self,
        purpose: Purpose,
        port: u32,
        authorized: bool,
        scheduled: Instant,
        now: Instant,
        write: impl FnOnce(&str, &mut Vec<u8>),
    ) -> (Ticket, &Exchange) {
        self.serial += 1;
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        let ticket = Ticket {
            slot,
            serial: self.serial,
        };
        let mut bytes = self.buffers.pop().unwrap_or_default();
        write(
            &format!("{}{slot:x}.{:x}", self.prefix, self.serial),
            &mut bytes,
        );
        let queue = if self.reliable { TIMER_F_QUEUE } else { 0 };
        self.queues[queue].push_back((now + Self::interval(queue), ticket));
        let exchange = self.slots[slot as usize].insert(Exchange {
            purpose,
            port,
            scheduled,
            authorized,
            bytes,
            started: now,
            interval: 0,
            serial: self.serial,
        });
        (ticket, exchange)
    }

    /// The exchange a response belongs to.
    pub(crate) fn find(&self, branch: &[u8]) -> Option<Ticket> {
        let text = std::str::from_utf8(branch.strip_prefix(self.prefix.as_bytes())?).ok()?;
        let (slot, serial) = text.split_once('.')?;
        let slot = u32::from_str_radix(slot, 16).ok()?;
        let ticket = Ticket {
            slot,
            serial: u64::from_str_radix(serial, 16).ok()?,
        };
        self.get(ticket).map(|_| ticket)
    }

    /// The exchange of a ticket, unless it is over.
    pub(crate) fn get(&self, ticket: Ticket) -> Option<&Exchange> {
        let exchange = self.slots.get(ticket.slot as usize)?.as_ref()?;
        (exchange.serial == ticket.serial).then_some(exchange)
    }

    /// Ends an exchange.
    pub(crate) fn finish(&mut self, ticket: Ticket) -> Option<Exchange> {
        self.get(ticket)?;
        self.free.push(ticket.slot);
        self.slots[ticket.slot as usize].take()
    }

    /// Takes back the buffer of one that ended.
    pub(crate) fn recycle(&mut self, mut bytes: Vec<u8>) {
        if self.buffers.len() < BUFFERS_MAX {
            bytes.clear();
            self.buffers.push(bytes);
        }
    }

    /// Ends all of them.
    pub(crate) fn abandon(&mut self) -> Vec<Exchange> {
        self.queues.iter_mut().for_each(VecDeque::clear);
        self.free.clear();
        self.slots.drain(..).flatten().collect()
    }

    /// When a timer fires next.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.queues
            .iter()
            .filter_map(|queue| queue.front())
            .map(|(due, _)| *due)
            .min()
    }

    /// What is due at `now`, one at a time.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<Due> {
        for queue in 0..self.queues.len() {
            while let Some(&(due, ticket)) = self.queues[queue].front() {
                if due > now {
                    break;
                }
                self.queues[queue].pop_front();
                let Some(exchange) = self.slots[ticket.slot as usize].as_mut() else {
                    continue;
                };
                if exchange.serial != ticket.serial {
                    continue;
                }
                if now.duration_since(exchange.started) >= TIMER_F {
                    return self.finish(ticket).map(Due::TimedOut);
                }
                exchange.interval = (exchange.interval + 1).min(INTERVALS.len() - 1);
                let next = exchange.interval;
                self.queues[next].push_back((now + INTERVALS[next], ticket));
                return Some(Due::Retransmit(ticket));
            }
        }
        None
    }

    fn interval(queue: usize) -> Duration {
        INTERVALS.get(queue).copied().unwrap_or(TIMER_F)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn started(reliable: bool, now: Instant) -> (Exchanges, Vec<u8>) {
        let mut exchanges = Exchanges::new(7, reliable);
        let write = |branch: &str, out: &mut Vec<u8>| out.extend_from_slice(branch.as_bytes());
        let branch = exchanges
            .start(Purpose::Subscribe(3), 1, false, now, now, write)
            .1
            .bytes
            .clone();
        (exchanges, branch)
    }

    #[test]
    fn timer_e_doubles_up_to_t2_and_timer_f_ends_it() {
        let start = Instant::now();
        let (mut exchanges, _) = started(false, start);
        let mut sent = Vec::new();
        let end = loop {
            let now = exchanges.poll_timeout().unwrap();
            match exchanges.handle_timeout(now).unwrap() {
                Due::Retransmit(_) => sent.push((now - start).as_millis()),
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
        assert_eq!(exchanges.in_flight(), 0);
    }

    #[test]
    fn a_stream_has_timer_f_alone() {
        let start = Instant::now();
        let (mut exchanges, _) = started(true, start);
        let now = exchanges.poll_timeout().unwrap();
        assert_eq!(now - start, TIMER_F);
        assert!(matches!(
            exchanges.handle_timeout(now),
            Some(Due::TimedOut(_))
        ));
    }

    #[test]
    fn a_response_finds_its_exchange_and_no_other() {
        let now = Instant::now();
        let (mut exchanges, branch) = started(false, now);
        let ticket = exchanges.find(&branch).unwrap();
        assert_eq!(
            exchanges.get(ticket).unwrap().purpose,
            Purpose::Subscribe(3)
        );
        assert!(exchanges.find(b"z9hG4bK00000008.0.1").is_none());
        assert!(exchanges.finish(ticket).is_some());
        assert!(exchanges.find(&branch).is_none());
        assert!(exchanges.finish(ticket).is_none());
        exchanges.start(Purpose::Publish(1), 1, false, now, now, |_, _| {});
        assert!(
            exchanges.find(&branch).is_none(),
            "the slot's next tenant is somebody else"
        );
        let later = now + Duration::from_millis(500);
        assert!(matches!(
            exchanges.handle_timeout(later),
            Some(Due::Retransmit(_))
        ));
        assert!(exchanges.handle_timeout(later).is_none());
    }
}
