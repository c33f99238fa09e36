//! What each value that is counted means, and whether it only grows: HELP and TYPE of `/metrics`.
//!
//! What shards and cores count is described where it is declared ([`Counters`], [`METRICS`]); the rest is
//! described here.

use crate::http::monitor::family::Kind;
use crate::shard::Counters;
use crate::telemetry::counters::{self, METRICS};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Description {
    /// Whether it only grows.
    pub(super) kind: Kind,
    /// What it means.
    pub(super) help: &'static str,
}

/// The description of a value; None if it has none.
pub(super) fn description(name: &str) -> Option<Description> {
    let of_a_shard = || {
        let (_, help) = Counters::MEANINGS
            .iter()
            .find(|(known, _)| *known == name)?;
        let kind = Counter;
        Some(Description { kind, help })
    };
    let of_a_core = || {
        let metric = METRICS.iter().find(|metric| metric.name == name)?;
        let kind = match metric.kind {
            counters::Kind::Sum => Counter,
            counters::Kind::Gauge | counters::Kind::Largest => Gauge,
        };
        let help = metric.meaning;
        Some(Description { kind, help })
    };
    let other = || {
        let (_, kind, help) = OTHERS.iter().find(|(known, ..)| *known == name)?;
        Some(Description { kind: *kind, help })
    };
    of_a_shard().or_else(of_a_core).or_else(other)
}

use Kind::{Counter, Gauge};

/// The sizes of a shard's tables, and what HTTP and the store count.
const OTHERS: &[(&str, Kind, &str)] = &[
    (
        "responses_evicted_early",
        Counter,
        "Responses forgotten before Timer J, for want of room: a retransmitted request is served again.",
    ),
    ("subscriptions", Gauge, "Active subscriptions."),
    (
        "presentities",
        Gauge,
        "Presentities with state or watchers.",
    ),
    (
        "notifies_outstanding",
        Gauge,
        "NOTIFYs without a final response yet.",
    ),
    ("notifies_queued", Gauge, "NOTIFYs that are to be sent."),
    (
        "changes_coalesced",
        Counter,
        "Changes of state that a NOTIFY told of which another change had asked for already.",
    ),
    (
        "lamps_stale",
        Gauge,
        "Subscriptions whose phone has not confirmed the current state for more than 10 s: a NOTIFY is unanswered, was refused, or waits.",
    ),
    (
        "acknowledgements_waiting",
        Gauge,
        "Acknowledgements that wait until their records are durable.",
    ),
    (
        "clients",
        Gauge,
        "Probes of other servers that are running.",
    ),
    ("timers", Gauge, "Timers that are armed."),
    (
        "phones_looping",
        Gauge,
        "Phones that repeat one request in vain.",
    ),
    ("http_connections_open", Gauge, "HTTP connections open now."),
    (
        "http_connections_refused",
        Counter,
        "HTTP connections refused: over the limit in total or for their address.",
    ),
    (
        "http_connections_ended",
        Counter,
        "HTTP connections closed early because nearly all were in use.",
    ),
    (
        "http_handshakes_completed",
        Counter,
        "TLS handshakes of HTTPS completed.",
    ),
    (
        "http_handshakes_failed",
        Counter,
        "TLS handshakes of HTTPS that failed: what came was none, or the two sides do not accept each other.",
    ),
    (
        "http_handshakes_timed_out",
        Counter,
        "TLS handshakes of HTTPS that were not done in time.",
    ),
    (
        "http_handshakes_refused",
        Counter,
        "HTTPS connections closed because too many handshakes were under way.",
    ),
    (
        "http2_streams_reset",
        Counter,
        "Requests of HTTP/2 that were reset: too many at once, not completed in time, or malformed.",
    ),
    (
        "http2_goaways",
        Counter,
        "Connections of HTTP/2 ended by GOAWAY with an error: the client broke the protocol, or went on resetting its own requests.",
    ),
    (
        "http2_floods",
        Counter,
        "Connections of HTTP/2 closed because too many frames belonged to no request.",
    ),
    (
        "http_attempts_wrong",
        Counter,
        "HTTP requests with a wrong user, password or token.",
    ),
    (
        "http_attempts_refused",
        Counter,
        "HTTP requests refused without a look at the password or token, after too many wrong ones.",
    ),
    (
        "domain_changes",
        Counter,
        "Changes of domains, groups and policies by the API that are on the disk and in force.",
    ),
    (
        "domain_changes_refused",
        Counter,
        "Changes of domains, groups and policies by the API that were not valid.",
    ),
    (
        "domain_changes_failed",
        Counter,
        "Changes of domains, groups and policies by the API that failed: too many waited, their file could not be written, or a shard did not respond.",
    ),
    (
        "edits_over_limit",
        Counter,
        "Edits of accounts, lists and rules that were refused because their domain has as many as it may.",
    ),
    ("store_commits", Counter, "Transactions of the store."),
    (
        "store_rows",
        Counter,
        "Records written to the store or removed from it.",
    ),
    (
        "store_batches_waiting",
        Gauge,
        "Batches of records that wait in the queue of the store.",
    ),
    (
        "store_failing",
        Gauge,
        "1 while the store cannot be written.",
    ),
    (
        "store_rows_unwritten",
        Gauge,
        "Records kept in memory until the store can be written again.",
    ),
    (
        "store_rows_impossible",
        Counter,
        "Records removed from the store because no server can have written them.",
    ),
    (
        "store_files_damaged",
        Counter,
        "Files of the store that were damaged and set aside.",
    ),
    (
        "store_commits_lost",
        Counter,
        "Acknowledged transactions of earlier processes that the store has lost by damage.",
    ),
    (
        "store_rows_salvaged",
        Counter,
        "Records read from damaged files of the store.",
    ),
    (
        "history_files_damaged",
        Counter,
        "Files of the history that were damaged and set aside.",
    ),
    (
        "history_salvaged",
        Counter,
        "Changes read from damaged files of the history.",
    ),
    (
        "history_changes",
        Counter,
        "Changes written to the history.",
    ),
    (
        "history_thinned",
        Counter,
        "Changes left out of the history because the disk did not keep up.",
    ),
    (
        "history_pruned",
        Counter,
        "Changes removed from the history because of their age or its size.",
    ),
    (
        "history_failing",
        Gauge,
        "1 while the history cannot be written.",
    ),
];
