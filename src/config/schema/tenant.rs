//! `[[domain]]` and the tables that belong to a domain.

use std::fmt;
use std::path::PathBuf;

use toml::Spanned;
use toml::de::DeValue;

use crate::config::complaint::Complainer;
use crate::config::quantity::{Interval, Octets};
use crate::config::reader::{Found, Value, keys, words};
use crate::config::schema::{HISTORY_RETENTION, HISTORY_SIZE, unplaced};
use crate::directory::tokens::Role;
use crate::presence::profile::DoNotDisturbLamp;

keys! {
    /// `[[domain]]`: one tenant.
    pub struct Domain in "[[domain]]" {
        /// Its name, the realm of its challenges: a DNS name or an IP address.
        pub name: Spanned<String>;
        /// Other names of this domain.
        pub aliases: Vec<Spanned<String>> = Vec::new();
        /// How requests are authenticated.
        pub auth: Spanned<AuthKind> = unplaced(AuthKind::Digest);
        /// Addresses and networks that are trusted without a digest.
        pub trusted: Vec<Spanned<String>> = Vec::new();
        /// Host names: TLS peers with a certificate for one of them are trusted, too.
        pub trusted_certificates: Vec<Spanned<String>> = Vec::new();
        /// Whether the certificate of a phone proves the account that it names.
        pub client_certificates: bool = false;
        /// Whether watchers are shown the number given to call_state.htm.
        pub reveal_number: bool = false;
        /// Longest and default duration of a call_state.htm call.
        pub max_call_duration: Interval = Interval::from_secs(7200),
            in Interval::SECOND..=Interval::from_days(7);
        // RFC 6665 §4.2.1.1: 423 is for requests below an hour only, so a longer minimum could not
        // be enforced.
        /// Shortest expiry of a subscription or registration; shorter is refused with 423.
        pub min_expires: Spanned<Interval> = unplaced(Interval::from_secs(60)),
            in Interval::SECOND..=Interval::HOUR;
        /// Shortest expiry of a publication; shorter is refused with 423.
        pub min_publish_expires: Spanned<Interval> = unplaced(Interval::from_secs(1)),
            in Interval::SECOND..=Interval::HOUR;
        /// Longest expiry; longer is shortened.
        pub max_expires: Spanned<Interval> = unplaced(Interval::from_secs(7200)),
            in Interval::SECOND..=Interval::from_days(30);
        /// Whether users without an account may be watched and published for.
        pub open: bool = false;
        /// Whether phones register with us.
        pub registrar: RegistrarKind = RegistrarKind::None;
        /// Offer SHA-256 before MD5.
        pub sha256: bool = false;
        /// Who may watch the whole domain at once: users, patterns, groups.
        pub any_dn: Vec<Spanned<String>> = Vec::new();
        /// Park orbits: `700-709`, `park1`.
        pub orbits: Vec<Spanned<String>> = Vec::new();
        /// The tokens of the page of parked calls: one text or several.
        pub parks_token: Several<Password> = Several::default();
        /// Other names without an account, written like orbits.
        pub resources: Vec<Spanned<String>> = Vec::new();
        /// Voice mail numbers of the domain.
        pub voicemail_pilots: Vec<Spanned<String>> = Vec::new();
        /// What users of the domain are shown of each other's calls, 0 to 3.
        pub privacy: Spanned<u8> = unplaced(3);
        /// How watchers of other domains are handled.
        pub default_handling: HandlingKind = HandlingKind::Allow;
        /// The composition rules.
        pub composition: CompositionKind = CompositionKind::Standard;
        /// What becomes of what a connector reported, while it is not heard.
        pub stale: StaleKind = StaleKind::Keep;
        /// What lamps show of do-not-disturb.
        pub dnd_lamp: DndLampKind = DndLampKind::None;
        /// How long history is kept; none for `[history]` retention.
        pub history_retention: Option<Interval> = None, in HISTORY_RETENTION;
        /// Octets of history; none for `[history]` size.
        pub history_size: Option<Octets> = None, in HISTORY_SIZE;
    }
}

words! {
    /// What this server is to phones that register.
    pub enum RegistrarKind {
        /// Nothing.
        None = "none",
        /// A registrar that routes no calls.
        Presence = "presence",
    }
}

words! {
    /// A composition's name in the file.
    pub enum CompositionKind {
        /// The standard rules.
        Standard = "standard",
        /// W:D2
        Alceo = "alceo",
        /// W:D3
        Imagicle = "imagicle",
    }
}

words! {
    /// What becomes of what a connector reported, while it is not heard.
    pub enum StaleKind {
        /// It is kept for a while, with a mark.
        Keep = "keep",
        /// It is unknown at once.
        Unknown = "unknown",
    }
}

words! {
    /// What a lamp shows of do-not-disturb while there is no call.
    pub enum DndLampKind {
        /// Nothing.
        None = "none",
        /// A call.
        Confirmed = "confirmed",
        /// A ringing call.
        Early = "early",
    }
}

impl DndLampKind {
    /// The type of the engine.
    pub(in crate::config) fn lamp(self) -> DoNotDisturbLamp {
        match self {
            Self::None => DoNotDisturbLamp::None,
            Self::Confirmed => DoNotDisturbLamp::Confirmed,
            Self::Early => DoNotDisturbLamp::Early,
        }
    }
}

words! {
    /// A handling's name in the file.
    pub enum HandlingKind {
        /// Notified of the state.
        Allow = "allow",
        /// Notified of a neutral state.
        PoliteBlock = "polite-block",
        /// Left pending.
        Confirm = "confirm",
        /// Refused.
        Block = "block",
    }
}

words! {
    /// An authentication mode's name in the file.
    pub enum AuthKind {
        /// Digest, except for trusted peers.
        Digest = "digest",
        /// Only trusted peers.
        Trusted = "trusted",
        /// Requests are not authenticated.
        None = "none",
    }
}

keys! {
    /// `[[account]]`: a user with credentials.
    pub struct Account in "[[account]]" {
        /// The user part of the address of record.
        pub user: Spanned<String>;
        /// The domain, by its name or an alias.
        pub domain: Spanned<String>;
        /// The password.
        pub password: Option<Spanned<Password>> = None;
        /// A file with the password in its first line.
        pub password_file: Option<Spanned<Password>> = None;
        /// H(user:domain:password): one text or several, for each algorithm.
        pub ha1: Several<Password> = Several::default();
        /// H(user@domain:domain:password), written like `ha1`.
        pub ha1b: Several<Password> = Several::default();
        /// An argon2id hash, for HTTP alone.
        pub password_hash: Option<Spanned<Password>> = None;
        /// The user name in digest credentials, if it is not the user.
        pub auth_id: Option<Spanned<String>> = None;
        /// Whether it may publish for every user of its domain.
        pub feeder: bool = false;
        /// The user's name.
        pub display: Option<Spanned<String>> = None;
        /// A number at which the user is reachable without being registered.
        pub alternative: Option<Spanned<String>> = None;
        /// The user's own voice mail numbers: one text or several.
        pub voicemail: Several = Several::default();
    }
}

keys! {
    /// `[accounts]`: accounts in a file of their own.
    pub struct Accounts in "[accounts]" {
        /// The file.
        pub file: Option<Spanned<PathBuf>> = None;
    }
}

keys! {
    /// `[[group]]`: a set of users.
    pub struct Group in "[[group]]" {
        /// Its name, and the user part of its list.
        pub name: Spanned<String>;
        /// Its domain.
        pub domain: Spanned<String>;
        /// Who is in it: `sip:` URIs, or users of the domain.
        pub members: Vec<Spanned<String>>;
    }
}

keys! {
    /// `[[list]]`: a resource list.
    pub struct List in "[[list]]" {
        /// The user part of its address.
        pub user: Spanned<String>;
        /// Its domain.
        pub domain: Spanned<String>;
        /// Its name for humans.
        pub name: Option<Spanned<String>> = None;
        /// The owner.
        pub owner: Option<Spanned<String>> = None;
        /// Its members: `sip:` URIs, or users of the domain; lists too.
        pub members: Vec<Spanned<String>>;
        /// How its NOTIFYs are written.
        pub style: StyleKind = StyleKind::Rfc;
    }
}

words! {
    /// A list style's name in the file.
    pub enum StyleKind {
        /// RFC 4662
        Rfc = "rfc",
        /// Always in full.
        Broadworks = "broadworks",
    }
}

keys! {
    /// `[[policy]]`: a rule on who may see what.
    pub struct Policy in "[[policy]]" {
        /// The presentities' domain.
        pub domain: Spanned<String>;
        /// The watcher.
        pub watcher: Spanned<String> = unplaced("anyone".to_owned());
        /// The presentity.
        pub presentity: Spanned<String> = unplaced("*".to_owned());
        /// The event package.
        pub package: Option<Spanned<String>> = None;
        /// How the subscription is handled.
        pub handling: HandlingKind = HandlingKind::Allow;
        /// What is shown of the calls, 0 to 3.
        pub privacy: Option<Spanned<u8>> = None;
    }
}

keys! {
    /// `[[token]]`: a token of the HTTP API.
    pub struct Token in "[[token]]" {
        /// Its name.
        pub name: Spanned<String>;
        /// What its bearer may do.
        pub role: Spanned<RoleKind>;
        /// The domains that it is for; empty for all.
        pub domains: Vec<Spanned<String>> = Vec::new();
        /// The argon2id hash of its secret.
        pub hash: Spanned<Password>;
    }
}

keys! {
    /// `[[feed]]`: how the JSON of a PBX is read.
    pub struct Feed in "[[feed]]" {
        /// Its name, the last part of its path.
        pub name: Spanned<String>;
        /// The domain of its users.
        pub domain: Spanned<String>;
        /// Where the events are in a body.
        pub events: Spanned<String> = unplaced(String::new());
        /// Where the user is in an event.
        pub user: Spanned<String>;
        /// Where the state is in an event.
        pub state: Spanned<String>;
        /// Where the other party is in an event.
        pub party: Option<Spanned<String>> = None;
        /// States that mean ringing.
        pub ringing: Vec<Spanned<String>> = Vec::new();
        /// States that mean in a call.
        pub busy: Vec<Spanned<String>> = Vec::new();
        /// States that mean in no call.
        pub idle: Vec<Spanned<String>> = Vec::new();
        /// States that mean do-not-disturb.
        pub do_not_disturb: Vec<Spanned<String>> = Vec::new();
        /// States that mean neither do-not-disturb nor away.
        pub available: Vec<Spanned<String>> = Vec::new();
        /// States that mean away.
        pub away: Vec<Spanned<String>> = Vec::new();
    }
}

words! {
    /// The name of a role in the file.
    pub enum RoleKind {
        /// Reads state, accounts and lists.
        Reader = "reader",
        /// Reports state as well.
        Feeder = "feeder",
        /// Edits as well.
        DomainAdmin = "domain-admin",
        /// Everything.
        Admin = "admin",
    }
}

/// The role in a table that cannot be read.
impl Default for RoleKind {
    fn default() -> Self {
        Self::Reader
    }
}

impl RoleKind {
    /// The role as the directory has it.
    pub(in crate::config) fn role(self) -> Role {
        match self {
            Self::Reader => Role::Reader,
            Self::Feeder => Role::Feeder,
            Self::DomainAdmin => Role::DomainAdmin,
            Self::Admin => Role::Admin,
        }
    }
}

/// A password, a hash of one, or the name of a file with one; neither `Debug` nor error messages
/// print it. One that cannot be read is empty, so that the account does not seem to have none.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl Value for Password {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::String(text) = found.value() {
            return Some(Self(text.clone().into_owned()));
        }
        found.wrong_secretly("a quoted string: \"change me\"", complainer);
        Some(Self::default())
    }
}

/// A text, or a list of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Several<T = String>(pub Vec<Spanned<T>>);

impl<T> Default for Several<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Value> Value for Several<T> {
    fn read(found: &Found<'_>, complainer: &mut Complainer<'_>) -> Option<Self> {
        if let DeValue::Array(_) = found.value() {
            return Vec::read(found, complainer).map(Self);
        }
        Spanned::read(found, complainer).map(|text| Self(vec![text]))
    }
}
