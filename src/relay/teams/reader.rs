//! Reads the presence of users from Teams (getPresencesByUserId), for the connector that makes it contributions.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::presence::Aor;
use crate::relay::graph::{Graph, verdict};
use crate::relay::http_client::HttpClient;
use crate::relay::pace::Pace;
use crate::relay::plan::TeamsPlan;
use crate::relay::status::Status;
use crate::relay::target::{Fault, Remedy};
use crate::relay::teams::users::Users;
use crate::relay::told::Traces;
use crate::tls::SharedTlsClient;

/// Users of one request.
const USERS_AT_ONCE: usize = 650;
/// Octets of a response: a status message and an out-of-office text for each of them.
const BODY_OCTETS_MAX: usize = 8 << 20;
/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the relay is waited for, which knows what we have told.
const RELAY_PATIENCE: Duration = Duration::from_secs(10);
/// The time between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Names that are looked up at once; fewer if the pace would have them wait for more than a second.
const LOOK_UPS_AT_ONCE: u32 = 16;
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
    pub(crate) fn new(source: &TeamsSource, tls: &SharedTlsClient) -> Self {
        let client = HttpClient::new(tls).with_bodies_of(BODY_OCTETS_MAX);
        let pace = Rc::new(Pace::new(source.plan.graph.rate_max));
        Self {
            graph: Graph::new(&source.plan.graph, client, pace),
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
        self.wait_for_relay().await;
        let begun = Instant::now();
        let ids = self.ids_of(users).await?;
        let all: Vec<&str> = ids.keys().map(|id| &**id).collect();
        let mut found = HashMap::new();
        for some in all.chunks(USERS_AT_ONCE) {
            let path = "/communications/getPresencesByUserId";
            let body = json!({"ids": some});
            let response = in_time(self.graph.post(path, &body)).await?;
            verdict(&response)?;
            let json = response.json();
            for entry in json["value"].as_array().into_iter().flatten() {
                let id = entry["id"].as_str().unwrap_or_default();
                if let Some(aor) = ids.get(&*id.to_ascii_lowercase()) {
                    found.insert(aor.clone(), self.presence(aor, entry)?);
                }
            }
        }
        self.polls.push_back(begun);
        if self.polls.len() > POLLS {
            self.polls.pop_front();
        }
        Ok(found)
    }

    /// The users that Graph knows, by their object ids there in lower case.
    async fn ids_of(&self, users: &[Aor]) -> Result<HashMap<Box<str>, Aor>, Fault> {
        let mut ids = HashMap::new();
        let known: Vec<&Aor> = users.iter().filter(|aor| self.users.has(aor)).collect();
        let at_once = self.source.plan.graph.rate_max.clamp(1, LOOK_UPS_AT_ONCE) as usize;
        for some in known.chunks(at_once) {
            let found = some.iter().map(|aor| self.users.id_of(aor, &self.graph));
            for (found, aor) in join_all(found.map(in_time)).await.into_iter().zip(some) {
                match found {
                    Ok(id) => {
                        ids.insert(id.to_ascii_lowercase().into(), (*aor).clone());
                    }
                    Err(fault) if fault.remedy == Remedy::Unknown => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(ids)
    }

    /// At the start the relay may still be reading its file.
    async fn wait_for_relay(&self) {
        let begun = Instant::now();
        let waits = |relay: &Arc<Status>| !relay.own.has_begun();
        while self.source.relay.as_ref().is_some_and(waits) && begun.elapsed() < RELAY_PATIENCE {
            sleep(LOOK).await;
        }
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

/// A response, or the fault that there was none in time.
async fn in_time<T>(request: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let response = timeout(PATIENCE, request).await;
    response.unwrap_or_else(|_| Err(Fault::wait("no response in time")))
}
