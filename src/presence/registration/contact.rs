//! One contact, as watchers of `reg` are told of it (RFC 3680 §5.2).

/// What last happened to a contact that is registered (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEvent {
    /// It is new.
    Registered,
    /// Its life was prolonged.
    Refreshed,
    /// Its life was cut short.
    Shortened {
        /// Seconds that were left to it then.
        expires: u64,
    },
}

/// Why a contact is not registered any more (RFC 3680 §5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContactEnd {
    /// Its time was over.
    Expired,
    /// The registrar took it away.
    Deactivated,
    /// The phone took it away.
    Unregistered,
    /// The user may not be registered any more.
    Rejected,
}

/// A contact that is not registered any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents gave it.
    pub id: u64,
    /// Why.
    pub end: ContactEnd,
}

/// One contact that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisteredContact {
    /// Its URI.
    pub uri: Box<str>,
    /// The `id` its documents give it: stable for the life of the contact.
    pub id: u64,
    /// The last thing that happened to it. When it ends is not told unless that was cut short:
    /// watchers of a contact that is refreshed again and again need not hear of it again and again.
    pub event: ContactEvent,
}
