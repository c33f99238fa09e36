//! Webhooks: a POST for each state, signed as Standard Webhooks say (standardwebhooks.com, version 1).
//!
//! The signature is `v1,` and the base64 of the HMAC-SHA256 of `id.timestamp.body`. The id stays when a state is
//! told again, the timestamp is that of the attempt.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::future::LocalBoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, USER_AGENT};
use sha2::Sha256;

use crate::relay::http_client::HttpClient;
use crate::relay::plan::WebhookPlan;
use crate::relay::queue::Entry;
use crate::relay::target::{Fault, Target};

/// Requests under way at once, each about another person.
const LANES: usize = 8;

/// A receiver of webhooks.
pub(super) struct Webhook {
    plan: WebhookPlan,
    client: HttpClient,
    /// What tells the ids of this process from those of others.
    process: u64,
}

impl Webhook {
    /// A receiver as configured. `process` is random.
    pub(super) fn new(plan: &WebhookPlan, client: HttpClient, process: u64) -> Self {
        Self {
            plan: plan.clone(),
            client,
            process,
        }
    }

    fn request(&self, entry: &Entry, now: SystemTime) -> Result<Request<Full<Bytes>>, Fault> {
        let body = entry.state.event().to_string();
        let id = format!("msg_{:016x}{:x}", self.process, entry.number);
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let timestamp = since.unwrap_or(Duration::ZERO).as_secs().to_string();
        let signature = signature(&self.plan.key.0, &[&id, &timestamp, &body]);
        Request::post(&self.plan.url)
            .header(CONTENT_TYPE, "application/json")
            .header(
                USER_AGENT,
                concat!("Lamplighter/", env!("CARGO_PKG_VERSION")),
            )
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(Full::from(body))
            .map_err(|error| Fault::wait(error.to_string()))
    }

    async fn post(&self, entry: &Entry) -> Result<(), Fault> {
        let request = self.request(entry, SystemTime::now())?;
        self.client.send(request).await?.verdict()
    }
}

impl Target for Webhook {
    fn tell<'a>(&'a self, entry: &'a Entry) -> LocalBoxFuture<'a, Result<(), Fault>> {
        Box::pin(self.post(entry))
    }

    fn lanes(&self) -> usize {
        LANES
    }
}

/// The signature of a message of these parts.
fn signature(key: &[u8], parts: &[&str; 3]) -> String {
    // A key of any length is valid.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return String::new();
    };
    mac.update(parts.join(".").as_bytes());
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_message_is_signed_as_the_specification_says() {
        let key = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let parts = [
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "1614265330",
            "{\"test\": 2432232314}",
        ];
        let signed = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature(&key, &parts), signed);
    }
}
