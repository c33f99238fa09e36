//! The tables of a tenant: `[[domain]]` and what is of a domain.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use toml::Spanned;

use crate::config::quantity::Interval;
use crate::config::schema::unplaced;

/// `[[domain]]`: one tenant.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name, the realm of its challenges: a DNS name or an IP address.
    pub name: Spanned<String>,
    /// Other names that mean the same.
    #[serde(default)]
    pub aliases: Vec<Spanned<String>>,
    /// How requests prove who they are from.
    #[serde(default)]
    pub auth: AuthKind,
    /// Addresses and networks that are believed without a digest.
    #[serde(default)]
    pub trusted: Vec<Spanned<String>>,
    /// Whether the number given to call_state.htm is told to watchers.
    #[serde(default)]
    pub reveal_number: bool,
    /// Longest and default life of a call_state.htm statement.
    #[serde(default = "Domain::max_call_duration")]
    pub max_call_duration: Spanned<Interval>,
    /// Shortest expiry of a subscription; shorter is refused with 423.
    #[serde(default = "Domain::min_expires")]
    pub min_expires: Spanned<Interval>,
    /// Shortest expiry of a publication; shorter is refused with 423.
    #[serde(default = "Domain::min_publish_expires")]
    pub min_publish_expires: Spanned<Interval>,
    /// Longest expiry; longer is shortened.
    #[serde(default = "Domain::max_expires")]
    pub max_expires: Spanned<Interval>,
    /// Whether addresses without an account may be watched and published.
    #[serde(default)]
    pub open: bool,
    /// Offer SHA-256 before MD5.
    #[serde(default)]
    pub sha256: bool,
    /// Who may watch everything at once: users, patterns, groups.
    #[serde(default)]
    pub any_dn: Vec<Spanned<String>>,
    /// Park orbits: `700-709`, `park1`.
    #[serde(default)]
    pub orbits: Vec<Spanned<String>>,
    /// Other names without an account, written alike.
    #[serde(default)]
    pub resources: Vec<Spanned<String>>,
    /// Numbers that mean voice mail to everybody.
    #[serde(default)]
    pub voicemail_pilots: Vec<Spanned<String>>,
    /// What its own people are shown of each other's calls, 0 to 3.
    #[serde(default = "Domain::privacy")]
    pub privacy: Spanned<u8>,
    /// What becomes of watchers from elsewhere.
    #[serde(default)]
    pub default_handling: HandlingKind,
    /// Whose rules make the composed state.
    #[serde(default)]
    pub composition: CompositionKind,
}

/// A composition's name in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CompositionKind {
    /// Ours.
    #[default]
    Standard,
    /// W:D2
    Alceo,
    /// W:D3
    Imagicle,
}

/// A handling's name in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HandlingKind {
    /// Told.
    #[default]
    Allow,
    /// Told a state that says nothing.
    PoliteBlock,
    /// Left waiting.
    Confirm,
    /// Refused.
    Block,
}

/// An authentication mode's name in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthKind {
    /// A digest, but for trusted addresses.
    #[default]
    Digest,
    /// Trusted addresses alone.
    Trusted,
    /// Everybody is believed.
    None,
}

/// `[[account]]`: somebody with credentials.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    /// The user part of the address of record.
    pub user: Spanned<String>,
    /// The domain, by its name or an alias.
    pub domain: Spanned<String>,
    /// The password.
    pub password: Spanned<Password>,
    /// Whether it may publish for everybody of its domain.
    #[serde(default)]
    pub feeder: bool,
    /// The user's name.
    #[serde(default)]
    pub display: Option<Spanned<String>>,
    /// A number at which the user is reachable without being registered.
    #[serde(default)]
    pub alternative: Option<Spanned<String>>,
    /// The user's own voice mail numbers: one text or several.
    #[serde(default, deserialize_with = "one_or_many")]
    pub voicemail: Vec<Spanned<String>>,
}

/// `[[group]]`: people who belong together.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, and the user part of its list.
    pub name: Spanned<String>,
    /// Its domain.
    pub domain: Spanned<String>,
    /// Who is in it: `sip:` URIs, or users of the domain.
    pub members: Vec<Spanned<String>>,
}

/// `[[list]]`: a resource list.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The user part of its address.
    pub user: Spanned<String>,
    /// Its domain.
    pub domain: Spanned<String>,
    /// Its name for humans.
    #[serde(default)]
    pub name: Option<Spanned<String>>,
    /// Whose list it is.
    #[serde(default)]
    pub owner: Option<Spanned<String>>,
    /// Its members: `sip:` URIs, or users of the domain; lists too.
    pub members: Vec<Spanned<String>>,
    /// How it is told.
    #[serde(default)]
    pub style: StyleKind,
}

/// A list style's name in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StyleKind {
    /// RFC 4662
    #[default]
    Rfc,
    /// Always in full.
    Broadworks,
}

/// `[[policy]]`: a rule on who may see what.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The domain of those who are watched.
    pub domain: Spanned<String>,
    /// Who watches.
    #[serde(default = "Policy::anyone")]
    pub watcher: Spanned<String>,
    /// Who is watched.
    #[serde(default = "Policy::anybody")]
    pub presentity: Spanned<String>,
    /// The event package.
    #[serde(default)]
    pub package: Option<Spanned<String>>,
    /// What becomes of the subscription.
    #[serde(default)]
    pub handling: HandlingKind,
    /// What is shown of the calls, 0 to 3.
    #[serde(default)]
    pub privacy: Option<Spanned<u8>>,
}

impl Policy {
    fn anyone() -> Spanned<String> {
        unplaced("anyone".to_owned())
    }

    fn anybody() -> Spanned<String> {
        unplaced("*".to_owned())
    }
}

/// A password: shown by nothing, neither by `Debug` nor by the parser's complaints.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)
            .map(Self)
            .map_err(|_| de::Error::custom("invalid value: a password must be a text in quotes"))
    }
}

impl Domain {
    fn max_call_duration() -> Spanned<Interval> {
        unplaced(Interval::from_secs(7200))
    }

    fn min_expires() -> Spanned<Interval> {
        unplaced(Interval::from_secs(60))
    }

    fn min_publish_expires() -> Spanned<Interval> {
        unplaced(Interval::from_secs(1))
    }

    fn max_expires() -> Spanned<Interval> {
        unplaced(Interval::from_secs(7200))
    }

    fn privacy() -> Spanned<u8> {
        unplaced(3)
    }
}

/// A text, or an array of texts.
fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Spanned<String>>, D::Error> {
    /// Told apart by `serde` itself; the place is that of the whole value.
    #[derive(Deserialize)]
    #[serde(
        untagged,
        expecting = "invalid value: expected a text, or an array of texts"
    )]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }

    let value = Spanned::<OneOrMany>::deserialize(deserializer)?;
    let place = value.span();
    Ok(match value.into_inner() {
        OneOrMany::One(text) => vec![Spanned::new(place, text)],
        OneOrMany::Many(texts) => texts
            .into_iter()
            .map(|text| Spanned::new(place.clone(), text))
            .collect(),
    })
}
