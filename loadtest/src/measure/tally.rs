//! The counts of a run, and the faults among them.

use std::collections::BTreeMap;

/// Maximum number of fault examples that are kept.
const EXAMPLES_MAX: usize = 20;

/// All counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    // Work done.
    pub(crate) subscriptions: u64,
    pub(crate) established: u64,
    /// SUBSCRIBEs with a 2xx that began or refreshed a dialog.
    pub(crate) subscribes: u64,
    pub(crate) refreshes: u64,
    pub(crate) publishes: u64,
    pub(crate) http_requests: u64,
    /// Changes reported to the server, and lamps that showed a change.
    pub(crate) changes: u64,
    pub(crate) lamps: u64,
    /// NOTIFYs, each counted once, and responses sent.
    pub(crate) notifies: u64,
    pub(crate) acknowledged: u64,
    /// Changes that a watcher never saw because a newer one superseded them: not a fault.
    pub(crate) superseded: u64,
    /// Changes that the tool itself replaced by a newer one while the server did not respond.
    pub(crate) held_back: u64,
    /// Calls for which no idle user was found.
    pub(crate) calls_blocked: u64,
    pub(crate) reboots: u64,
    pub(crate) forgotten: u64,
    pub(crate) withheld: u64,
    /// NOTIFYs of dialogs that their phone has lost: the response is 481.
    pub(crate) orphans: u64,

    // Retransmissions and losses.
    pub(crate) retransmitted: u64,
    pub(crate) repeated: u64,
    pub(crate) dropped: u64,
    pub(crate) deferred: u64,
    pub(crate) unsent: u64,
    /// HTTP connections that were closed and reopened: a server may close an idle one.
    pub(crate) reopened: u64,

    // Faults.
    pub(crate) lost: u64,
    pub(crate) duplicate: u64,
    pub(crate) stale: u64,
    pub(crate) out_of_order: u64,
    pub(crate) wrong: u64,
    pub(crate) foreign: u64,
    /// SUBSCRIBEs and changes that were refused or got no response.
    pub(crate) subscribes_failed: u64,
    pub(crate) changes_failed: u64,
    pub(crate) timed_out: u64,
    pub(crate) connections_closed: u64,

    /// Messages parsed in full by the second parser.
    pub(crate) sampled: u64,
    /// Final responses by method and status.
    pub(crate) responses: BTreeMap<(&'static str, u16), u64>,
    pub(crate) examples: Vec<String>,
}

impl Tally {
    /// Keeps an example of a fault, if there is room.
    pub(crate) fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(text());
        }
    }

    /// Counts a message that belongs to no dialog and no request.
    pub(crate) fn foreign(&mut self, text: impl FnOnce() -> String) {
        self.foreign += 1;
        self.example(text);
    }

    /// The count of each kind of fault; all are zero in a clean run.
    pub(crate) fn faults(&self) -> [(&'static str, u64); 11] {
        [
            ("lost", self.lost),
            ("duplicate", self.duplicate),
            ("stale", self.stale),
            ("out_of_order", self.out_of_order),
            ("wrong", self.wrong),
            ("foreign", self.foreign),
            ("subscribes_failed", self.subscribes_failed),
            ("changes_failed", self.changes_failed),
            ("no_response", self.timed_out),
            ("connections_closed", self.connections_closed),
            (
                "never_established",
                self.subscriptions.saturating_sub(self.established),
            ),
        ]
    }

    /// Requests with a 2xx.
    pub(crate) fn requests(&self) -> u64 {
        self.subscribes + self.refreshes + self.publishes + self.http_requests
    }

    /// Returns whether there were no faults.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults().iter().all(|(_, count)| *count == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_fault_spoils_the_verdict() {
        let spoils: [fn(&mut Tally) -> &mut u64; 11] = [
            |tally| &mut tally.lost,
            |tally| &mut tally.duplicate,
            |tally| &mut tally.stale,
            |tally| &mut tally.out_of_order,
            |tally| &mut tally.wrong,
            |tally| &mut tally.foreign,
            |tally| &mut tally.subscribes_failed,
            |tally| &mut tally.changes_failed,
            |tally| &mut tally.timed_out,
            |tally| &mut tally.connections_closed,
            |tally| &mut tally.subscriptions,
        ];
        assert!(Tally::default().is_clean());
        for spoil in spoils {
            let mut tally = Tally::default();
            *spoil(&mut tally) = 1;
            assert!(!tally.is_clean(), "{tally:?}");
        }
    }

    #[test]
    fn examples_are_bounded() {
        let mut tally = Tally::default();
        (0..100).for_each(|number| tally.foreign(|| number.to_string()));
        assert_eq!((tally.examples.len(), tally.foreign), (EXAMPLES_MAX, 100));
    }
}
