//! One contact, as watchers of `reg` are told of it (RFC 3680 §5.2).

use serde::{Deserialize, Serialize};

/// What last happened to a registered contact (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContactEvent {
    /// It is new.
    Registered,
    /// Its registration was prolonged.
    Refreshed,
    /// Its registration was shortened.
    Shortened {
        /// Seconds that it had left then.
        expires: u64,
    },
}

/// Why a contact is not registered any more (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContactEnd {
    /// It expired.
    Expired,
    /// The registrar removed it.
    Deactivated,
    /// The phone removed it.
    Unregistered,
    /// The user may not be registered any more.
    Rejected,
}

/// A contact that is not registered any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents gave it.
    pub id: u64,
    /// Why.
    pub end: ContactEnd,
}

/// One contact that is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents give it: stable for the life of the contact.
    pub id: u64,
    /// The last thing that happened to it. Its expiry is part of the event only when it was
    /// shortened: a refresh must not notify watchers.
    pub event: ContactEvent,
}
