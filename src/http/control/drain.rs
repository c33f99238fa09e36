//! `POST /drain`: ends all subscriptions, before a server with a store is stopped for good.

use std::time::{Duration, Instant};

use glommio::timer::sleep;

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::drain::Drained;
use crate::http::site::Site;
use crate::shard::{Command, Reply};

/// How long phones may take to respond.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the shards end some more, and are asked what is left.
const PACE: Duration = Duration::from_millis(20);

/// Ends them, and waits until the phones know. New ones are refused from now on.
pub(crate) async fn drain<E: Engine>(_: Form, site: &Site<E>) -> ControlResult {
    site.engine.decline_work();
    let deadline = Instant::now() + PATIENCE;
    let pick = |reply| match reply {
        Reply::Outstanding(count) => Some(vec![count]),
        _ => None,
    };
    loop {
        let (left, silent) = site.ask_all(|| Command::Drain, pick).await;
        let left: usize = left.into_iter().sum();
        if !silent.is_empty() {
            return Err(ControlRefusal::Silent);
        }
        if left == 0 || Instant::now() >= deadline {
            return Ok(Box::new(Drained { left }));
        }
        sleep(PACE).await;
    }
}
