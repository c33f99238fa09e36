//! The nonce counts already used (RFC 7616 §3.3, §3.4).
//!
//! Guarantees: a count is accepted once per nonce; memory is bounded; a nonce issued after every
//! forgotten one is accepted at its first use. The cost of the bound is an extra challenge with
//! stale=true, never a wrong result. Each shard keeps its own counts: a count can be used once per
//! shard and node, and a phone stays on one shard.
//!
//! The counts end with the process. Without a copy of the count a replay cannot be told from a request
//! (RFC 7616 §3.4), and a copy that was read from the network would be served: a nonce issued before the
//! process began counts as forgotten, too. Each phone gets one 401 with stale=true after a restart, which
//! it answers by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::nonce::NonceId;

/// Counts below the highest that are tracked individually, because datagrams can be reordered.
const WINDOW_COUNTS: u32 = 64;

/// The nonce counts used, as a window of 64 per nonce (RFC 7616 §3.4). When it is full, the oldest
/// nonce is forgotten, and a forgotten nonce counts as stale.
#[derive(Debug)]
pub struct ReplayWindows {
    nonces_max: usize,
    /// Ordered by the time of issue.
    windows_by_nonce: BTreeMap<NonceId, Window>,
    /// The latest forgotten nonce. Nonces issued before it may have been forgotten as well.
    floor: Option<NonceId>,
}

/// The used counts of one nonce.
#[derive(Clone, Copy, Debug)]
struct Window {
    highest: u32,
    /// Bit i: `highest - i` was used.
    seen: u64,
}

impl ReplayWindows {
    /// Room for `nonces_max` nonces (at least one). Those issued before `since`, a time since 1970 UTC,
    /// count as forgotten.
    #[must_use]
    pub fn new(nonces_max: usize, since: Duration) -> Self {
        let floor = NonceId::new(since, 0);
        Self {
            nonces_max: nonces_max.max(1),
            windows_by_nonce: BTreeMap::new(),
            floor: (!since.is_zero()).then_some(floor),
        }
    }

    /// Records a nonce's count. Returns whether it was not used before, as far as is known. We must
    /// have issued the nonce and the response must be correct: otherwise any peer could fill the
    /// table.
    pub(super) fn take(&mut self, nonce: NonceId, count: u32) -> bool {
        if let Some(window) = self.windows_by_nonce.get_mut(&nonce) {
            return window.take(count);
        }
        if self.floor.is_some_and(|floor| nonce <= floor) {
            return false;
        }
        if self.windows_by_nonce.len() >= self.nonces_max {
            self.floor = self
                .windows_by_nonce
                .pop_first()
                .map(|(oldest, _)| oldest)
                .max(self.floor);
        }
        self.windows_by_nonce.insert(
            nonce,
            Window {
                highest: count,
                seen: 1,
            },
        );
        true
    }

    /// Forgets nonces issued before `issued_min`, which are too old to be accepted anyway.
    pub(super) fn forget_before(&mut self, issued_min: NonceId) {
        while let Some(oldest) = self.windows_by_nonce.first_entry() {
            if *oldest.key() >= issued_min {
                return;
            }
            oldest.remove();
        }
    }
}

impl Window {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let below = self.highest - count;
        if below >= WINDOW_COUNTS || self.seen >> below & 1 == 1 {
            return false;
        }
        self.seen |= 1 << below;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::sip::random::{Random, rounds};

    fn nonce(issued_millis: u64) -> NonceId {
        NonceId {
            issued_millis,
            salt: 1,
        }
    }

    #[test]
    fn a_count_is_accepted_once() {
        let mut windows = ReplayWindows::new(4, Duration::ZERO);
        assert!(windows.take(nonce(1), 1));
        assert!(!windows.take(nonce(1), 1));
        assert!(windows.take(nonce(1), 3));
        assert!(windows.take(nonce(1), 2));
        assert!(!windows.take(nonce(1), 2));
        assert!(!windows.take(nonce(1), 3));
    }

    #[test]
    fn nonce_counts_64_below_the_highest_are_refused() {
        let mut windows = ReplayWindows::new(4, Duration::ZERO);
        assert!(windows.take(nonce(1), 100));
        assert!(windows.take(nonce(1), 37));
        assert!(!windows.take(nonce(1), 36));
        assert!(windows.take(nonce(1), 163));
        assert!(!windows.take(nonce(1), 100));
        assert!(windows.take(nonce(1), u32::MAX));
        assert!(!windows.take(nonce(1), 163));
        assert!(!windows.take(nonce(1), u32::MAX));
        assert!(windows.take(nonce(1), u32::MAX - 63));
    }

    #[test]
    fn a_forgotten_nonce_is_stale_and_a_fresh_one_is_not() {
        let mut windows = ReplayWindows::new(2, Duration::ZERO);
        assert!(windows.take(nonce(10), 1));
        assert!(windows.take(nonce(20), 1));
        assert!(windows.take(nonce(30), 1));
        assert!(!windows.take(nonce(10), 2), "forgotten");
        assert!(!windows.take(nonce(5), 1), "issued before a forgotten one");
        assert!(windows.take(nonce(20), 2));
        assert!(
            windows.take(nonce(25), 1),
            "issued after every forgotten one"
        );
        assert!(!windows.take(nonce(20), 3), "evicted");
        assert!(windows.take(nonce(30), 2));
    }

    #[test]
    fn a_nonce_of_an_earlier_process_is_stale() {
        let mut windows = ReplayWindows::new(4, Duration::from_millis(50));
        assert!(!windows.take(nonce(49), 1));
        assert!(!windows.take(nonce(49), 7));
        assert!(windows.take(nonce(50), 1));
    }

    #[test]
    fn nonces_of_one_time_differ_by_salt() {
        let mut windows = ReplayWindows::new(8, Duration::ZERO);
        assert!(windows.take(
            NonceId {
                issued_millis: 7,
                salt: 1
            },
            1
        ));
        assert!(windows.take(
            NonceId {
                issued_millis: 7,
                salt: 2
            },
            1
        ));
        assert!(!windows.take(
            NonceId {
                issued_millis: 7,
                salt: 1
            },
            1
        ));
    }

    #[test]
    fn expired_nonces_leave() {
        let mut windows = ReplayWindows::new(8, Duration::ZERO);
        assert!(windows.take(nonce(1), 1));
        assert!(windows.take(nonce(2), 1));
        windows.forget_before(nonce(2));
        assert_eq!(windows.windows_by_nonce.len(), 1);
        assert!(!windows.take(nonce(2), 1));
    }

    /// No pair is ever accepted twice, the table stays within its limit, and a nonce newer than all
    /// others is accepted.
    #[test]
    fn random_use_against_a_set_of_all_pairs() {
        let mut random = Random::new([7; 32]);
        let mut windows = ReplayWindows::new(16, Duration::ZERO);
        let mut accepted = BTreeSet::new();
        let mut latest = 0;
        for _ in 0..rounds(50_000) {
            let fresh = random.below(20) == 0;
            latest += u64::from(fresh);
            let id = if fresh {
                latest
            } else {
                latest.saturating_sub(u64::from(random.below(24)))
            };
            let count = if fresh { 1 } else { 1 + random.below(200) };
            let first_use = accepted.range((id, 0)..=(id, u32::MAX)).next().is_none();
            let taken = windows.take(nonce(id), count);
            assert!(
                !taken || accepted.insert((id, count)),
                "{id} {count} taken twice"
            );
            assert!(taken || !fresh || !first_use, "fresh {id} refused");
            assert!(windows.windows_by_nonce.len() <= 16);
        }
        assert!(accepted.len() > rounds(10_000));
    }
}
