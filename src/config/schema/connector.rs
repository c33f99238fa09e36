//! `[[connector]]`: a PBX or presence server that we subscribe to.

use toml::Spanned;

use crate::config::quantity::Interval;
use crate::config::reader::{keys, words};
use crate::config::schema::{Password, Several, unplaced};

keys! {
    /// `[[connector]]`: a PBX or presence server whose state feeds the lamps of a domain.
    pub struct Connector in "[[connector]]" {
        /// Its name.
        pub name: Spanned<String>;
        /// By which protocol.
        pub kind: ConnectorKind = ConnectorKind::Sip;
        /// Whether it is in use.
        pub enabled: bool = true;
        /// The domain whose users it reports on.
        pub domain: Spanned<String>;
        /// Where it is: `host`, `host:port`; none until it is known.
        pub address: Option<Spanned<String>> = None;
        /// How it is reached.
        pub transport: ConnectorTransportKind = ConnectorTransportKind::Udp;
        /// The domain of the users there; none for the host of the address.
        pub remote_domain: Option<Spanned<String>> = None;
        /// Our own URI there, which From says.
        pub uri: Option<Spanned<String>> = None;
        /// Our user name there.
        pub auth_id: Option<Spanned<String>> = None;
        /// Our password there.
        pub password: Option<Spanned<Password>> = None;
        /// A file with the password in its first line.
        pub password_file: Option<Spanned<Password>> = None;
        /// The event packages, in the order in which they are tried.
        pub packages: Spanned<Vec<PackageKind>> = unplaced(vec![PackageKind::Dialog, PackageKind::Presence]);
        /// The contexts of Asterisk whose hints count; none for all.
        pub contexts: Several = Several(Vec::new());
        /// Whose state is subscribed to: `accounts`, `demand`, users and ranges.
        pub users: Several = Several(vec![unplaced("accounts".to_owned())]);
        /// How many users a subscription covers.
        pub style: Spanned<ConnectorStyleKind> = unplaced(ConnectorStyleKind::Each);
        /// The list there that is subscribed to: a user, or a URI.
        pub list_uri: Option<Spanned<String>> = None;
        /// Whether our SUBSCRIBEs name the users of the list.
        pub list_enclosed: bool = false;
        /// The tracks on which it goes before other connectors.
        pub preferred: Vec<Spanned<TrackKind>> = Vec::new();
        /// The server under its other names here: accounts, IP addresses, tokens, feeds, connectors.
        pub same_as: Vec<Spanned<String>> = Vec::new();
        /// The expiry that a SUBSCRIBE asks for.
        pub expires: Interval = Interval::HOUR, in Interval::from_secs(60)..=Interval::from_days(1);
        /// The relay whose tenant is read.
        pub relay: Option<Spanned<String>> = None;
        /// The time between two polls.
        pub poll: Interval = Interval::from_secs(60), in Interval::SECOND..=Interval::HOUR;
        /// SUBSCRIBEs a second.
        pub pace: u32 = 200, in 1..=10_000;
    }
}

words! {
    /// The protocol of a connector.
    pub enum ConnectorKind {
        /// SUBSCRIBE and NOTIFY (RFC 6665).
        Sip = "sip",
        /// Asterisk's manager interface
        AsteriskAmi = "asterisk-ami",
        /// FreeSWITCH's event socket
        FreeswitchEventSocket = "freeswitch-event-socket",
        /// Microsoft Teams
        Teams = "teams",
    }
}

words! {
    /// How many users a subscription of a connector covers.
    pub enum ConnectorStyleKind {
        /// One
        Each = "each",
        /// Those of a list
        List = "list",
        /// All of the server
        AnyDn = "any-dn",
    }
}

words! {
    /// The transport of a connector's requests.
    pub enum ConnectorTransportKind {
        /// UDP
        Udp = "udp",
        /// TCP
        Tcp = "tcp",
        /// TLS
        Tls = "tls",
    }
}

words! {
    /// An event package that a connector subscribes to.
    pub enum PackageKind {
        /// RFC 4235
        Dialog = "dialog",
        /// RFC 3856
        Presence = "presence",
    }
}

words! {
    /// A half of a user's state.
    pub enum TrackKind {
        /// The calls.
        Telephony = "telephony",
        /// What is declared.
        Rich = "rich",
    }
}
