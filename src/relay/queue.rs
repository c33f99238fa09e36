//! The queue of a relay: the newest state of each person that its target has not been told.
//!
//! Guarantees: at most one state of a person is under way, and a newer one waits behind it, so that a target
//! learns the states of a person in order. A newer state replaces one that waits. A person who finds no room is
//! not queued: the relay tells all states anew once there is room.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::presence::Aor;
use crate::relay::state::State;
use crate::relay::told::Traces;

/// The part of the queue that must be free before more states are asked for.
const ROOM: usize = 2;
/// How long the queue waits at most before it looks again.
const LOOK: Duration = Duration::from_secs(60);

/// A state on its way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The state.
    pub(super) state: State,
    /// Its number, unique in the process.
    pub(super) number: u64,
    /// When the person was queued who has waited since.
    pub(super) since: Instant,
    /// What the target may show of the person before it is told this state.
    pub(super) shown: Traces,
    /// When this state was tried first.
    pub(super) first_try: Option<Instant>,
    /// Attempts for this person that have failed since the last success.
    pub(super) failures: u32,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Queue {
    people_max: usize,
    /// The shortest time between two states.
    pace: Duration,
    inner: RefCell<Inner>,
    changed: Notify,
    /// There is room again, or it is to be looked for.
    room: Notify,
    has_overflown: Cell<bool>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What waits, by person.
    waiting: HashMap<Aor, Entry>,
    /// People whose turn it is, in order.
    ready: VecDeque<Aor>,
    /// People whose turn comes later, after a failure.
    later: BTreeMap<(Instant, u64), Aor>,
    /// People whose state is under way.
    under_way: HashSet<Aor>,
    /// No state is taken before.
    next_at: Option<Instant>,
    numbers: u64,
}

impl Queue {
    /// For so many people, at that pace.
    pub(super) fn new(people_max: usize, rate_max: Option<u32>) -> Self {
        let pace = rate_max.map_or(Duration::ZERO, |rate| Duration::from_secs(1) / rate.max(1));
        Self {
            people_max,
            pace,
            inner: RefCell::default(),
            changed: Notify::new(),
            room: Notify::new(),
            has_overflown: Cell::new(false),
        }
    }

    /// Queues a state; the person keeps its place. False if there is no room.
    pub(super) fn offer(&self, state: State, now: Instant) -> bool {
        let mut inner = self.inner.borrow_mut();
        inner.numbers += 1;
        let number = inner.numbers;
        if let Some(entry) = inner.waiting.get_mut(&state.aor) {
            *entry = Entry {
                state,
                number,
                first_try: None,
                ..*entry
            };
            return true;
        }
        if inner.waiting.len() >= self.people_max {
            self.has_overflown.set(true);
            return false;
        }
        let aor = state.aor.clone();
        if !inner.under_way.contains(&aor) {
            inner.ready.push_back(aor.clone());
        }
        let entry = Entry {
            state,
            number,
            since: now,
            shown: Traces::NONE,
            first_try: None,
            failures: 0,
        };
        inner.waiting.insert(aor, entry);
        self.changed.notify_one();
        true
    }

    /// The next state, once there is one and its time has come. It is under way until [`Self::done`] or
    /// [`Self::failed`].
    pub(super) async fn take(&self) -> Entry {
        loop {
            let now = Instant::now();
            let next = self.inner.borrow_mut().take(now, self.pace);
            match next {
                Ok(entry) => {
                    // Another lane may go on.
                    self.changed.notify_one();
                    return entry;
                }
                Err(wait) => {
                    let wait = wait.unwrap_or(LOOK);
                    // Whichever comes first.
                    let _ = timeout(wait, self.changed.notified()).await;
                }
            }
        }
    }

    /// A state was told, or is given up.
    pub(super) fn done(&self, aor: &Aor) {
        let mut inner = self.inner.borrow_mut();
        inner.under_way.remove(aor);
        if inner.waiting.contains_key(aor) {
            inner.ready.push_back(aor.clone());
            self.changed.notify_one();
        }
        self.room.notify_one();
    }

    /// A state was not told. It, or the newer one that has come meanwhile, is tried after `delay`.
    pub(super) fn failed(&self, entry: Entry, delay: Duration) {
        let mut inner = self.inner.borrow_mut();
        let aor = entry.state.aor.clone();
        inner.under_way.remove(&aor);
        let (number, failures) = (entry.number, entry.failures);
        let waiting = inner.waiting.entry(aor.clone()).or_insert(entry);
        waiting.failures = failures;
        inner.later.insert((Instant::now() + delay, number), aor);
        self.changed.notify_one();
    }

    /// No state is taken for that long.
    pub(super) fn pause(&self, delay: Duration) {
        let until = Instant::now() + delay;
        let mut inner = self.inner.borrow_mut();
        inner.next_at = inner.next_at.max(Some(until));
    }

    /// What waits after a failure is taken at once.
    pub(super) fn resume(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.next_at = None;
        let later = std::mem::take(&mut inner.later);
        inner.ready.extend(later.into_values());
        self.changed.notify_one();
    }

    /// People who have room once that was waited for.
    pub(super) fn room_min(&self) -> usize {
        self.people_max - self.people_max / ROOM
    }

    /// Waits until many people have room.
    pub(super) async fn room(&self) {
        while self.len() > self.people_max / ROOM {
            let _ = timeout(LOOK, self.room.notified()).await;
        }
    }

    /// Whether a person found no room since this was asked last.
    pub(super) fn take_overflow(&self) -> bool {
        self.has_overflown.replace(false)
    }

    /// Whether a state of a person waits or is under way.
    pub(super) fn has(&self, aor: &Aor) -> bool {
        let inner = self.inner.borrow();
        inner.waiting.contains_key(aor) || inner.under_way.contains(aor)
    }

    /// People whose state waits or is under way.
    pub(super) fn len(&self) -> usize {
        let inner = self.inner.borrow();
        let twice = inner.under_way.iter();
        let twice = twice.filter(|aor| inner.waiting.contains_key(*aor)).count();
        inner.waiting.len() + inner.under_way.len() - twice
    }

    /// How long the person has waited who has waited longest, of those who wait.
    pub(super) fn oldest(&self, now: Instant) -> Option<Duration> {
        let inner = self.inner.borrow();
        let oldest = inner.waiting.values().map(|entry| entry.since).min()?;
        Some(now.saturating_duration_since(oldest))
    }

    /// Waits until nothing waits or is under way.
    pub(super) async fn drained(&self) {
        while self.len() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Inner {
    /// The next state; else how long to wait for one, if that is known.
    fn take(&mut self, now: Instant, pace: Duration) -> Result<Entry, Option<Duration>> {
        if let Some(next) = self.next_at.filter(|next| *next > now) {
            return Err(Some(next - now));
        }
        while let Some(due) = self.later.first_entry().filter(|due| due.key().0 <= now) {
            self.ready.push_back(due.remove());
        }
        while let Some(aor) = self.ready.pop_front() {
            let Some(mut entry) = self.waiting.remove(&aor) else {
                continue;
            };
            entry.first_try.get_or_insert(now);
            self.under_way.insert(aor);
            self.next_at = Some(now + pace);
            return Ok(entry);
        }
        let due = self.later.keys().next();
        Err(due.map(|(at, _)| at.saturating_duration_since(now)))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use futures_util::future::join;

    use super::*;
    use crate::relay::state::tests::state;

    fn run(test: impl Future<Output = ()>) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        runtime.block_on(test);
    }

    async fn taken(queue: &Queue) -> (String, String, Entry) {
        let entry = queue.take().await;
        let user = entry.state.aor.user().to_owned();
        (user, entry.state.note.to_string(), entry)
    }

    async fn is_empty(queue: &Queue) -> bool {
        timeout(Duration::from_millis(30), queue.take())
            .await
            .is_err()
    }

    #[test]
    fn the_newest_state_waits_behind_the_one_under_way() {
        run(async {
            let queue = Queue::new(3, None);
            let now = Instant::now();
            for (user, note) in [("1", "a"), ("2", "b"), ("1", "c")] {
                assert!(queue.offer(state(user, note), now));
            }
            let (user, note, first) = taken(&queue).await;
            assert_eq!(
                (&*user, &*note),
                ("1", "c"),
                "the newest, at the place of the first"
            );
            queue.offer(state("1", "d"), now);
            queue.offer(state("1", "e"), now);
            assert_eq!(queue.len(), 2);
            assert_eq!(taken(&queue).await.0, "2");
            assert!(is_empty(&queue).await, "one of a person at a time");
            queue.done(&first.state.aor);
            let (user, note, _) = taken(&queue).await;
            assert_eq!((&*user, &*note), ("1", "e"));
        });
    }

    #[test]
    fn a_failed_state_is_tried_later_unless_there_is_a_newer_one() {
        run(async {
            let queue = Queue::new(3, None);
            let now = Instant::now();
            queue.offer(state("1", "a"), now);
            let (_, _, mut entry) = taken(&queue).await;
            entry.failures += 1;
            queue.failed(entry, Duration::from_millis(50));
            assert!(is_empty(&queue).await);
            let (_, note, entry) = taken(&queue).await;
            assert_eq!((&*note, entry.failures), ("a", 1));
            assert!(entry.first_try.is_some());
            queue.offer(state("1", "b"), now);
            queue.failed(entry, Duration::ZERO);
            let (_, note, entry) = taken(&queue).await;
            assert_eq!((&*note, entry.failures), ("b", 1));
            queue.done(&entry.state.aor);
            assert_eq!(queue.len(), 0);
        });
    }

    #[test]
    fn a_target_that_is_back_gets_at_once_what_waits_after_failures() {
        run(async {
            let (queue, long) = (Queue::new(3, None), Duration::from_secs(300));
            queue.offer(state("1", "a"), Instant::now());
            let (.., entry) = taken(&queue).await;
            queue.pause(long);
            queue.failed(entry, long);
            assert!(is_empty(&queue).await);
            queue.resume();
            let (user, note, entry) = taken(&queue).await;
            assert_eq!((&*user, &*note), ("1", "a"));
            queue.done(&entry.state.aor);
            assert_eq!(queue.len(), 0);
        });
    }

    #[test]
    fn a_person_without_room_is_an_overflow_and_the_queue_says_when_there_is_room() {
        run(async {
            let queue = Queue::new(3, None);
            let now = Instant::now();
            for user in ["1", "2", "3"] {
                assert!(queue.offer(state(user, ""), now));
            }
            assert!(queue.offer(state("2", "newer"), now), "it has a place");
            assert!(!queue.offer(state("4", ""), now));
            assert!(queue.take_overflow() && !queue.take_overflow());
            let room = || timeout(Duration::from_millis(30), queue.room());
            assert!(room().await.is_err());
            let entries = [taken(&queue).await.2, taken(&queue).await.2];
            let told = async {
                sleep(Duration::from_millis(5)).await;
                entries
                    .iter()
                    .for_each(|entry| queue.done(&entry.state.aor));
            };
            assert!(join(room(), told).await.0.is_ok());
            assert!(queue.oldest(now + Duration::from_secs(3)) == Some(Duration::from_secs(3)));
        });
    }

    #[test]
    fn the_pace_and_a_pause_hold_for_all() {
        run(async {
            let queue = Queue::new(3, Some(20));
            let now = Instant::now();
            for user in ["1", "2", "3"] {
                queue.offer(state(user, ""), now);
            }
            for _ in 0..3 {
                taken(&queue).await;
            }
            assert!(now.elapsed() >= Duration::from_millis(100));
            queue.offer(state("9", ""), now);
            queue.pause(Duration::from_millis(100));
            assert!(is_empty(&queue).await);
            assert_eq!(taken(&queue).await.0, "9");
        });
    }
}
