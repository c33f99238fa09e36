//! Endpoints for monitoring: health, readiness, metrics.
//!
//! `metrics` makes a list of families of values (`family`), described in `catalogue` or where they are
//! counted; `text` and `protobuf` write it.

mod catalogue;
mod connectors;
mod family;
pub(crate) mod health;
pub(crate) mod metrics;
mod protobuf;
mod relays;
mod text;

use std::collections::HashMap;
use std::sync::Arc;

use crate::http::engine::Engine;
use crate::http::representation::counters::Counters;
use crate::http::site::Site;
use crate::shard::contract::counters::{Counted, NotifyOutcomes};
use crate::shard::{Command, Reply};
use crate::telemetry;

/// Asks every shard, and adds what the cores count themselves.
pub(crate) async fn count<E: Engine>(site: &Site<E>) -> Counters {
    let pick = |reply| match reply {
        Reply::Counters(counted) => Some(vec![counted]),
        _ => None,
    };
    let (found, silent) = site.ask_all(|| Command::Counters, pick).await;
    let total = total(found);
    let mut values = total.values;
    values.extend(telemetry::totals());
    values.extend(site.public.counters());
    values.extend(site.counters.values());
    values.extend(site.change_counters.values());
    values.extend(site.attempts.counters());
    if let Some(store) = site.engine.store() {
        values.extend(store.counters);
        values.extend(store.history);
    }
    Counters {
        values,
        subscriptions: total.subscriptions,
        domains: total.domains,
        transports: total.transports,
        notify_outcomes: total.notify_outcomes,
        silent,
    }
}

/// What all shards counted.
fn total(found: Vec<Counted>) -> Counted {
    let mut total = Counted::default();
    let mut domains: HashMap<Arc<str>, u64> = HashMap::new();
    for counted in found {
        let (values, subscriptions) = (counted.values, counted.subscriptions);
        values
            .into_iter()
            .for_each(|one| add(&mut total.values, one));
        subscriptions
            .into_iter()
            .for_each(|one| add(&mut total.subscriptions, one));
        for (domain, count) in counted.domains {
            *domains.entry(domain).or_default() += count;
        }
        for (sum, of_shard) in total.transports.iter_mut().zip(counted.transports) {
            sum.messages_received += of_shard.messages_received;
            sum.notifies_sent += of_shard.notifies_sent;
        }
        for outcomes in counted.notify_outcomes {
            let is_it = |known: &&mut NotifyOutcomes| {
                (&known.profile, known.status) == (&outcomes.profile, outcomes.status)
            };
            match total.notify_outcomes.iter_mut().find(is_it) {
                Some(known) => known.count += outcomes.count,
                None => total.notify_outcomes.push(outcomes),
            }
        }
    }
    total.domains = domains.into_iter().collect();
    total
}

fn add(values: &mut Vec<(&'static str, u64)>, (name, value): (&'static str, u64)) {
    match values.iter_mut().find(|(known, _)| *known == name) {
        Some((_, sum)) => *sum = sum.saturating_add(value),
        None => values.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_shards_are_summed() {
        let mut values = vec![("a", 1), ("b", u64::MAX)];
        add(&mut values, ("b", 5));
        add(&mut values, ("c", 2));
        assert_eq!(values, [("a", 1), ("b", u64::MAX), ("c", 2)]);
    }
}
