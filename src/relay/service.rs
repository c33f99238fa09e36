//! The service of all relays: takes changes from the shards to each relay, and starts and ends relays.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{AbortHandle, spawn_local, yield_now};
use tokio::time::{Instant, sleep, sleep_until};

use crate::background::{Shards, Surroundings};
use crate::changes::{ChangeFeed, Received};
use crate::relay::dead_letters;
use crate::relay::http_client::HttpClient;
use crate::relay::mqtt::Mqtt;
use crate::relay::nats::Nats;
use crate::relay::pace::Paces;
use crate::relay::plan::{RelayKind, RelayPlan};
use crate::relay::slack::Slack;
use crate::relay::status::Status;
use crate::relay::target::Target;
use crate::relay::teams::Teams;
use crate::relay::webhook::Webhook;
use crate::relay::worker::Relay;
use crate::shard::{ChangeReader, Command, Reply, ShardId};
use crate::sip::random::Random;
use crate::tls::SharedTlsClient;

/// How often the lengths of the queues are written down, and what is due to be told again is looked for.
const TICK: Duration = Duration::from_secs(1);
/// How long a relay that ends may take to tell what waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a relay that is removed may take to clear what its target shows.
const CLEARING: Duration = Duration::from_secs(60);
/// How often a shard is asked to tell changes, and the time between.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(500);

/// The relays to put into force.
#[derive(Debug)]
pub(super) struct Order {
    /// Each with what it counts.
    pub(super) relays: Vec<(RelayPlan, Arc<Status>)>,
    /// How they connect by TLS.
    pub(super) tls: SharedTlsClient,
}

/// Serves all relays until there are no more orders.
pub(super) async fn serve(
    orders: UnboundedReceiver<Order>,
    surroundings: Surroundings,
    feed: ChangeFeed,
) {
    let Surroundings { shards, random } = surroundings;
    let relays = RunningRelays {
        shards,
        feed,
        random,
        relays: Vec::new(),
        removed: Vec::new(),
        paces: Paces::default(),
    };
    relays.serve(orders).await;
}

struct RunningRelays {
    shards: Rc<dyn Shards>,
    feed: ChangeFeed,
    random: Random,
    relays: Vec<Relay>,
    /// Those that clear what they have told, by name.
    removed: Vec<(Box<str>, AbortHandle)>,
    paces: Paces,
}

impl RunningRelays {
    async fn serve(mut self, mut orders: UnboundedReceiver<Order>) {
        let feed = self.feed.clone();
        let mut ticked = Instant::now();
        loop {
            let work = select(Box::pin(feed.receive()), Box::pin(orders.recv()));
            let due = ticked + TICK;
            match select(work, Box::pin(sleep_until(due))).await {
                Either::Left((Either::Left((received, _)), _)) => self.take(received),
                Either::Left((Either::Right((Some(order), _)), _)) => self.obey(order).await,
                Either::Left((Either::Right((None, _)), _)) => break,
                Either::Right(_) => {}
            }
            if Instant::now() >= due {
                ticked = Instant::now();
                self.relays.iter().for_each(Relay::tick);
            }
            yield_now().await;
        }
        end(self.relays).await;
    }

    /// Takes changes to each relay.
    fn take(&self, received: Received) {
        let directory = self.shards.directory();
        for relay in &self.relays {
            let system = directory.peer_system_of_relay(&relay.plan().name);
            let changes = received.changes();
            for change in changes.filter(|change| change.state.addressees.has(system)) {
                relay.change(change, &directory);
            }
        }
        if received.lost > 0 {
            tracing::warn!(
                lost = received.lost,
                "relays tell all states: they cannot keep up"
            );
            self.relays.iter().for_each(Relay::tell_all);
        }
        self.feed.give_back(received);
    }

    async fn obey(&mut self, order: Order) {
        let Order { relays: plans, tls } = order;
        let is_kept = |relay: &Relay| plans.iter().any(|(plan, _)| plan == relay.plan());
        let (kept, over): (Vec<Relay>, Vec<Relay>) = self.relays.drain(..).partition(is_kept);
        self.relays = kept;
        let is_edited =
            |relay: &Relay| plans.iter().any(|(plan, _)| plan.name == relay.plan().name);
        let (edited, removed): (Vec<Relay>, Vec<Relay>) = over.into_iter().partition(is_edited);
        end(edited).await;
        self.remove(removed);
        self.tell_changes(!plans.is_empty()).await;
        for (plan, status) in plans {
            if !self.relays.iter().any(|relay| *relay.plan() == plan) {
                let relay = self.start(plan, status, &tls);
                self.relays.push(relay);
            }
        }
    }

    /// Lets relays clear what they have told, while others go on.
    fn remove(&mut self, relays: Vec<Relay>) {
        self.removed.retain(|(_, clearing)| !clearing.is_finished());
        for relay in relays {
            let name = relay.plan().name.clone();
            let clearing = spawn_local(relay.remove(CLEARING)).abort_handle();
            self.removed.push((name, clearing));
        }
    }

    fn start(&mut self, plan: RelayPlan, status: Arc<Status>, tls: &SharedTlsClient) -> Relay {
        if let Err(error) = dead_letters::make_directory(&plan.directory) {
            tracing::error!(relay = &*plan.name, %error, "there is no directory for dead letters");
        }
        // The new one clears what the old one has left.
        let of_that_name = self.removed.iter().filter(|(name, _)| *name == plan.name);
        of_that_name.for_each(|(_, clearing)| clearing.abort());
        let client = HttpClient::new(tls);
        let process = self.random.next_u64();
        let target: Box<dyn Target> = match &plan.kind {
            RelayKind::Webhook(webhook) => Box::new(Webhook::new(webhook, client, process)),
            RelayKind::Slack(slack) => Box::new(Slack::new(slack, client)),
            RelayKind::Teams(teams) => {
                let graph = &teams.graph;
                let service = format!("{} {} {}", graph.graph, graph.tenant, graph.client_id);
                let pace = self.paces.of(service, graph.rate_max);
                Box::new(Teams::new(teams, client, pace, Arc::clone(&status)))
            }
            RelayKind::Mqtt(mqtt) => {
                let random = self.random.fork();
                Box::new(Mqtt::new(mqtt, &plan.name, tls.clone(), random))
            }
            RelayKind::Nats(nats) => {
                let random = self.random.fork();
                Box::new(Nats::new(nats, &plan.name, tls.clone(), random))
            }
        };
        let shards = Rc::clone(&self.shards);
        Relay::start(plan, target, shards, status, self.random.fork())
    }

    /// Has the shards tell changes, or not.
    async fn tell_changes(&self, tells: bool) {
        for shard in (0..self.shards.count()).map(ShardId) {
            if !self.is_told(shard, tells).await {
                tracing::error!(
                    shard = shard.0,
                    "relays are not told changes: the shard does not respond"
                );
            }
        }
    }

    /// Whether a shard confirms that it tells changes, or not.
    async fn is_told(&self, shard: ShardId, tells: bool) -> bool {
        for _ in 0..ATTEMPTS {
            let command = Command::TellChanges(ChangeReader::Relays, tells);
            if let Some(Reply::Done) = self.shards.ask(shard, command).await {
                return true;
            }
            sleep(PAUSE).await;
        }
        false
    }
}

async fn end(relays: Vec<Relay>) {
    join_all(relays.into_iter().map(|relay| relay.end(PATIENCE))).await;
}
