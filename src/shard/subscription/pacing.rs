//! Pacing: the rate of NOTIFYs that a phone can take (W:A3.13). One token bucket per phone; the
//! first change after a pause is notified at once.
//!
//! A phone is identified by source address, source port and Contact, so that thousands of phones
//! behind one SBC are not paced as one. A subscription whose phone has no token waits in the
//! phone's queue; when it is released, it is sent the state current at that time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::presence::profile::Profile;
use crate::shard::container::incremental_map::GrowingMap;
use crate::shard::container::slab::Slab;
use crate::shard::contract::expected::Expected;
use crate::shard::contract::ids::{PhoneId, SubscriptionId};

#[derive(Debug)]
struct Phone {
    key: u64,
    interval: Option<Duration>,
    burst: u32,
    subscriptions: u32,
    tokens: u32,
    refilled: Instant,
    waiting: VecDeque<SubscriptionId>,
}

/// All phones of a shard.
#[derive(Debug)]
pub(crate) struct Phones {
    interval: Option<Duration>,
    burst: u32,
    phones: Slab<PhoneId, Phone>,
    phones_by_key: GrowingMap<u64, PhoneId>,
}

impl Phones {
    /// `rate`: sustained NOTIFYs per second, 0 for unlimited. `burst`: how many may be sent back to
    /// back.
    pub(crate) fn new(rate: u32, burst: u32) -> Self {
        let interval = interval(rate);
        Self {
            interval,
            burst: burst.max(1),
            phones: Slab::default(),
            phones_by_key: GrowingMap::default(),
        }
    }

    /// The phone with this key, which is added if it is new: [`Self::join`] must follow. Rate and
    /// burst of the User-Agent profile override the defaults; they are fixed when the phone is
    /// added.
    pub(crate) fn add(&mut self, key: u64, profile: &Profile, now: Instant) -> PhoneId {
        let interval = profile.notify_rate.map_or(self.interval, interval);
        let burst = profile.notify_burst.unwrap_or(self.burst).max(1);
        *self.phones_by_key.entry(key).or_insert_with(|| {
            let phone = Phone {
                key,
                interval,
                burst,
                subscriptions: 0,
                tokens: burst,
                refilled: now,
                waiting: VecDeque::new(),
            };
            self.phones.insert(phone)
        })
    }

    /// Whether the phone with this key is there.
    pub(crate) fn is_at(&self, id: PhoneId, key: u64) -> bool {
        self.phones.get(id).is_some_and(|phone| phone.key == key)
    }

    /// The phone has one more subscription.
    pub(crate) fn join(&mut self, id: PhoneId) {
        let phone = self.phones.get_mut(id);
        if let Some(phone) = phone.expected("a phone is kept while it has a subscription") {
            phone.subscriptions += 1;
        }
    }

    /// Removes a subscription; removes the phone with its last one.
    pub(crate) fn leave(&mut self, id: PhoneId) {
        let phone = self.phones.get_mut(id);
        let Some(phone) = phone.expected("a phone is kept while it has a subscription") else {
            return;
        };
        phone.subscriptions -= 1;
        if phone.subscriptions == 0 {
            self.phones_by_key.remove(&phone.key);
            self.phones.remove(id);
        }
    }

    /// The phone with this key; None when it has no subscription.
    pub(crate) fn find(&self, key: u64) -> Option<PhoneId> {
        self.phones_by_key.get(&key).copied()
    }

    /// How many subscriptions the phone has.
    pub(crate) fn subscriptions_of(&self, id: PhoneId) -> usize {
        let phone = self.phones.get(id);
        phone.map_or(0, |phone| phone.subscriptions as usize)
    }

    /// How long the last that waits for the phone has to wait.
    pub(crate) fn delay_of(&self, id: PhoneId) -> Duration {
        let phone = self.phones.get(id);
        let wait = phone.and_then(|phone| Some(phone.interval? * phone.waiting.len() as u32));
        wait.unwrap_or_default()
    }

    /// Takes a token. Without one, the subscription waits; if it is the first to wait, the result
    /// is when to call [`Self::release`].
    pub(crate) fn admit(
        &mut self,
        id: PhoneId,
        subscription: SubscriptionId,
        now: Instant,
    ) -> Admitted {
        let Some((phone, interval)) = self.paced(id) else {
            return Admitted::Now;
        };
        phone.refill(interval, now);
        if phone.tokens > 0 && phone.waiting.is_empty() {
            phone.tokens -= 1;
            return Admitted::Now;
        }
        phone.waiting.push_back(subscription);
        if phone.waiting.len() == 1 {
            Admitted::WaitFirst(phone.refilled + interval)
        } else {
            Admitted::Wait
        }
    }

    /// Takes the next waiting subscription if there is a token for it.
    pub(crate) fn release(&mut self, id: PhoneId, now: Instant) -> Release {
        let Some((phone, interval)) = self.paced(id) else {
            return Release::Empty;
        };
        phone.refill(interval, now);
        if phone.waiting.is_empty() {
            return Release::Empty;
        }
        if phone.tokens == 0 {
            return Release::Later(phone.refilled + interval);
        }
        phone.tokens -= 1;
        phone
            .waiting
            .pop_front()
            .map_or(Release::Empty, Release::Next)
    }
}

impl Phones {
    /// The phone and the time between its NOTIFYs; None if the phone is not rate-limited.
    fn paced(&mut self, id: PhoneId) -> Option<(&mut Phone, Duration)> {
        let phone = self.phones.get_mut(id)?;
        let interval = phone.interval?;
        Some((phone, interval))
    }
}

/// The time between two NOTIFYs at `rate` a second; None for no limit.
fn interval(rate: u32) -> Option<Duration> {
    (rate > 0).then(|| Duration::from_secs(1) / rate)
}

/// Whether a NOTIFY may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admitted {
    /// At once.
    Now,
    /// Queued behind others.
    Wait,
    /// First in the queue: the caller must set a timer for this time.
    WaitFirst(Instant),
}

/// The next waiting subscription of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// This one may go now.
    Next(SubscriptionId),
    /// The next token is available at this time.
    Later(Instant),
    /// No subscription waits.
    Empty,
}

impl Phone {
    fn refill(&mut self, interval: Duration, now: Instant) {
        let burst = self.burst;
        let elapsed = now.saturating_duration_since(self.refilled);
        let earned =
            (elapsed.as_nanos() / interval.as_nanos().max(1)).min(u128::from(burst)) as u32;
        if self.tokens + earned >= burst {
            self.tokens = burst;
            self.refilled = now;
        } else {
            self.tokens += earned;
            self.refilled += interval * earned;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_burst_goes_at_once_and_the_rest_at_the_rate() {
        let start = Instant::now();
        let mut phones = Phones::new(10, 3);
        let phone = phones.add(1, &Profile::default(), start);
        for id in 0..3 {
            assert_eq!(
                phones.admit(phone, SubscriptionId(id), start),
                Admitted::Now
            );
        }
        let due = start + Duration::from_millis(100);
        assert_eq!(
            phones.admit(phone, SubscriptionId(3), start),
            Admitted::WaitFirst(due)
        );
        assert_eq!(
            phones.admit(phone, SubscriptionId(4), start),
            Admitted::Wait
        );
        assert_eq!(
            phones.release(phone, start + Duration::from_millis(99)),
            Release::Later(due)
        );
        assert_eq!(phones.release(phone, due), Release::Next(SubscriptionId(3)));
        assert_eq!(
            phones.release(phone, due),
            Release::Later(due + Duration::from_millis(100))
        );
        let later = due + Duration::from_secs(5);
        assert_eq!(
            phones.release(phone, later),
            Release::Next(SubscriptionId(4))
        );
        assert_eq!(phones.release(phone, later), Release::Empty);
    }

    #[test]
    fn a_phone_is_forgotten_with_its_last_subscription() {
        let start = Instant::now();
        let mut phones = Phones::new(10, 1);
        let phone = phones.add(1, &Profile::default(), start);
        phones.join(phone);
        assert_eq!(phones.add(1, &Profile::default(), start), phone);
        phones.join(phone);
        phones.join(phone);
        assert_eq!(phones.find(1), Some(phone));
        assert_eq!(phones.subscriptions_of(phone), 3);
        for _ in 0..3 {
            phones.leave(phone);
        }
        assert_eq!(phones.find(1), None);
        assert_eq!(phones.phones.len(), 0);
    }
}
