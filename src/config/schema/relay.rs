//! `[[relay]]`: another system that is told composed states.

use toml::Spanned;

use crate::config::quantity::Interval;
use crate::config::reader::{keys, words};
use crate::config::schema::{ConnectorTransportKind, PackageKind, Password};

keys! {
    /// `[[relay]]`
    pub struct Relay in "[[relay]]" {
        /// Its name.
        pub name: Spanned<String>;
        /// What the other system is.
        pub kind: Spanned<RelayKindWord>;
        /// Whether it is told anything.
        pub enabled: bool = true;
        /// Of the users of these domains; empty for all.
        pub domains: Vec<Spanned<String>> = Vec::new();
        /// Of these users of the only domain; empty for all.
        pub users: Vec<Spanned<String>> = Vec::new();
        /// Whether other parties of calls are told.
        pub parties: bool = true;
        /// Whether notes are told.
        pub notes: bool = true;
        /// The system under its other names here: connectors, accounts, IP addresses, tokens, feeds.
        pub same_as: Vec<Spanned<String>> = Vec::new();
        /// People who may wait.
        pub queue: usize = 100_000, in 1..=1_000_000;
        /// States told in a second; none for no limit.
        pub rate: Option<u32> = None, in 1..=100_000;
        /// How long an attempt may take.
        pub timeout: Interval = Interval::from_secs(10), in Interval::SECOND..=Interval::from_secs(120);
        /// How long a state is tried.
        pub give_up: Interval = Interval::from_days(1), in Interval::SECOND..=Interval::from_days(30);
        /// Where it is, by HTTP, MQTT or NATS.
        pub url: Option<Spanned<String>> = None;
        /// Where it is, by SIP: `host`, `host:port`.
        pub address: Option<Spanned<String>> = None;
        /// How it is reached by SIP.
        pub transport: ConnectorTransportKind = ConnectorTransportKind::Udp;
        /// The domain of the users there; none for their domain here.
        pub remote_domain: Option<Spanned<String>> = None;
        /// Our own URI there, which From says; none for that of each user.
        pub uri: Option<Spanned<String>> = None;
        /// What is published by SIP: `dialog` or `presence`.
        pub package: Option<Spanned<PackageKind>> = None;
        /// Which documents the server takes.
        pub dialect: DialectKind = DialectKind::Rfc;
        /// The expiry that a PUBLISH asks for.
        pub expires: Interval = Interval::from_secs(600), in Interval::from_secs(60)..=Interval::from_days(1);
        /// Whether it may be reached unencrypted beyond this machine.
        pub allow_insecure: bool = false;
        /// The user name there.
        pub auth_id: Option<Spanned<String>> = None;
        /// The tenant of Microsoft.
        pub tenant: Option<Spanned<String>> = None;
        /// Where tokens are issued.
        pub login_url: Option<Spanned<String>> = None;
        /// How users are called there.
        pub upn: Option<Spanned<String>> = None;
        /// A file with the identifiers of users there.
        pub ids_file: Option<Spanned<String>> = None;
        /// Whether do-not-disturb is told where a user may have chosen something else.
        pub relay_dnd: bool = false;
        /// The text of a status in Slack.
        pub status_text: Spanned<String> = Spanned::new(0..0, "On a call".to_owned());
        /// Its emoji.
        pub status_emoji: Spanned<String> = Spanned::new(0..0, ":telephone_receiver:".to_owned());
        /// The tokens of a subject of NATS before those of a user.
        pub subject: Spanned<String> = Spanned::new(0..0, "lamplighter".to_owned());
        /// The topic above all others.
        pub topic: Spanned<String> = Spanned::new(0..0, "lamplighter".to_owned());
        /// The secret.
        pub secret: Option<Spanned<Password>> = None;
        /// A file with the secret in its first line.
        pub secret_file: Option<Spanned<Password>> = None;
    }
}

words! {
    /// The kind of another system.
    #[derive(Default)]
    pub enum RelayKindWord {
        /// A receiver of webhooks.
        #[default]
        Webhook = "webhook",
        /// A broker of MQTT.
        Mqtt = "mqtt",
        /// A server of NATS.
        Nats = "nats",
        /// Microsoft Teams.
        Teams = "teams",
        /// Slack.
        Slack = "slack",
        /// A presence server, by PUBLISH.
        Sip = "sip",
    }
}

words! {
    /// The documents that a presence server takes.
    pub enum DialectKind {
        /// Those of the RFCs.
        Rfc = "rfc",
        /// What Lync and Skype for Business take from gateways.
        Lync = "lync",
    }
}

impl Relay {
    /// Its name, for messages.
    pub(in crate::config) fn title(&self) -> String {
        format!("the relay \"{}\"", self.name.get_ref())
    }

    /// A place for complaints about what is missing.
    pub(in crate::config) fn place(&self) -> std::ops::Range<usize> {
        self.name.span()
    }
}
