//! Services beside the shards: the relays, and the connectors without SIP. Each speaks with other systems on a
//! thread of its own, which has an executor of tokio for tasks that stay on it.
//!
//! The threads are two, not one: a relay writes files, and a lamp that a PBX lights must not wait for a disk.
//!
//! Guarantees: the threads run on the CPU of the HTTP core, and neither a shard nor the HTTP core waits for them. A
//! thread begins with the first order that its service needs it for, and ends when its service is ended.

mod backoff;
mod encryption;
mod shards;

use std::io;
use std::rc::Rc;
use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::LocalSet;

pub(crate) use backoff::Backoff;
pub(crate) use encryption::encrypt;
pub use shards::Shards;

use crate::net::kernel;
use crate::sip::random::Random;

/// Where services are started.
#[derive(Clone, Debug)]
pub struct Background<S> {
    /// The shards, as each service sees them.
    pub shards: S,
    /// The CPU of the threads.
    pub cpu: usize,
}

/// What a service works with.
pub(crate) struct Surroundings {
    pub(crate) shards: Rc<dyn Shards>,
    pub(crate) random: Random,
}

/// A service that runs, as other threads see it.
#[derive(Debug)]
pub(crate) struct Service<O> {
    orders: UnboundedSender<O>,
    thread: JoinHandle<()>,
}

impl<S: Shards + Clone + Send + 'static> Background<S> {
    /// Starts a service, which serves until there are no more orders; None if the machine cannot.
    pub(crate) fn start<O: Send + 'static, F: Future<Output = ()>>(
        &self,
        name: &'static str,
        serve: impl FnOnce(UnboundedReceiver<O>, Surroundings) -> F + Send + 'static,
    ) -> Option<Service<O>> {
        let (orders, receiver) = mpsc::unbounded_channel();
        let Self { shards, cpu } = self.clone();
        let run = move || {
            if let Err(error) = kernel::run_on(cpu) {
                tracing::debug!(%error, cpu, service = name, "the service runs on any CPU");
            }
            let serve = |surroundings| serve(receiver, surroundings);
            if let Err(error) = run(Rc::new(shards), serve) {
                tracing::error!(%error, service = name, "the service cannot run");
            }
        };
        match thread::Builder::new().name(name.to_owned()).spawn(run) {
            Ok(thread) => Some(Service { orders, thread }),
            Err(error) => {
                tracing::error!(%error, service = name, "cannot start the thread of the service");
                None
            }
        }
    }
}

/// Serves on this thread, until that is over.
fn run<F: Future<Output = ()>>(
    shards: Rc<dyn Shards>,
    serve: impl FnOnce(Surroundings) -> F,
) -> io::Result<()> {
    let random = Random::new(kernel::random_octets()?);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, serve(Surroundings { shards, random }));
    // What looks names up may still wait for a name server.
    runtime.shutdown_background();
    Ok(())
}

impl<O> Service<O> {
    /// Gives it an order.
    pub(crate) fn order(&self, order: O) {
        // A service that has ended has said why.
        let _ = self.orders.send(order);
    }

    /// Ends it, and blocks the thread until it has ended.
    pub(crate) fn end(self) {
        drop(self.orders);
        // A panic was reported when it happened.
        let _ = self.thread.join();
    }
}
