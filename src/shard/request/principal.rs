//! The authenticated origin of a request.

/// Who sent a request, as far as authentication shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    /// A user of the domain, authenticated by digest.
    User(String),
    /// Not authenticated, but believed: a trusted address, or a domain with `auth = "none"`.
    Believed,
}
