//! `GET /why`: why a lamp is as it is.

use futures_util::future::join_all;

use crate::http::control::{ControlRefusal, ControlResult, Form};
use crate::http::engine::Engine;
use crate::http::representation::list::Heading;
use crate::http::representation::why::{Explanation, ListExplanation, MemberState, NoState, State};
use crate::http::site::Site;
use crate::presence::Aor;
use crate::presence::event::list::{Member, Resolved};
use crate::shard::{Command, Reply, ShardId};

/// Members of one list that are looked up; `any-dn` may have more.
const MEMBERS_SHOWN_MAX: usize = 1_000;
/// Members that are asked for at once.
const MEMBERS_AT_ONCE: usize = 64;

/// Asks the shard that owns the address, or each member of the list.
pub(crate) async fn show<E: Engine>(form: Form, site: &Site<E>) -> ControlResult {
    let directory = site.directory();
    let aor = form.known_aor(&directory)?;
    if let Some(list) = directory.list(&aor) {
        return Ok(Box::new(explain_list(&aor, &list, site).await));
    }
    Ok(Box::new(explain(aor, site).await?))
}

/// The state of an address, after something was said of it.
pub(super) async fn state<E: Engine>(aor: Aor, site: &Site<E>) -> ControlResult {
    Ok(Box::new(State(explain(aor, site).await?)))
}

async fn explain<E: Engine>(aor: Aor, site: &Site<E>) -> Result<Explanation, ControlRefusal> {
    let owner = ShardId::owner_of(&aor, site.engine.shards());
    match site.engine.ask(owner, Command::Why(aor.clone())).await {
        Ok(Reply::Why(why)) => Ok(Explanation { aor, why }),
        Ok(_) | Err(_) => Err(ControlRefusal::Silent),
    }
}

async fn explain_list<E: Engine>(aor: &Aor, list: &Resolved, site: &Site<E>) -> ListExplanation {
    let shown = list.members.len().min(MEMBERS_SHOWN_MAX);
    let mut members = Vec::with_capacity(shown);
    for some in list.members[..shown].chunks(MEMBERS_AT_ONCE) {
        let states = some.iter().map(|member| member_state(member, site));
        members.extend(join_all(states).await);
    }
    ListExplanation {
        list: Heading::new(aor, list),
        members,
        more: list.members.len() - shown,
    }
}

async fn member_state<E: Engine>(member: &Member, site: &Site<E>) -> MemberState {
    let state = match member.aor.clone() {
        None => Err(NoState::OtherDomain),
        Some(aor) => match explain(aor, site).await {
            Ok(explanation) => Ok(explanation.why),
            Err(_) => Err(NoState::Silent),
        },
    };
    MemberState {
        uri: member.uri.clone(),
        name: member.name.clone(),
        state,
    }
}
