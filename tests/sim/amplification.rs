//! What a sender gains for the victim whose address it forges (W:E3.8), as README promises it: the judge
//! sums the octets that leave by UDP.
//!
//! - The responses to a request have at most one and a half times its octets, copies of both included.
//! - The NOTIFYs of a shard to all addresses that never prove themselves have at most a minute of
//!   `unproven_octets` at once, then its rate. One NOTIFY that has begun may exceed it.
//!
//! An address proves itself by a response to a NOTIFY, or by a request with something that was sent to it:
//! credentials, or our tag. The judge takes it as proven if it ever does so in a run, with all ports of
//! its host: what the node lent to those, and took back, is not looked at. So the judge is more lenient
//! than the node must be, and never stricter. A new process begins with a new allowance.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::network::{Micros, SECOND};
use crate::sip_text::Text;

/// What may be sent at once: the octets of this time.
const BURST: Micros = 60 * SECOND;

/// A process of the node, and a shard of it.
type Sender = (u32, u16);

/// A NOTIFY that left by UDP, or left again.
#[derive(Debug)]
struct Sent {
    at: Micros,
    by: Sender,
    to: IpAddr,
    octets: u64,
}

/// The octets of a transaction.
#[derive(Clone, Copy, Debug, Default)]
struct Exchange {
    received: u64,
    sent: u64,
}

/// The judge of one run.
#[derive(Debug, Default)]
pub(crate) struct Amplification {
    /// By branch and method.
    exchanges: HashMap<(String, String), Exchange>,
    notifies: Vec<Sent>,
    proven: HashSet<IpAddr>,
}

impl Amplification {
    /// A message reaches the node by UDP.
    pub(crate) fn received(&mut self, text: &Text<'_>, peer: SocketAddr) {
        let proves = text.status().is_some()
            || text.tag("To").is_some()
            || text.one("Authorization").is_some();
        if proves {
            self.proven.insert(peer.ip());
        }
        if text.method().is_some()
            && let Some(transaction) = transaction(text)
        {
            let exchange = self.exchanges.entry(transaction).or_default();
            exchange.received += text.octets as u64;
        }
    }

    /// A message leaves the node by UDP.
    pub(crate) fn sent(
        &mut self,
        text: &Text<'_>,
        (at, by, peer): (Micros, Sender, SocketAddr),
    ) -> Result<(), &'static str> {
        let octets = text.octets as u64;
        if text.method() == Some("NOTIFY") {
            self.notifies.push(Sent {
                at,
                by,
                to: peer.ip(),
                octets,
            });
        }
        let transaction = transaction(text).filter(|_| text.status().is_some());
        let Some(transaction) = transaction else {
            return Ok(());
        };
        let exchange = self.exchanges.entry(transaction).or_default();
        exchange.sent += octets;
        match 2 * exchange.sent > 3 * exchange.received {
            true => Err("responses with more than 1.5 times the octets of their request"),
            false => Ok(()),
        }
    }

    /// Judges the NOTIFYs of a run that is over; `rate` is in octets per second. The first that should not
    /// have left: when, and why.
    pub(crate) fn verdict(&self, rate: u64) -> Option<(Micros, String)> {
        // Octets, times the microseconds of a second, that have still to be earned.
        let mut debts: HashMap<Sender, (Micros, u64)> = HashMap::new();
        let unproven = self.notifies.iter();
        let unproven = unproven.filter(|sent| !self.proven.contains(&sent.to));
        for sent in unproven {
            let (since, debt) = debts.entry(sent.by).or_default();
            *debt = debt.saturating_sub(rate * (sent.at - *since));
            *since = sent.at;
            if *debt >= rate * BURST {
                let octets = *debt / SECOND;
                let detail = format!(
                    "{octets} octets are beyond {rate} a second when shard {} of process {} sends {} to {}",
                    sent.by.1, sent.by.0, sent.octets, sent.to
                );
                return Some((sent.at, detail));
            }
            *debt += sent.octets * SECOND;
        }
        None
    }

    /// The octets of NOTIFYs to addresses that never proved themselves.
    pub(crate) fn unproven_octets(&self) -> u64 {
        let unproven = self.notifies.iter();
        let unproven = unproven.filter(|sent| !self.proven.contains(&sent.to));
        unproven.map(|sent| sent.octets).sum()
    }
}

fn transaction(text: &Text<'_>) -> Option<(String, String)> {
    let (_, method) = text.cseq()?;
    Some((text.branch()?.to_owned(), method.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(start: &str, octets: usize) -> Vec<u8> {
        let head = format!(
            "{start}\r\nContent-Type: a/b\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:1@h>;tag=f\r\nTo: <sip:2@h>\r\n\
             Call-ID: c\r\nCSeq: 1 {}\r\nContent-Length: ",
            if start.starts_with("NOTIFY") {
                "NOTIFY"
            } else {
                "SUBSCRIBE"
            }
        );
        let body = octets - head.len() - 7;
        format!("{head}{body:03}\r\n\r\n{}", "x".repeat(body)).into()
    }

    fn peer(host: u8) -> SocketAddr {
        SocketAddr::from(([172, 16, 0, host], 5060))
    }

    #[test]
    fn responses_are_weighed_against_their_requests() {
        let request = message("SUBSCRIBE sip:2@h SIP/2.0", 400);
        let answer = message("SIP/2.0 200 OK", 600);
        let [request, answer] = [&request, &answer].map(|octets| Text::parse(octets).unwrap());
        let mut judge = Amplification::default();
        let send = |judge: &mut Amplification| judge.sent(&answer, (0, (0, 0), peer(1)));
        assert!(send(&mut judge).is_err(), "to no request");
        let mut judge = Amplification::default();
        judge.received(&request, peer(1));
        assert_eq!(send(&mut judge), Ok(()));
        judge.received(&request, peer(1));
        assert_eq!(send(&mut judge), Ok(()));
        assert!(send(&mut judge).is_err(), "twice to one copy");
    }

    /// Sends NOTIFYs of 600 octets until one is too many; how many were not.
    fn flood(judge: &mut Amplification, at: Micros, host: u8) -> u32 {
        let octets = message("NOTIFY sip:1@h SIP/2.0", 600);
        let notify = Text::parse(&octets).unwrap();
        let mut sent = 0;
        while judge.verdict(100).is_none() && sent < 100 {
            judge.sent(&notify, (at, (0, 0), peer(host))).unwrap();
            sent += 1;
        }
        sent - 1
    }

    #[test]
    fn notifies_to_silent_addresses_are_weighed_together() {
        let mut judge = Amplification::default();
        assert_eq!(flood(&mut judge, SECOND, 1), 10, "a minute at once");
        judge.notifies.pop();
        assert_eq!(flood(&mut judge, 13 * SECOND, 2), 2, "then the rate");
        // An address that answers late has borrowed nothing.
        let answer = message("SIP/2.0 200 OK", 300);
        judge.received(&Text::parse(&answer).unwrap(), peer(1));
        assert_eq!(judge.verdict(100), None);
        assert_eq!(judge.unproven_octets(), 3 * 600);
    }
}
