//! NATS as the target of a relay.

use toml::Spanned;

use crate::config::schema::Relay;
use crate::config::tenants::relays::RelayReader;
use crate::relay::{NatsLogin, NatsPlan, NatsServer, SecretOctets};

/// The port of clients.
const PORT: u16 = 4222;
/// Octets of the tokens before those of a user.
const SUBJECT_OCTETS_MAX: usize = 128;

impl RelayReader<'_, '_> {
    pub(super) fn nats(&mut self, relay: &Relay) -> Option<NatsPlan> {
        let example = "tls://nats.example.com";
        let url = self.required(relay, relay.url.as_ref(), "url", example);
        let servers = url.and_then(|url| self.nats_servers(relay, url));
        let login = self.nats_login(relay);
        let subject = self.nats_subject(&relay.subject);
        Some(NatsPlan {
            servers: servers?,
            login: login?,
            subject: subject?,
        })
    }

    /// The servers, between which are commas.
    fn nats_servers(&mut self, relay: &Relay, url: &Spanned<String>) -> Option<Vec<NatsServer>> {
        let servers = url.get_ref().split(',').map(|one| {
            let one = Spanned::new(url.span(), one.trim().to_owned());
            self.nats_server(relay, &one)
        });
        servers.collect()
    }

    fn nats_server(&mut self, relay: &Relay, url: &Spanned<String>) -> Option<NatsServer> {
        // First: what else is wrong with it is said with the url.
        if url.get_ref().contains('@') {
            let what = format!("the url of {} has credentials", relay.title());
            let remedy = "write them as auth_id and secret or secret_file; a token as secret alone";
            self.complainer.add(url.span(), what, remedy);
            return None;
        }
        let uri = self.location(relay, url, ["tls", "nats"])?;
        let authority = uri.authority()?;
        Some(NatsServer {
            host: authority.host().trim_matches(['[', ']']).into(),
            port: authority.port_u16().unwrap_or(PORT),
            is_encrypted: uri.scheme_str() == Some("tls"),
        })
    }

    /// What the server knows us by, if that is something.
    fn nats_login(&mut self, relay: &Relay) -> Option<Option<NatsLogin>> {
        let has_secret = relay.secret.is_some() || relay.secret_file.is_some();
        if relay.auth_id.is_none() && !has_secret {
            return Some(None);
        }
        let secret = SecretOctets(self.secret(relay)?.into_bytes().into());
        Some(Some(match &relay.auth_id {
            Some(user) => NatsLogin::User(user.get_ref().as_str().into(), secret),
            None => NatsLogin::Token(secret),
        }))
    }

    /// Tokens that can be published to; those that begin with $ are of the server itself.
    fn nats_subject(&mut self, subject: &Spanned<String>) -> Option<Box<str>> {
        let text = subject.get_ref();
        let is_token = |token: &str| {
            let is_strange = |letter: char| {
                "*>".contains(letter) || letter.is_whitespace() || letter.is_control()
            };
            !token.is_empty() && !token.contains(is_strange)
        };
        let is_valid = text.len() <= SUBJECT_OCTETS_MAX
            && !text.starts_with('$')
            && text.split('.').all(is_token);
        if !is_valid {
            let what = format!("\"{text}\" is not a subject to publish to");
            let remedy = "write tokens with dots between, without *, > and spaces: subject = \"lamplighter\"";
            self.complainer.add(subject.span(), what, remedy);
        }
        is_valid.then(|| text.as_str().into())
    }
}
