//! Editing the directory: the lists and rules that the operator changes while the server runs.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use glommio::timer::sleep;

use crate::directory::Directory;
use crate::http::control::refusal::ControlRefusal;
use crate::http::engine::Engine;
use crate::http::site::Site;
use crate::shard::{Command, ShardId};

/// How often a directory is offered to a shard whose inbox is full.
const OFFERS_MAX: u32 = 20;
/// The time between two offers.
const OFFER_PAUSE: Duration = Duration::from_millis(50);

/// Replaces the directory with the result of `edit`, sends it to every shard, and waits until each
/// has it. Returns the new directory.
pub(super) async fn edit<E: Engine>(
    site: &Site<E>,
    edit: impl FnOnce(&Directory) -> Result<Directory, ControlRefusal>,
) -> Result<Arc<Directory>, ControlRefusal> {
    let offer = |directory: &Arc<Directory>, shards: &[ShardId]| {
        let ask = |shard: &ShardId| {
            let reload = Command::Reload(Arc::clone(directory));
            (*shard, site.engine.ask(*shard, reload))
        };
        (
            Arc::clone(directory),
            shards.iter().map(ask).collect::<Vec<_>>(),
        )
    };
    let mut shards: Vec<ShardId> = (0..site.engine.shards()).map(ShardId).collect();
    let (edited, mut offers) = site
        .directory
        .change(edit, |directory| offer(directory, &shards))?;
    for _ in 0..OFFERS_MAX {
        let replies = offers
            .into_iter()
            .map(async |(shard, reply)| (shard, reply.await));
        let replies = join_all(replies).await;
        shards.clear();
        shards.extend(
            replies
                .iter()
                .filter(|(_, reply)| reply.is_err())
                .map(|(shard, _)| *shard),
        );
        if shards.is_empty() {
            return Ok(edited);
        }
        sleep(OFFER_PAUSE).await;
        (_, offers) = site.directory.repeat(|directory| offer(directory, &shards));
    }
    Err(ControlRefusal::HalfDone)
}
