//! Slack: a status while a user is in a call, by `users.profile.set`.
//!
//! The status of the user is read before (`users.profile.get`): one that is not ours stays. Ours is known by its text.
//! It ends by itself after an hour, and is set anew every half hour while the call lasts.
//!
//! Slack responds 200 to nearly everything: `ok` and `error` in the body say how it went.

use std::time::{Duration, SystemTime};

use futures_util::future::LocalBoxFuture;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::presence::Aor;
use crate::relay::http_client::{HttpClient, HttpResponse, code};
use crate::relay::pace::Pace;
use crate::relay::plan::SlackPlan;
use crate::relay::queue::Entry;
use crate::relay::state::State;
use crate::relay::target::{Fault, Remedy, Target};
use crate::relay::told::Traces;
use crate::relay::unknown::UnknownPeople;

/// How long a status lasts that is not set anew.
const LASTS: Duration = Duration::from_secs(3600);
/// After this time it is set anew.
const AGAIN: Duration = Duration::from_secs(1800);

/// A workspace.
pub(super) struct Slack {
    plan: SlackPlan,
    client: HttpClient,
    pace: Pace,
    unknown: UnknownPeople,
}

impl Slack {
    /// A workspace as configured.
    pub(super) fn new(plan: &SlackPlan, client: HttpClient) -> Self {
        Self {
            plan: plan.clone(),
            client,
            pace: Pace::new(plan.rate_max),
            unknown: UnknownPeople::default(),
        }
    }

    async fn tell_state(&self, entry: &Entry) -> Result<(), Fault> {
        let aor = &entry.state.aor;
        let told = match self.plan.ids.of(aor) {
            Some(id) => {
                self.tell_call(&id, entry.state.is_in_call(entry.shown))
                    .await
            }
            None => Err(Fault::new("the user is not listed", Remedy::Unknown)),
        };
        if let Err(fault) = &told
            && fault.remedy == Remedy::Unknown
        {
            self.unknown.add(aor);
        }
        told
    }

    async fn tell_call(&self, id: &str, is_in_call: bool) -> Result<(), Fault> {
        let query = format!("users.profile.get?user={id}");
        let profile = self.call(&query, None).await?;
        let now = profile["profile"]["status_text"].as_str();
        let now = now.unwrap_or_default();
        let is_free = now.is_empty() && is_in_call;
        if !is_free && now != &*self.plan.text {
            return Ok(());
        }
        let (text, emoji) = match is_in_call {
            true => (&*self.plan.text, &*self.plan.emoji),
            false => ("", ""),
        };
        let status = json!({
            "status_text": text,
            "status_emoji": emoji,
            "status_expiration": if is_in_call { expiration(SystemTime::now()) } else { 0 },
        });
        let body = json!({"user": id, "profile": status});
        self.call("users.profile.set", Some(&body)).await?;
        Ok(())
    }

    /// Calls a method: posts a body, or else asks.
    async fn call(&self, method: &str, body: Option<&Value>) -> Result<Value, Fault> {
        let uri = format!("{}/api/{method}", self.plan.url);
        let secret = String::from_utf8_lossy(&self.plan.token.0);
        let token = format!("Bearer {secret}");
        let request = match body {
            Some(body) => Request::post(uri)
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .header(AUTHORIZATION, token)
                .body(Full::from(body.to_string())),
            None => Request::get(uri)
                .header(AUTHORIZATION, token)
                .body(Full::<Bytes>::default()),
        };
        let request = request.map_err(|error| Fault::wait(error.to_string()))?;
        self.pace.turn().await;
        verdict(&self.client.send(request).await?)
    }
}

impl Target for Slack {
    fn tell<'a>(&'a self, entry: &'a Entry) -> LocalBoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.tell_state(entry))
    }

    /// The pace of a workspace lets no more than one be of use.
    fn lanes(&self) -> usize {
        1
    }

    fn takes(&self, aor: &Aor) -> bool {
        self.plan.ids.has(aor) && !self.unknown.has(aor)
    }

    fn traces(&self, state: &State, shown: Traces) -> Traces {
        Traces::CALL.when(state.is_in_call(shown))
    }

    fn wants_rest(&self) -> bool {
        false
    }

    fn again(&self, _state: &State, traces: Traces) -> Option<Duration> {
        traces.has(Traces::CALL).then_some(AGAIN)
    }
}

/// When a status that is set now ends, in seconds since 1970 UTC.
fn expiration(now: SystemTime) -> u64 {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    (since.unwrap_or_default() + LASTS).as_secs()
}

/// The body of a response, or the fault that it tells.
fn verdict(response: &HttpResponse) -> Result<Value, Fault> {
    let json = response.json();
    let status = response.status;
    if status.is_success() && json["ok"] == true {
        return Ok(json);
    }
    let error = code(&json["error"]);
    let remedy = match error {
        _ if status == StatusCode::TOO_MANY_REQUESTS => Remedy::Wait(response.retry_after),
        "ratelimited" | "rate_limited" => Remedy::Wait(response.retry_after),
        // The last two are about people that we may not change.
        "user_not_found" | "user_is_bot" | "cannot_update_admin_user" | "not_app_admin" => {
            Remedy::Unknown
        }
        "invalid_auth"
        | "not_authed"
        | "account_inactive"
        | "token_revoked"
        | "token_expired"
        | "missing_scope"
        | "no_permission"
        | "not_admin"
        | "not_allowed_token_type"
        | "access_denied" => Remedy::Forbidden,
        "invalid_profile" | "invalid_emoji_not_allowed" | "invalid_arguments" => Remedy::GiveUp,
        _ => Remedy::Retry,
    };
    let why = match error {
        "" => format!("HTTP {}", status.as_u16()),
        error => error.to_owned(),
    };
    Err(Fault::new(why, remedy))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_body_says_how_it_went() {
        let told = |status: u16, body: &str| {
            let response = HttpResponse {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: Some(Duration::from_secs(7)),
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            verdict(&response).err()
        };
        let fault = |why, remedy| Some(Fault::new(why, remedy));
        let wait = Remedy::Wait(Some(Duration::from_secs(7)));
        assert_eq!(told(200, r#"{"ok":true}"#), None);
        for (status, error, why, remedy) in [
            (200, "user_not_found", "user_not_found", Remedy::Unknown),
            (
                200,
                "cannot_update_admin_user",
                "cannot_update_admin_user",
                Remedy::Unknown,
            ),
            (200, "ratelimited", "ratelimited", wait),
            (429, "ratelimited", "ratelimited", wait),
            (200, "token_revoked", "token_revoked", Remedy::Forbidden),
            (200, "invalid_profile", "invalid_profile", Remedy::GiveUp),
            (200, "internal_error", "internal_error", Remedy::Retry),
            (500, "", "HTTP 500", Remedy::Retry),
            (200, "Ann is away", "HTTP 200", Remedy::Retry),
        ] {
            let body = json!({"ok": false, "error": error}).to_string();
            assert_eq!(told(status, &body), fault(why, remedy));
        }
    }

    #[test]
    fn a_status_ends_an_hour_from_now() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert_eq!(expiration(now), 3_700);
    }
}
