//! Relays: which presentities another system is told of, how much of their calls; and the relays by SIP, presence servers
//! to which states are published (RFC 3903).

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Directory;
use crate::directory::connectors::ServerAddress;
use crate::directory::decide::WatcherIdentity;
use crate::presence::Aor;
use crate::presence::event::Package;
use crate::presence::policy::{Handling, People, Privacy};
use crate::sip::Transport;
use crate::sip::digest::client::Login;
use crate::sip::uri::sip_uri;

/// The user that all relays are to the policies of a domain.
const WATCHER: &str = "relays";

/// A relay by SIP, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipRelay {
    /// Its name, unique among all relays.
    pub name: Arc<str>,
    /// The domains whose users are published; empty for all.
    pub domains: Vec<Box<str>>,
    /// The users of the only domain who are published; empty for all.
    pub users: Vec<People>,
    /// Where the server is.
    pub address: ServerAddress,
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The domain of the users there; None if it is the domain of each user here.
    pub remote_domain: Option<Box<str>>,
    /// Our own URI there, for From; None if each user publishes as itself.
    pub uri: Option<Box<str>>,
    /// Responds to a challenge; None where we are trusted.
    pub login: Option<Login>,
    /// What is published.
    pub document: PublishedDocument,
    /// The expiry that is asked for.
    pub expires: Duration,
    /// PUBLISHes a second, over all shards.
    pub pace: u32,
    /// Whether the other party of a call is named, as far as the domain shows it.
    pub parties: bool,
    /// Whether notes are published.
    pub notes: bool,
}

/// The document that a relay publishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishedDocument {
    /// The calls: Event dialog, `application/dialog-info+xml` (RFC 4235).
    DialogInfo,
    /// The presence: Event presence, `application/pidf+xml` (RFC 3863, RFC 4480).
    Pidf,
    /// Only that a user is on the phone, as Lync and Skype for Business take it: Event presence, with the activities
    /// of a draft of RFC 4480. Nothing is published of a user who is not.
    Lync,
}

impl PublishedDocument {
    /// The package that it is event state of.
    #[must_use]
    pub const fn package(self) -> Package {
        match self {
            Self::DialogInfo => Package::Dialog,
            Self::Pidf | Self::Lync => Package::Presence,
        }
    }
}

impl SipRelay {
    /// The address of record there of a user of ours.
    #[must_use]
    pub fn aor_there(&self, aor: &Aor) -> Aor {
        match &self.remote_domain {
            Some(domain) => Aor::new(aor.user(), domain),
            None => aor.clone(),
        }
    }

    /// The URI there of a user of ours.
    #[must_use]
    pub fn uri_of(&self, aor: &Aor) -> String {
        sip_uri(
            aor.user(),
            self.remote_domain
                .as_deref()
                .unwrap_or_else(|| aor.domain()),
        )
    }
}

impl Directory {
    /// Sets the relays by SIP. Their names differ.
    pub fn set_sip_relays(&mut self, relays: Vec<SipRelay>) {
        self.sip_relays = relays.into();
    }

    /// All relays by SIP, in the order of the configuration.
    #[must_use]
    pub fn sip_relays(&self) -> &[SipRelay] {
        &self.sip_relays
    }

    /// Whether there are connectors, or relays by SIP.
    #[must_use]
    pub fn has_other_servers(&self) -> bool {
        !self.connectors.is_empty() || !self.sip_relays.is_empty()
    }

    /// Whether a presentity is of one of these domains, or there is none, and one of these users, or there is none.
    #[must_use]
    pub fn is_told_of(&self, aor: &Aor, domains: &[Box<str>], users: &[People]) -> bool {
        let is_of_domain =
            domains.is_empty() || domains.iter().any(|domain| **domain == *aor.domain());
        let is_user = users.is_empty() || users.iter().any(|users| self.is_among(aor, users));
        is_of_domain && is_user
    }

    /// What relays are shown of the calls of a presentity, as the watcher `relays` of its domain; None if they are
    /// shown nothing at all. `seconds`: the time since 1970 UTC.
    #[must_use]
    pub fn privacy_of_relays(&self, aor: &Aor, seconds: u64) -> Option<Privacy> {
        let watcher = Aor::new(WATCHER, aor.domain());
        let watcher = WatcherIdentity {
            aor: Some(&watcher),
            is_trusted_peer: false,
            is_authenticated: true,
        };
        let decision = self.decide(watcher, aor, Package::Dialog, seconds);
        (decision.handling == Handling::Allow).then_some(decision.privacy)
    }
}
