//! Relays: composed states go out to other systems, each told the newest state of each person.
//!
//! ```text
//! shards ─► changes ─► thread ─► one worker for each relay: queue ─► target: webhook, mqtt
//!              ▲                      │
//!              └─ all states ◄────────┘ at the start, and after changes were lost
//! ```
//! One thread with an executor of its own serves all relays; it runs while there is one. To add a kind of target,
//! write a file with a `target::Target`, and give it a variant of [`RelayKind`].
//!
//! Guarantees: no lamp waits for a relay, and no relay for another: the only thing on a shard's way is the batch
//! of changes that it hands over. A target is told the newest state of each person, in order, at least once. After a
//! start, a change of its configuration or a loss it is told all states. Memory is bounded by the queue of each relay.

mod backoff;
mod dead_letters;
mod http_client;
mod mqtt;
mod plan;
mod queue;
mod shards;
mod state;
mod status;
mod target;
mod thread;
mod told;
mod webhook;
mod worker;

pub use plan::{MqttPlan, RelayKind, RelayPlan, SecretOctets, WebhookPlan};
pub use shards::Shards;
pub use status::{Condition, RelayReport};
pub use thread::{Order, Surroundings};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

use crate::relay::status::Status;
use crate::tls::TlsClient;

/// The relays of a node. Clones are handles of the same ones.
#[derive(Clone, Debug, Default)]
pub struct Relays(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    running: Vec<Running>,
    thread: Option<Thread>,
}

/// A relay that runs, as other threads see it.
#[derive(Clone, Debug)]
struct Running {
    plan: RelayPlan,
    status: Arc<Status>,
}

#[derive(Debug)]
struct Thread {
    orders: mpsc::UnboundedSender<Order>,
    handle: JoinHandle<()>,
}

impl Relays {
    /// Puts these relays into force, in place of those before. A relay that did not change goes on. `start` starts
    /// the thread, which the first relay needs.
    pub fn put(
        &self,
        plans: &[RelayPlan],
        tls: &TlsClient,
        start: impl FnOnce(mpsc::UnboundedReceiver<Order>) -> Option<JoinHandle<()>>,
    ) {
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
        if inner.running.is_empty() && inner.thread.is_none() {
            return;
        }
        if inner.thread.is_none() {
            let (orders, receiver) = mpsc::unbounded_channel();
            let handle = start(receiver);
            inner.thread = handle.map(|handle| Thread { orders, handle });
        }
        let order = Order {
            relays: inner.running.iter().map(Running::parts).collect(),
            tls: tls.clone(),
        };
        if let Some(thread) = &inner.thread {
            // A thread that has ended has said why.
            let _ = thread.orders.send(order);
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
        let thread = self.inner().thread.take();
        if let Some(Thread { orders, handle }) = thread {
            // The thread ends when its orders do.
            drop(orders);
            let _ = handle.join();
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
