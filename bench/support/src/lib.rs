//! Shared by the whole-system benchmarks.
//!
//! - [`system`]: CPUs, CPU time, memory; the calls that have no safe wrapper.
//! - [`sip`]: the messages of phones and a PBX, by template, and the few fields read from
//!   responses.
//! - [`daemon`]: the real server as a child process, one shard on a CPU of its own.
//! - [`fleet`]: phones on real ports, which subscribe, publish and acknowledge.
//! - [`blaster`]: the floor, a "server" that does nothing but the system calls.
//! - [`scenario`]: the loads offered to a server; [`pairs`]: two servers in turns; [`bars`]: the
//!   bars.
//!
//! It shares no code with the server it measures. The load generator for other servers is
//! `loadtest`.

pub mod bars;
pub mod blaster;
pub mod daemon;
pub mod fleet;
pub mod pairs;
pub mod scenario;
pub mod sip;
pub mod system;

/// The CPU of the server under test, or of its reference.
pub const SERVER_CPU: usize = 0;
/// The CPU of phones and PBX (the same one on a machine that has no other).
pub const PHONES_CPU: usize = 1;
/// Number of ports of the phones, by default.
pub const PORTS: usize = 1000;

/// The error of a benchmark: a message, with which the process ends.
pub type Error = Box<dyn std::error::Error>;
