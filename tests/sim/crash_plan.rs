//! The plan for the store of a run and the crashes of its node. It is drawn from the seed separately:
//! a seed gives the same phones, publishers and network with and without a store.

use lamplighter::shard::Durability;

use crate::network::{MILLISECOND, Micros, SECOND};
use crate::random::Rng;

/// A record is committed by the last of this many commits.
pub(crate) const COMMITS_MAX: u64 = 4;

/// A fault injected into the store, to test the judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreFault {
    /// It loses a committed row in a crash.
    LosesRows,
    /// It reports records as durable before they are committed.
    ReportsEarly,
    /// It gives back the first version of each row.
    KeepsFirst,
}

/// All values drawn from the seed for the store.
#[derive(Clone, Debug)]
pub(crate) struct CrashPlan {
    pub(crate) durability: Durability,
    /// Longest time from a record to its commit, and from the commit to its report.
    pub(crate) commit_max: Micros,
    pub(crate) report_max: Micros,
    pub(crate) acknowledgements_held_max: usize,
    /// When the node crashes.
    pub(crate) crashes: Vec<Micros>,
    /// Time from the beginning of the calm to one more crash; None for no such crash.
    pub(crate) crash_in_calm: Option<Micros>,
    /// Longest time that the node is down.
    pub(crate) down_max: Micros,
    /// Within this time after a start, peers act on it: while records are still to come, or soon after.
    /// None if they do not notice.
    pub(crate) noticed_within: Option<Micros>,
    /// Longest time between two portions of the recovery, and the rows of a portion.
    pub(crate) portion_every: Micros,
    pub(crate) portion: usize,
    pub(crate) fault: Option<StoreFault>,
    /// A crash is one of the machine: what the node noted of its last changes is gone too.
    pub(crate) loses_notes: bool,
}

impl CrashPlan {
    /// The shortest time that the node is down: longer than a reload or a datagram is under way, so
    /// that nothing from the old process arrives after something from the new one.
    pub(crate) const DOWN_MIN: Micros = 160 * MILLISECOND;

    /// Longest time for which an acknowledgement is held: until the commit of its records in
    /// [`Store`](crate::store::Store) is reported.
    pub(crate) fn hold_max(&self) -> Micros {
        COMMITS_MAX * self.commit_max + self.report_max
    }

    pub(crate) fn new(seed: u64, chaos: Micros) -> Self {
        let mut rng = Rng::new(seed ^ 0x6372_6173_6821);
        let rng = &mut rng;
        let crashes = (0..rng.between(1, 3)).map(|_| rng.between(SECOND, chaos));
        Self {
            crashes: crashes.collect(),
            durability: match rng.chance(750) {
                true => Durability::Synced,
                false => Durability::Relaxed,
            },
            commit_max: rng.pick(&[0, MILLISECOND, MILLISECOND, 20 * MILLISECOND, 2 * SECOND]),
            report_max: rng.pick(&[0, MILLISECOND, 50 * MILLISECOND]),
            acknowledgements_held_max: rng.pick(&[1, 3, 65_536, 65_536]),
            crash_in_calm: rng.chance(500).then(|| rng.below(140 * SECOND)),
            down_max: rng.pick(&[200 * MILLISECOND, SECOND, SECOND, 20 * SECOND]),
            portion_every: rng.pick(&[0, MILLISECOND, 200 * MILLISECOND, SECOND]),
            portion: rng.pick(&[1, 3, 1000]),
            fault: None,
            loses_notes: rng.chance(250),
            noticed_within: rng.pick(&[
                None,
                Some(5 * MILLISECOND),
                Some(5 * MILLISECOND),
                Some(200 * MILLISECOND),
            ]),
        }
    }
}
