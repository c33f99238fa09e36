//! `POST /forget`: erases what is known and stored of a person.
//!
//! First what the engine knows, so that nothing more is recorded, then the rules of the address, then
//! its history; at last the file of the store is written anew, so that none of it is left in there. The
//! answer comes when all of it is on the disk, and says what is left elsewhere.
//!
//! Subscriptions of the person end as `deactivated`: phones that still exist subscribe anew, and what
//! sources report from now on counts anew. Remove the account first.

use crate::directory::Directory;
use crate::directory::lists::StoredList;
use crate::http::control::edit::edit;
use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::{Engine, HistoryFault};
use crate::http::representation::forgotten::{Count, Forgotten};
use crate::http::site::Site;
use crate::presence::policy::{Exception, IdentityCondition, ImportedRule};
use crate::presence::{Aor, DataSubject};
use crate::shard::contract::report::ForgottenMentions;
use crate::shard::{Command, Reply, ShardId};

/// Erases it. An address without an account, or of a domain that is not served, can be erased too: account or
/// domain may be gone already.
pub(crate) async fn forget<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let aor = form.any_address("aor", &site.directory())?;
    let mentions = forget_mentions(&aor, site).await?;
    let owner = ShardId::owner_of(&aor, site.engine.shards());
    let mut erased: Vec<Count> = match site.engine.ask(owner, Command::Forget(aor.clone())).await {
        Ok(Reply::Forgotten(erased)) => {
            let erased = erased.into_iter().flatten();
            erased.map(|(kind, count)| (kind, count as u64)).collect()
        }
        Ok(Reply::OverLimit) => return Err(ControlRefusal::Full("the store is behind")),
        Ok(_) | Err(_) => return Err(ControlRefusal::Silent),
    };
    erased.extend([
        ("subscriptions", mentions.subscriptions as u64),
        ("waiting watchers", mentions.waiting as u64),
        ("mentions in calls of others", mentions.calls as u64),
    ]);
    erased.push(forget_rules(&aor, site).await?);
    erased.push(forget_waiting_edit(&aor, site).await?);
    match site.engine.erase_history(&aor).await {
        Ok(history) => erased.extend([
            ("changes in the history", history.changes),
            ("mentions in the history of others", history.mentions),
        ]),
        Err(HistoryFault::Off) => {}
        Err(fault) => return Err(fault.into()),
    }
    let files = write_store_anew(site).await?;
    let directory = site.directory();
    let left = vec![
        ("subscriptions of others", mentions.watchers as u64),
        ("lists that name it", lists_naming(&aor, &directory)),
        (
            "rules of others that name it",
            rules_naming(&aor, &directory),
        ),
    ];
    Ok(Box::new(Forgotten {
        aor,
        erased,
        left,
        files,
    }))
}

/// Erases the person where the state of others names it, on all shards.
async fn forget_mentions<E: Engine>(
    aor: &Aor,
    site: &Site<E>,
) -> Result<ForgottenMentions, ControlRefusal> {
    let mut all = Vec::new();
    for shard in (0..site.engine.shards()).map(ShardId) {
        let mut next = Some(0);
        while let Some(from) = next {
            let erased = DataSubject::Person(aor.clone());
            let command = Command::ForgetMentions { erased, from };
            match site.engine.ask(shard, command).await {
                Ok(Reply::MentionsForgotten(mentions, then)) => {
                    all.push(mentions);
                    next = then;
                }
                Ok(Reply::OverLimit) => {
                    return Err(ControlRefusal::Full(
                        "the server still reads its store, or that is behind: try again",
                    ));
                }
                Ok(_) | Err(_) => return Err(ControlRefusal::Silent),
            }
        }
    }
    Ok(all.into_iter().sum())
}

/// Removes the rules that the address was given by commands; how many.
async fn forget_rules<E: Engine>(aor: &Aor, site: &Site<E>) -> Result<Count, ControlRefusal> {
    let rules = site.directory().rules_document(aor).len();
    if site.directory().has_rules_document(aor) {
        edit(site, aor, |directory| {
            Ok(directory.with_rules_document(aor, Vec::new()))
        })
        .await?;
    }
    Ok(("rules for watchers", rules as u64))
}

/// Removes the account or list that waits for its domain, which no other command can name.
async fn forget_waiting_edit<E: Engine>(
    aor: &Aor,
    site: &Site<E>,
) -> Result<Count, ControlRefusal> {
    let waits = site.directory().has_waiting_edit(aor);
    if waits {
        let without = |directory: &Directory| Ok(directory.clone().without_waiting_edit(aor));
        edit(site, aor, without).await?;
    }
    Ok(("edited accounts and lists not in force", waits.into()))
}

/// Has the file of the store written anew, if there is one. Returns the files that were set aside as
/// damaged, which are not touched.
async fn write_store_anew<E: Engine>(site: &Site<E>) -> Result<Vec<String>, ControlRefusal> {
    if site.engine.store().is_none() {
        return Ok(Vec::new());
    }
    match site.engine.write_store_anew().await {
        Ok(Ok(files)) => Ok(files),
        Ok(Err(why)) => Err(ControlRefusal::NotOverwritten(why)),
        Err(_) => Err(ControlRefusal::Silent),
    }
}

/// How many lists have the address as a member.
fn lists_naming(aor: &Aor, directory: &Directory) -> u64 {
    let names = |list: &StoredList| {
        let mut members = list.members.iter();
        members.any(|member| member.aor.as_ref() == Some(aor))
    };
    let lists = directory.stored_lists().into_iter();
    lists.filter(|(_, list)| names(list)).count() as u64
}

/// How many rules of others name the address.
fn rules_naming(aor: &Aor, directory: &Directory) -> u64 {
    let names = |rule: &&ImportedRule| {
        rule.identities.iter().any(|condition| match condition {
            IdentityCondition::One(one) => one == aor,
            IdentityCondition::Many { except, .. } => except.contains(&Exception::One(aor.clone())),
            IdentityCondition::Anybody => false,
        })
    };
    let documents = directory.rules_documents_by_aor().into_iter();
    let others = documents.filter(|(owner, _)| owner != aor);
    let naming = others.map(|(_, rules)| rules.iter().filter(names).count());
    naming.sum::<usize>() as u64
}
