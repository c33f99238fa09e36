//! Changes of composed state, as server-sent events (HTML Standard §9.2), for any number of readers.
//!
//! ```text
//! shards ─► changes ─► log (the last events, each written once) ─► stream (one reader each)
//! ```
//!
//! Guarantees: every reader reads one log at its own pace; one that falls behind the log's end, or comes
//! back after a gap, is told so by `reset` and begins anew with all states. So the memory of a reader is its
//! place in the log. Who may read, and what a new reader gets first: `api::events`.

mod log;
mod stream;

pub(crate) use log::{EventFilter, EventKind, EventLog, Resumption};
pub(crate) use stream::{EventStream, Fetched, FirstPart};
