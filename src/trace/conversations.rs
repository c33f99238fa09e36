//! The Call-IDs that a trace has met. They find messages that do not name its target, such as the responses
//! of a proxy that rewrites From and To.
//!
//! A bounded set that all shards share without a lock: a response may arrive on another shard than the one
//! that sent the request. When it is full, an old entry makes room; the next request that names the target
//! adds that entry again.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use memchr::memmem;

use crate::sip::Message;

/// Entries of the set.
const SLOTS: usize = 4096;
/// Places at which one entry may be.
const WAYS: usize = 4;
/// In place of a CSeq number: some transaction with this Call-ID belongs to the trace.
const ANY: u64 = u64::MAX;
/// How a Call-ID is usually written.
const CALL_ID: &[u8] = b"\nCall-ID: ";

/// Hashes of Call-IDs, and of Call-IDs with a CSeq.
#[derive(Debug)]
pub(super) struct Conversations {
    /// With a random key, so that no peer can choose Call-IDs that displace others.
    hasher: RandomState,
    /// 0 for none.
    slots: Box<[AtomicU64]>,
    /// Whether nothing was met yet.
    is_empty: AtomicBool,
    call_id: memmem::Finder<'static>,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            is_empty: AtomicBool::new(true),
            call_id: memmem::Finder::new(CALL_ID),
        }
    }
}

impl Conversations {
    /// From now on all messages with this Call-ID belong to the trace.
    pub(super) fn follow_dialog(&self, message: &Message<'_>) {
        self.insert(self.hash(message.call_id(), None));
    }

    /// From now on the request with this Call-ID and CSeq number and its responses belong to the trace.
    pub(super) fn follow_transaction(&self, message: &Message<'_>) {
        if let Some(cseq) = message.cseq() {
            self.insert(self.hash(message.call_id(), Some(cseq.number.into())));
            self.insert(self.hash(message.call_id(), Some(ANY)));
        }
    }

    /// False if a message belongs to no dialog and no transaction that the trace follows; in doubt true. Costs
    /// a fraction of parsing the message.
    pub(super) fn may_have(&self, octets: &[u8]) -> bool {
        if self.is_empty.load(Ordering::Relaxed) {
            return false;
        }
        let Some(at) = self.call_id.find(octets) else {
            return true;
        };
        let value = &octets[at + CALL_ID.len()..];
        let end = value.iter().position(|octet| *octet == b'\r');
        let call_id = value[..end.unwrap_or(value.len())].trim_ascii();
        let is_known = |number| self.is_known(self.hash(call_id, number));
        is_known(None) || is_known(Some(ANY))
    }

    /// Whether a message belongs to a dialog or transaction that the trace follows.
    pub(super) fn has(&self, message: &Message<'_>) -> bool {
        let call_id = message.call_id();
        let number = message.cseq().map(|cseq| cseq.number.into());
        let is_known = |number| self.is_known(self.hash(call_id, number));
        !call_id.is_empty() && (is_known(None) || is_known(number))
    }

    fn hash(&self, call_id: &[u8], number: Option<u64>) -> u64 {
        self.hasher.hash_one((call_id, number)) | 1
    }

    fn is_known(&self, hash: u64) -> bool {
        self.places(hash).iter().any(|slot| holds(slot, hash))
    }

    fn places(&self, hash: u64) -> &[AtomicU64] {
        let first = (hash >> 32) as usize % (SLOTS / WAYS) * WAYS;
        &self.slots[first..first + WAYS]
    }

    fn insert(&self, hash: u64) {
        if self.is_known(hash) {
            return;
        }
        let places = self.places(hash);
        let free = places.iter().find(|slot| holds(slot, 0));
        let chosen = free.unwrap_or(&places[(hash >> 8) as usize % WAYS]);
        chosen.store(hash, Ordering::Relaxed);
        self.is_empty.store(false, Ordering::Relaxed);
    }
}

fn holds(slot: &AtomicU64, hash: u64) -> bool {
    slot.load(Ordering::Relaxed) == hash
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::sip::message::Framing;

    fn with_message<R>(call_id: u32, cseq: u32, look: impl FnOnce(&Message<'_>) -> R) -> R {
        let text = format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>;tag=2\r\nCall-ID: {call_id}\r\nCSeq: {cseq} NOTIFY\r\nContent-Length: 0\r\n\r\n"
        );
        look(&Message::parse(text.as_bytes(), Framing::Datagram).unwrap())
    }

    #[test]
    fn dialogs_and_transactions_are_told_apart() {
        let known = Conversations::default();
        with_message(1, 7, |message| known.follow_dialog(message));
        with_message(2, 7, |message| known.follow_transaction(message));
        let has = |call_id, cseq| {
            with_message(call_id, cseq, |message| {
                let has = known.has(message);
                assert!(!has || known.may_have(message.bytes()), "it is not missed");
                has
            })
        };
        assert!(has(1, 7) && has(1, 8), "the dialog");
        assert!(has(2, 7) && !has(2, 8), "the transaction alone");
        assert!(!has(3, 7));
        with_message(3, 7, |message| assert!(!known.may_have(message.bytes())));
        assert!(
            known.may_have(b"A sip:h SIP/2.0\r\ni: 3\r\n\r\n"),
            "in doubt"
        );
        assert!(!Conversations::default().may_have(b"i: 3"));
    }

    #[test]
    fn the_newest_is_always_known() {
        let known = Conversations::default();
        for call_id in 0..50_000 {
            with_message(call_id, 1, |message| known.follow_dialog(message));
            assert!(with_message(call_id, 2, |message| known.has(message)));
        }
        let kept = (0..50_000).filter(|id| with_message(*id, 1, |message| known.has(message)));
        let kept = kept.count();
        assert!((SLOTS / 2..=SLOTS).contains(&kept), "{kept}");
    }
}
