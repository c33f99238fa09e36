//! Resolved resource lists (RFC 4662): one flat, ordered set of members, however many lists were
//! nested in it.
//!
//! The directory resolves them; a list in the body of a SUBSCRIBE (RFC 5367) is resolved as well.
//! No member occurs twice, and the order changes only by an edit: phones assign their keys in this
//! order (W:C1.3).

use serde::{Deserialize, Serialize};

use crate::presence::Aor;

/// How the NOTIFYs of a list are written (W:B5.19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ListStyle {
    /// As in RFC 4662: first the full state, then changes.
    #[default]
    Rfc,
    /// Always the full state, one document per member.
    Broadworks,
}

/// A list as stored by the operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredList {
    /// The display name.
    pub name: Option<Box<str>>,
    /// How its state is sent to watchers.
    pub style: ListStyle,
    /// The owner. A policy with the condition `listed` for the owner matches the members of the
    /// list.
    pub owner: Option<Aor>,
    /// The members as stored: nested lists are not expanded, and no member occurs twice. `name` is
    /// the display name of a member, if the list gives one.
    pub members: Vec<Member>,
}

/// A list with its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Its display name; empty if it has none.
    pub name: Box<str>,
    /// How its NOTIFYs are written.
    pub style: ListStyle,
    /// Its members in order; at most [`MEMBERS_MAX`], except in `any-dn`.
    pub members: Vec<Member>,
    /// Members that join and leave as their state changes; they follow the other members.
    pub rosters: Vec<Roster>,
}

impl Resolved {
    /// Returns whether it lists every user of a domain, which needs a permission (W:D4.9).
    #[must_use]
    pub fn has_whole_domain(&self) -> bool {
        self.rosters
            .iter()
            .any(|roster| roster.kind == RosterKind::AnyDn)
    }
}

/// Maximum members of one list in the configuration, including those of nested lists (RFC 4662
/// §4.4).
pub const MEMBERS_MAX: usize = 10_000;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// `sip:user@host`: the host as written, in lower case; no port, no parameter.
    pub uri: Box<str>,
    /// The presentity it names; None for a user of a foreign domain (RFC 5367).
    pub aor: Option<Aor>,
    /// The label of a key (W:B5.7): the name of its account, otherwise its user part.
    pub name: Box<str>,
}

impl Member {
    /// Returns whether it names `other`.
    #[must_use]
    pub fn is(&self, other: &Aor) -> bool {
        match &self.aor {
            Some(aor) => aor == other,
            None => self.uri.strip_prefix("sip:") == Some(other.as_str()),
        }
    }
}

/// Presentities that are members while they are present.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roster {
    /// The domain of the presentities.
    pub domain: Box<str>,
    /// Which presentities of the domain.
    pub kind: RosterKind,
}

/// Which presentities are members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RosterKind {
    /// Every extension, filled orbit and line (W:D4.2).
    AnyDn,
    /// Orbits with a call parked in them (W:D4.10).
    Parked,
}
