//! A relay as configured.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;

use crate::directory::Directory;
use crate::presence::Aor;
use crate::presence::policy::People;
use crate::relay::remote_ids::RemoteIds;

/// A relay: its target, the users whose states it tells, and its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayPlan {
    /// Its name, unique among all relays.
    pub name: Box<str>,
    /// Whether it is told anything.
    pub is_enabled: bool,
    /// The other system.
    pub kind: RelayKind,
    /// The domains whose users are told of; empty for all.
    pub domains: Vec<Box<str>>,
    /// The users of the only domain who are told of; empty for all.
    pub users: Vec<People>,
    /// The system under its other names here: by the directory it is not told what it reported by them.
    pub same_as: Vec<Box<str>>,
    /// Whether the other party of a call is told, as far as the domain shows it.
    pub parties: bool,
    /// Whether notes are told.
    pub notes: bool,
    /// People whose newest state may wait. One more is not queued: all states are told anew instead, once
    /// there is room.
    pub queue_max: usize,
    /// States told in a second at most.
    pub rate_max: Option<u32>,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a state is tried, from its first attempt on. After that it is a dead letter.
    pub give_up: Duration,
    /// The directory of its files, common to all relays.
    pub directory: PathBuf,
}

/// The kinds of relays, each with what only it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayKind {
    /// A POST for each state.
    Webhook(WebhookPlan),
    /// A retained message for each user.
    Mqtt(MqttPlan),
    /// A message for each state.
    Nats(NatsPlan),
    /// Requests to Microsoft Graph.
    Teams(TeamsPlan),
    /// The status of users of Slack.
    Slack(SlackPlan),
}

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPlan {
    /// Where to POST to.
    pub url: Uri,
    /// The key of the signature.
    pub key: SecretOctets,
}

/// A broker of MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MqttPlan {
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Whether by TLS.
    pub is_encrypted: bool,
    /// User name and password there.
    pub login: Option<(Box<str>, SecretOctets)>,
    /// The topic above all others.
    pub topic: Box<str>,
}

/// NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsPlan {
    /// The servers of a cluster, which are tried in turn; at least one.
    pub servers: Vec<NatsServer>,
    /// How we log in; None where no server asks for it.
    pub login: Option<NatsLogin>,
    /// The tokens of a subject before those of a user.
    pub subject: Box<str>,
}

/// A server of NATS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatsServer {
    /// Its host.
    pub host: Box<str>,
    /// Its port.
    pub port: u16,
    /// Whether by TLS.
    pub is_encrypted: bool,
}

/// What a server of NATS knows us by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NatsLogin {
    /// User name and password there.
    User(Box<str>, SecretOctets),
    /// A token alone.
    Token(SecretOctets),
}

/// Microsoft Teams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TeamsPlan {
    /// The tenant.
    pub graph: GraphPlan,
    /// The users there: object ids (GUIDs), or names (UPN), which contain an @ and are looked up.
    pub ids: RemoteIds,
    /// Whether do-not-disturb is told, over what the user has chosen there.
    pub tells_do_not_disturb: bool,
}

/// A tenant of Microsoft Graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphPlan {
    /// Where tokens are issued: scheme and host.
    pub login: Box<str>,
    /// Where Graph is: scheme and host.
    pub graph: Box<str>,
    /// Its id or one of its domains.
    pub tenant: Box<str>,
    /// The id of our application.
    pub client_id: Box<str>,
    /// Its secret.
    pub secret: SecretOctets,
    /// Requests in a second at most.
    pub rate_max: u32,
}

/// A workspace of Slack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackPlan {
    /// Where it is: scheme and host.
    pub url: Box<str>,
    /// The token of an administrator.
    pub token: SecretOctets,
    /// The users there.
    pub ids: RemoteIds,
    /// The text of a status during a call, by which ours is known.
    pub text: Box<str>,
    /// Its emoji.
    pub emoji: Box<str>,
    /// Requests in a second at most.
    pub rate_max: u32,
}

/// Octets that neither `Debug` nor a message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretOctets(pub Box<[u8]>);

impl fmt::Debug for SecretOctets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl RelayKind {
    /// The word of the configuration.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Mqtt(_) => "mqtt",
            Self::Nats(_) => "nats",
            Self::Teams(_) => "teams",
            Self::Slack(_) => "slack",
        }
    }
}

impl RelayPlan {
    /// Whether a presentity is one of those who are told of.
    pub(super) fn is_about(&self, aor: &Aor, directory: &Directory) -> bool {
        directory.is_told_of(aor, &self.domains, &self.users)
    }
}
