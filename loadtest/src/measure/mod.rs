//! What is measured: latencies, counts, and what the server's processes use.

pub(crate) mod latency;
pub(crate) mod process;
pub(crate) mod tally;
