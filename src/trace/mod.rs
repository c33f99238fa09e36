//! Traces: copies of the SIP messages of one person or one phone, for an operator who watches them live.
//!
//! Guarantees: a shard offers a message and goes on; it never waits for a reader, nor for another shard.
//! What is kept is bounded for each trace and shard; what finds no room is counted, and the reader is told.
//! Passwords and what is computed from them are masked in everything that a reader gets, octet by octet, so
//! that lengths stay true. A trace that is no longer read ends.
//!
//! It has no socket and no clock; the command line renders what it keeps.

mod conversations;
mod mask;
mod target;
mod traces;

pub use target::{Person, Phone, Target};
pub use traces::{
    Entry, Event, Path, Sighting, TooManyTraces, Trace, TraceId, TraceReport, Traces,
};
