//! Editing the directory: the accounts, lists and rules that the operator changes while the server runs. Their
//! edits outlive a reading of the configuration and, with a store, the process (`directory::edits`).

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use glommio::timer::sleep;

use crate::directory::Directory;
use crate::http::control::domain_limits::{self, DOMAIN_MAX};
use crate::http::control::refusal::ControlRefusal;
use crate::http::engine::Engine;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::shard::{Command, ShardId};

/// How often a directory is offered to a shard whose inbox is full.
const OFFERS_MAX: u32 = 20;
/// The time between two offers.
const OFFER_PAUSE: Duration = Duration::from_millis(50);

/// Replaces the directory with the result of `edit`, an edit of that address, if the edit is possible in a directory
/// that is about to come into force, too; sends it to every shard, and waits until each has it and the edit is on the
/// disk. Returns the new directory.
pub(crate) async fn edit<E: Engine>(
    site: &Site<E>,
    aor: &Aor,
    edit: impl Fn(&Directory) -> Result<Directory, ControlRefusal>,
) -> Result<Arc<Directory>, ControlRefusal> {
    edit_many(site, std::slice::from_ref(aor), edit).await
}

/// [`edit`] of several addresses at once.
pub(crate) async fn edit_many<E: Engine>(
    site: &Site<E>,
    aors: &[Aor],
    edit: impl Fn(&Directory) -> Result<Directory, ControlRefusal>,
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
    // Under the lock of the directory, so that edits are kept in their order.
    let tell = |directory: &Arc<Directory>| {
        let kept = site.engine.keep_edits(aors, directory);
        (offer(directory, &shards), kept)
    };
    let limited = |directory: &Directory| {
        let edited = edit(directory)?;
        domain_limits::check(directory, &edited, aors, DOMAIN_MAX)?;
        Ok(edited)
    };
    let changed = site.directory.edit(limited, tell);
    if let Err(ControlRefusal::DomainFull { .. }) = changed {
        site.change_counters.count_edit_over_limit();
    }
    let ((edited, mut offers), kept) = changed?;
    let is_kept = kept.await;
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
            return is_kept.then_some(edited).ok_or(ControlRefusal::NotKept);
        }
        sleep(OFFER_PAUSE).await;
        (_, offers) = site.directory.repeat(|directory| offer(directory, &shards));
    }
    Err(ControlRefusal::HalfDone)
}
