//! Telemetry: counters of every core, the lengths of its turns, logs.
//!
//! Guarantees: counting costs one unlocked load and store on a cache line no other core writes;
//! reading never stops a core. The engine's own counters are not here: a shard replies with them to
//! [`crate::shard::Command::Counters`].

pub mod counters;
pub mod durations;
mod journal;
pub mod logs;
pub mod throttle;
pub mod turns;

pub use counters::{CoreCounters, Sample, cores, register, snapshot, totals};
pub use throttle::Throttle;
pub use turns::TurnTimes;
