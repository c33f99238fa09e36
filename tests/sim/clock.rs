//! The clocks of the machine. The system's clock is set forward and back, while the node runs and while
//! it is down; no record may notice.

use lamplighter::store::clock::{MachineTime, Noted};

use crate::network::{Micros, SECOND};
use crate::random::Rng;

const MILLISECONDS: Micros = 1_000;
/// The farthest that the clock is set at once, in milliseconds.
const JUMP_MAX: u64 = 20 * 24 * 3_600_000;
/// When the machine was booted before the run, in milliseconds.
const BOOTED: i64 = 100_000;

/// See the module documentation.
#[derive(Debug)]
pub(crate) struct Clocks {
    /// By how many milliseconds the system's clock is ahead of the time of the run.
    ahead: i64,
    /// What the store noted last.
    noted: Option<Noted>,
    rng: Rng,
}

impl Clocks {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            ahead: 1_800_000_000_000,
            noted: None,
            rng: Rng::new(seed ^ 0x636c_6f63_6b73),
        }
    }

    /// The store notes where the clocks stand.
    pub(crate) fn note(&mut self, now: Micros) {
        self.noted = Some(Noted {
            time: (now / MILLISECONDS) as i64,
            machine: self.machine(now),
            committed_at: None,
        });
        if self.rng.chance(50) {
            self.jump();
        }
    }

    /// The clock of records when a process starts, in milliseconds.
    pub(crate) fn start(&mut self, now: Micros) -> i64 {
        if self.rng.chance(500) {
            self.jump();
        }
        let machine = self.machine(now);
        let noted = self.noted.as_ref();
        noted.map_or((now / MILLISECONDS) as i64, |noted| noted.time_at(&machine))
    }

    fn machine(&self, now: Micros) -> MachineTime {
        let now = (now / MILLISECONDS) as i64;
        MachineTime {
            unix: now + self.ahead,
            uptime: now + BOOTED,
            boot: "3f1c".into(),
        }
    }

    /// The system's clock is set.
    fn jump(&mut self) {
        let by = self.rng.below(2 * JUMP_MAX) as i64 - JUMP_MAX as i64;
        self.ahead += by;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_the_system_is_set_and_that_of_records_is_not() {
        let mut clocks = Clocks::new(7);
        let before = clocks.ahead;
        for minute in 1..100 {
            clocks.note(minute * 60 * SECOND);
            let time = clocks.start(minute * 60 * SECOND + SECOND);
            assert_eq!(time, minute as i64 * 60_000 + 1_000);
        }
        assert_ne!(clocks.ahead, before);
    }
}
