//! The domain: presentities, what their sources report, how it is composed into one state, and how
//! that state is written as a document.
//!
//! It knows no SIP message, no socket, no clock (`now` is an argument). XML is read and written
//! only in [`document`].
//!
//! # Modules, each depending only on those above it
//! - [`aor`]: the key of a presentity. `fixed_hash`: hashes that are equal in every process.
//! - [`history`]: a query of past states, and its answer.
//! - `wall_clock`: the engine's times in records that outlive the process.
//! - [`event`]: the packages, the granted expiry, termination reasons, watchers, lists.
//! - [`policy`]: what a watcher is allowed to see.
//! - [`call`]: call legs, and the appearances of a shared line.
//! - [`source`]: the sources of contributions, and what each can report.
//! - [`registration`]: the contacts at which a user is registered.
//! - [`profile`]: what a family of User-Agents needs.
//! - [`composition`]: merges all contributions into one state, and explains what decided.
//! - [`document`]: writes that state as a body, and reads the bodies of PUBLISH.
//! - [`presentity`]: a presentity's contributions over time; the effect of a PUBLISH on them.

pub(crate) mod fixed_hash;

pub mod aor;
pub mod call;
pub mod composition;
pub mod document;
pub mod elsewhere;
pub mod event;
pub mod history;
pub mod origin;
pub mod policy;
pub mod presentity;
pub mod profile;
pub mod registration;
pub mod source;
pub mod wall_clock;

pub use aor::{Aor, DataSubject};
pub use call::CallDialog;
pub use composition::Composed;
pub use presentity::Presentity;
