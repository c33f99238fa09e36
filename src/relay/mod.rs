//! Relays: composed states go out to other systems, each told the newest state of each person.
//!
//! ```text
//! shards ─► changes ─► service ─► one worker for each relay: queue ─► target: webhook, mqtt, nats, teams, slack
//!              ▲                       │
//!              └─ all states ◄─────────┘ at the start, and after changes were lost
//! ```
//! One service in the background runs all relays. To add a kind of target, write a file with a `target::Target`,
//! and give it a variant of [`RelayKind`].
//!
//! Guarantees: no lamp waits for a relay, and no relay for another: the only thing on a shard's way is the batch
//! of changes that it hands over. A target is told the newest state of each person, in order, at least once. After a
//! start, a change of its configuration or a loss it is told all states. Memory is bounded by the queue of each relay.

mod dead_letters;
mod graph;
mod http_client;
mod link;
mod mqtt;
mod nats;
mod pace;
mod plan;
mod queue;
mod remote_ids;
mod repeats;
mod service;
mod slack;
mod state;
mod status;
mod target;
mod teams;
mod told;
mod unknown;
mod webhook;
mod worker;

pub use plan::{
    GraphPlan, MqttPlan, NatsLogin, NatsPlan, NatsServer, RelayKind, RelayPlan, SecretOctets,
    SlackPlan, TeamsPlan, WebhookPlan,
};
pub use remote_ids::RemoteIds;
pub use status::{Condition, RelayReport};
pub(crate) use target::{Fault, Remedy};
pub(crate) use teams::reader::{TeamsPresence, TeamsReader, TeamsSource};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::background::{Background, Service, Shards};
use crate::changes::ChangeFeed;
use crate::relay::service::{Order, serve};
use crate::relay::status::Status;
use crate::tls::SharedTlsClient;

/// The relays of a node. Clones are handles of the same ones.
#[derive(Clone, Debug, Default)]
pub struct Relays(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    running: Vec<Running>,
    /// Those that are told nothing.
    disabled: Vec<RelayPlan>,
    service: Option<Service<Order>>,
}

/// A relay that runs, as other threads see it.
#[derive(Clone, Debug)]
struct Running {
    plan: RelayPlan,
    status: Arc<Status>,
}

impl Relays {
    /// Puts these relays into force, in place of those before. A relay that did not change goes on; one that is not
    /// enabled is told nothing. Changes come from `feed`.
    pub fn put<S>(
        &self,
        plans: &[RelayPlan],
        tls: &SharedTlsClient,
        feed: &ChangeFeed,
        background: &Background<S>,
    ) where
        S: Shards + Clone + Send + 'static,
    {
        let mut inner = self.inner();
        let before = std::mem::take(&mut inner.running);
        let running = |plan: &RelayPlan| {
            let same = before.iter().find(|running| running.plan == *plan);
            same.cloned().unwrap_or_else(|| Running {
                plan: plan.clone(),
                status: Arc::default(),
            })
        };
        let (enabled, disabled): (Vec<_>, Vec<_>) = plans.iter().partition(|plan| plan.is_enabled);
        inner.running = enabled.into_iter().map(running).collect();
        inner.disabled = disabled.into_iter().cloned().collect();
        if inner.service.is_none() && !inner.running.is_empty() {
            let feed = feed.clone();
            let serve = |orders, surroundings| serve(orders, surroundings, feed);
            inner.service = background.start("relays", serve);
        }
        let order = Order {
            relays: inner.running.iter().map(Running::parts).collect(),
            tls: tls.clone(),
        };
        if let Some(service) = &inner.service {
            service.order(order);
        }
    }

    /// The relays in force, and those that are told nothing.
    #[must_use]
    pub fn plans(&self) -> Vec<RelayPlan> {
        let inner = self.inner();
        let running = inner.running.iter().map(|running| &running.plan);
        running.chain(&inner.disabled).cloned().collect()
    }

    /// The tenant of a relay to Microsoft Teams, to read from.
    #[must_use]
    pub(crate) fn teams(&self, name: &str) -> Option<TeamsSource> {
        let inner = self.inner();
        let running = inner.running.iter();
        let running = running.map(|running| (&running.plan, Some(&running.status)));
        let disabled = inner.disabled.iter().map(|plan| (plan, None));
        let mut named = running
            .chain(disabled)
            .filter(|(plan, _)| *plan.name == *name);
        let (plan, relay) = named.next()?;
        let RelayKind::Teams(plan) = &plan.kind else {
            return None;
        };
        Some(TeamsSource {
            plan: plan.clone(),
            relay: relay.cloned(),
        })
    }

    /// How each relay is, in the order of the configuration.
    #[must_use]
    pub fn report(&self) -> Vec<RelayReport> {
        let inner = self.inner();
        let reports = inner.running.iter().map(|running| {
            let plan = &running.plan;
            running.status.report(&plan.name, plan.kind.as_str())
        });
        reports.collect()
    }

    /// Ends all relays. What waits is told if that takes no longer than a moment.
    pub fn end(&self) {
        let service = self.inner().service.take();
        if let Some(service) = service {
            service.end();
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn parts(&self) -> (RelayPlan, Arc<Status>) {
        (self.plan.clone(), Arc::clone(&self.status))
    }
}
