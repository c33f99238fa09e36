//! Relays: composed states go out to other systems, each told the newest state of each person.
//!
//! ```text
//! shards ─► changes ─► service ─► one worker for each relay: queue ─► target: webhook, mqtt, teams
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
mod mqtt;
mod pace;
mod plan;
mod queue;
mod remote_ids;
mod repeats;
mod service;
mod state;
mod status;
mod target;
mod teams;
mod told;
mod webhook;
mod worker;

pub use plan::{GraphPlan, MqttPlan, RelayKind, RelayPlan, SecretOctets, TeamsPlan, WebhookPlan};
pub use remote_ids::RemoteIds;
pub use status::{Condition, RelayReport};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::background::{Background, Service, Shards};
use crate::changes::ChangeFeed;
use crate::relay::service::{Order, serve};
use crate::relay::status::Status;
use crate::tls::TlsClient;

/// The relays of a node. Clones are handles of the same ones.
#[derive(Clone, Debug, Default)]
pub struct Relays(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    running: Vec<Running>,
    service: Option<Service<Order>>,
}

/// A relay that runs, as other threads see it.
#[derive(Clone, Debug)]
struct Running {
    plan: RelayPlan,
    status: Arc<Status>,
}

impl Relays {
    /// Puts these relays into force, in place of those before. A relay that did not change goes on. Changes
    /// come from `feed`.
    pub fn put<S>(
        &self,
        plans: &[RelayPlan],
        tls: &TlsClient,
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
        inner.running = plans.iter().map(running).collect();
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

    /// The relays in force.
    #[must_use]
    pub fn plans(&self) -> Vec<RelayPlan> {
        let inner = self.inner();
        let plans = inner.running.iter().map(|running| running.plan.clone());
        plans.collect()
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
