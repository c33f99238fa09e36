//! The service of all these connectors: starts and ends their workers.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, spawn_local};

use crate::background::{Shards, Surroundings};
use crate::connect::status::Status;
use crate::connect::teller::Teller;
use crate::connect::worker::Worker;
use crate::directory::connectors::{Connector, Protocol};
use crate::sip::random::Random;

/// A connector that is to run.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) connector: Connector,
    /// Another run begins with another number.
    pub(super) run: u64,
    pub(super) status: Arc<Status>,
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
    let Protocol::Pbx(pbx) = &connector.protocol else {
        return None;
    };
    let new = || {
        let name = Arc::clone(&connector.name);
        Teller::new(name, &connector.domain, Rc::clone(shards))
    };
    let teller = teller.unwrap_or_else(new);
    let worker = Worker {
        pbx: pbx.clone(),
        wanted: wanted.clone(),
        shards: Rc::clone(shards),
        teller: teller.clone(),
        random: random.fork(),
    };
    Some(Running {
        wanted,
        teller,
        task: spawn_local(worker.run()),
    })
}
