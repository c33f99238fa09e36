//! Random shortening of granted expiries after a mass restart, so that phones that were switched on
//! together do not refresh together for ever.

use std::time::Duration;

use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;

impl OverloadControl {
    /// The expiry to grant to a new subscription: `granted`, or during a mass restart up to
    /// `jitter_percent` less, in whole seconds and not below `min`. A refresh is granted what it
    /// asks for, because the spread of the initial subscriptions persists.
    pub(crate) fn spread_expiry(
        &mut self,
        granted: Duration,
        min: Duration,
        turn: &mut Turn<'_>,
    ) -> Duration {
        let overload = self;
        let at = overload.nanos(turn.now);
        if granted <= min || overload.rates.crowd.take(&mut overload.crowd_full_at, at) {
            return granted;
        }
        let percent = u64::from(overload.options.jitter_percent.min(100));
        let less_max = granted.as_secs() * percent / 100;
        let less_max = less_max.min((granted - min).as_secs());
        if less_max == 0 {
            return granted;
        }
        turn.counters.expiries_spread += 1;
        let bound = u32::try_from(less_max + 1).unwrap_or(u32::MAX);
        granted - Duration::from_secs(turn.random.below(bound).into())
    }
}
