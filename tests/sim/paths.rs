//! Limits on what may be sent to an address that has not yet shown that it receives the node's
//! messages (W:E3.8).
//!
//! Here a path counts as proven as soon as anything proves it, possibly before the sending shard
//! knows, and it stays proven: the checker is more lenient than the engine, never stricter.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::network::{MILLISECOND, Micros, SECOND};

/// Maximum transmissions of one NOTIFY.
const TRANSMISSIONS_MAX: u32 = 4;
/// When the fifth transmission would have been sent.
const TURN: Micros = 7_500 * MILLISECOND;
const BODY_OCTETS_MAX: usize = 1400;
/// After this time the dialogs of a silent address may have been removed.
const PATIENCE: Micros = 31 * SECOND;

/// The paths of a run.
#[derive(Debug, Default)]
pub(crate) struct Paths {
    proven: HashSet<SocketAddr>,
    /// By shard and address: when the NOTIFY left whose response will prove the path.
    asked: HashMap<(u16, SocketAddr), Micros>,
    silences: HashMap<IpAddr, Silence>,
    /// By shard, address and port: when the first NOTIFY left since its last response. Another port
    /// of the host, or a response to another shard, proves nothing to this shard.
    unanswered_since: HashMap<(u16, SocketAddr), Micros>,
}

/// The NOTIFYs to a host since its last response.
#[derive(Clone, Copy, Debug, Default)]
struct Silence {
    /// When the first of them left; None if all have responses.
    since: Option<Micros>,
    responded_at: Micros,
}

/// Why a dialog waits while its own path is not proven.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Nothing has delayed its NOTIFY since then.
    Over(Micros),
    /// A NOTIFY to its host has no response.
    Waits,
    /// It has waited so long that the dialog may have ended.
    MayBeGone,
}

impl Paths {
    /// A request with a digest or a tag of the node proves the path.
    pub(crate) fn note_proof(&mut self, peer: SocketAddr) {
        self.proven.insert(peer);
    }

    /// A NOTIFY on the path got its response.
    pub(crate) fn prove(&mut self, now: Micros, (shard, peer): (u16, SocketAddr)) {
        self.proven.insert(peer);
        self.unanswered_since.remove(&(shard, peer));
        let responded_at = now;
        let silence = Silence {
            since: None,
            responded_at,
        };
        self.silences.insert(peer.ip(), silence);
    }

    /// The phone that was expected to prove the path has moved: another dialog may prove it.
    pub(crate) fn abandon(&mut self, peer: SocketAddr) {
        self.asked.retain(|(_, asked), _| *asked != peer);
    }

    /// The node crashed: its new process has sent no NOTIFY that could prove a path.
    pub(crate) fn forget(&mut self) {
        self.asked.clear();
        self.silences.clear();
        self.unanswered_since.clear();
    }

    /// A NOTIFY leaves by UDP, for the first time.
    pub(crate) fn notify_sent(
        &mut self,
        now: Micros,
        (shard, peer): (u16, SocketAddr),
        body_octets: usize,
    ) -> Result<(), &'static str> {
        let silence = self.silences.entry(peer.ip()).or_default();
        silence.since.get_or_insert(now);
        // The engine forgets a proof with the last dialog of its path.
        self.unanswered_since.entry((shard, peer)).or_insert(now);
        if self.proven.contains(&peer) {
            return Ok(());
        }
        if body_octets > BODY_OCTETS_MAX {
            return Err("a long body to an address that never responded");
        }
        let asked = self.asked.insert((shard, peer), now);
        if asked.is_some_and(|asked| now + 10 * MILLISECOND < asked + TURN) {
            return Err("two NOTIFYs at a time to an address that never responded");
        }
        Ok(())
    }

    /// A NOTIFY is retransmitted.
    pub(crate) fn notify_sent_again(
        &self,
        peer: SocketAddr,
        transmissions: u32,
    ) -> Result<(), &'static str> {
        if self.proven.contains(&peer) || transmissions <= TRANSMISSIONS_MAX {
            Ok(())
        } else {
            Err("a NOTIFY too often to an address that never responded")
        }
    }

    /// Returns whether the NOTIFY of a dialog may have to wait for the response to another.
    pub(crate) fn wait(&self, now: Micros, peer: SocketAddr) -> Wait {
        let silence = self.silences.get(&peer.ip()).copied().unwrap_or_default();
        let own = self.unanswered_since.iter();
        let own = own.filter(|((_, asked), _)| *asked == peer);
        let own = own.map(|(_, since)| *since).min();
        match [own, silence.since].into_iter().flatten().min() {
            None => Wait::Over(silence.responded_at),
            Some(since) if now < since + PATIENCE => Wait::Waits,
            Some(_) => Wait::MayBeGone,
        }
    }
}
