//! Logs: lines on standard error, as text or JSON, or entries of systemd's journal, filtered by
//! `LAMPLIGHTER_LOG` or, while the process runs, as the operator says.
//!
//! Without `LAMPLIGHTER_LOG_FORMAT`, it is the journal if standard error goes there anyway: the fields of an
//! event are then fields of its entry. Otherwise it is text.
//!
//! Levels: one line per message is TRACE; a line that names a watcher or a presentity is DEBUG at
//! most; INFO and above name addresses, numbers and reasons, but no user (`tests/architecture/logs.rs`).
//! Exceptions: a wrong password is logged with the user, for fail2ban and for an operator who helps that user;
//! and a fault of the configuration quotes the configuration. No level shows a secret.

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::telemetry::journal::{Journal, SOCKET};

/// The environment variable with the filter: `debug`, `info,lamplighter::net=trace`.
pub const FILTER_VARIABLE: &str = "LAMPLIGHTER_LOG";
/// The environment variable with the format: `text`, `json` for one object a line, or `journal`.
pub const FORMAT_VARIABLE: &str = "LAMPLIGHTER_LOG_FORMAT";
/// The filter without that variable. The executor warns at every start that it could not pin its
/// buffers; that is expected with the usual memlock limit, so it is heard only from `error`.
const FILTER_DEFAULT: &str = "info,glommio=error";

/// The environment variable by which systemd names the stream that it connects to the journal (systemd.exec(5)).
const STREAM_VARIABLE: &str = "JOURNAL_STREAM";

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
    let wanted = of_environment(FORMAT_VARIABLE);
    let stream = of_environment(STREAM_VARIABLE);
    let (format, complaint) = format(wanted.as_deref(), is_standard_error(stream.as_deref()));
    let text = filter.to_string();
    let (filter, handle) = reload::Layer::new(filter);
    let (layer, is_unreachable) = layer(format);
    let started = tracing_subscriber::registry()
        .with(filter)
        .with(layer)
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
    if let Some(complaint) = complaint {
        tracing::warn!(format = wanted, "{complaint}");
    }
    if let Some(error) = is_unreachable {
        tracing::warn!(%error, socket = SOCKET, "the journal cannot be reached, using text");
    }
}

/// How events are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Text,
    Json,
    Journal,
}

/// The format that the environment names, or else the one that fits standard error; and what is wrong with that name.
fn format(wanted: Option<&str>, is_journal: bool) -> (Format, Option<String>) {
    match wanted {
        Some("text") => (Format::Text, None),
        Some("json") => (Format::Json, None),
        Some("journal") => (Format::Journal, None),
        None if is_journal => (Format::Journal, None),
        None => (Format::Text, None),
        Some(_) => {
            let complaint = format!("{FORMAT_VARIABLE} is none of text, json, journal; using text");
            (Format::Text, Some(complaint))
        }
    }
}

/// Whether standard error is this stream, which systemd writes as device and inode. A process that was
/// started with another standard error may have inherited the variable.
fn is_standard_error(stream: Option<&str>) -> bool {
    let is_it = || {
        let (device, inode) = stream?.split_once(':')?;
        let named: (u64, u64) = (device.parse().ok()?, inode.parse().ok()?);
        let own = std::io::stderr().as_fd().try_clone_to_owned().ok()?;
        let own = File::from(own).metadata().ok()?;
        Some(named == (own.dev(), own.ino()))
    };
    is_it().unwrap_or(false)
}

/// What writes events, and why it is not the journal if it should be.
fn layer<S>(format: Format) -> (Box<dyn Layer<S> + Send + Sync>, Option<std::io::Error>)
where
    S: tracing::Subscriber + for<'l> tracing_subscriber::registry::LookupSpan<'l>,
{
    match format {
        Format::Text => (lines(false), None),
        Format::Json => (lines(true), None),
        Format::Journal => match Journal::at(Path::new(SOCKET)) {
            Ok(journal) => (journal.boxed(), None),
            Err(error) => (lines(false), Some(error)),
        },
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

    #[test]
    fn the_journal_is_chosen_if_standard_error_goes_there() {
        assert_eq!(format(None, true).0, Format::Journal);
        assert_eq!(format(None, false).0, Format::Text);
        for is_journal in [true, false] {
            assert_eq!(format(Some("text"), is_journal), (Format::Text, None));
            assert_eq!(format(Some("json"), is_journal), (Format::Json, None));
            assert_eq!(format(Some("journal"), is_journal), (Format::Journal, None));
            let (format, complaint) = format(Some("xml"), is_journal);
            assert!(format == Format::Text && complaint.is_some());
        }
    }

    #[test]
    fn standard_error_is_known_by_device_and_inode() {
        let own = std::fs::metadata("/proc/self/fd/2").expect("standard error");
        let named = |device: u64, inode: u64| is_standard_error(Some(&format!("{device}:{inode}")));
        assert!(named(own.dev(), own.ino()));
        assert!(!named(own.dev(), own.ino() + 1) && !named(own.dev() + 1, own.ino()));
        for wrong in [None, Some(""), Some("1"), Some("a:b"), Some("-1:-1")] {
            assert!(!is_standard_error(wrong), "{wrong:?}");
        }
    }
}
