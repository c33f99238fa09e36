//! NOTIFYs that ended, counted by the profile of the phone and the status of its response.
//!
//! Guarantee: a phone cannot make new kinds of outcomes. Profiles are those of the configuration, and a status
//! that is none of the usual ones counts as its class: so does 200.

use std::sync::Arc;

use crate::presence::profile::Profile;
use crate::shard::contract::counters::NotifyOutcomes;

/// Statuses that are counted one by one; all others by their class.
const STATUSES: [u16; 16] = [
    401, 403, 404, 405, 407, 408, 415, 480, 481, 482, 483, 486, 489, 500, 501, 503,
];

/// See the head of this file.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Vec<NotifyOutcomes>);

impl Outcomes {
    /// Counts one. `profile`: None if the subscription is gone. `status`: None if no response came.
    pub(crate) fn count(&mut self, profile: Option<&Profile>, status: Option<u16>) {
        let profile = profile.map_or("", |profile| &*profile.name);
        let status = status.map(|status| match STATUSES.contains(&status) {
            true => status,
            false => status / 100,
        });
        let is_it = |kind: &&mut NotifyOutcomes| kind.status == status && *kind.profile == *profile;
        match self.0.iter_mut().find(is_it) {
            Some(kind) => kind.count += 1,
            None => self.0.push(NotifyOutcomes {
                profile: Arc::from(profile),
                status,
                count: 1,
            }),
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<NotifyOutcomes> {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_statuses_count_as_their_class() {
        let mut outcomes = Outcomes::default();
        let statuses = [200, 481, 499, 202, 500, 504, 433].map(Some);
        for status in statuses.into_iter().chain([None]) {
            outcomes.count(None, status);
        }
        let counted = outcomes.all();
        let counted: Vec<_> = counted
            .iter()
            .map(|kind| (kind.status, kind.count))
            .collect();
        let expected = [
            (Some(2), 2),
            (Some(481), 1),
            (Some(4), 2),
            (Some(500), 1),
            (Some(5), 1),
            (None, 1),
        ];
        assert_eq!(counted, expected);
    }
}
