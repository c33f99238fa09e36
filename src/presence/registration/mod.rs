//! Where a user is registered (RFC 3680): contacts that the user's phones bind where we are the
//! registrar, and contacts learned from a registrar's REGISTER requests and `reg` documents.

mod binding;
mod contact;
mod registrations;

pub use binding::Binding;
pub use binding::BindingChange;
pub use binding::BindingRefused;
pub use binding::Sequence;
pub use contact::ContactEnd;
pub use contact::ContactEvent;
pub use contact::EndedContact;
pub use contact::RegisteredContact;

pub(crate) use registrations::Registration;
pub(crate) use registrations::Registrations;
pub(crate) use registrations::Reporter;

/// Contacts of one presentity; one more is ignored.
pub const CONTACTS_MAX: usize = 16;
/// Octets of a contact's URI. Every reader of a URI from outside refuses a longer one.
pub const URI_OCTETS_MAX: usize = 1024;
