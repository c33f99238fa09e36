//! Accepting connections, serving each, and finding the page of a request.

pub(crate) mod dispatch;
mod host;
mod io;
pub(crate) mod listener;
