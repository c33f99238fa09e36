//! Copies of outstanding NOTIFYs for retransmission: one head each, and a body shared by NOTIFYs of
//! the same turn with the same content.
//!
//! Invariants: a body is kept as long as a NOTIFY that shares it; a retransmission has the octets
//! of the original; `octets` is the total of all copies; a buffer that grew for a long list is not
//! pooled. Not a cache of documents: that is `body_cache`, whose documents lie in the outbox of one
//! turn.

use std::ops::Range;

use crate::shard::container::slab::{Key, Slab};
use crate::shard::contract::expected::Expected;
use crate::shard::contract::outbox::Outbox;

/// Maximum number of pooled buffers.
const BUFFERS_KEPT_MAX: usize = 4096;

/// Maximum capacity of a pooled buffer: enough for any NOTIFY except long lists.
const BUFFER_OCTETS_MAX: usize = 4096;

/// See [`Expected`].
const SHARED: &str = "a body is kept as long as a NOTIFY that shares it";

/// Key of a shared body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BodyId(u32);

impl Key for BodyId {
    fn from_index(index: u32) -> Self {
        Self(index)
    }

    fn index(self) -> u32 {
        self.0
    }
}

/// The copy of one NOTIFY; empty on TCP and TLS, which retransmit themselves.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    head: Vec<u8>,
    body: Option<BodyId>,
}

#[derive(Debug)]
struct Body {
    octets: Vec<u8>,
    sharers: u32,
}

/// Shared bodies and the buffer pool.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    bodies: Slab<BodyId, Body>,
    /// The newest body, identified by the generation of the outbox and its place there.
    newest: Option<(u64, Range<usize>, BodyId)>,
    buffers: Vec<Vec<u8>>,
    octets: usize,
}

impl Copies {
    /// Octets of all copies.
    pub(crate) fn octets(&self) -> usize {
        self.octets
    }

    /// Copies a message that lies in the outbox in these two pieces.
    pub(crate) fn keep(&mut self, out: &Outbox, head: Range<usize>, tail: Range<usize>) -> Kept {
        let mut kept = Kept {
            head: self.buffers.pop().unwrap_or_default(),
            body: None,
        };
        let octets = |range: &Range<usize>| {
            let octets = out.arena.get(range.clone());
            octets
                .expected("a NOTIFY lies in the outbox")
                .unwrap_or_default()
        };
        kept.head.extend_from_slice(octets(&head));
        self.octets += kept.head.len();
        if !tail.is_empty() {
            kept.body = Some(self.share(octets(&tail), out.generation(), &tail));
        }
        kept
    }

    fn share(&mut self, octets: &[u8], generation: u64, tail: &Range<usize>) -> BodyId {
        if let Some((known, place, id)) = &self.newest
            && (known, place) == (&generation, tail)
            && let Some(body) = self.bodies.get_mut(*id).expected(SHARED)
        {
            body.sharers += 1;
            return *id;
        }
        let mut buffer = self.buffers.pop().unwrap_or_default();
        buffer.extend_from_slice(octets);
        self.octets += buffer.len();
        let id = self.bodies.insert(Body {
            octets: buffer,
            sharers: 1,
        });
        self.newest = Some((generation, tail.clone(), id));
        id
    }

    /// The length of the message.
    pub(crate) fn octets_of(&self, kept: &Kept) -> usize {
        let body = kept
            .body
            .and_then(|id| self.bodies.get(id).expected(SHARED));
        kept.head.len() + body.map_or(0, |body| body.octets.len())
    }

    /// Appends the message, and returns where it is.
    pub(crate) fn write(&self, kept: &Kept, arena: &mut Vec<u8>) -> Range<usize> {
        let start = arena.len();
        arena.extend_from_slice(&kept.head);
        if let Some(id) = kept.body
            && let Some(body) = self.bodies.get(id).expected(SHARED)
        {
            arena.extend_from_slice(&body.octets);
        }
        start..arena.len()
    }

    /// The message will not be sent again.
    pub(crate) fn forget(&mut self, kept: Kept) {
        self.recycle(kept.head);
        let Some(id) = kept.body else { return };
        let Some(body) = self.bodies.get_mut(id).expected(SHARED) else {
            return;
        };
        body.sharers -= 1;
        if body.sharers > 0 {
            return;
        }
        if matches!(&self.newest, Some((_, _, newest)) if *newest == id) {
            self.newest = None;
        }
        if let Some(body) = self.bodies.remove(id) {
            self.recycle(body.octets);
        }
    }

    fn recycle(&mut self, mut buffer: Vec<u8>) {
        debug_assert!(self.octets >= buffer.len(), "a copy is forgotten once");
        self.octets = self.octets.saturating_sub(buffer.len());
        let is_kept = (1..=BUFFER_OCTETS_MAX).contains(&buffer.capacity());
        if self.buffers.len() < BUFFERS_KEPT_MAX && is_kept {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shared_body_is_freed_with_its_last_notify() {
        let (mut copies, mut out) = (Copies::default(), Outbox::default());
        out.arena.extend_from_slice(b"body head1 head2 other");
        let body = 0..4;
        let first = copies.keep(&out, 5..10, body.clone());
        let second = copies.keep(&out, 11..16, body.clone());
        let third = copies.keep(&out, 5..10, 17..22);
        let alone = copies.keep(&out, 5..10, 0..0);
        assert_eq!(copies.bodies.len(), 2);
        // The next turn has something else at the same place.
        out.clear();
        out.arena.extend_from_slice(b"news head1");
        let fourth = copies.keep(&out, 5..10, body);
        let written = |copies: &Copies, kept: &Kept| {
            let mut arena = Vec::new();
            copies.write(kept, &mut arena);
            String::from_utf8_lossy(&arena).into_owned()
        };
        copies.forget(first);
        assert_eq!(written(&copies, &second), "head2body");
        assert_eq!(written(&copies, &third), "head1other");
        assert_eq!(written(&copies, &alone), "head1");
        assert_eq!(written(&copies, &fourth), "head1news");
        for kept in [second, third, alone, fourth] {
            copies.forget(kept);
        }
        assert!(copies.bodies.len() == 0 && copies.newest.is_none());
    }

    #[test]
    fn retransmission_memory_is_counted_and_long_buffers_are_freed() {
        let (mut copies, mut out) = (Copies::default(), Outbox::default());
        out.arena.resize(60_000, b'x');
        let kept: Vec<Kept> = (0..3)
            .map(|_| copies.keep(&out, 0..500, 500..60_000))
            .collect();
        assert_eq!(copies.octets(), 3 * 500 + 59_500, "the body is shared");
        for kept in kept {
            copies.forget(kept);
        }
        assert_eq!(copies.octets(), 0);
        let longest = copies.buffers.iter().map(Vec::capacity).max();
        assert!(longest.is_some_and(|octets| octets <= BUFFER_OCTETS_MAX));
    }
}
