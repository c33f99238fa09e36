//! The service of all these connectors: starts and ends their workers.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, spawn_local};

use crate::background::{Shards, Surroundings};
use crate::connect::status::Status;
use crate::connect::teams::Poller;
use crate::connect::teller::Teller;
use crate::connect::worker::Worker;
use crate::directory::connectors::{Connector, Protocol};
use crate::relay::{TeamsReader, TeamsSource};
use crate::sip::random::Random;
use crate::tls::SharedTlsClient;

/// A connector that is to run.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) connector: Connector,
    /// Another run begins with another number.
    pub(super) run: u64,
    pub(super) status: Arc<Status>,
    /// Of one that reads Teams: where it begins.
    pub(super) teams: Option<TeamsSource>,
    /// How it connects by TLS.
    pub(super) tls: Option<SharedTlsClient>,
}

/// A connector that runs.
struct Running {
    wanted: Wanted,
    teller: Teller,
    task: JoinHandle<()>,
}

/// Serves connectors until the orders end. The workers end with the thread.
pub(super) async fn serve(mut orders: UnboundedReceiver<Vec<Wanted>>, surroundings: Surroundings) {
    let Surroundings { shards, mut random } = surroundings;
    let mut running = Vec::new();
    while let Some(wanted) = orders.recv().await {
        running = obey(wanted, running, &shards, &mut random).await;
    }
}

/// Ends what is not wanted, then starts what does not run.
async fn obey(
    wanted: Vec<Wanted>,
    before: Vec<Running>,
    shards: &Rc<dyn Shards>,
    random: &mut Random,
) -> Vec<Running> {
    let mut kept: Vec<Running> = Vec::new();
    let mut restarted: Vec<Running> = Vec::new();
    for running in before {
        let find = |wanted: &&Wanted| wanted.connector == running.wanted.connector;
        match wanted.iter().find(find) {
            Some(wanted) if wanted.run == running.wanted.run => kept.push(running),
            Some(_) => {
                running.task.abort();
                running.teller.suspect_all().await;
                restarted.push(running);
            }
            None => {
                running.task.abort();
                running.teller.forget_all().await;
                running.wanted.status.forget_users();
            }
        }
    }
    for wanted in wanted {
        let is_it = |running: &Running| running.wanted.connector == wanted.connector;
        if kept.iter().any(is_it) {
            continue;
        }
        let teller = restarted.iter().find(|running| is_it(running));
        let teller = teller.map(|running| running.teller.clone());
        kept.extend(start(wanted, teller, shards, random));
    }
    kept
}

fn start(
    wanted: Wanted,
    teller: Option<Teller>,
    shards: &Rc<dyn Shards>,
    random: &mut Random,
) -> Option<Running> {
    let connector = &wanted.connector;
    let new = || {
        let name = Arc::clone(&connector.name);
        let knows_phones = !matches!(connector.protocol, Protocol::Teams(_));
        Teller::new(name, &connector.domain, knows_phones, Rc::clone(shards))
    };
    let teller = teller.unwrap_or_else(new);
    let (shards, random) = (Rc::clone(shards), random.fork());
    let task = match &connector.protocol {
        Protocol::Sip(_) => return None,
        Protocol::Pbx(pbx) => {
            let worker = Worker {
                pbx: pbx.clone(),
                wanted: wanted.clone(),
                shards,
                teller: teller.clone(),
                random,
            };
            spawn_local(worker.run())
        }
        Protocol::Teams(teams) => {
            let (source, tls) = wanted.teams.as_ref().zip(wanted.tls.as_ref())?;
            let reader = TeamsReader::new(source, tls);
            let poller = Poller::new(&wanted, teams.poll, reader, shards, teller.clone());
            spawn_local(poller.run(random))
        }
    };
    Some(Running {
        wanted,
        teller,
        task,
    })
}
