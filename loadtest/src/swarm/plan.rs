//! The fixed part of a run: its scenario, its names, the BLF keys of each phone, and the port of
//! each phone.

use std::ops::Range;

use crate::scenario::{ListBy, Scenario};
use crate::swarm::key::{Key, SubscriptionKey, UserKey};
use crate::wire::names::Names;

/// Data that every component can read and none can change.
#[derive(Debug)]
pub(super) struct Plan {
    scenario: Scenario,
    names: Names,
}

impl Plan {
    pub(super) const fn new(scenario: Scenario, names: Names) -> Self {
        Self { scenario, names }
    }

    pub(super) const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub(super) const fn names(&self) -> &Names {
        &self.names
    }

    pub(super) const fn is_of_lists(&self) -> bool {
        self.scenario.list_size > 0
    }

    pub(super) fn users(&self) -> impl Iterator<Item = UserKey> + use<> {
        (0..self.scenario.presentities).map(UserKey::from_number)
    }

    /// The subscriptions of one phone, counted from 0.
    pub(super) fn subscriptions_of(
        &self,
        phone: u32,
    ) -> impl Iterator<Item = SubscriptionKey> + use<> {
        let keys = self.scenario.keys;
        (phone * keys..(phone + 1) * keys).map(SubscriptionKey::from_number)
    }

    /// The phone of a subscription.
    pub(super) fn phone(&self, key: SubscriptionKey) -> u32 {
        key.number() / self.scenario.keys
    }

    /// The user who owns that phone.
    pub(super) fn watcher(&self, key: SubscriptionKey) -> UserKey {
        UserKey::from_number(self.phone(key) % self.scenario.presentities)
    }

    /// The port of a phone.
    pub(super) fn port(&self, key: SubscriptionKey) -> u32 {
        self.phone(key) % self.scenario.ports()
    }

    /// The port from which a user's PUBLISHes are sent.
    pub(super) fn port_of_user(&self, user: UserKey) -> u32 {
        user.number() % self.scenario.ports()
    }

    /// The user at an index of a subscription's list; index 0 without lists.
    pub(super) fn watched(&self, key: SubscriptionKey, place: u32) -> UserKey {
        let (phone, number) = (self.phone(key), key.number());
        let from = match self.scenario.list_size {
            // If there are fewer phones than users, phones skip users evenly, so that none is
            // unwatched.
            0 => {
                let apart = (self.scenario.presentities / self.scenario.phones.max(1)).max(1);
                let key_of_phone = number % self.scenario.keys;
                u64::from(phone) * u64::from(apart) + u64::from(key_of_phone) + 1
            }
            size => u64::from(number) * u64::from(size),
        };
        let user = (from + u64::from(place)) % u64::from(self.scenario.presentities);
        UserKey::from_number(user as u32)
    }

    /// The index of a user in the list of a subscription; None if the list does not contain the
    /// user, or there is no such user.
    pub(super) fn place_in_list(&self, key: SubscriptionKey, user: UserKey) -> Option<u32> {
        let all = self.scenario.presentities;
        if user.number() >= all {
            return None;
        }
        let place = (user.number() + all - self.watched(key, 0).number()) % all;
        (place < self.scenario.list_size).then_some(place)
    }

    /// The range of a subscription's sights in the table of all sights.
    pub(super) fn sights(&self, key: SubscriptionKey) -> Range<usize> {
        let size = self.scenario.sights_per_subscription() as usize;
        let start = key.number() as usize * size;
        start..start + size
    }

    /// The user part of the URI of a subscription: a user, or a list.
    pub(super) fn asked_user(&self, key: SubscriptionKey) -> String {
        match (self.scenario.list_size, self.scenario.list_by) {
            (0, _) => self.user_name(self.watched(key, 0)),
            (_, ListBy::Body) => self.scenario.list_user.clone(),
            (_, ListBy::Name) => format!("{}{key}", self.scenario.list_user),
        }
    }

    /// The URI of a subscription.
    pub(super) fn asked_uri(&self, key: SubscriptionKey) -> String {
        self.names.uri(&self.asked_user(key))
    }

    /// The user part of a user's address of record.
    pub(super) fn user_name(&self, user: UserKey) -> String {
        self.names.user(user.number())
    }

    /// The address of record of a user.
    pub(super) fn user_uri(&self, user: UserKey) -> String {
        self.names.uri(&self.user_name(user))
    }

    /// The Expires of SUBSCRIBE and PUBLISH, in seconds.
    pub(super) fn expires(&self) -> u32 {
        self.scenario.expires.as_secs().min(u64::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_has_as_many_watchers() {
        for (phones, keys, presentities, watchers) in
            [(20, 4, 20, 4), (10, 4, 20, 2), (10, 6, 30, 2)]
        {
            let scenario = Scenario {
                phones,
                keys,
                presentities,
                ..Scenario::default()
            };
            let plan = Plan::new(scenario, Names::new("abc.com", "1", presentities, 0xfeed));
            let mut watched = vec![0; presentities as usize];
            for key in (0..phones).flat_map(|phone| plan.subscriptions_of(phone)) {
                let user = plan.watched(key, 0).number();
                watched[user as usize] += 1;
                assert!(phones < presentities || user != plan.phone(key));
            }
            assert_eq!(watched, vec![watchers; presentities as usize]);
        }
    }
}
