//! Connectors: the PBXs and presence servers that we subscribe to, so that their state feeds the
//! lamps of a domain.

use std::sync::Arc;
use std::time::Duration;

use crate::directory::Directory;
use crate::directory::user_range::UserRange;
use crate::presence::event::Package;
use crate::sip::Transport;
use crate::sip::digest::client::Login;
use crate::sip::uri::sip_uri;

/// A connector, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its name, which is in the name of its contributions: `upstream:NAME`.
    pub name: Arc<str>,
    /// The domain whose users it reports on, by its own name.
    pub domain: Box<str>,
    /// Whether the configuration has it in use.
    pub is_enabled: bool,
    /// Where the other server is; None if it is not configured yet.
    pub address: Option<ServerAddress>,
    /// Responds to a challenge; None where we are trusted.
    pub login: Option<Login>,
    /// Whose state is subscribed to.
    pub users: UserSelection,
    /// On which tracks it goes before other connectors.
    pub preferred: Preferred,
    /// How it is spoken to.
    pub protocol: Protocol,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// A name in lower case, or an IP address; IPv6 without brackets.
    pub host: Arc<str>,
    /// The port; None for what the name service or the transport says.
    pub port: Option<u16>,
}

/// By which protocol a connector is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// SUBSCRIBE and NOTIFY (RFC 6665).
    Sip(SipUpstream),
    /// The protocol of a PBX, over TCP.
    Pbx(PbxUpstream),
    /// Microsoft Teams, by polls.
    Teams(TeamsUpstream),
}

/// A tenant of Microsoft Teams that is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamsUpstream {
    /// The relay to the tenant, which says how it is reached and which user is which.
    pub relay: Box<str>,
    /// The time between two polls.
    pub poll: Duration,
}

/// A PBX that tells of its users by a protocol of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PbxUpstream {
    /// Which PBX.
    pub kind: PbxKind,
    /// Whether it is spoken to by TLS.
    pub is_encrypted: bool,
    /// The domain of the users there; None for users of any domain.
    pub remote_domain: Option<Box<str>>,
    /// The contexts whose hints count; empty for all.
    pub contexts: Vec<Box<str>>,
}

/// A PBX with a protocol of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PbxKind {
    /// Asterisk, by its manager interface (AMI).
    Asterisk,
    /// FreeSWITCH, by its event socket.
    FreeSwitch,
}

/// A server that we subscribe to by SIP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SipUpstream {
    /// UDP, TCP or TLS.
    pub transport: Transport,
    /// The domain of the users there.
    pub remote_domain: Box<str>,
    /// Our own URI there, for From.
    pub uri: Box<str>,
    /// The packages, in the order in which they are tried; at least one.
    pub packages: Vec<Package>,
    /// The expiry that is asked for.
    pub expires: Duration,
    /// SUBSCRIBEs a second, over all shards.
    pub pace: u32,
    /// The list that is subscribed to; None for a subscription for each user.
    pub list: Option<UpstreamList>,
}

/// A list there, which covers many users with one subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamList {
    /// Its URI there.
    pub uri: Box<str>,
    /// Where its users are named.
    pub kind: ListKind,
}

/// Where the users of a list are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListKind {
    /// At the server (RFC 4662).
    Stored,
    /// In our SUBSCRIBEs (RFC 5367).
    Enclosed,
    /// Nowhere: the server sends a document about each user that it has, as 3CX does for `any-dn`.
    AnyDn,
}

impl SipUpstream {
    /// The URI there of a user of ours.
    #[must_use]
    pub fn uri_of(&self, user: &str) -> String {
        sip_uri(user, &self.remote_domain)
    }
}

/// Whose state a connector subscribes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserSelection {
    /// Every account of the domain.
    pub accounts: bool,
    /// Every other user, while a watcher is there.
    pub on_demand: bool,
    /// These users.
    pub ranges: Vec<UserRange>,
}

impl Connector {
    /// Whether the configuration says where its server is.
    #[must_use]
    pub const fn has_server(&self) -> bool {
        self.address.is_some() || matches!(self.protocol, Protocol::Teams(_))
    }
}

impl UserSelection {
    /// Whether a user is subscribed to even without a watcher.
    #[must_use]
    pub fn lists(&self, user: &str) -> bool {
        self.ranges.iter().any(|range| range.contains(user))
    }
}

/// On which tracks a connector goes before others (W:D3.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferred {
    /// Calls.
    pub telephony: bool,
    /// What is declared.
    pub rich: bool,
}

/// Users that one subscription to a list covers, stored or of any-dn.
pub const LIST_USERS_MAX: usize = 10_000;
/// Users that one SUBSCRIBE names; for more users there are more subscriptions. Their states fit into one NOTIFY.
pub const ENCLOSED_USERS_MAX: usize = 100;
/// Maximum number of users that the ranges of one connector name.
pub const LISTED_USERS_MAX: usize = 100_000;

impl Directory {
    /// Sets the connectors. Their names differ.
    pub fn set_connectors(&mut self, connectors: Vec<Connector>) {
        self.connectors = connectors.into();
    }

    /// All connectors, in the order of the configuration.
    #[must_use]
    pub fn connectors(&self) -> &[Connector] {
        &self.connectors
    }

    /// The connector with a name.
    #[must_use]
    pub fn connector(&self, name: &str) -> Option<&Connector> {
        let mut connectors = self.connectors.iter();
        connectors.find(|connector| *connector.name == *name)
    }
}
