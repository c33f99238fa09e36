//! `POST /forget`: erases what is known and stored of an address.
//!
//! First what the engine knows, so that nothing more is recorded, then the rules of the address, then
//! its history. The answer comes when all of it is on the disk. Subscriptions of the person's phones go
//! on, and what sources report from now on counts anew.

use crate::http::control::edit::edit;
use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::history::HistoryFault;
use crate::http::representation::forgotten::Forgotten;
use crate::http::site::Site;
use crate::presence::Aor;
use crate::shard::{Command, Reply, ShardId};

/// Erases it. An address without an account can be erased too: the account may be gone already.
pub(crate) async fn forget<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let aor = form.address("aor", &site.directory())?;
    let owner = ShardId::owner_of(&aor, site.engine.shards());
    let mut counts = match site.engine.ask(owner, Command::Forget(aor.clone())).await {
        Ok(Reply::Forgotten(erased)) => {
            let erased = erased.into_iter().flatten();
            erased.map(|(kind, count)| (kind, count as u64)).collect()
        }
        Ok(Reply::OverLimit) => return Err(ControlRefusal::Full("the store is behind")),
        Ok(_) | Err(_) => return Err(ControlRefusal::Silent),
    };
    forget_rules(&aor, site, &mut counts).await?;
    match site.engine.erase_history(&aor).await {
        Ok(erased) => counts.extend([
            ("changes in the history", erased.changes),
            ("mentions in the history of others", erased.mentions),
        ]),
        Err(HistoryFault::Off) => {}
        Err(fault) => return Err(fault.into()),
    }
    Ok(Box::new(Forgotten { aor, counts }))
}

/// Removes the rules that the address was given by commands.
async fn forget_rules<E: Engine>(
    aor: &Aor,
    site: &Site<E>,
    counts: &mut Vec<(&'static str, u64)>,
) -> Result<(), ControlRefusal> {
    let rules = site.directory().rules_document(aor).len();
    if site.directory().has_rules_document(aor) {
        edit(site, |directory| {
            Ok(directory.with_rules_document(aor, Vec::new()))
        })
        .await?;
    }
    counts.push(("rules for watchers", rules as u64));
    Ok(())
}
