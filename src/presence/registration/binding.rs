//! What a phone requests of its registrar (RFC 3261 §10).

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A contact that a REGISTER binds to its user, and for how long (RFC 3261 §10.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its URI.
    pub uri: Box<str>,
    /// How long; zero removes it.
    pub expires: Duration,
    /// The parameters that the 200 repeats, `q` and `+sip.instance`, each with a leading semicolon.
    pub parameters: Box<str>,
}

/// The position of a REGISTER among those of its phone (RFC 3261 §10.2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    /// A hash of its Call-ID.
    pub call_id: u64,
    /// Its CSeq.
    pub number: u32,
}

/// The effect of a REGISTER on a user's bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingChange {
    /// None: the REGISTER queries the bindings.
    Query,
    /// Each of these is bound.
    Bind(Vec<Binding>),
    /// All bindings are removed.
    Clear,
}

/// Why a REGISTER changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingRefused {
    /// A later REGISTER with this Call-ID has already been applied.
    OutOfOrder,
    /// The user would have more than [`crate::presence::registration::CONTACTS_MAX`].
    TooManyContacts,
    /// There is no room for more contacts or users.
    OverLimit,
}
