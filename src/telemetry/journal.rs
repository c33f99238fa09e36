//! Entries of systemd's journal, by its own protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL): a datagram for each
//! event.
//!
//! The fields of an event become fields of the entry, in upper case: `address` is `ADDRESS`. MESSAGE is the
//! same line as in a log of text, with all fields, because that is what `journalctl` shows and what tools like
//! fail2ban read. The level is PRIORITY.
//!
//! An entry that the journal does not take, because it has no room or is away, goes to standard error as text.

use std::fmt::{Debug, Write};
use std::io;
use std::io::Write as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Where the journal is.
pub(super) const SOCKET: &str = "/run/systemd/journal/socket";
/// What the journal calls the server.
const IDENTIFIER: &str = "lamplighter";
/// Octets of a value; a whole entry fits a datagram.
const VALUE_OCTETS_MAX: usize = 16 << 10;
/// Octets of the name of a field in the journal.
const NAME_OCTETS_MAX: usize = 64;
/// Field of an event with its text.
const MESSAGE: &str = "message";

/// Writes events to the journal.
#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
}

impl Journal {
    /// The journal at a socket, which must be there.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        // Only to see whether it is there: the connection would not outlive a restart of the journal.
        UnixDatagram::unbound()?.connect(path)?;
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            path: path.to_owned(),
        })
    }
}

impl<S: Subscriber> Layer<S> for Journal {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut entry = Entry::default();
        event.record(&mut entry);
        let level = *event.metadata().level();
        let octets = entry.octets(level, event.metadata().target());
        if self.socket.send_to(&octets, &self.path).is_err() {
            // Standard error may be a stream to the same journal, which is away.
            let _ = writeln!(io::stderr(), "{level} {}{}", entry.text, entry.details);
        }
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct Entry {
    text: String,
    /// The other fields as text: ` address=10.0.0.9 user="9"`.
    details: String,
    /// The other fields, encoded.
    fields: Vec<u8>,
}

impl Entry {
    fn octets(&self, level: Level, target: &str) -> Vec<u8> {
        let mut octets = Vec::with_capacity(256 + self.fields.len());
        add(&mut octets, "PRIORITY", priority(level));
        add(&mut octets, "SYSLOG_IDENTIFIER", IDENTIFIER);
        add(&mut octets, "TARGET", target);
        add(
            &mut octets,
            "MESSAGE",
            &format!("{}{}", self.text, self.details),
        );
        octets.extend_from_slice(&self.fields);
        octets
    }

    /// A field as written in text, and as its value for the journal.
    fn add(&mut self, field: &Field, (written, value): (&dyn Debug, &str)) {
        // Those of the `log` crate say where in the source the event comes from.
        if field.name().starts_with("log.") {
            return;
        }
        let _ = write!(self.details, " {}={written:?}", field.name());
        if let Some(name) = name(field.name()) {
            add(&mut self.fields, &name, value);
        }
    }
}

impl Visit for Entry {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            MESSAGE => self.text.push_str(value),
            _ => self.add(field, (&value, value)),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        match field.name() {
            MESSAGE => self.text.push_str(&text),
            _ => self.add(field, (value, &text)),
        }
    }
}

/// As in syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        _ => "7",
    }
}

/// The name of a field in the journal: upper case, digits and underscores, a letter first. None if nothing is
/// left of it.
fn name(field: &str) -> Option<String> {
    let field = field.trim_start_matches(|first: char| !first.is_ascii_alphabetic());
    let letter = |letter: char| match letter.is_ascii_alphanumeric() {
        true => letter.to_ascii_uppercase(),
        false => '_',
    };
    let name: String = field.chars().take(NAME_OCTETS_MAX).map(letter).collect();
    (!name.is_empty()).then_some(name)
}

/// Adds a field; its value may have line ends.
fn add(octets: &mut Vec<u8>, name: &str, value: &str) {
    let value = value.as_bytes();
    let value = &value[..value.len().min(VALUE_OCTETS_MAX)];
    octets.extend_from_slice(name.as_bytes());
    octets.push(b'\n');
    octets.extend_from_slice(&(value.len() as u64).to_le_bytes());
    octets.extend_from_slice(value);
    octets.push(b'\n');
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::time::Duration;

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The fields of a datagram.
    fn fields(mut datagram: &[u8]) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        while !datagram.is_empty() {
            let end = datagram.iter().position(|octet| *octet == b'\n').unwrap();
            let (name, rest) = (&datagram[..end], &datagram[end + 1..]);
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            let (value, rest) = rest[8..].split_at(length);
            datagram = rest.strip_prefix(b"\n").unwrap();
            let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
            fields.push((text(name), text(value)));
        }
        fields
    }

    /// A journal of the test, and what it got of some events.
    fn logged(name: &str, log: impl FnOnce()) -> Vec<Vec<(String, String)>> {
        let file = format!("lamplighter-journal-{name}-{}", std::process::id());
        let path = std::env::temp_dir().join(file);
        let _ = std::fs::remove_file(&path);
        assert!(Journal::at(&path).is_err(), "no journal is there");
        let server = UnixDatagram::bind(&path).unwrap();
        server
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        let subscriber = tracing_subscriber::registry().with(Journal::at(&path).unwrap());
        tracing::subscriber::with_default(subscriber, log);
        let mut entries = Vec::new();
        let mut datagram = vec![0; 128 << 10];
        while let Ok(length) = server.recv(&mut datagram) {
            entries.push(fields(&datagram[..length]));
        }
        std::fs::remove_file(&path).unwrap();
        entries
    }

    #[test]
    fn fields_of_an_event_are_fields_of_its_entry() {
        let entries = logged("fields", || {
            let error = io::Error::other("two\nlines");
            tracing::error!(%error, listener = 3, reason = "none \"left\"", "it {}", "failed");
            tracing::info!(is_on = true, "done");
            tracing::trace!("seen");
        });
        let of_entry = |at: usize, name: &str| {
            let mut fields = entries[at].iter();
            let value = fields.find(|(known, _)| known == name);
            value.map(|(_, value)| value.as_str())
        };
        assert_eq!(
            of_entry(0, "MESSAGE"),
            Some("it failed error=two\nlines listener=3 reason=\"none \\\"left\\\"\"")
        );
        assert_eq!(of_entry(0, "ERROR"), Some("two\nlines"));
        assert_eq!(of_entry(0, "LISTENER"), Some("3"));
        assert_eq!(of_entry(0, "REASON"), Some("none \"left\""));
        assert_eq!(of_entry(0, "SYSLOG_IDENTIFIER"), Some("lamplighter"));
        assert!(of_entry(0, "TARGET").unwrap().contains("journal"));
        let priorities = [0, 1, 2].map(|at| of_entry(at, "PRIORITY").unwrap());
        assert_eq!(priorities, ["3", "6", "7"]);
        assert_eq!(of_entry(1, "IS_ON"), Some("true"));
        assert_eq!(of_entry(2, "MESSAGE"), Some("seen"));
    }

    #[test]
    fn a_long_value_is_cut_and_a_full_journal_blocks_no_thread() {
        let entries = logged("long", || {
            tracing::warn!(text = "x".repeat(1 << 20), "long");
            // More than waits in the socket of a journal that does not read.
            for number in 0..10_000 {
                tracing::info!(number, "again");
            }
        });
        let lengths = entries[0].iter().map(|(_, value)| value.len()).max();
        assert_eq!(lengths, Some(VALUE_OCTETS_MAX));
        assert!(entries.len() < 10_000, "{}", entries.len());
    }

    #[test]
    fn names_are_those_of_the_journal() {
        assert_eq!(name("user_agent").as_deref(), Some("USER_AGENT"));
        assert_eq!(name("_9a.b").as_deref(), Some("A_B"));
        assert_eq!(name("__").as_deref(), None);
        assert_eq!(name(&"a".repeat(99)).map(|name| name.len()), Some(64));
    }
}
