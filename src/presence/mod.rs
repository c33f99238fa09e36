//! The domain: who is watched, what the sources say, what it adds up to, and how that reads as a
//! document.
//!
//! Knows no SIP message, no socket, no clock (`now` is an argument). The only home of XML is
//! [`document`].
//!
//! # Rooms, each using only those above it
//! - [`aor`]: the key of a presentity. `fixed_hash`: hashes that are equal in every process.
//! - [`wall_clock`]: the engine's times in records that outlive the process.
//! - [`event`]: the packages, how long a subscription lasts and why it ends, watchers, lists.
//! - [`policy`]: who may see what.
//! - [`call`]: call legs, and the appearances of a shared line.
//! - [`source`]: who states something about a presentity, and what can be stated.
//! - [`registration`]: the contacts at which a user is registered.
//! - [`profile`]: what a family of User-Agents needs.
//! - [`composition`]: all statements made one state, and what decided.
//! - [`document`]: that state written as a body, and the bodies of PUBLISH read.
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
pub mod wall_clock;

pub use aor::Aor;
pub use call::CallDialog;
pub use composition::Composed;
pub use presentity::Presentity;
