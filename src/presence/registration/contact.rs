//! One contact, as reported to watchers of `reg` (RFC 3680 §5.2).

use serde::{Deserialize, Serialize};

/// The last event of a registered contact (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContactEvent {
    /// It is new.
    Registered,
    /// Its registration was prolonged.
    Refreshed,
    /// Its registration was shortened.
    Shortened {
        /// The remaining seconds at that time.
        expires: u64,
    },
}

/// Why a contact is no longer registered (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ContactEnd {
    /// It expired.
    Expired,
    /// The registrar removed it.
    Deactivated,
    /// The phone removed it.
    Unregistered,
    /// The user is no longer allowed to register.
    Rejected,
}

/// A contact that is no longer registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedContact {
    /// Its URI.
    pub uri: Box<str>,
    /// Its `id` in the documents.
    pub id: u64,
    /// The reason.
    pub end: ContactEnd,
}

/// One registered contact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredContact {
    /// Its URI.
    pub uri: Box<str>,
    /// Its `id` in the documents: stable for as long as the contact is registered.
    pub id: u64,
    /// Its last event. Its expiry is part of the event only if it was shortened: a refresh must not
    /// notify watchers.
    pub event: ContactEvent,
}
