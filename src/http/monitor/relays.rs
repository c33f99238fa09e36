//! The metrics of the relays, labelled with their names, which the operator has chosen.

use crate::http::monitor::family::{Family, Kind};
use crate::relay::{Condition, RelayReport};

/// A value of a relay: its name, what it is and means, and where it stands.
type Row = (&'static str, Kind, &'static str, fn(&RelayReport) -> u64);

const ROWS: [Row; 10] = [
    (
        "relay_working",
        Kind::Gauge,
        "1 unless the last attempt to tell the target a state failed.",
        |relay| (relay.condition != Condition::Failing).into(),
    ),
    (
        "relay_queued",
        Kind::Gauge,
        "People whose state waits for a relay's target, or is under way.",
        |relay| relay.queued,
    ),
    (
        "relay_oldest_seconds",
        Kind::Gauge,
        "How long the first of them has waited.",
        |relay| relay.oldest.as_secs(),
    ),
    (
        "relay_sent",
        Kind::Counter,
        "States that a relay's target was told.",
        |relay| relay.sent,
    ),
    (
        "relay_failed",
        Kind::Counter,
        "Attempts of a relay that failed.",
        |relay| relay.failed,
    ),
    (
        "relay_retried",
        Kind::Counter,
        "Failed attempts of a relay that are repeated.",
        |relay| relay.retried,
    ),
    (
        "relay_dead_letters",
        Kind::Counter,
        "States that a relay has given up, and written to its file of dead letters.",
        |relay| relay.dead_letters,
    ),
    (
        "relay_unknown",
        Kind::Counter,
        "Dead letters about people that a relay's target does not know.",
        |relay| relay.unknown,
    ),
    (
        "relay_overflows",
        Kind::Counter,
        "Times that a person found no room in the queue of a relay, which then tells all states.",
        |relay| relay.overflows,
    ),
    (
        "relay_snapshots",
        Kind::Counter,
        "Times that a relay has told all states: at its start, and after changes were lost.",
        |relay| relay.snapshots,
    ),
];

/// The families of all relays; without samples if there is none.
pub(super) fn families(relays: &[RelayReport]) -> impl Iterator<Item = Family> {
    ROWS.iter().map(|(name, kind, help, value)| {
        let family = Family::new(name, *kind, help);
        relays.iter().fold(family, |family, relay| {
            let labels = [("relay", &*relay.name), ("kind", relay.kind)];
            family.with_labels(&labels, value(relay))
        })
    })
}
