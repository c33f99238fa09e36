//! Somebody who is watched: the changes told to the server, and which of them a lamp shows.
//!
//! Changes are numbered from 1; number 0 is the free lamp before any of them. A watcher is counted
//! by the changes that come after it joined, so that the first and the last watcher of a change are
//! known. The newest state is what counts: a change that was overtaken by a newer one need not be
//! seen by anybody.

use std::collections::VecDeque;
use std::time::Instant;

use crate::wire::dialog_info::Lamp;

/// Changes that wait for the answer to the one before; more replace the newest.
const WAITING_MAX: usize = 16;
/// Changes remembered at least: a whole call, so that an old state is known to be old.
const REMEMBERED_MIN: usize = 4;
/// Changes remembered at most, whoever may not have seen them.
const REMEMBERED_MAX: usize = 4096;

/// A change that was told.
#[derive(Clone, Copy, Debug)]
struct Change {
    lamp: Lamp,
    call: u32,
    /// When it should have been told.
    scheduled: Instant,
    /// Watchers that have not shown it, or a newer one.
    remaining: u32,
    /// Somebody has shown it.
    shown: bool,
    /// Its latencies count.
    measured: bool,
}

/// What is to be told next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) lamp: Lamp,
    pub(crate) scheduled: Instant,
    pub(crate) measured: bool,
    /// The publication is withdrawn instead of changed.
    pub(crate) withdraws: bool,
}

/// One watcher's view of one presentity.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sight {
    pub(crate) lamp: Lamp,
    /// It has seen a document; only then is it counted.
    pub(crate) joined: bool,
    /// The change that it shows, and the newest that there was when it joined.
    shown: u32,
    joined_at: u32,
    /// Version of the last document.
    pub(crate) version: Option<u32>,
}

/// What a document did to a sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A newer state than before; so many changes in between were never seen.
    Newer {
        superseded: u32,
        /// When the change should have been told, if its latency counts.
        since: Option<Instant>,
        first: bool,
        last: bool,
    },
    /// The first document: whatever is or was shortly before.
    First,
    /// The same state again.
    Same,
    /// An older state than before.
    Older,
    /// A state that nobody told.
    Unknown,
    /// The server refused a change, so nobody knows what it thinks.
    Uncertain,
}

/// One who is watched.
#[derive(Clone, Debug)]
pub(crate) struct Presentity {
    /// The URI that documents must name.
    pub(crate) entity: String,
    changes: VecDeque<Change>,
    /// Number of the first remembered change.
    first: u32,
    /// Sights that joined.
    watchers: u32,
    waiting: VecDeque<Wanted>,
    /// A change was sent and is not answered yet.
    pub(crate) telling: bool,
    pub(crate) uncertain: bool,
    /// A call is under way that the load started.
    pub(crate) engaged: bool,
    pub(crate) entity_tag: Option<String>,
    /// CSeq of the last PUBLISH.
    pub(crate) sequence: u32,
    /// The call that is published.
    pub(crate) call: u32,
    /// Version of the last published document.
    pub(crate) version: u32,
}

impl Presentity {
    pub(crate) fn new(entity: String, now: Instant) -> Self {
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
            telling: false,
            uncertain: false,
            engaged: false,
            entity_tag: None,
            sequence: 0,
            call: 0,
            version: 0,
        }
    }

    /// How many watch it.
    pub(crate) const fn watchers(&self) -> u32 {
        self.watchers
    }

    /// The lamp that all watchers must come to show.
    pub(crate) fn lamp(&self) -> Lamp {
        self.changes.back().map_or(Lamp::Off, |change| change.lamp)
    }

    /// The lamp after all that waits to be told.
    pub(crate) fn lamp_wanted(&self) -> Lamp {
        self.waiting
            .back()
            .map_or_else(|| self.lamp(), |wanted| wanted.lamp)
    }

    /// Puts a change behind those that wait; false when it replaced one of them.
    pub(crate) fn want(&mut self, wanted: Wanted) -> bool {
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(wanted);
            return true;
        }
        if let Some(newest) = self.waiting.back_mut() {
            *newest = wanted;
        }
        false
    }

    /// The next change to tell, when the one before is answered: from now on it may be shown.
    pub(crate) fn begin(&mut self) -> Option<Wanted> {
        if self.telling {
            return None;
        }
        let wanted = self.waiting.pop_front()?;
        self.telling = true;
        // A call never goes back: with the end of the last one left out, this is another.
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

    /// Of what waits only the newest is told; returns how much was dropped.
    pub(crate) fn keep_newest(&mut self) -> u64 {
        let dropped = self.waiting.len().saturating_sub(1);
        self.waiting.drain(..dropped);
        dropped as u64
    }

    /// Nothing more is told of what waits.
    pub(crate) fn abandon(&mut self) {
        self.waiting.clear();
        self.telling = false;
    }

    /// A document of this presentity shows a lamp, and perhaps which call it is about.
    pub(crate) fn see(&mut self, sight: &mut Sight, lamp: Lamp, call: Option<u32>) -> Shown {
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
        let Some(change) = self.change(found) else {
            return Shown::Unknown;
        };
        // A lamp that was off and is off has no moment at which it showed the calls in between: the
        // server owed it nothing, and a refresh or the last NOTIFY only says so again.
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

    /// A watcher is gone.
    pub(crate) fn leave(&mut self, sight: &mut Sight) {
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

    fn change(&mut self, number: u32) -> Option<&mut Change> {
        self.changes
            .get_mut(number.checked_sub(self.first)? as usize)
    }

    /// The change that a document shows. One that names its call says so itself; else it is the
    /// oldest change that was not seen yet and looks like that, so that no latency is flattered.
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

    fn release(&mut self, from: u32, to: u32) {
        for number in from.max(self.first)..=to {
            if let Some(change) = self.change(number) {
                change.remaining = change.remaining.saturating_sub(1);
            }
        }
    }

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
        presentity.telling = false;
    }

    const TWO_CALLS: [Lamp; 4] = [Lamp::Ringing, Lamp::Busy, Lamp::Off, Lamp::Ringing];

    /// A user who was called twice, and a watcher who has seen nothing of it.
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
        // All of them arrive, late: none is taken for a newer one.
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
    fn those_who_join_late_and_those_who_leave_are_not_waited_for() {
        let now = Instant::now();
        let mut user = presentity(now);
        let [mut one, mut two, mut late] = [Sight::default(); 3];
        user.see(&mut one, Lamp::Off, None);
        user.see(&mut two, Lamp::Off, None);
        tell(&mut user, Lamp::Ringing, now);
        // Joins with the state before, which is shortly before.
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
