//! The client transactions of a peer: Timer E and Timer F over datagrams, only Timer F over streams
//! (RFC 3261 §17.1.2).

use std::rc::Rc;

use crate::network::{Access, ActorId, MILLISECOND, Micros, Net, SECOND, Wake};

const T1: Micros = 500 * MILLISECOND;
const T2: Micros = 4 * SECOND;

/// One request that waits for its response, and its `purpose`.
#[derive(Debug)]
pub(crate) struct Exchange<P> {
    number: u64,
    branch: String,
    octets: Rc<[u8]>,
    interval: Micros,
    deadline: Micros,
    pub(crate) purpose: P,
}

/// The transactions of one peer.
#[derive(Debug)]
pub(crate) struct Uac<P> {
    actor: ActorId,
    open: Vec<Exchange<P>>,
    next: u64,
}

impl<P> Uac<P> {
    pub(crate) fn new(actor: ActorId) -> Self {
        Self {
            actor,
            open: Vec::new(),
            next: 0,
        }
    }

    /// A new branch.
    pub(crate) fn branch(&self, net: &mut Net) -> String {
        format!("z9hG4bK{:x}.{:016x}", self.actor, net.rng.next())
    }

    /// Sends a request for the first time.
    pub(crate) fn start(
        &mut self,
        net: &mut Net,
        access: Access,
        branch: String,
        octets: Vec<u8>,
        purpose: P,
    ) {
        let octets: Rc<[u8]> = octets.into();
        self.next += 1;
        let deadline = net.now + 64 * T1;
        net.send(access, Rc::clone(&octets));
        let first = if access.is_reliable() { 64 * T1 } else { T1 };
        net.wake(self.actor, first, Wake::Transaction(self.next));
        let number = self.next;
        self.open.push(Exchange {
            number,
            branch,
            octets,
            interval: first,
            deadline,
            purpose,
        });
    }

    /// Timer E or F fired. Returns the exchange if it timed out.
    pub(crate) fn wake(
        &mut self,
        net: &mut Net,
        access: Access,
        number: u64,
    ) -> Option<Exchange<P>> {
        let at = self
            .open
            .iter()
            .position(|exchange| exchange.number == number)?;
        let exchange = &mut self.open[at];
        if net.now >= exchange.deadline {
            return Some(self.open.swap_remove(at));
        }
        net.send(access, Rc::clone(&exchange.octets));
        exchange.interval = (2 * exchange.interval).min(T2);
        let wait = exchange.interval.min(exchange.deadline - net.now);
        net.wake(self.actor, wait, Wake::Transaction(number));
        None
    }

    /// Ends the transaction of a final response; None if it has ended already.
    pub(crate) fn finish(&mut self, branch: &str) -> Option<Exchange<P>> {
        let at = self
            .open
            .iter()
            .position(|exchange| exchange.branch == branch)?;
        Some(self.open.swap_remove(at))
    }

    /// A restart: drops all transactions.
    pub(crate) fn forget(&mut self) {
        self.open.clear();
    }

    /// What a request that waits for its response is for.
    pub(crate) fn purpose(&self, number: u64) -> Option<&P> {
        let mut open = self.open.iter();
        let exchange = open.find(|exchange| exchange.number == number)?;
        Some(&exchange.purpose)
    }

    pub(crate) fn any(&self, mut matches: impl FnMut(&P) -> bool) -> bool {
        self.open.iter().any(|exchange| matches(&exchange.purpose))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::Event;
    use crate::plan::Plan;
    use crate::trace::{Trace, Words};

    #[test]
    fn a_request_is_sent_eleven_times_in_thirty_two_seconds() {
        let mut net = Net::new(Plan::new(1), Trace::new(Words::None));
        net.calm = true;
        let access = Access::Udp(net.bind(0, None));
        let mut uac = Uac::new(0);
        let branch = uac.branch(&mut net);
        uac.start(&mut net, access, branch, vec![1], "request");
        let (mut sent, mut timed_out) = (0, None);
        while let Some(event) = net.next() {
            match event {
                Event::ToShard { .. } => sent += 1,
                Event::Wake {
                    wake: Wake::Transaction(number),
                    ..
                } => {
                    if let Some(exchange) = uac.wake(&mut net, access, number) {
                        timed_out = Some((net.now, exchange.purpose));
                    }
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        assert_eq!((sent, timed_out), (11, Some((32 * SECOND, "request"))));
    }
}
