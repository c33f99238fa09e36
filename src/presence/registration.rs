//! Where a user is registered (RFC 3680; W:B7.4): contacts learned from REGISTER requests of
//! trusted peers and from `reg` documents.

use std::time::Instant;

/// What last happened to a contact (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEvent {
    /// It is new.
    Registered,
    /// Somebody said so without a REGISTER.
    Created,
    /// Its life was prolonged.
    Refreshed,
    /// Its life was cut short.
    Shortened,
    /// It ran out.
    Expired,
    /// The registrar took it away and wants it back at once.
    Deactivated,
    /// The registrar took it away for a while.
    Probation,
    /// Its user took it away.
    Unregistered,
    /// The registrar does not want it.
    Rejected,
}

/// One contact that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents give it: stable for the life of the contact.
    pub id: u64,
    /// The last thing that happened to it.
    pub event: ContactEvent,
    /// When it ends unless said again.
    pub until: Instant,
}
