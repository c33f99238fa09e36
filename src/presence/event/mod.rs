//! The event framework (RFC 6665), as the domain sees it: event packages, granted expiry,
//! termination reasons, watchers (RFC 3857), and resource lists (RFC 4662).

mod expiry;
mod package;
mod termination;
mod watcher;

pub mod list;

pub use expiry::{ExpiryLimits, TooBrief};
pub use package::Package;
pub use termination::Termination;
pub use watcher::{WatcherEvent, WatcherInfo, WatcherStatus};
