//! Converts the `[[relay]]` tables of a file, and checks them.

use std::net::IpAddr;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hyper::Uri;
use toml::Spanned;

use crate::config::complaint::Complainer;
use crate::config::schema::{Relay, RelayKindWord};
use crate::config::tenants::names;
use crate::config::tenants::names::Names;
use crate::config::tenants::secret_file;
use crate::presence::policy::People;
use crate::relay::{RelayKind, RelayPlan, SecretOctets, WebhookPlan};

/// The folder of the files of relays, in the data directory.
const FOLDER: &str = "relays";
/// How the secret of a webhook begins.
const SECRET_BEGIN: &str = "whsec_";

/// Reads the relays that are enabled.
pub(super) struct RelayReader<'r, 's> {
    pub(super) names: &'r Names,
    pub(super) data_dir: &'r Path,
    pub(super) complainer: &'r mut Complainer<'s>,
    pub(super) notes: &'r mut Vec<String>,
}

impl RelayReader<'_, '_> {
    /// The relays of a file.
    pub(super) fn read(&mut self, relays: &[Relay]) -> Vec<RelayPlan> {
        let names = relays.iter().map(|relay| &relay.name);
        names::check_all("relay", names, self.complainer);
        let plans = relays.iter().filter_map(|relay| {
            let plan = self.plan(relay);
            plan.filter(|_| relay.enabled)
        });
        plans.collect()
    }

    fn plan(&mut self, relay: &Relay) -> Option<RelayPlan> {
        let domains = self.domains(relay);
        let users = self.users(relay);
        let kind = match relay.kind.get_ref() {
            RelayKindWord::Webhook => self.webhook(relay).map(RelayKind::Webhook),
        };
        Some(RelayPlan {
            name: relay.name.get_ref().as_str().into(),
            kind: kind?,
            domains,
            users,
            same_as: relay
                .same_as
                .iter()
                .map(|name| name.get_ref().as_str().into())
                .collect(),
            parties: relay.parties,
            notes: relay.notes,
            queue_max: relay.queue,
            rate_max: relay.rate,
            timeout: relay.timeout.0,
            give_up: relay.give_up.0,
            directory: self.data_dir.join(FOLDER),
        })
    }

    fn domains(&mut self, relay: &Relay) -> Vec<Box<str>> {
        let title = relay.title();
        let domains = relay.domains.iter();
        let domains =
            domains.filter_map(|domain| self.names.domain(domain, &title, self.complainer));
        domains.map(Into::into).collect()
    }

    fn users(&mut self, relay: &Relay) -> Vec<People> {
        let Some(first) = relay.users.first() else {
            return Vec::new();
        };
        let [domain] = &relay.domains[..] else {
            let what = format!("{} has users, but not one domain", relay.title());
            let remedy = "name the domain of the users: domains = [\"abc.com\"]";
            self.complainer.add(first.span(), what, remedy);
            return Vec::new();
        };
        let Some(domain) = self.names.known(domain.get_ref()) else {
            return Vec::new();
        };
        let users = relay.users.iter();
        let users = users.filter_map(|users| self.names.people(users, domain, self.complainer));
        users.collect()
    }

    fn webhook(&mut self, relay: &Relay) -> Option<WebhookPlan> {
        let url = self.required(
            relay,
            relay.url.as_ref(),
            "url",
            "https://crm.example.com/hook",
        );
        let url = url.and_then(|url| self.web_url(relay, url));
        let secret = self.secret(relay);
        let key = secret.and_then(|secret| self.signing_key(relay, &secret));
        Some(WebhookPlan {
            url: url?,
            key: key?,
        })
    }

    /// The value of a key that this kind needs.
    fn required<'v, T>(
        &mut self,
        relay: &Relay,
        value: Option<&'v Spanned<T>>,
        key: &str,
        example: &str,
    ) -> Option<&'v Spanned<T>> {
        if value.is_none() {
            let what = format!("{} has no {key}", relay.title());
            let remedy = format!("add one: {key} = \"{example}\"");
            self.complainer.add(relay.place(), what, remedy);
        }
        value
    }

    /// An address of the web: https, or http on this machine.
    fn web_url(&mut self, relay: &Relay, url: &Spanned<String>) -> Option<Uri> {
        let uri = url.get_ref().parse::<Uri>().ok();
        let uri = uri.filter(|uri| uri.host().is_some());
        let is_secure = uri.as_ref().is_some_and(|uri| match uri.scheme_str() {
            Some("https") => true,
            Some("http") => relay.allow_insecure || uri.host().is_some_and(is_loopback),
            _ => false,
        });
        if is_secure {
            return uri;
        }
        let what = format!("\"{}\" is not an HTTPS address", url.get_ref());
        let remedy =
            "write https://HOST/PATH; http:// only for this machine, or with allow_insecure = true";
        self.complainer.add(url.span(), what, remedy);
        None
    }

    /// The secret, from the file or from beside it.
    fn secret(&mut self, relay: &Relay) -> Option<String> {
        match (&relay.secret, &relay.secret_file) {
            (Some(secret), None) => {
                let source = self.complainer.source().name.clone();
                let exposed = secret_file::note_exposure(source.as_ref());
                let exposed = exposed.filter(|note| !self.notes.contains(note));
                self.notes.extend(exposed);
                Some(secret.get_ref().0.clone())
            }
            (None, Some(file)) => secret_file::of_file("secret", file, self.complainer, self.notes),
            (None, None) => {
                let what = format!("{} has no secret", relay.title());
                let remedy = "add secret, or secret_file with a file that holds it";
                self.complainer.add(relay.place(), what, remedy);
                None
            }
            (Some(_), Some(file)) => {
                let what = format!("{} has both secret and secret_file", relay.title());
                self.complainer.add(file.span(), what, "keep one of them");
                None
            }
        }
    }

    /// The key in the secret of a webhook: `whsec_` and the base64 of 24 to 64 octets.
    fn signing_key(&mut self, relay: &Relay, secret: &str) -> Option<SecretOctets> {
        let octets = secret.strip_prefix(SECRET_BEGIN);
        let octets = octets.and_then(|text| BASE64_STANDARD.decode(text).ok());
        let octets = octets.filter(|octets| (24..=64).contains(&octets.len()));
        if octets.is_none() {
            let place = relay.secret.as_ref().or(relay.secret_file.as_ref());
            let place = place.map_or_else(|| relay.place(), Spanned::span);
            let what = format!("the secret of {} is not one of webhooks", relay.title());
            let remedy = "write whsec_ and the base64 of 24 to 64 octets, which this makes: echo whsec_$(openssl rand -base64 32)";
            self.complainer.add(place, what, remedy);
        }
        octets.map(|octets| SecretOctets(octets.into()))
    }
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
