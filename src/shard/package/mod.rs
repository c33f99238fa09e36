//! Event packages that need more than a presentity's state: watchers, line appearances, features,
//! mailboxes.

pub(crate) mod feature_event;
pub(crate) mod message_summary;
pub(crate) mod watcher_report;
pub(crate) mod winfo;
