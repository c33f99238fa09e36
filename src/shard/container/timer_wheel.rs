//! The timers of a shard: one hierarchical wheel, O(1) to arm and to cancel, 1 ms ticks.
//!
//! Six levels of 64 slots cover 2^36 ms, more than two years; a later deadline fires early, at the
//! horizon, and its owner arms it again. A timer never fires before its deadline, and
//! [`Wheel::poll_timeout`] is never later than the next one: it may name the moment a coarse slot
//! has to be spread over finer ones, which fires nothing. Not a clock: `now` is an argument.
//!
//! The wheel always advances: a timer armed for a tick that has already fired, because it is late
//! or is armed for the present again and again, fires one tick later. So a timer fires at most once
//! a tick, and an owner that arms timers in the past cannot starve the others. Such timers are
//! counted ([`Wheel::late`]).
//!
//! A fleet that was switched on together has its timers in one slot. Spreading them over finer
//! slots takes as many turns as it needs, so that no turn is long; the wheel's time stands still
//! meanwhile.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::shard::container::slab::Slab;

const LEVEL_BITS: u32 = 6;

const SLOTS: usize = 1 << LEVEL_BITS;

const LEVELS: usize = 6;

const HORIZON_TICKS: u64 = (1 << (LEVEL_BITS * LEVELS as u32)) - 1;

/// Timers that one call moves from coarse slots to finer ones: some 50 us.
const SPREAD_MAX: usize = 1024;

/// No neighbour, or an empty slot.
const NONE: u32 = u32::MAX;

/// The number of the list that is being spread, behind those of all slots.
const SPREADING: usize = LEVELS * SLOTS;

/// The neighbours of the first in a slot begin here: it and the slot's number, all levels counted.
const HEADS: u32 = NONE - SPREADING as u32 - 1;

/// An armed timer; good until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerHandle(NonZeroU32);

impl TimerHandle {
    fn of(index: u32) -> Self {
        Self(NonZeroU32::MIN.saturating_add(index))
    }

    fn index(self) -> u32 {
        self.0.get() - 1
    }
}

#[derive(Debug)]
struct Node<K> {
    key: K,
    deadline_tick: u64,
    /// The neighbour before; [`HEADS`] and its slot's number for the first in a slot.
    previous: u32,
    next: u32,
}

const _: () = assert!(size_of::<Node<u64>>() <= 24);

#[derive(Debug)]
struct Level {
    occupied: u64,
    first: [u32; SLOTS],
}

/// The wheel. `K` says whose timer it is.
#[derive(Debug)]
pub(crate) struct Wheel<K> {
    epoch: Instant,
    /// Everything before this tick has fired.
    current_tick: u64,
    /// The first tick of which nothing has fired: what is armed for an earlier one waits until
    /// then.
    open_tick: u64,
    /// Timers that were armed for a tick of which some had fired.
    late: u64,
    levels: [Level; LEVELS],
    /// The first of what was in a coarse slot whose time has come.
    spreading: u32,
    nodes: Slab<u32, Node<K>>,
    /// The deadline that was armed last, and its tick: most of a turn are the same.
    last: (Instant, u64),
}

impl<K: Copy> Wheel<K> {
    /// An empty wheel whose time begins at `epoch`.
    #[must_use]
    pub(crate) fn new(epoch: Instant) -> Self {
        let levels = std::array::from_fn(|_| Level {
            occupied: 0,
            first: [NONE; SLOTS],
        });
        Self {
            epoch,
            current_tick: 0,
            open_tick: 0,
            late: 0,
            levels,
            spreading: NONE,
            nodes: Slab::default(),
            last: (epoch, 0),
        }
    }

    /// Fires `key` at `deadline`, or a tick after the last that fired when that is past.
    pub(crate) fn arm(&mut self, deadline: Instant, key: K) -> TimerHandle {
        let asked_tick = self.tick_at_or_after(deadline);
        self.late += u64::from(asked_tick < self.open_tick);
        let deadline_tick = asked_tick.max(self.open_tick);
        let node = Node {
            key,
            deadline_tick,
            previous: NONE,
            next: NONE,
        };
        let index = self.nodes.insert(node);
        self.link(index);
        TimerHandle::of(index)
    }

    /// Forgets a timer that has not fired.
    pub(crate) fn cancel(&mut self, handle: TimerHandle) {
        let index = handle.index();
        if self.nodes.get(index).is_some() {
            self.unlink(index);
            self.nodes.remove(index);
        }
    }

    /// Moves time towards `now` and fires one timer whose deadline has passed, the earliest tick's;
    /// None when there is none any more, or so many have to be spread first that the rest is for
    /// the next turn ([`Self::poll_timeout`] is not later than `now` then). What has not fired can
    /// still be cancelled.
    pub(crate) fn fire(&mut self, now: Instant) -> Option<K> {
        let now_tick = now.saturating_duration_since(self.epoch).as_millis() as u64;
        let mut spread_max = SPREAD_MAX;
        loop {
            if !self.spread(&mut spread_max) {
                return None;
            }
            let Some((level, slot, slot_tick)) = self.next_slot() else {
                break;
            };
            if slot_tick > now_tick {
                break;
            }
            self.current_tick = self.current_tick.max(slot_tick);
            if level == 0 {
                let index = self.levels[level].first[slot];
                self.unlink(index);
                debug_assert!(self.nodes[index].deadline_tick <= self.current_tick);
                self.open_tick = self.current_tick + 1;
                return self.nodes.remove(index).map(|node| node.key);
            }
            self.begin_to_spread(level, slot);
        }
        self.current_tick = self.current_tick.max(now_tick);
        None
    }

    /// When [`Self::fire`] has something to do next.
    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let tick = match self.spreading {
            NONE => self.next_slot()?.2,
            _ => self.current_tick,
        };
        Some(self.epoch + Duration::from_millis(tick))
    }

    /// Timers that were armed for a moment of which some had fired already, since the beginning.
    #[must_use]
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// Armed timers.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Rounded up, so that nothing fires early.
    fn tick_at_or_after(&mut self, deadline: Instant) -> u64 {
        if self.last.0 != deadline {
            let since = deadline.saturating_duration_since(self.epoch);
            let millis = since.subsec_nanos().div_ceil(1_000_000);
            self.last = (deadline, 1000 * since.as_secs() + u64::from(millis));
        }
        self.last.1.min(self.current_tick + HORIZON_TICKS)
    }

    /// The level is that of the highest bit in which the deadline differs from now; a past deadline
    /// goes into the current slot.
    fn place(&self, deadline_tick: u64) -> (usize, usize) {
        let tick = deadline_tick.max(self.current_tick);
        let differing = (tick ^ self.current_tick) | 1;
        let level = ((63 - differing.leading_zeros()) / LEVEL_BITS) as usize;
        let level = level.min(LEVELS - 1);
        let slot = (tick >> (LEVEL_BITS * level as u32)) as usize % SLOTS;
        (level, slot)
    }

    fn link(&mut self, index: u32) {
        let (level, slot) = self.place(self.nodes[index].deadline_tick);
        let head = self.levels[level].first[slot];
        if head != NONE {
            self.nodes[head].previous = index;
        }
        let node = &mut self.nodes[index];
        node.previous = HEADS + (level * SLOTS + slot) as u32;
        node.next = head;
        self.levels[level].first[slot] = index;
        self.levels[level].occupied |= 1 << slot;
    }

    fn unlink(&mut self, index: u32) {
        let Node { previous, next, .. } = self.nodes[index];
        if next != NONE {
            self.nodes[next].previous = previous;
        }
        if previous < HEADS {
            self.nodes[previous].next = next;
            return;
        }
        let place = (previous - HEADS) as usize;
        if place == SPREADING {
            return self.begin_with(next);
        }
        let (level, slot) = (place / SLOTS, place % SLOTS);
        self.levels[level].first[slot] = next;
        if next == NONE {
            self.levels[level].occupied &= !(1 << slot);
        }
    }

    /// The occupied slot that comes first, and the tick at which it begins.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        self.levels.iter().enumerate().find_map(|(level, slots)| {
            if slots.occupied == 0 {
                return None;
            }
            let shift = LEVEL_BITS * level as u32;
            let here = (self.current_tick >> shift) as u32 % SLOTS as u32;
            let ahead = slots.occupied.rotate_right(here).trailing_zeros();
            let tick = ((self.current_tick >> shift) + u64::from(ahead)) << shift;
            Some((
                level,
                ((here + ahead) as usize) % SLOTS,
                tick.max(self.current_tick),
            ))
        })
    }

    /// Empties a coarse slot whose time has come; there must be no other such.
    fn begin_to_spread(&mut self, level: usize, slot: usize) {
        let first = std::mem::replace(&mut self.levels[level].first[slot], NONE);
        self.levels[level].occupied &= !(1 << slot);
        self.begin_with(first);
    }

    /// What is being spread begins with that timer.
    fn begin_with(&mut self, index: u32) {
        self.spreading = index;
        if index != NONE {
            self.nodes[index].previous = HEADS + SPREADING as u32;
        }
    }

    /// Each timer of a coarse slot finds a finer one; so many of them at most. Whether all have.
    fn spread(&mut self, count_max: &mut usize) -> bool {
        let mut index = self.spreading;
        while index != NONE && *count_max > 0 {
            let next = self.nodes[index].next;
            self.link(index);
            index = next;
            *count_max -= 1;
        }
        self.begin_with(index);
        index == NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::random::{Random, rounds};

    /// Fires all that is due.
    fn fire_all<K: Copy>(wheel: &mut Wheel<K>, now: Instant) -> Vec<K> {
        let mut fired = Vec::new();
        while wheel.poll_timeout().is_some_and(|due| due <= now) {
            fired.extend(std::iter::from_fn(|| wheel.fire(now)));
        }
        fired
    }

    /// Against a sorted list: whatever is armed and cancelled, keys fire in their millisecond, none
    /// early, none lost.
    #[test]
    fn behaves_like_a_sorted_list() {
        let epoch = Instant::now();
        let mut random = Random::new([7; 32]);
        let mut wheel = Wheel::new(epoch);
        let mut expected: Vec<(u64, u64, TimerHandle)> = Vec::new();
        let mut now_ms = 0_u64;
        for round in 0..rounds(20_000) as u64 {
            let span = [3, 70, 5_000, 300_000, 20_000_000][random.below(5) as usize];
            let asked_ms = now_ms + u64::from(random.below(span));
            let deadline_ms = asked_ms.max(wheel.open_tick);
            let handle = wheel.arm(epoch + Duration::from_millis(asked_ms), round);
            expected.push((deadline_ms, round, handle));
            if random.below(3) == 0 {
                let (_, _, handle) =
                    expected.swap_remove(random.below(expected.len() as u32) as usize);
                wheel.cancel(handle);
            }
            if random.below(4) == 0 {
                now_ms += u64::from(random.below(span));
                let now = epoch + Duration::from_millis(now_ms);
                let mut due = fire_all(&mut wheel, now);
                due.sort_unstable();
                let mut should: Vec<u64> = expected
                    .iter()
                    .filter(|(ms, ..)| *ms <= now_ms)
                    .map(|(_, key, _)| *key)
                    .collect();
                should.sort_unstable();
                assert_eq!(due, should, "at {now_ms} ms");
                expected.retain(|(ms, ..)| *ms > now_ms);
                assert_eq!(wheel.len(), expected.len());
            }
            if let Some(next) = expected.iter().map(|(ms, ..)| *ms).min() {
                let polled = wheel.poll_timeout().expect("something is armed");
                assert!(
                    polled <= epoch + Duration::from_millis(next.max(now_ms)),
                    "polled too late"
                );
            }
        }
    }

    /// A fleet that was switched on together: no call moves more than its share, nothing is early,
    /// late or lost, and what waits to be spread can be cancelled.
    #[test]
    fn a_crowded_slot_is_spread_a_little_at_a_time() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let mut wheel = Wheel::new(epoch);
        let count = 10 * SPREAD_MAX as u64;
        let deadline = |key: u64| 300_000 + key % 50;
        let arm = |key| wheel.arm(at(deadline(key)), key);
        let handles: Vec<TimerHandle> = (0..count).map(arm).collect();
        let mut calls = 0;
        let mut fired = Vec::new();
        let mut cancelled = 0;
        for now_ms in (0..300_100).step_by(10) {
            while wheel.poll_timeout().is_some_and(|due| due <= at(now_ms)) {
                let before = wheel.spreading;
                if let Some(key) = wheel.fire(at(now_ms)) {
                    assert!(
                        deadline(key) <= now_ms && deadline(key) + 10 > now_ms,
                        "{key}"
                    );
                    fired.push(key);
                } else if before != NONE && wheel.spreading != NONE {
                    // The first of those that wait, one in their midst, and one more is armed.
                    calls += 1;
                    for index in [wheel.spreading, wheel.nodes[wheel.spreading].next] {
                        let key = wheel.nodes[index].key as usize;
                        wheel.cancel(handles[key]);
                        cancelled += 1;
                    }
                    wheel.arm(at(deadline(count)), count);
                }
            }
        }
        assert!(calls >= 8, "{calls}");
        assert_eq!(fired.len() as u64, count - cancelled + calls);
        fired.sort_unstable();
        fired.dedup();
        assert_eq!(fired.len() as u64, count - cancelled + 1);
        assert_eq!((wheel.len(), wheel.poll_timeout()), (0, None));
    }

    /// An owner that arms the past whenever it is called, as one whose deadline never moves does.
    #[test]
    fn a_timer_always_armed_in_the_past_delays_no_other() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let mut wheel = Wheel::new(epoch);
        wheel.arm(at(0), 'x');
        let others = [(1, 'a'), (7, 'b'), (80, 'c'), (5_000, 'd')];
        for (ms, key) in others {
            wheel.arm(at(ms), key);
        }
        let mut fired = Vec::new();
        let mut spins = 0;
        for now_ms in [0, 3, 10, 100, 101, 4_999, 5_000] {
            while wheel.poll_timeout().is_some_and(|due| due <= at(now_ms)) {
                match wheel.fire(at(now_ms)) {
                    Some('x') => {
                        spins += 1;
                        wheel.arm(at(0), 'x');
                    }
                    Some(key) => fired.push((now_ms, key)),
                    None => {}
                }
            }
        }
        assert_eq!(fired, [(3, 'a'), (10, 'b'), (100, 'c'), (5_000, 'd')]);
        assert!(spins <= 5_001, "once a tick at most: {spins}");
        assert_eq!(wheel.late(), spins);
    }

    #[test]
    fn a_fraction_of_a_millisecond_is_not_early() {
        let epoch = Instant::now();
        let mut wheel = Wheel::new(epoch);
        wheel.arm(epoch + Duration::from_micros(1_500), 'a');
        assert_eq!(wheel.fire(epoch + Duration::from_micros(1_999)), None);
        assert_eq!(wheel.fire(epoch + Duration::from_millis(2)), Some('a'));
        assert_eq!(wheel.len(), 0);
    }

    /// A turn that fires only some of what is due leaves the rest as it was: in order, and to be
    /// cancelled.
    #[test]
    fn a_timer_that_has_not_fired_can_be_cancelled() {
        let epoch = Instant::now();
        let at = |ms| epoch + Duration::from_millis(ms);
        let mut wheel = Wheel::new(epoch);
        wheel.arm(at(100), 'a');
        let cancelled = wheel.arm(at(200), 'b');
        wheel.arm(at(5_000), 'd');
        wheel.arm(at(300), 'c');
        let now = at(10_000);
        assert_eq!(wheel.fire(now), Some('a'));
        wheel.cancel(cancelled);
        assert!(wheel.poll_timeout().is_some_and(|due| due <= at(300)));
        wheel.arm(at(4_000), 'e');
        let rest = fire_all(&mut wheel, now);
        assert_eq!(rest, ['c', 'e', 'd']);
    }
}
