//! The domain: who is watched, what the sources say, what it adds up to, and how that reads as a
//! document.
//!
//! Knows no SIP message, no socket, no clock (`now` is an argument). The only home of XML is
//! [`document`].

mod call_set;
pub(crate) mod fixed_hash;
mod leg_key;
mod tombstone;

pub mod aor;
pub mod appearance;
pub mod call;
pub mod composition;
pub mod contribution;
pub mod document;
pub mod features;
pub mod list;
pub mod messages;
pub mod policy;
pub mod presentity;
pub mod profile;
pub mod publication;
pub mod registration;
pub mod rules;
pub mod specific_dialog;
pub mod statement;
pub mod subscription;
pub mod watcher;

pub use aor::Aor;
pub use call::CallDialog;
pub use composition::Composed;
pub use presentity::Presentity;
