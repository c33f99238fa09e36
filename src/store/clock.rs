//! The clock of records: it goes on from one process to the next, and never back.
//!
//! It counts milliseconds, from 1970 UTC as the system's clock said when the file was made. While a
//! process runs it follows the monotonic clock: whatever is done to the system's clock changes no
//! expiry in a record. Each commit notes where all clocks stand. The next process counts on from
//! there: on the same boot of the machine by the time since the boot, which cannot be set; after another
//! boot by the system's clock, and not at all if that went back (W:E3.27).

use std::fs;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::{Connection, Error, OptionalExtension};

use crate::presence::wall_clock::WallClock;

/// How long after the last record an idle store goes on noting the time, so that the next process knows
/// that this one lived on. It is longer than any phone waits for a NOTIFY unless a record says so.
const NOTED_FOR: Duration = Duration::from_secs(120);
/// Further apart than this, in milliseconds, the system's clock was set since it was noted.
const SET: i64 = 1_000;

const READ: &str = "SELECT time, unix, uptime, boot, committed_at FROM clock";
const WRITE: &str = "INSERT OR REPLACE INTO clock VALUES (0, ?1, ?2, ?3, ?4, ?5)";

/// Where the clocks of the machine stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineTime {
    /// The system's clock, in milliseconds since 1970 UTC.
    pub unix: i64,
    /// Milliseconds since the machine was booted.
    pub uptime: i64,
    /// What tells this boot from all others.
    pub boot: Box<str>,
}

/// Where the clock of records and those of the machine stood at the last commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The clock of records.
    pub time: i64,
    /// Those of the machine.
    pub machine: MachineTime,
    /// The last commit by the clock of records, if all that was committed until then is there. While a
    /// process recovers, it is the last one of the process before. None if it is not known.
    pub committed_at: Option<i64>,
}

impl MachineTime {
    /// Now. A clock that cannot be read stands at 0.
    #[must_use]
    pub fn now() -> Self {
        let read = |file| fs::read_to_string(file).unwrap_or_default();
        let boot = read("/proc/sys/kernel/random/boot_id");
        let uptime = read("/proc/uptime");
        let uptime = uptime.split(' ').next().unwrap_or_default();
        Self {
            unix: unix_now(),
            uptime: uptime.replace('.', "").parse::<i64>().unwrap_or_default() * 10,
            boot: boot.trim().into(),
        }
    }
}

fn unix_now() -> i64 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    i64::try_from(since_1970.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

impl Noted {
    /// The time of records at a later time of the machine. It never goes back.
    #[must_use]
    pub fn time_at(&self, machine: &MachineTime) -> i64 {
        let is_same_boot = self.machine.boot == machine.boot && !machine.boot.is_empty();
        let passed = match is_same_boot {
            true => machine.uptime.saturating_sub(self.machine.uptime),
            false => machine.unix.saturating_sub(self.machine.unix),
        };
        self.time.saturating_add(passed.max(0))
    }

    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Option<Self>> {
        let noted = connection.query_row(READ, [], |row| {
            let boot: String = row.get(3)?;
            Ok(Self {
                time: row.get(0)?,
                machine: MachineTime {
                    unix: row.get(1)?,
                    uptime: row.get(2)?,
                    boot: boot.into(),
                },
                committed_at: row.get(4)?,
            })
        });
        match noted {
            // Damage that left a row, but not its values.
            Err(Error::InvalidColumnType(..) | Error::Utf8Error(..)) => Ok(None),
            noted => noted.optional(),
        }
    }

    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let Self {
            time,
            machine,
            committed_at,
        } = self;
        let mut write = connection.prepare_cached(WRITE)?;
        write.execute((
            time,
            machine.unix,
            machine.uptime,
            &*machine.boot,
            committed_at,
        ))?;
        Ok(())
    }
}

/// The clock of records of this process.
#[derive(Clone, Debug)]
pub(super) struct RecordClock {
    /// Its relation to the monotonic clock.
    pub(super) clock: WallClock,
    /// [`Noted::committed_at`] of the earlier process.
    committed_before: Option<i64>,
    /// Where the clocks of the machine stood when this process began.
    began: MachineTime,
    /// By how much the system's clock is ahead of that of records, as noted last.
    ahead: i64,
    /// When records came last.
    worked_at: Instant,
}

impl RecordClock {
    /// Counts on from where the last commit noted it.
    pub(super) fn after(noted: Option<&Noted>) -> Self {
        let (at, began) = (Instant::now(), MachineTime::now());
        let time = noted.map_or(began.unix, |noted| noted.time_at(&began));
        let clock = WallClock {
            at,
            unix_milliseconds: time,
        };
        Self {
            clock,
            committed_before: noted.and_then(|noted| noted.committed_at),
            began,
            ahead: i64::MAX,
            worked_at: at,
        }
    }

    /// When the earlier process committed last; None if that is not known, or if not all of it is left.
    pub(super) fn committed_at(&self) -> Option<Instant> {
        Some(self.clock.time_of(self.committed_before?))
    }

    /// Where the clocks stand, for a commit.
    pub(super) fn note(&mut self, is_recovering: bool) -> Noted {
        let (now, unix) = (Instant::now(), unix_now());
        let time = self.clock.unix_milliseconds_of(now);
        self.ahead = unix.saturating_sub(time);
        let passed = time.saturating_sub(self.clock.unix_milliseconds);
        Noted {
            time,
            machine: MachineTime {
                unix,
                uptime: self.began.uptime.saturating_add(passed),
                boot: self.began.boot.clone(),
            },
            committed_at: match is_recovering {
                true => self.committed_before,
                false => Some(time),
            },
        }
    }

    /// Records have come.
    pub(super) fn note_work(&mut self) {
        self.worked_at = Instant::now();
    }

    /// Whether an idle store is to note where the clocks stand.
    pub(super) fn is_to_be_noted(&self) -> bool {
        self.worked_at.elapsed() < NOTED_FOR || self.was_set()
    }

    /// Whether the system's clock was set since it was noted last.
    fn was_set(&self) -> bool {
        let time = self.clock.unix_milliseconds_of(Instant::now());
        let ahead = unix_now().saturating_sub(time);
        ahead.abs_diff(self.ahead) > SET.unsigned_abs()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn machine(unix: i64, uptime: i64, boot: &str) -> MachineTime {
        let boot = boot.into();
        MachineTime { unix, uptime, boot }
    }

    fn noted() -> Noted {
        Noted {
            time: 5_000_000,
            machine: machine(9_000_000, 300_000, "a"),
            committed_at: Some(4_000_000),
        }
    }

    #[test]
    fn on_one_boot_nobody_can_set_the_clock() {
        for unix in [0, 9_000_000, i64::MAX] {
            let later = machine(unix, 307_000, "a");
            assert_eq!(noted().time_at(&later), 5_007_000);
        }
    }

    #[test]
    fn after_another_boot_the_clock_of_the_system_counts_unless_it_went_back() {
        assert_eq!(noted().time_at(&machine(9_060_000, 20, "b")), 5_060_000);
        assert_eq!(noted().time_at(&machine(8_000_000, 20, "b")), 5_000_000);
        assert_eq!(noted().time_at(&machine(i64::MIN, 20, "b")), 5_000_000);
        assert_eq!(
            noted().time_at(&machine(i64::MAX, 20, "b")),
            i64::MAX - 4_000_000
        );
    }

    #[test]
    fn this_machine_has_a_boot_and_an_uptime() {
        let now = MachineTime::now();
        assert!(now.boot.len() > 30 && now.uptime > 0 && now.unix > 1_700_000_000_000);
    }

    #[test]
    fn damaged_values_are_not_known() {
        let file = Connection::open_in_memory().unwrap();
        let table =
            "CREATE TABLE clock (id INTEGER PRIMARY KEY, time, unix, uptime, boot, committed_at)";
        file.execute_batch(table).unwrap();
        assert_eq!(Noted::read(&file), Ok(None));
        noted().write(&file).unwrap();
        assert_eq!(Noted::read(&file), Ok(Some(noted())));
        for damage in ["time = 'x'", "boot = CAST(x'ff' AS TEXT)", "uptime = NULL"] {
            file.execute(&format!("UPDATE clock SET {damage}"), [])
                .unwrap();
            assert_eq!(Noted::read(&file), Ok(None), "{damage}");
            noted().write(&file).unwrap();
        }
    }

    #[test]
    fn a_process_counts_on() {
        let now = MachineTime::now();
        let mut first = noted();
        first.machine = MachineTime {
            uptime: now.uptime - 3_600_000,
            ..now
        };
        let mut clock = RecordClock::after(Some(&first));
        let passed = clock.clock.unix_milliseconds - first.time;
        assert!((3_600_000..3_660_000).contains(&passed), "{passed}");
        let of = |clock: &RecordClock| {
            let at = clock.committed_at()?;
            Some(clock.clock.unix_milliseconds_of(at))
        };
        assert_eq!(of(&clock), Some(4_000_000));
        assert!(clock.was_set(), "it was not noted yet");
        let next = clock.note(true);
        assert!(next.time >= clock.clock.unix_milliseconds && !clock.was_set());
        assert_eq!(next.committed_at, Some(4_000_000), "it recovers");
        let next = clock.note(false);
        assert_eq!(next.committed_at, Some(next.time));
        first.committed_at = None;
        assert_eq!(of(&RecordClock::after(Some(&first))), None);
    }
}
