//! Resource lists, resolved (RFC 4662; W:B5): one flat, ordered set of members, whatever lists the
//! operator made it of.
//!
//! Who makes one is `shard::directory`; a list that a SUBSCRIBE brings along (RFC 5367) becomes one
//! too. No member is there twice, and the order never changes without an edit: phones lay out their
//! keys by it (W:C1.3).

use crate::presence::Aor;

/// How a list is told (W:B5.19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ListStyle {
    /// As RFC 4662 says: everything, then what changed.
    #[default]
    Rfc,
    /// Always everything, one document a member.
    Broadworks,
}

/// A list as it is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Its name for humans; empty when its operator gave it none, and its URI says it all.
    pub name: Box<str>,
    /// How it is told.
    pub style: ListStyle,
    /// Its members in order; at most [`MEMBERS_MAX`], but for `any-dn`.
    pub members: Vec<Member>,
    /// Members that come and go by themselves, behind the others.
    pub rosters: Vec<Roster>,
}

impl Resolved {
    /// Whether it is everybody of a domain, for which one needs permission (W:D4.9).
    #[must_use]
    pub fn is_of_everybody(&self) -> bool {
        self.rosters
            .iter()
            .any(|roster| roster.kind == RosterKind::AnyDn)
    }
}

/// Members of one list that the operator wrote down, nested ones counted in (W:B5.12).
pub const MEMBERS_MAX: usize = 10_000;

/// One member.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Member {
    /// `sip:user@host`: the host as it was written, in lower case; no port, no parameter.
    pub uri: Box<str>,
    /// Whom it means; None for somebody of a domain that is not ours (W:B5.15).
    pub aor: Option<Aor>,
    /// What a key shows (W:B5.7): the name of its account, else its user part.
    pub name: Box<str>,
}

impl Member {
    /// Whether it means him.
    #[must_use]
    pub fn is(&self, somebody: &Aor) -> bool {
        match &self.aor {
            Some(aor) => aor == somebody,
            None => self.uri.strip_prefix("sip:") == Some(somebody.as_str()),
        }
    }
}

/// Presentities that are members while they have something to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Roster {
    /// Of which domain.
    pub domain: Box<str>,
    /// Which of them.
    pub kind: RosterKind,
}

/// What makes a presentity a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RosterKind {
    /// It is there: every extension, filled orbit and line (W:D4.2).
    AnyDn,
    /// It is an orbit, and a call is parked in it (W:D4.10).
    Parked,
}
