//! Looks names up on a thread of its own, on the CPU of the HTTP core: neither a shard nor the HTTP core
//! waits for it. It is started by the first name.

mod current;

use std::cell::RefCell;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use crate::dns;
use crate::dns::{LookupError, NameServers};
use crate::net::kernel;
use crate::runtime::replier::Replier;
use crate::runtime::resolver::current::{CurrentServers, SYSTEM_FILE};
use crate::sip::location::{Location, Question};
use crate::sip::random::Random;

/// How long a name may take altogether.
const PATIENCE: Duration = Duration::from_secs(10);

/// A handle of the thread. Clones share it; it ends with the last.
#[derive(Clone, Debug)]
pub(crate) struct Resolver(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: dns::Options,
    cpu: usize,
    thread: OnceLock<Option<mpsc::Sender<Order>>>,
}

/// What came of a name.
pub(crate) type Located = Result<Vec<Location>, LookupError>;

/// A name to look up.
#[derive(Debug)]
struct Order {
    question: Question,
    replier: Replier<Located>,
}

impl Resolver {
    /// Will look names up so, on that CPU.
    pub(crate) fn new(options: dns::Options, cpu: usize) -> Self {
        Self(Arc::new(Shared {
            options,
            cpu,
            thread: OnceLock::new(),
        }))
    }

    /// The locations of a name, best first, at least one. Never blocks.
    pub(crate) fn locate(&self, question: Question) -> impl Future<Output = Located> + use<> {
        let (replier, reply) = Replier::to_task();
        let shared = &self.0;
        let thread = shared.thread.get_or_init(|| shared.start());
        let order = Order { question, replier };
        // One that is refused is dropped with its replier, which tells the caller.
        let is_taken = match thread {
            Some(thread) => thread.try_send(order).is_ok(),
            None => false,
        };
        async move {
            match reply.await {
                Ok(located) => located,
                Err(_) if is_taken => Err(LookupError::Unanswered),
                Err(_) => Err(LookupError::TooMany),
            }
        }
    }
}

impl Shared {
    /// Starts the thread; None if the machine cannot.
    fn start(&self) -> Option<mpsc::Sender<Order>> {
        let (sender, orders) = mpsc::channel(self.options.lookups_max);
        let (options, cpu) = (self.options.clone(), self.cpu);
        let thread = thread::Builder::new().name("names".to_owned());
        match thread.spawn(move || run(&options, cpu, orders)) {
            Ok(_) => Some(sender),
            Err(error) => {
                tracing::error!(%error, "cannot start the thread that looks names up");
                None
            }
        }
    }
}

fn run(options: &dns::Options, cpu: usize, orders: mpsc::Receiver<Order>) {
    if let Err(error) = kernel::run_on(cpu) {
        tracing::debug!(%error, cpu, "names are looked up on any CPU");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve(options, orders)),
        Err(error) => tracing::error!(%error, "names cannot be looked up"),
    }
}

/// Serves all orders, many at once.
async fn serve(options: &dns::Options, orders: mpsc::Receiver<Order>) {
    let servers = CurrentServers::new(options, Path::new(SYSTEM_FILE));
    let random = RefCell::new(Random::new(kernel::random_octets().unwrap_or_default()));
    let draw = |max: u32| (random.borrow_mut().next_u64() % (u64::from(max) + 1)) as u32;
    let orders = stream::unfold(orders, |mut orders: mpsc::Receiver<Order>| async move {
        Some((orders.recv().await?, orders))
    });
    let serve = |order: Order| {
        let (servers, draw) = (servers.get(), &draw);
        async move {
            let located = match servers {
                Some(servers) => look_up(&order.question, &servers, draw).await,
                None => Err(LookupError::Unanswered),
            };
            order.replier.reply(located);
        }
    };
    orders.for_each_concurrent(options.lookups_max, serve).await;
}

async fn look_up(
    question: &Question,
    servers: &NameServers,
    draw: &impl Fn(u32) -> u32,
) -> Located {
    let looking_up = dns::locate(question, servers, draw);
    let located = tokio::time::timeout(PATIENCE, looking_up).await;
    let located = located.unwrap_or(Err(LookupError::Unanswered));
    if let Err(error) = &located {
        tracing::debug!(host = %question.host, %error, "a name stands for nothing");
    }
    located
}
