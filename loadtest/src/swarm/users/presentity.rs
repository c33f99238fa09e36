//! A watched user: the changes reported to the server, and the change that each lamp shows.
//!
//! Changes are numbered from 1; number 0 is the free lamp before the first. Each change records the
//! number of watchers that joined before it, so that its first and its last watcher are known. Only
//! the newest state counts: a watcher need not see a change that a newer one superseded.

use std::collections::VecDeque;
use std::time::Instant;

use crate::swarm::versions::{Version, Versions};
use crate::wire::dialog_info::Lamp;

/// Maximum changes that wait for the response to the one before; a further change replaces the
/// newest.
const WAITING_MAX: usize = 16;
/// Minimum number of changes remembered: a whole call, so that a stale state is recognised.
const REMEMBERED_MIN: usize = 4;
/// Maximum number of changes remembered, even if a watcher has not seen them.
const REMEMBERED_MAX: usize = 4096;

/// A change that was reported to the server.
#[derive(Clone, Copy, Debug)]
struct Change {
    lamp: Lamp,
    call: u32,
    /// When the scenario scheduled it.
    scheduled: Instant,
    /// Number of watchers that have shown neither it nor a newer change.
    remaining: u32,
    /// At least one watcher has shown it.
    shown: bool,
    /// Whether its latencies are recorded.
    measured: bool,
}

/// A change to report to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) struct Wanted {
    pub(in crate::swarm) lamp: Lamp,
    pub(in crate::swarm) scheduled: Instant,
    pub(in crate::swarm) measured: bool,
    /// The publication is removed instead of modified.
    pub(in crate::swarm) withdraws: bool,
}

/// What one watcher's BLF key shows of one user.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::swarm) struct Sight {
    lamp: Lamp,
    /// Whether it has shown a document. Only then is it counted as a watcher.
    joined: bool,
    /// The change that it shows, and the newest change at the time it joined.
    shown: u32,
    joined_at: u32,
    /// Highest version of its documents.
    version: Versions,
}

/// The relation of a document to what a sight shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::swarm) enum Shown {
    /// A newer state.
    Newer {
        /// Number of changes in between that this watcher never saw.
        superseded: u32,
        /// When the change was scheduled, if its latency is recorded.
        since: Option<Instant>,
        /// No watcher has shown the change before.
        first: bool,
        /// It was the last watcher that had not shown it.
        last: bool,
    },
    /// The first document: the current state, or a very recent one.
    First,
    /// The state already shown.
    Same,
    /// An older state than the one shown.
    Older,
    /// A state that was never reported.
    Unknown,
    /// The server's state is unknown, because it refused a change.
    Uncertain,
}

/// A watched user.
#[derive(Clone, Debug)]
pub(in crate::swarm) struct Presentity {
    /// The URI that documents must name.
    entity: String,
    changes: VecDeque<Change>,
    /// Number of the first remembered change.
    first: u32,
    /// Number of sights that joined.
    watchers: u32,
    waiting: VecDeque<Wanted>,
    /// Whether a change was sent and has no response yet.
    reporting: bool,
    /// Whether a change was refused or timed out, so that the server's state is unknown.
    uncertain: bool,
    entity_tag: Option<String>,
    /// CSeq of the last PUBLISH.
    sequence: u32,
    /// Number of the published call.
    call: u32,
    /// Version of the last published document.
    version: u32,
}

/// The contents of a PUBLISH.
#[derive(Clone, Copy, Debug)]
pub(in crate::swarm) struct Publication<'a> {
    pub(in crate::swarm) entity: &'a str,
    /// The publication that it modifies.
    pub(in crate::swarm) entity_tag: Option<&'a str>,
    pub(in crate::swarm) sequence: u32,
    pub(in crate::swarm) version: u32,
    pub(in crate::swarm) call: u32,
    pub(in crate::swarm) lamp: Lamp,
}

impl Sight {
    /// Takes the version of the next document.
    pub(in crate::swarm) fn take_version(&mut self, version: u32) -> Version {
        self.version.take(version)
    }
}

impl Presentity {
    pub(in crate::swarm) fn new(entity: String, now: Instant) -> Self {
        let free = Change {
            lamp: Lamp::Off,
            call: 0,
            scheduled: now,
            remaining: 0,
            shown: true,
            measured: false,
        };
        Self {
            entity,
            changes: VecDeque::from([free]),
            first: 0,
            watchers: 0,
            waiting: VecDeque::new(),
            reporting: false,
            uncertain: false,
            entity_tag: None,
            sequence: 0,
            call: 0,
            version: 0,
        }
    }

    /// The URI that documents must name.
    pub(in crate::swarm) fn entity(&self) -> &str {
        &self.entity
    }

    pub(in crate::swarm) const fn is_published(&self) -> bool {
        self.entity_tag.is_some()
    }

    /// The number of sights that show it.
    pub(in crate::swarm) const fn watchers(&self) -> u32 {
        self.watchers
    }

    /// The lamp that all watchers must finally show.
    pub(in crate::swarm) fn lamp(&self) -> Lamp {
        self.changes.back().map_or(Lamp::Off, |change| change.lamp)
    }

    /// The lamp after all queued changes.
    pub(in crate::swarm) fn lamp_wanted(&self) -> Lamp {
        self.waiting
            .back()
            .map_or_else(|| self.lamp(), |wanted| wanted.lamp)
    }

    /// Queues a change. Returns false if the queue was full and the change replaced the newest.
    pub(in crate::swarm) fn want(&mut self, wanted: Wanted) -> bool {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(wanted);
            return true;
        }
        self.waiting.pop_back();
        self.waiting.push_back(wanted);
        false
    }

    /// The next change to report, once there is a response to the one before. From now on watchers
    /// may show it.
    pub(in crate::swarm) fn begin(&mut self) -> Option<Wanted> {
        if self.reporting {
            return None;
        }
        let wanted = self.waiting.pop_front()?;
        self.reporting = true;
        // A call only moves forward. If the end of the last call was skipped, this is a new call.
        let before = self.lamp();
        let goes_on = before != Lamp::Off && wanted.lamp.step() > before.step();
        self.call += u32::from(wanted.lamp != Lamp::Off && !goes_on);
        self.changes.push_back(Change {
            lamp: wanted.lamp,
            call: self.call,
            scheduled: wanted.scheduled,
            remaining: self.watchers,
            shown: false,
            measured: wanted.measured,
        });
        self.forget();
        Some(wanted)
    }

    /// Drops all queued changes except the newest. Returns their number.
    pub(in crate::swarm) fn keep_newest(&mut self) -> u64 {
        let dropped = self.waiting.len().saturating_sub(1);
        self.waiting.drain(..dropped);
        dropped as u64
    }

    /// Drops all queued changes, and stops waiting for a response.
    pub(in crate::swarm) fn abandon(&mut self) {
        self.waiting.clear();
        self.reporting = false;
    }

    /// The contents of the PUBLISH that reports the newest change.
    pub(in crate::swarm) fn next_publication(&mut self) -> Publication<'_> {
        self.sequence += 1;
        self.version += 1;
        Publication {
            entity: &self.entity,
            entity_tag: self.entity_tag.as_deref(),
            sequence: self.sequence,
            version: self.version,
            call: self.call,
            lamp: self.lamp(),
        }
    }

    /// The server accepted the change; the publication has this entity tag, or has ended.
    pub(in crate::swarm) fn accepted(&mut self, entity_tag: Option<String>) {
        self.reporting = false;
        self.uncertain = false;
        self.entity_tag = entity_tag;
    }

    /// The server refused the change, or did not respond.
    pub(in crate::swarm) fn failed(&mut self) {
        self.reporting = false;
        self.uncertain = true;
        self.entity_tag = None;
    }

    /// Returns whether a sight shows the newest state. A presentity whose state at the server is
    /// unknown is not waited for.
    pub(in crate::swarm) fn is_shown_by(&self, sight: &Sight) -> bool {
        self.uncertain || sight.joined && sight.lamp == self.lamp()
    }

    /// Checks a document that shows a lamp and, unless the server hides it, names the call.
    pub(in crate::swarm) fn see(
        &mut self,
        sight: &mut Sight,
        lamp: Lamp,
        call: Option<u32>,
    ) -> Shown {
        let newest = self.newest();
        let was = std::mem::replace(&mut sight.lamp, lamp);
        let found = self.find(lamp, call, sight.joined.then_some(sight.shown));
        if !sight.joined {
            sight.joined = true;
            sight.joined_at = newest;
            sight.shown = found.unwrap_or(newest);
            self.watchers += 1;
            return match found {
                Some(_) => Shown::First,
                None if self.uncertain => Shown::Uncertain,
                None => Shown::Unknown,
            };
        }
        if self.uncertain {
            return Shown::Uncertain;
        }
        let Some(found) = found else {
            return Shown::Unknown;
        };
        if found < sight.shown {
            return Shown::Older;
        }
        if found == sight.shown {
            return if was == lamp {
                Shown::Same
            } else {
                Shown::Older
            };
        }
        let from = sight.shown.max(sight.joined_at) + 1;
        let superseded = found.saturating_sub(sight.shown + 1);
        sight.shown = found;
        self.release(from, found);
        let change = &mut self.changes[(found - self.first) as usize];
        // A lamp that was off and is off again never showed the calls in between. The server did
        // not have to send a NOTIFY for them, and a refresh or the last NOTIFY only repeats the
        // state: there is no latency.
        let was_right = was == Lamp::Off && lamp == Lamp::Off;
        let first = !was_right && !std::mem::replace(&mut change.shown, true);
        let since = (change.measured && !was_right).then_some(change.scheduled);
        let last = change.remaining == 0 && found >= from;
        self.forget();
        Shown::Newer {
            superseded,
            since,
            first,
            last,
        }
    }

    /// A watcher has unsubscribed.
    pub(in crate::swarm) fn leave(&mut self, sight: &mut Sight) {
        let was = std::mem::take(sight);
        if was.joined {
            self.watchers -= 1;
            let from = was.shown.max(was.joined_at) + 1;
            self.release(from, self.newest());
        }
    }

    fn newest(&self) -> u32 {
        self.first + self.changes.len() as u32 - 1
    }

    /// The number of the change that a document shows. If a call is named, it is that call's
    /// change; otherwise the oldest change with this lamp that the watcher has not seen, so that no
    /// latency appears shorter than it was.
    fn find(&self, lamp: Lamp, call: Option<u32>, shown: Option<u32>) -> Option<u32> {
        let of_call = |change: &Change| change.lamp == lamp && Some(change.call) == call;
        let looks_like = |change: &Change| change.lamp == lamp;
        let oldest = || {
            let from = (shown? + 1).saturating_sub(self.first) as usize;
            let mut later = self.changes.iter().skip(from);
            later.position(looks_like).map(|index| from + index)
        };
        let index = call
            .and_then(|_| self.changes.iter().rposition(of_call))
            .or_else(oldest)
            .or_else(|| self.changes.iter().rposition(looks_like))?;
        Some(self.first + index as u32)
    }

    /// These changes have one watcher fewer that has not shown them.
    fn release(&mut self, from: u32, to: u32) {
        for number in from.max(self.first)..=to {
            let change = &mut self.changes[(number - self.first) as usize];
            change.remaining = change.remaining.saturating_sub(1);
        }
    }

    /// Drops old changes that every watcher has shown.
    fn forget(&mut self) {
        while self.changes.len() > REMEMBERED_MIN
            && (self.changes[0].remaining == 0 || self.changes.len() > REMEMBERED_MAX)
        {
            self.changes.pop_front();
            self.first += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn presentity(now: Instant) -> Presentity {
        Presentity::new("sip:1@h".to_owned(), now)
    }

    fn tell(presentity: &mut Presentity, lamp: Lamp, now: Instant) {
        let wanted = Wanted {
            lamp,
            scheduled: now,
            measured: true,
            withdraws: false,
        };
        assert!(presentity.want(wanted));
        assert_eq!(presentity.begin(), Some(wanted));
        presentity.accepted(None);
    }

    const TWO_CALLS: [Lamp; 4] = [Lamp::Ringing, Lamp::Busy, Lamp::Off, Lamp::Ringing];

    /// A user who was called twice, and a watcher that has seen nothing of it.
    fn called_twice(now: Instant) -> (Presentity, Sight) {
        let mut user = presentity(now);
        let mut sight = Sight::default();
        user.see(&mut sight, Lamp::Off, None);
        for lamp in TWO_CALLS {
            tell(&mut user, lamp, now);
        }
        (user, sight)
    }

    fn newer(superseded: u32, since: Instant, first: bool, last: bool) -> Shown {
        Shown::Newer {
            superseded,
            since: Some(since),
            first,
            last,
        }
    }

    #[test]
    fn the_first_and_the_last_of_the_watchers_are_known() {
        let now = Instant::now();
        let mut user = presentity(now);
        let mut sights = [Sight::default(); 3];
        for sight in &mut sights {
            assert_eq!(user.see(sight, Lamp::Off, None), Shown::First);
        }
        tell(&mut user, Lamp::Ringing, now);
        let shown = sights
            .each_mut()
            .map(|sight| user.see(sight, Lamp::Ringing, None));
        assert_eq!(shown[0], newer(0, now, true, false));
        assert_eq!(shown[1], newer(0, now, false, false));
        assert_eq!(shown[2], newer(0, now, false, true));
        assert_eq!(user.see(&mut sights[1], Lamp::Ringing, None), Shown::Same);
        assert_eq!(user.see(&mut sights[1], Lamp::Off, None), Shown::Older);
        assert_eq!(user.see(&mut sights[0], Lamp::Busy, None), Shown::Unknown);
    }

    #[test]
    fn the_newest_state_supersedes() {
        let now = Instant::now();
        let (mut user, mut sight) = called_twice(now);
        // The document names the first call: it is the first change, not the fourth.
        assert_eq!(
            user.see(&mut sight, Lamp::Ringing, Some(1)),
            newer(0, now, true, true)
        );
        assert_eq!(
            user.see(&mut sight, Lamp::Ringing, Some(2)),
            newer(2, now, true, true)
        );
        assert_eq!(user.see(&mut sight, Lamp::Off, Some(1)), Shown::Older);
    }

    #[test]
    fn without_a_call_the_oldest_unseen_change_is_meant() {
        let now = Instant::now();
        let (mut user, mut sight) = called_twice(now);
        // All of them arrive, but late: none is mistaken for a newer one.
        for lamp in TWO_CALLS {
            assert_eq!(user.see(&mut sight, lamp, None), newer(0, now, true, true));
        }
    }

    #[test]
    fn a_lamp_that_stays_off_through_a_call_is_not_late() {
        let now = Instant::now();
        let mut user = presentity(now);
        let mut sight = Sight::default();
        user.see(&mut sight, Lamp::Off, None);
        tell(&mut user, Lamp::Busy, now);
        tell(&mut user, Lamp::Off, now);
        let shown = user.see(&mut sight, Lamp::Off, None);
        let Shown::Newer {
            superseded: 1,
            since: None,
            first: false,
            ..
        } = shown
        else {
            panic!("{shown:?}")
        };
        assert_eq!(user.see(&mut sight, Lamp::Off, None), Shown::Same);
    }

    #[test]
    fn watchers_that_join_late_or_leave_are_not_waited_for() {
        let now = Instant::now();
        let mut user = presentity(now);
        let [mut one, mut two, mut late] = [Sight::default(); 3];
        user.see(&mut one, Lamp::Off, None);
        user.see(&mut two, Lamp::Off, None);
        tell(&mut user, Lamp::Ringing, now);
        // It joins with the state before the newest, which is recent enough.
        assert_eq!(user.see(&mut late, Lamp::Off, None), Shown::First);
        user.leave(&mut two);
        assert!(!two.joined);
        assert_eq!(
            user.see(&mut one, Lamp::Ringing, None),
            newer(0, now, true, true)
        );
        assert_eq!(
            user.see(&mut late, Lamp::Ringing, None),
            newer(0, now, false, false)
        );
    }

    #[test]
    fn changes_wait_for_each_other_and_the_newest_wins() {
        let now = Instant::now();
        let mut user = presentity(now);
        let wanted = |lamp| Wanted {
            lamp,
            scheduled: now,
            measured: true,
            withdraws: false,
        };
        assert!((0..WAITING_MAX).all(|_| user.want(wanted(Lamp::Ringing))));
        assert!(!user.want(wanted(Lamp::Busy)));
        assert_eq!(user.lamp_wanted(), Lamp::Busy);
        assert!(user.begin().is_some());
        assert_eq!(user.begin(), None);
        assert_eq!((user.lamp(), user.call), (Lamp::Ringing, 1));
        assert_eq!(user.keep_newest(), WAITING_MAX as u64 - 2);
        assert_eq!(user.lamp_wanted(), Lamp::Busy);
        user.abandon();
        assert_eq!(user.begin(), None);
    }

    #[test]
    fn a_call_whose_end_was_left_out_is_followed_by_another() {
        let now = Instant::now();
        let mut user = presentity(now);
        let calls = [
            (Lamp::Ringing, 1),
            (Lamp::Busy, 1),
            (Lamp::Ringing, 2),
            (Lamp::Ringing, 3),
            (Lamp::Off, 3),
            (Lamp::Busy, 4),
        ];
        for (lamp, call) in calls {
            tell(&mut user, lamp, now);
            assert_eq!(user.call, call, "{lamp:?}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let now = Instant::now();
        let mut user = presentity(now);
        let mut sight = Sight::default();
        user.see(&mut sight, Lamp::Off, None);
        let cycle = [Lamp::Ringing, Lamp::Busy, Lamp::Off];
        for lamp in cycle.iter().cycle().take(3 * REMEMBERED_MAX) {
            tell(&mut user, *lamp, now);
        }
        assert!(user.changes.len() <= REMEMBERED_MAX);
        let last = Some(REMEMBERED_MAX as u32);
        assert!(matches!(
            user.see(&mut sight, Lamp::Off, last),
            Shown::Newer { .. }
        ));
        assert_eq!(user.changes.len(), REMEMBERED_MIN);
    }
}
