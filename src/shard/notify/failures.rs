//! NOTIFYs that failed, counted by the profile of the phone and the status of its response.
//!
//! Guarantee: a phone cannot make new kinds of failures. Profiles are those of the configuration, and a status
//! that is none of the usual ones counts as its class.

use std::sync::Arc;

use crate::presence::profile::Profile;
use crate::shard::contract::counters::NotifyFailures;

/// Statuses that are counted one by one; all others by their class.
const STATUSES: [u16; 16] = [
    401, 403, 404, 405, 407, 408, 415, 480, 481, 482, 483, 486, 489, 500, 501, 503,
];

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Failures(Vec<NotifyFailures>);

impl Failures {
    /// Counts one. `profile`: None if the subscription is gone. `status`: None if no response came.
    pub(crate) fn count(&mut self, profile: Option<&Profile>, status: Option<u16>) {
        let profile = profile.map_or("", |profile| &*profile.name);
        let status = status.map(|status| match STATUSES.contains(&status) {
            true => status,
            false => status / 100,
        });
        let is_it = |kind: &&mut NotifyFailures| *kind.profile == *profile && kind.status == status;
        match self.0.iter_mut().find(is_it) {
            Some(kind) => kind.count += 1,
            None => self.0.push(NotifyFailures {
                profile: Arc::from(profile),
                status,
                count: 1,
            }),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<NotifyFailures> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_statuses_count_as_their_class() {
        let mut failures = Failures::default();
        for status in [Some(481), Some(499), Some(500), Some(504), Some(433), None] {
            failures.count(None, status);
        }
        let counted = failures.all();
        let counted: Vec<_> = counted
            .iter()
            .map(|kind| (kind.status, kind.count))
            .collect();
        let expected = [
            (Some(481), 1),
            (Some(4), 2),
            (Some(500), 1),
            (Some(5), 1),
            (None, 1),
        ];
        assert_eq!(counted, expected);
    }
}
