//! Where a user is registered (RFC 3680): contacts that the user's phones bind where we are the
//! registrar, and contacts learned from a registrar's REGISTER requests and `reg` documents.

mod binding;
mod contact;
mod registrations;

pub use binding::{Binding, BindingChange, BindingRefused, Sequence};
pub use contact::{ContactEnd, ContactEvent, EndedContact, RegisteredContact};

pub(crate) use registrations::{Registration, Registrations, Reporter};

/// Contacts of one presentity; one more is ignored.
pub const CONTACTS_MAX: usize = 16;
/// Octets of a contact's URI. Every reader of a URI from outside refuses a longer one.
pub const URI_OCTETS_MAX: usize = 1024;
