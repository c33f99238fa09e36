//! Registrations (RFC 3680): contacts that the user's phones bind if we are the registrar, and
//! contacts learned from a registrar's REGISTER requests and `reg` documents.

mod binding;
mod contact;
mod registrations;

pub use binding::{Binding, BindingChange, BindingRefused, Sequence};
pub use contact::{ContactEnd, ContactEvent, EndedContact, RegisteredContact};

pub(crate) use registrations::{Registration, Registrations, Reporter};

/// Maximum contacts of one presentity; one more is ignored.
pub const CONTACTS_MAX: usize = 16;
/// Maximum length of a contact's URI. Every parser of a URI received from outside refuses a longer
/// one.
pub const URI_OCTETS_MAX: usize = 1024;
