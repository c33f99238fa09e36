//! Contributions: one source's named, expiring statement about a presentity (DESIGN §3).

use std::sync::Arc;
use std::time::Instant;

use crate::presence::call::CallDialog;

/// Who says it. The name is what `lamplighter why` prints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A PUBLISH of the dialog package, by its current entity tag: `publish:<etag>`.
    Publish(EntityTag),
    /// A PUBLISH of the presence package: `client:<etag>`.
    Client(EntityTag),
    /// `call_state.htm`: `http:call_state`.
    CallState,
}

/// A SIP-ETag of ours (RFC 3903 §6): unguessable, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(pub u128);

impl EntityTag {
    /// As it goes over the wire: 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_token(self) -> [u8; 32] {
        todo!()
    }

    /// What a SIP-If-Match names; None when it can be none of ours.
    #[must_use]
    pub fn from_token(token: &[u8]) -> Option<Self> {
        todo!()
    }
}

/// What a rich-presence source says (PIDF with RPID; W:B2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// `basic` of its tuples: open iff any is. None when it says nothing.
    pub open: Option<bool>,
    /// RPID activities by their element names, in document order, without duplicates.
    pub activities: Vec<Box<str>>,
    /// The note: person notes before tuple notes (W:B2.7).
    pub note: Option<Box<str>>,
}

/// One source's statement, for `lamplighter why`.
#[derive(Clone, Debug)]
pub struct Explained {
    /// The source's name: `publish:5f3c...`, `http:call_state`.
    pub source: String,
    /// In words: `early recipient from sip:12@abc.com`, `open, away: lunch`.
    pub says: String,
    /// When it was said.
    pub since: Instant,
    /// When it ends by itself.
    pub until: Instant,
    /// Whether the composed state follows it.
    pub decides: bool,
}

/// A set of live call legs shared by reference.
pub type Calls = smallvec::SmallVec<[Arc<CallDialog>; 2]>;
