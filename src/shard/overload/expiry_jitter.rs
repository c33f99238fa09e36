//! Granted expiries in a crowd: shortened by chance, so that a fleet that was switched on together
//! does not refresh together for ever.

use std::time::Duration;

use crate::shard::contract::turn::Turn;
use crate::shard::overload::OverloadControl;

impl OverloadControl {
    /// What is granted to a subscription that begins: what is asked for, unless many begin at once;
    /// then up to `jitter_percent` less in whole seconds, but never less than `min`. A refresh keeps
    /// the distance to the others that the beginning made, so it is granted what it asks for.
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
