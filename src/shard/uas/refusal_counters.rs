//! Counters of refusals by method and status, such as `refused_subscribe_403`. The set of names is
//! fixed, so that counting is one addition and a peer cannot create names. Counters that are zero
//! are not reported.

use crate::sip::{Method, Status};

/// Statuses with a counter of their own; all others share one.
const STATUSES: [u16; 19] = [
    400, 401, 403, 404, 405, 412, 413, 415, 416, 420, 421, 423, 481, 482, 489, 500, 501, 503, 513,
];

/// Counters per method: one per status, and one for all other statuses.
const COLUMNS: usize = STATUSES.len() + 1;

macro_rules! names {
    ($method:literal) => {
        names!($method: 400 401 403 404 405 412 413 415 416 420 421 423 481 482 489 500 501 503 513 "other")
    };
    ($method:literal: $($status:literal)*) => {
        [$(concat!("refused_", $method, "_", $status)),*]
    };
}

/// The names, one row per method, in the order of `row`.
const NAMES: [[&str; COLUMNS]; 5] = [
    names!("subscribe"),
    names!("publish"),
    names!("register"),
    names!("options"),
    names!("other"),
];

/// Refusals since the start of the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefusalCounters([[u64; COLUMNS]; NAMES.len()]);

impl RefusalCounters {
    /// Counts one refusal.
    pub(crate) fn count(&mut self, method: Method<'_>, status: Status) {
        let column = STATUSES.iter().position(|known| *known == status.0);
        self.0[row(method)][column.unwrap_or(STATUSES.len())] += 1;
    }

    /// Names and values of the counters that are not zero.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        let names = NAMES.iter().flatten().copied();
        let values = self.0.iter().flatten().copied();
        names.zip(values).filter(|(_, value)| *value > 0)
    }
}

const fn row(method: Method<'_>) -> usize {
    match method {
        Method::Subscribe => 0,
        Method::Publish => 1,
        Method::Register => 2,
        Method::Options => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_has_its_name() {
        for (column, status) in STATUSES.iter().enumerate() {
            let mut counters = RefusalCounters::default();
            counters.count(Method::Register, Status(*status));
            let name = format!("refused_register_{status}");
            assert_eq!(NAMES[2][column], name);
            let counted: Vec<_> = counters.iter().collect();
            assert_eq!(counted, [(name.as_str(), 1)]);
        }
    }

    #[test]
    fn other_methods_and_statuses_share_counters() {
        let mut counters = RefusalCounters::default();
        assert_eq!(counters.iter().count(), 0);
        for method in [Method::Invite, Method::Other(b"FOO"), Method::Options] {
            counters.count(method, Status::NOT_ACCEPTABLE);
        }
        counters.count(Method::Publish, Status::FORBIDDEN);
        counters.count(Method::Subscribe, Status::FORBIDDEN);
        let counted: Vec<_> = counters.iter().collect();
        let expected = [
            ("refused_subscribe_403", 1),
            ("refused_publish_403", 1),
            ("refused_options_other", 1),
            ("refused_other_other", 2),
        ];
        assert_eq!(counted, expected);
    }
}
