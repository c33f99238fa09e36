//! Logs: lines on standard error, filtered by `LAMPLIGHTER_LOG`.
//!
//! Levels: one line per message is TRACE; a line that names a watcher and a presentity is DEBUG at
//! most; INFO and above name addresses of listeners, numbers and reasons, never users.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The environment variable with the filter: `debug`, `info,lamplighter::net=trace`.
pub const FILTER_VARIABLE: &str = "LAMPLIGHTER_LOG";
/// The filter without that variable. The executor warns at every start that it could not pin its
/// buffers; that is expected with the usual memlock limit, so it is heard only from `error`.
const FILTER_DEFAULT: &str = "info,glommio=error";

/// Starts logging. A filter that cannot be read is reported and replaced by the default. Calling it
/// twice changes nothing.
pub fn start() {
    let wanted = std::env::var(FILTER_VARIABLE)
        .ok()
        .filter(|filter| !filter.trim().is_empty());
    let (filter, refused) = filter(wanted.as_deref());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    if started.is_ok()
        && let Some(reason) = refused
    {
        tracing::warn!(%reason, "{FILTER_VARIABLE} is not a valid filter, using `{FILTER_DEFAULT}`");
    }
}

fn filter(wanted: Option<&str>) -> (EnvFilter, Option<String>) {
    match wanted.map(EnvFilter::try_new) {
        Some(Ok(filter)) => (filter, None),
        Some(Err(error)) => (EnvFilter::new(FILTER_DEFAULT), Some(error.to_string())),
        None => (EnvFilter::new(FILTER_DEFAULT), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_is_reported_and_replaced() {
        let (kept, refused) = filter(Some("lamplighter=loudly"));
        assert!(refused.is_some());
        assert_eq!(kept.to_string(), filter(None).0.to_string());
        assert!(filter(Some("debug")).1.is_none());
    }
}
