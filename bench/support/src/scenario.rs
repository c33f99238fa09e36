//! The loads offered to a server: changes in a closed loop, changes at given moments, and the
//! highest rate without loss.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::fleet::{Fleet, Stimulus};
use crate::{Error, pairs};

/// The server must have been idle for this long before its CPU time is read.
const REST: Duration = Duration::from_millis(4);
/// After the last change of an open loop, how long watchers may take.
const AFTERMATH: Duration = Duration::from_millis(300);
/// NOTIFYs of the closed loop whose rate the search for the highest rate begins with.
const PROBE_NOTIFIES: f64 = 20_000.0;
/// NOTIFYs under way in that loop.
const PROBE_WINDOW: f64 = 2_000.0;
/// How far above that loop's rate the search begins.
const PROBE_FACTOR: f64 = 1.1;
/// Rates that are tried.
const TRIES_MAX: usize = 12;
/// Share of the NOTIFYs that must arrive in time for a rate to count as without loss.
const COMPLETE: f64 = 0.999;

/// The work done, and its cost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Work {
    /// Changes.
    pub changes: u64,
    /// NOTIFYs the phones saw.
    pub notifies: u64,
    /// Their octets.
    pub octets: u64,
    /// CPU time of the server.
    pub cpu: Duration,
    /// Time by the clock.
    pub time: Duration,
}

impl Work {
    /// Microseconds of CPU per NOTIFY.
    #[must_use]
    pub fn cpu_per_notify(&self) -> f64 {
        micros(self.cpu) / self.notifies as f64
    }
}

/// Microseconds, with their fraction.
#[must_use]
pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Runs `work` and measures what it costs the server, whose CPU time `cpu` reads.
pub fn measure(
    fleet: &mut Fleet,
    cpu: impl Fn() -> Result<Duration, Error>,
    work: impl FnOnce(&mut Fleet) -> Result<u64, Error>,
) -> Result<Work, Error> {
    settle(fleet, &cpu)?;
    let (before, cpu_before, start) = (fleet.tally, cpu()?, Instant::now());
    let changes = work(fleet)?;
    let time = start.elapsed();
    let cpu_after = settle(fleet, &cpu)?;
    Ok(Work {
        changes,
        notifies: fleet.tally.notifies - before.notifies,
        octets: fleet.tally.notify_octets - before.notify_octets,
        cpu: cpu_after.saturating_sub(cpu_before),
        time,
    })
}

/// Waits until the server is idle; returns its CPU time. A server that is never idle is read after
/// a while.
pub fn settle(
    fleet: &mut Fleet,
    cpu: &impl Fn() -> Result<Duration, Error>,
) -> Result<Duration, Error> {
    let mut last = cpu()?;
    for _ in 0..25 {
        fleet.serve_for(REST)?;
        let now = cpu()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}

/// `changes` changes of the presentities in turn, `window` of them under way at any time; returns
/// when every watcher has seen every one.
pub fn closed_loop(
    fleet: &mut Fleet,
    stimulus: Stimulus,
    changes: u64,
    window: u64,
) -> Result<u64, Error> {
    let presentities = fleet.size().presentities;
    let before = fleet.latencies.len() as u64;
    for change in 0..changes {
        let presentity = (change % u64::from(presentities)) as u32;
        fleet.pump(|fleet| !fleet.is_changing(presentity))?;
        fleet.change(stimulus, presentity, Instant::now())?;
        let sent = change + 1;
        fleet.pump(|fleet| fleet.latencies.len() as u64 - before + window > sent)?;
    }
    fleet.pump(|fleet| fleet.latencies.len() as u64 - before >= changes)?;
    Ok(changes)
}

/// The result of an open loop.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// NOTIFYs that were due.
    pub due: u64,
    /// NOTIFYs that arrived in time.
    pub arrived: u64,
    /// Microseconds from the moment a change was due to its first and its last NOTIFY, change by
    /// change.
    pub first: Vec<f64>,
    /// See `first`.
    pub last: Vec<f64>,
    /// By the clock.
    pub time: Duration,
}

impl Outcome {
    /// Whether every NOTIFY arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.arrived as f64 >= self.due as f64 * COMPLETE
    }

    /// NOTIFYs a second, by the clock.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.arrived as f64 / self.time.as_secs_f64()
    }
}

/// [`open_loop_of`] all presentities in turn.
pub fn open_loop(
    fleet: &mut Fleet,
    stimulus: Stimulus,
    rate: f64,
    time: Duration,
) -> Result<Outcome, Error> {
    let all = 0..fleet.size().presentities;
    open_loop_of(fleet, stimulus, all, rate, time)
}

/// Changes of presentities in turn at random moments (Poisson), on average `rate` a second, whether
/// or not the server keeps up; latencies count from the moment a change was due.
pub fn open_loop_of(
    fleet: &mut Fleet,
    stimulus: Stimulus,
    presentities: Range<u32>,
    rate: f64,
    time: Duration,
) -> Result<Outcome, Error> {
    let before = fleet.tally;
    fleet.latencies.clear();
    fleet.first_latencies.clear();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let start = Instant::now();
    let end = start + time;
    let mut due_at = start;
    let mut due = 0;
    let mut next = presentities.cycle();
    while due_at < end {
        while let Some(left) = due_at.checked_duration_since(Instant::now()) {
            fleet.serve(left)?;
        }
        let presentity = next.next().ok_or("no presentity to change")?;
        fleet.change(stimulus, presentity, due_at)?;
        due += u64::from(fleet.fan_out(presentity));
        state = pairs::next(state);
        let uniform = ((state >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        due_at += Duration::from_secs_f64(-uniform.ln() / rate);
        // Messages are read even if changes are late.
        fleet.serve(Duration::ZERO)?;
    }
    fleet.serve_for(AFTERMATH)?;
    let repeated = fleet.tally.repeated - before.repeated;
    let all_micros = |all: &[Duration]| all.iter().map(|time| micros(*time)).collect();
    Ok(Outcome {
        due,
        arrived: (fleet.tally.notifies - before.notifies).saturating_sub(repeated),
        first: all_micros(&fleet.first_latencies),
        last: all_micros(&fleet.latencies),
        time,
    })
}

/// The most NOTIFYs a second at which all arrive. Starts above what a closed loop reaches and goes
/// down by a tenth until a try of `time` loses nothing; 0 when that never happens.
pub fn most_without_loss(fleet: &mut Fleet, time: Duration) -> Result<f64, Error> {
    let fan_out = f64::from(fleet.fan_out(0));
    let changes = (PROBE_NOTIFIES / fan_out).max(1.0) as u64;
    let start = Instant::now();
    let window = (PROBE_WINDOW / fan_out).max(2.0) as u64;
    closed_loop(fleet, Stimulus::Publish, changes, window)?;
    let mut rate = changes as f64 * fan_out / start.elapsed().as_secs_f64() * PROBE_FACTOR;
    for _ in 0..TRIES_MAX {
        let outcome = open_loop(fleet, Stimulus::Publish, rate / fan_out, time)?;
        if outcome.is_complete() {
            return Ok(outcome.rate());
        }
        // Messages left over must not affect the next try.
        fleet.serve_for(AFTERMATH)?;
        rate *= 0.9;
    }
    Ok(0.0)
}
