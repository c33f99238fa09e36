//! Microsoft Teams, by the presence API of Microsoft Graph.
//!
//! | here | there |
//! |---|---|
//! | a call that was answered | setPresence Busy/InACall for ten minutes, repeated every five while it lasts |
//! | its end | clearPresence, never Available, which would hide that the user is away; 404 means that all is well |
//! | a call that rings | nothing |
//! | a note, no note any more | setStatusMessage, with an empty text |
//! | do-not-disturb, if the relay tells it | setUserPreferredPresence for eight hours, repeated every four; clearUserPreferredPresence |
//!
//! Guarantee: only what this relay has set is cleared, also after a restart; what a user has chosen in Teams stays, but
//! for do-not-disturb, and for the status message while there is a note here.

pub(super) mod own;
pub(super) mod reader;
mod users;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::presence::Aor;
use crate::presence::composition::Availability;
use crate::relay::graph::{Graph, verdict};
use crate::relay::http_client::HttpClient;
use crate::relay::pace::Pace;
use crate::relay::plan::TeamsPlan;
use crate::relay::queue::Entry;
use crate::relay::state::State;
use crate::relay::status::Status;
use crate::relay::target::{Fault, Remedy, Target};
use crate::relay::teams::users::{Users, escaped};
use crate::relay::told::{Told, Traces};

/// People told of at once.
const LANES_MAX: u32 = 16;
/// After this time a call is told again; the session lasts twice as long.
const CALL_AGAIN: Duration = Duration::from_secs(300);
/// After this time do-not-disturb is told again.
const DO_NOT_DISTURB_AGAIN: Duration = Duration::from_secs(4 * 3600);
/// What was told less than this before it is to be told again is not told twice.
const MARGIN: Duration = Duration::from_secs(30);
/// Characters of a status message in Teams.
const NOTE_CHARACTERS_MAX: usize = 280;

/// The users of a tenant.
pub(super) struct Teams {
    plan: TeamsPlan,
    graph: Graph,
    users: Users,
    relay: Arc<Status>,
    /// What this process has told.
    said: RefCell<HashMap<Aor, Said>>,
}

/// What stands of a person at Teams because this process has told it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    call: Option<Instant>,
    note: Box<str>,
    do_not_disturb: Option<Instant>,
}

impl Teams {
    /// The users of a tenant as configured.
    pub(super) fn new(
        plan: &TeamsPlan,
        client: HttpClient,
        pace: Rc<Pace>,
        relay: Arc<Status>,
    ) -> Self {
        Self {
            plan: plan.clone(),
            graph: Graph::new(&plan.graph, client, pace),
            users: Users::new(&plan.ids),
            relay,
            said: RefCell::default(),
        }
    }

    async fn tell_state(&self, entry: &Entry) -> Result<(), Fault> {
        let aor = &entry.state.aor;
        let id = self.users.id_of(aor, &self.graph).await?;
        let traces = self.traces(&entry.state, entry.shown);
        self.relay.own.put(aor, entry.shown.and(traces));
        match self.tell_parts(entry, &id, traces).await {
            Ok(()) => {
                self.relay.own.put(aor, traces);
                Ok(())
            }
            Err(fault) => {
                if fault.remedy == Remedy::Unknown {
                    self.users.is_unknown(aor);
                }
                Err(fault)
            }
        }
    }

    async fn tell_parts(&self, entry: &Entry, id: &str, traces: Traces) -> Result<(), Fault> {
        self.tell_call(entry, id, traces.has(Traces::CALL)).await?;
        self.tell_note(entry, id).await?;
        let is_quiet = traces.has(Traces::DO_NOT_DISTURB);
        self.tell_do_not_disturb(entry, id, is_quiet).await
    }

    async fn tell_call(&self, entry: &Entry, id: &str, is_in_call: bool) -> Result<(), Fault> {
        let aor = &entry.state.aor;
        let session = self.graph.client_id();
        if is_in_call {
            if self.has_said(aor, CALL_AGAIN, |said| said.call) {
                return Ok(());
            }
            let body = json!({
                "sessionId": session,
                "availability": "Busy",
                "activity": "InACall",
                "expirationDuration": "PT10M",
            });
            self.post(id, "setPresence", &body).await?;
            self.say(aor, |said| said.call = Some(Instant::now()));
        } else if entry.shown.has(Traces::CALL) {
            self.say(aor, |said| said.call = None);
            let path = presence(id, "clearPresence");
            let response = self
                .graph
                .post(&path, &json!({"sessionId": session}))
                .await?;
            if response.status != StatusCode::NOT_FOUND {
                verdict(&response)?;
            }
        }
        Ok(())
    }

    async fn tell_note(&self, entry: &Entry, id: &str) -> Result<(), Fault> {
        let (aor, note) = (&entry.state.aor, &entry.state.note);
        let has_said = |said: &Said| said.note == *note;
        let is_told = match note.is_empty() {
            true => !entry.shown.has(Traces::NOTE),
            false => self.said.borrow().get(aor).is_some_and(has_said),
        };
        if is_told {
            return Ok(());
        }
        self.say(aor, |said| said.note = Box::default());
        let content: String = note.chars().take(NOTE_CHARACTERS_MAX).collect();
        let message = json!({"content": content, "contentType": "text"});
        let body = json!({"statusMessage": {"message": message}});
        self.post(id, "setStatusMessage", &body).await?;
        self.say(aor, |said| said.note = note.clone());
        Ok(())
    }

    async fn tell_do_not_disturb(
        &self,
        entry: &Entry,
        id: &str,
        is_quiet: bool,
    ) -> Result<(), Fault> {
        let aor = &entry.state.aor;
        if is_quiet {
            if self.has_said(aor, DO_NOT_DISTURB_AGAIN, |said| said.do_not_disturb) {
                return Ok(());
            }
            let body = json!({
                "availability": "DoNotDisturb",
                "activity": "DoNotDisturb",
                "expirationDuration": "PT8H",
            });
            self.post(id, "setUserPreferredPresence", &body).await?;
            self.say(aor, |said| said.do_not_disturb = Some(Instant::now()));
        } else if entry.shown.has(Traces::DO_NOT_DISTURB) {
            self.say(aor, |said| said.do_not_disturb = None);
            let body = json!({});
            self.post(id, "clearUserPreferredPresence", &body).await?;
        }
        Ok(())
    }

    async fn post(&self, id: &str, action: &str, body: &Value) -> Result<(), Fault> {
        verdict(&self.graph.post(&presence(id, action), body).await?)
    }

    /// Whether that was told, and is not to be told again.
    fn has_said(&self, aor: &Aor, again: Duration, at: impl Fn(&Said) -> Option<Instant>) -> bool {
        let said = self.said.borrow();
        let at = said.get(aor).and_then(at);
        at.is_some_and(|at| at.elapsed() + MARGIN < again)
    }

    fn say(&self, aor: &Aor, change: impl FnOnce(&mut Said)) {
        let mut all = self.said.borrow_mut();
        let mut said = all.remove(aor).unwrap_or_default();
        change(&mut said);
        if said != Said::default() {
            all.insert(aor.clone(), said);
        }
    }
}

impl Target for Teams {
    fn tell<'a>(&'a self, entry: &'a Entry) -> LocalBoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.tell_state(entry))
    }

    /// Few enough that the requests about a state are not long in coming at the pace of the tenant.
    fn lanes(&self) -> usize {
        (self.plan.graph.rate_max / 2).clamp(1, LANES_MAX) as usize
    }

    fn begin(&self, told: &Told) {
        self.relay.own.begin(told.all());
    }

    fn takes(&self, aor: &Aor) -> bool {
        self.users.has(aor)
    }

    fn traces(&self, state: &State, shown: Traces) -> Traces {
        let is_quiet =
            self.plan.tells_do_not_disturb && state.availability == Availability::DoNotDisturb;
        let call = Traces::CALL.when(state.is_in_call(shown));
        let note = Traces::NOTE.when(!state.note.is_empty());
        let quiet = Traces::DO_NOT_DISTURB.when(is_quiet);
        call.and(note).and(quiet)
    }

    fn wants_rest(&self) -> bool {
        false
    }

    fn again(&self, _state: &State, traces: Traces) -> Option<Duration> {
        let call = traces.has(Traces::CALL).then_some(CALL_AGAIN);
        call.or_else(|| {
            traces
                .has(Traces::DO_NOT_DISTURB)
                .then_some(DO_NOT_DISTURB_AGAIN)
        })
    }
}

fn presence(id: &str, action: &str) -> String {
    format!("/users/{}/presence/{action}", escaped(id))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::relay::plan::{GraphPlan, SecretOctets};
    use crate::relay::remote_ids::RemoteIds;
    use crate::relay::state::tests::state;
    use crate::tls::{SharedTlsClient, TlsClient};

    fn teams(tells_do_not_disturb: bool) -> Teams {
        let plan = TeamsPlan {
            graph: GraphPlan {
                login: "https://login.test".into(),
                graph: "https://graph.test".into(),
                tenant: "t".into(),
                client_id: "c".into(),
                secret: SecretOctets([1].into()),
                rate_max: 40,
            },
            ids: RemoteIds {
                pattern: Some("{user}@b.test".into()),
                ..RemoteIds::default()
            },
            tells_do_not_disturb,
        };
        let tls = SharedTlsClient::new(TlsClient::new(None, None).unwrap());
        let (client, pace) = (HttpClient::new(&tls), Rc::new(Pace::new(40)));
        Teams::new(&plan, client, pace, Arc::default())
    }

    #[test]
    fn do_not_disturb_is_told_only_if_that_is_wanted() {
        let quiet = State {
            availability: Availability::DoNotDisturb,
            ..state("1", "lunch")
        };
        let call_and_note = Traces::CALL.and(Traces::NOTE);
        assert_eq!(teams(false).traces(&quiet, Traces::NONE), call_and_note);
        assert_eq!(teams(true).traces(&quiet, Traces::NONE), Traces::ALL);
    }

    #[test]
    fn what_runs_out_is_told_again() {
        let teams = teams(true);
        let again = |traces| teams.again(&state("1", ""), traces);
        assert_eq!(again(Traces::NOTE), None);
        assert_eq!(again(Traces::DO_NOT_DISTURB), Some(DO_NOT_DISTURB_AGAIN));
        assert_eq!(again(Traces::ALL), Some(CALL_AGAIN));
    }
}
