//! The domain: presentities, the contributions of their sources, the composed state, and its
//! documents.
//!
//! Knows no SIP message, no socket, no clock (`now` is an argument). The only home of XML is
//! [`document`].
//!
//! # Modules, each depending only on those above it
//! - [`aor`]: the key of a presentity. `fixed_hash`: hashes that are equal in every process.
//! - [`event`]: the packages, how long a subscription lasts and why it ends, watchers, lists.
//! - [`policy`]: who may see what.
//! - [`call`]: call legs, and the appearances of a shared line.
//! - [`source`]: who states something about a presentity, and what can be stated.
//! - [`registration`]: the contacts at which a user is registered.
//! - [`profile`]: what a family of User-Agents needs.
//! - [`composition`]: merges all statements into one state, and explains the result.
//! - renders that state and parses PUBLISH bodies.
//! - [`presentity`]: a presentity's contributions over time; what a PUBLISH does to them.

pub(crate) mod fixed_hash;

pub mod aor;
pub mod call;
pub mod composition;
pub mod document;
pub mod event;
pub mod policy;
pub mod presentity;
pub mod profile;
pub mod registration;
pub mod source;

pub use aor::Aor;
pub use call::CallDialog;
pub use composition::Composed;
pub use presentity::Presentity;
