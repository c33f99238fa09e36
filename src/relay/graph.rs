//! Microsoft Graph with the rights of an application: its token by client credentials (RFC 6749 §4.4), and requests
//! at a pace that the tenant allows.
//!
//! Guarantee: a token is renewed five minutes before its end, and once after a 401. Of an error only the status and
//! `code` are looked at: the message is for people, and may change.

use std::rc::Rc;
use std::time::Duration;

use form_urlencoded::Serializer;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::relay::http_client::{HttpClient, HttpResponse, code};
use crate::relay::pace::Pace;
use crate::relay::plan::GraphPlan;
use crate::relay::target::{Fault, Remedy};

/// How long before its end a token is renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A tenant.
pub(super) struct Graph {
    plan: GraphPlan,
    client: HttpClient,
    pace: Rc<Pace>,
    token: Mutex<Option<Token>>,
}

struct Token {
    text: String,
    renew_at: Instant,
}

impl Graph {
    /// The tenant as configured, asked at that pace.
    pub(super) fn new(plan: &GraphPlan, client: HttpClient, pace: Rc<Pace>) -> Self {
        Self {
            plan: plan.clone(),
            client,
            pace,
            token: Mutex::new(None),
        }
    }

    /// The id of our application, which its sessions of presence have, too.
    pub(super) fn client_id(&self) -> &str {
        &self.plan.client_id
    }

    /// Asks for a resource, by its path with the query.
    pub(super) async fn get(&self, path: &str) -> Result<HttpResponse, Fault> {
        self.request(&Method::GET, path, None).await
    }

    /// Posts JSON to a resource.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<HttpResponse, Fault> {
        self.request(&Method::POST, path, Some(body)).await
    }

    /// The response, whatever it says. With another token, if it was 401.
    async fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<HttpResponse, Fault> {
        let token = self.token().await?;
        let response = self.send(method, path, body, &token).await?;
        if response.status != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        self.drop_token(&token).await;
        let token = self.token().await?;
        self.send(method, path, body, &token).await
    }

    async fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
        token: &str,
    ) -> Result<HttpResponse, Fault> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}/v1.0{path}", self.plan.graph))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        let request = match body {
            Some(body) => request
                .header(CONTENT_TYPE, "application/json")
                .body(Full::from(body.to_string())),
            None => request.body(Full::default()),
        };
        let request = request.map_err(|error| Fault::wait(error.to_string()))?;
        self.pace.turn().await;
        self.client.send(request).await
    }

    /// The token in force. While it is renewed, all requests wait for it.
    async fn token(&self) -> Result<String, Fault> {
        let mut token = self.token.lock().await;
        if let Some(token) = token
            .as_ref()
            .filter(|token| Instant::now() < token.renew_at)
        {
            return Ok(token.text.clone());
        }
        let new = self.new_token().await?;
        Ok(token.insert(new).text.clone())
    }

    /// This token is of no use; another may be in force by now.
    async fn drop_token(&self, text: &str) {
        let mut token = self.token.lock().await;
        token.take_if(|token| token.text == text);
    }

    async fn new_token(&self) -> Result<Token, Fault> {
        let response = self.client.send(self.token_request()?).await?;
        let json = response.json();
        if !response.status.is_success() {
            let code = code(&json["error"]);
            let why = format!("no token: HTTP {} {code}", response.status.as_u16());
            let is_refused = response.status.is_client_error()
                && response.status != StatusCode::TOO_MANY_REQUESTS;
            let remedy = match is_refused {
                true => Remedy::Forbidden,
                false => Remedy::Wait(response.retry_after),
            };
            return Err(Fault::new(why, remedy));
        }
        let text = json["access_token"].as_str().unwrap_or_default();
        if text.is_empty() {
            return Err(Fault::wait("no token in the response"));
        }
        let lifetime = Duration::from_secs(json["expires_in"].as_u64().unwrap_or_default());
        let use_for = lifetime.saturating_sub(RENEW_BEFORE).max(lifetime / 2);
        let now = Instant::now();
        Ok(Token {
            text: text.to_owned(),
            renew_at: now.checked_add(use_for).unwrap_or(now),
        })
    }

    fn token_request(&self) -> Result<Request<Full<Bytes>>, Fault> {
        let GraphPlan {
            login,
            tenant,
            client_id,
            secret,
            ..
        } = &self.plan;
        let form = Serializer::new(String::new())
            .append_pair("client_id", client_id)
            .append_pair("scope", &format!("{}/.default", self.plan.graph))
            .append_pair("client_secret", &String::from_utf8_lossy(&secret.0))
            .append_pair("grant_type", "client_credentials")
            .finish();
        Request::post(format!("{login}/{tenant}/oauth2/v2.0/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::from(form))
            .map_err(|error| Fault::wait(error.to_string()))
    }
}

/// The fault that a response of Graph tells, about a request that concerns one person; Ok for 2xx.
pub(super) fn verdict(response: &HttpResponse) -> Result<(), Fault> {
    let status = response.status;
    let remedy = match status {
        _ if status.is_success() => return Ok(()),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            Remedy::Wait(response.retry_after)
        }
        // The application lacks a permission, or the administrator's consent.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Remedy::Forbidden,
        StatusCode::BAD_REQUEST => Remedy::GiveUp,
        StatusCode::NOT_FOUND => Remedy::Unknown,
        _ => Remedy::Retry,
    };
    let json = response.json();
    let code = code(&json["error"]["code"]);
    let why = format!("HTTP {} {code}", status.as_u16());
    Err(Fault::new(why.trim_end(), remedy))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_told_by_status_and_code_alone() {
        let fault = |status: u16, body: &str| {
            let response = HttpResponse {
                status: StatusCode::from_u16(status).unwrap(),
                retry_after: None,
                body: Bytes::copy_from_slice(body.as_bytes()),
            };
            verdict(&response).unwrap_err()
        };
        let body = r#"{"error":{"code":"Forbidden","message":"ann@abc.com may not"}}"#;
        let wait = Remedy::Wait(None);
        for (status, body, why, remedy) in [
            (403, body, "HTTP 403 Forbidden", Remedy::Forbidden),
            (400, "{}", "HTTP 400", Remedy::GiveUp),
            (
                404,
                r#"{"error":{"code":"NotFound"}}"#,
                "HTTP 404 NotFound",
                Remedy::Unknown,
            ),
            (429, "busy", "HTTP 429", wait),
            (
                500,
                r#"{"error":{"code":"ann@abc.com"}}"#,
                "HTTP 500",
                Remedy::Retry,
            ),
        ] {
            assert_eq!(fault(status, body), Fault::new(why, remedy));
        }
    }
}
