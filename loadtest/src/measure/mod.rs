//! Measurements: latencies, counts, and the resource use of the server's processes.

pub(crate) mod latency;
pub(crate) mod process;
pub(crate) mod tally;
