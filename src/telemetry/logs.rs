//! Logs: lines on standard error, as text or JSON, filtered by `LAMPLIGHTER_LOG` or, while the process runs,
//! as the operator says.
//!
//! Levels: one line per message is TRACE; a line that names a watcher and a presentity is DEBUG at
//! most; INFO and above name addresses of listeners, numbers and reasons, never users.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// The environment variable with the filter: `debug`, `info,lamplighter::net=trace`.
pub const FILTER_VARIABLE: &str = "LAMPLIGHTER_LOG";
/// The environment variable with the format: `text`, or `json` for one object a line.
pub const FORMAT_VARIABLE: &str = "LAMPLIGHTER_LOG_FORMAT";
/// The filter without that variable. The executor warns at every start that it could not pin its
/// buffers; that is expected with the usual memlock limit, so it is heard only from `error`.
const FILTER_DEFAULT: &str = "info,glommio=error";

/// The filter of this process, once logging has started.
static STARTED: OnceLock<Started> = OnceLock::new();

#[derive(Debug)]
struct Started {
    /// The filter that logging started with.
    filter: String,
    handle: Handle<EnvFilter, Registry>,
}

/// Starts logging. A filter or format that cannot be read is reported and replaced by the default. Calling
/// it twice changes nothing.
pub fn start() {
    let of_environment = |name| {
        let value = std::env::var(name).ok();
        value.filter(|value: &String| !value.trim().is_empty())
    };
    let (filter, refused) = filter(of_environment(FILTER_VARIABLE).as_deref());
    let format = of_environment(FORMAT_VARIABLE);
    let text = filter.to_string();
    let (filter, handle) = reload::Layer::new(filter);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(lines(format.as_deref() == Some("json")))
        .try_init();
    if started.is_err() {
        return;
    }
    let _first = STARTED.set(Started {
        filter: text,
        handle,
    });
    if let Some(reason) = refused {
        tracing::warn!(%reason, "{FILTER_VARIABLE} is not a valid filter, using `{FILTER_DEFAULT}`");
    }
    if let Some(format) = format.filter(|format| format != "json" && format != "text") {
        tracing::warn!(
            format,
            "{FORMAT_VARIABLE} is neither text nor json, using text"
        );
    }
}

/// How lines are written.
fn lines<S>(is_json: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'l> tracing_subscriber::registry::LookupSpan<'l>,
{
    let lines = fmt::layer().with_writer(std::io::stderr);
    match is_json {
        true => lines.json().flatten_event(true).boxed(),
        false => {
            let is_terminal = std::io::stderr().is_terminal();
            lines.with_ansi(is_terminal).with_target(false).boxed()
        }
    }
}

/// The filter in force; empty if logging has not started.
#[must_use]
pub fn filter_in_force() -> String {
    let current = STARTED.get().and_then(|started| {
        let current = started.handle.with_current(EnvFilter::to_string);
        current.ok()
    });
    current.unwrap_or_default()
}

/// Puts another filter in force, until the process ends. `default` is the one that logging started with.
///
/// # Errors
/// It cannot be read; why.
pub fn set_filter(filter: &str) -> Result<(), String> {
    let Some(started) = STARTED.get() else {
        return Err("nothing is logged".to_owned());
    };
    let filter = match filter.trim() {
        "" => return Err("it is empty".to_owned()),
        "default" => &started.filter,
        filter => filter,
    };
    let filter = EnvFilter::try_new(filter).map_err(|error| error.to_string())?;
    let replaced = started.handle.reload(filter);
    replaced.map_err(|error| error.to_string())
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
