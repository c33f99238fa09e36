//! Representations (RFC 9110 §3.2): the result types of the endpoints, one file each, and how a
//! value is rendered: as text for a terminal, or as JSON or CSV when the client prefers that
//! (`accept`).
//!
//! Text and JSON are rendered from the same value and from nothing else. Times in JSON are whole
//! seconds, their names end in `_seconds`; what is unknown or absent is `null`.

pub(crate) mod accept;
pub(crate) mod backup;
pub(crate) mod configured;
pub(crate) mod connectors;
pub(crate) mod counters;
pub(crate) mod drain;
pub(crate) mod export;
pub(crate) mod forgotten;
pub(crate) mod hand_over;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod lockouts;
pub(crate) mod log;
pub(crate) mod loops;
pub(crate) mod probe;
pub(crate) mod refusals;
pub(crate) mod relays;
pub(crate) mod reload;
pub(crate) mod response;
pub(crate) mod rules;
pub(crate) mod status;
mod table;
mod text;
pub(crate) mod trace;
pub(crate) mod watchers;
pub(crate) mod why;

pub(crate) use accept::Format;
pub(crate) use text::{COLUMNS_HEADER, visible};

use serde_json::Value;

/// The result of a request to an endpoint, with its two representations.
pub(crate) trait Representation {
    /// As text for a terminal of `columns`; None for all columns of a table at any width. Ends with a line
    /// feed.
    fn text(&self, columns: Option<usize>) -> String;

    /// As JSON.
    fn json(&self) -> Value;

    /// As CSV (RFC 4180); None for a value that is no table: then a client that prefers CSV gets text.
    fn csv(&self) -> Option<String> {
        None
    }
}
