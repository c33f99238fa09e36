//! Reads the presence of users from Teams (getPresencesByUserId), for the connector that makes it contributions.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::presence::Aor;
use crate::relay::graph::{Graph, verdict};
use crate::relay::http_client::HttpClient;
use crate::relay::plan::TeamsPlan;
use crate::relay::status::Status;
use crate::relay::target::{Fault, Remedy};
use crate::relay::teams::users::Users;
use crate::relay::told::Traces;
use crate::tls::TlsClient;

/// Users of one request.
const USERS_AT_ONCE: usize = 650;
/// Names that are looked up at once.
const LOOK_UPS_AT_ONCE: usize = 16;
/// Polls after which what we have cleared is not seen any more.
const POLLS: usize = 2;

/// Where a reader begins: the tenant of a relay, and what the relay has told it.
#[derive(Clone, Debug)]
pub(crate) struct TeamsSource {
    pub(in crate::relay) plan: TeamsPlan,
    /// None of a relay that tells nothing.
    pub(in crate::relay) relay: Option<Arc<Status>>,
}

/// The source is another one if the relay was configured anew.
impl PartialEq for TeamsSource {
    fn eq(&self, other: &Self) -> bool {
        let relays = (&self.relay, &other.relay);
        let is_same = match relays {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        is_same && self.plan == other.plan
    }
}

/// The presence of a user in the words of Graph, of bounded length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TeamsPresence {
    /// `Available`, `Busy`, `DoNotDisturb` ...
    pub(crate) availability: Box<str>,
    /// `InACall`, `InAMeeting` ...
    pub(crate) activity: Box<str>,
    /// Whether a call or do-not-disturb of ours is in it, so that it says nothing about these.
    pub(crate) has_our_call: bool,
    pub(crate) has_our_do_not_disturb: bool,
}

/// A reader.
pub(crate) struct TeamsReader {
    source: TeamsSource,
    graph: Graph,
    users: Users,
    /// When the last polls began.
    polls: VecDeque<Instant>,
}

impl TeamsReader {
    /// Reads from that tenant.
    pub(crate) fn new(source: &TeamsSource, tls: &TlsClient) -> Self {
        let client = HttpClient::new(&tls.web_config());
        Self {
            graph: Graph::new(&source.plan.graph, client),
            users: Users::new(&source.plan.ids),
            source: source.clone(),
            polls: VecDeque::new(),
        }
    }

    /// The presence of these users, as far as Teams knows them.
    ///
    /// # Errors
    /// Graph does not tell it.
    pub(crate) async fn poll(
        &mut self,
        users: &[Aor],
    ) -> Result<HashMap<Aor, TeamsPresence>, Fault> {
        let begun = Instant::now();
        let mut ids = HashMap::new();
        let known: Vec<&Aor> = users.iter().filter(|aor| self.users.has(aor)).collect();
        for some in known.chunks(LOOK_UPS_AT_ONCE) {
            let found = some.iter().map(|aor| self.users.id_of(aor, &self.graph));
            for (found, aor) in join_all(found).await.into_iter().zip(some) {
                match found {
                    Ok(id) => drop(ids.insert(id, *aor)),
                    Err(fault) if fault.remedy == Remedy::Unknown => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        let all: Vec<&str> = ids.keys().map(|id| &**id).collect();
        let mut found = HashMap::new();
        for some in all.chunks(USERS_AT_ONCE) {
            let path = "/communications/getPresencesByUserId";
            let response = self.graph.post(path, &json!({"ids": some})).await?;
            verdict(&response)?;
            let json = response.json();
            for entry in json["value"].as_array().into_iter().flatten() {
                let aor = entry["id"].as_str().and_then(|id| ids.get(id));
                if let Some(aor) = aor {
                    found.insert((*aor).clone(), self.presence(aor, entry)?);
                }
            }
        }
        self.polls.push_back(begun);
        if self.polls.len() > POLLS {
            self.polls.pop_front();
        }
        Ok(found)
    }

    fn presence(&self, aor: &Aor, entry: &Value) -> Result<TeamsPresence, Fault> {
        let word = |key: &str| {
            let text = entry[key].as_str().unwrap_or_default();
            let is_word = text.bytes().all(|octet| octet.is_ascii_alphanumeric());
            text.get(..text.len().min(64))
                .filter(|_| is_word)
                .unwrap_or_default()
                .into()
        };
        let ours = self.ours(aor)?;
        Ok(TeamsPresence {
            availability: word("availability"),
            activity: word("activity"),
            has_our_call: ours.has(Traces::CALL),
            has_our_do_not_disturb: ours.has(Traces::DO_NOT_DISTURB),
        })
    }

    /// What Teams shows of a user because of our relay, now or at the last two polls.
    fn ours(&self, aor: &Aor) -> Result<Traces, Fault> {
        let Some(relay) = &self.source.relay else {
            return Ok(Traces::NONE);
        };
        // Before there were two polls, all that was cleared is of a late date.
        let since = self.polls.front().filter(|_| self.polls.len() == POLLS);
        let ours = relay.own.since(aor, since.copied());
        ours.ok_or_else(|| Fault::wait("the relay has not begun"))
    }
}
