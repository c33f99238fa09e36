//! What the whole-system benchmarks share.
//!
//! - [`system`]: CPUs, CPU time, memory; the calls that have no safe wrapper.
//! - [`sip`]: the messages phones and a PBX write, by template, and the few things read from answers.
//! - [`daemon`]: the real server as a child process, one shard on a CPU of its own.
//! - [`fleet`]: phones on real ports, which subscribe, publish and acknowledge.
//! - [`blaster`]: the floor, a "server" that does nothing but the system calls.
//! - [`scenario`]: what is asked of any server; [`pairs`]: two of them in turns; [`bars`]: the bars.
//!
//! It shares no code with the server it measures. Not a load generator for others: `loadtest` is.

pub mod bars;
pub mod blaster;
pub mod daemon;
pub mod fleet;
pub mod pairs;
pub mod scenario;
pub mod sip;
pub mod system;

/// The CPU of the server under test, or of what it is compared with.
pub const SERVER_CPU: usize = 0;
/// The CPU of phones and PBX (the same one on a machine that has no other).
pub const PHONES_CPU: usize = 1;
/// The ports phones have, unless a benchmark says otherwise.
pub const PORTS: usize = 1000;

/// How a benchmark fails: with words, and the process ends.
pub type Error = Box<dyn std::error::Error>;
