//! Converts the `[[relay]]` tables of a file, and checks them.

mod nats;
mod remote_ids;
mod slack;
mod teams;

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
use crate::relay::{MqttPlan, RelayKind, RelayPlan, SecretOctets, WebhookPlan};

/// The folder of the files of relays, in the data directory.
const FOLDER: &str = "relays";
/// How the secret of a webhook begins.
const SECRET_BEGIN: &str = "whsec_";

/// Reads the relays.
pub(super) struct RelayReader<'r, 's> {
    pub(super) names: &'r Names,
    pub(super) data_dir: &'r Path,
    pub(super) complainer: &'r mut Complainer<'s>,
    pub(super) notes: &'r mut Vec<String>,
}

impl RelayReader<'_, '_> {
    /// The relays of a file but those by SIP.
    pub(super) fn read(&mut self, relays: &[Relay]) -> Vec<RelayPlan> {
        let names = relays.iter().map(|relay| &relay.name);
        names::check_all("relay", names, self.complainer);
        let others = relays.iter();
        let others = others.filter(|relay| *relay.kind.get_ref() != RelayKindWord::Sip);
        let plans = others.filter_map(|relay| self.plan(relay));
        plans.collect()
    }

    fn plan(&mut self, relay: &Relay) -> Option<RelayPlan> {
        let domains = self.domains(relay);
        let users = self.users(relay);
        let kind = match relay.kind.get_ref() {
            RelayKindWord::Webhook => self.webhook(relay).map(RelayKind::Webhook),
            RelayKindWord::Mqtt => self.mqtt(relay).map(RelayKind::Mqtt),
            RelayKindWord::Nats => self.nats(relay).map(RelayKind::Nats),
            RelayKindWord::Teams => self.teams(relay).map(RelayKind::Teams),
            RelayKindWord::Slack => self.slack(relay).map(RelayKind::Slack),
            // The directory has it.
            RelayKindWord::Sip => None,
        };
        // The limits of these are ones of requests.
        let is_paced = !matches!(kind, Some(RelayKind::Teams(_) | RelayKind::Slack(_)));
        Some(RelayPlan {
            name: relay.name.get_ref().as_str().into(),
            is_enabled: relay.enabled,
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
            rate_max: relay.rate.filter(|_| is_paced),
            timeout: relay.timeout.0,
            give_up: relay.give_up.0,
            directory: self.data_dir.join(FOLDER),
        })
    }

    /// The domains that it names.
    pub(super) fn domains(&mut self, relay: &Relay) -> Vec<Box<str>> {
        let title = relay.title();
        let domains = relay.domains.iter();
        let domains =
            domains.filter_map(|domain| self.names.domain(domain, &title, self.complainer));
        domains.map(Into::into).collect()
    }

    /// The users that it names.
    pub(super) fn users(&mut self, relay: &Relay) -> Vec<People> {
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
        let url = url.and_then(|url| self.location(relay, url, ["https", "http"]));
        let secret = self.secret(relay);
        let key = secret.and_then(|secret| self.signing_key(relay, &secret));
        Some(WebhookPlan {
            url: url?,
            key: key?,
        })
    }

    /// The value of a key that this kind needs.
    pub(super) fn required<'v, T>(
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

    fn mqtt(&mut self, relay: &Relay) -> Option<MqttPlan> {
        let example = "mqtts://broker.example.com";
        let url = self.required(relay, relay.url.as_ref(), "url", example)?;
        let uri = self.location(relay, url, ["mqtts", "mqtt"])?;
        let is_encrypted = uri.scheme_str() == Some("mqtts");
        let login = match &relay.auth_id {
            Some(user) => {
                let password = self.secret(relay)?.into_bytes();
                Some((
                    user.get_ref().as_str().into(),
                    SecretOctets(password.into()),
                ))
            }
            None => None,
        };
        Some(MqttPlan {
            host: uri.host()?.trim_matches(['[', ']']).into(),
            port: uri
                .port_u16()
                .unwrap_or(if is_encrypted { 8883 } else { 1883 }),
            is_encrypted,
            login,
            topic: self.topic(&relay.topic)?,
        })
    }

    /// A topic that can be published to (MQTT 3.1.1 §4.7).
    fn topic(&mut self, topic: &Spanned<String>) -> Option<Box<str>> {
        let text = topic.get_ref();
        let is_valid = (1..=128).contains(&text.len())
            && !text.starts_with(['/', '$'])
            && !text.ends_with('/')
            && !text.contains(|character: char| "+#".contains(character) || character.is_control());
        if !is_valid {
            let what = format!("\"{text}\" is not a topic");
            let remedy = "write up to 128 characters without + and #: topic = \"lamplighter\"";
            self.complainer.add(topic.span(), what, remedy);
        }
        is_valid.then(|| text.as_str().into())
    }

    /// An address with the first scheme, or on this machine with the second.
    fn location(
        &mut self,
        relay: &Relay,
        url: &Spanned<String>,
        [secure, plain]: [&str; 2],
    ) -> Option<Uri> {
        let uri = url.get_ref().parse::<Uri>().ok();
        let uri = uri.filter(|uri| uri.host().is_some());
        let is_secure = uri.as_ref().is_some_and(|uri| match uri.scheme_str() {
            Some(scheme) if scheme == secure => true,
            Some(scheme) if scheme == plain => {
                relay.allow_insecure || uri.host().is_some_and(is_loopback)
            }
            _ => false,
        });
        if is_secure {
            return uri;
        }
        let what = format!("\"{}\" is not an address of {secure}", url.get_ref());
        let remedy = format!(
            "write {secure}://HOST; {plain}:// only for this machine, or with allow_insecure = true"
        );
        self.complainer.add(url.span(), what, remedy);
        None
    }

    /// An address without a slash at its end.
    fn base(
        &mut self,
        relay: &Relay,
        given: Option<&Spanned<String>>,
        usual: &str,
    ) -> Option<Box<str>> {
        let Some(given) = given else {
            return Some(usual.into());
        };
        let uri: Uri = self.location(relay, given, ["https", "http"])?;
        Some(uri.to_string().trim_end_matches('/').into())
    }

    /// The secret, from the file or from beside it.
    pub(super) fn secret(&mut self, relay: &Relay) -> Option<String> {
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
