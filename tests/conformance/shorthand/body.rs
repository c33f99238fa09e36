//! Bodies in short: statements about a state, and the documents that express them.
//!
//! ```text
//! 123 is idle                         dialog-info or PIDF, see [`lamp`] and [`presence`]
//! 123 is open, note On the phone
//! list team in full                   a list and, a line each, its resources, see [`list`]
//! do not disturb is on                features, see [`features`]
//! messages 2/8                        message-summary, see [`messages`]
//! ```
//!
//! A document is written by the templates here. Each template also parses its own documents into a
//! statement; [`statements`] uses the result only if writing it again gives the same lines.

mod features;
mod lamp;
mod list;
mod messages;
mod presence;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::shorthand::Conversation;
use crate::shorthand::conversation::{between, uri_of};
use crate::shorthand::message::Message;
use crate::shorthand::sentence::octets;

/// The start of our documents.
const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";
/// The start of a document from a phone or PBX.
const DECLARATION_OF_PEERS: &str = "<?xml version=\"1.0\"?>";

/// A body, and the headers that depend on it.
pub(crate) struct Document {
    /// The media type.
    pub(crate) content_type: &'static str,
    /// The extension required to read it.
    pub(crate) requires: Option<&'static str>,
    /// Whether a NOTIFY with it has an entity tag (RFC 5839).
    pub(crate) has_entity_tag: bool,
    /// Its lines.
    pub(crate) lines: Vec<String>,
}

impl Document {
    fn tagged(content_type: &'static str, lines: Vec<String>) -> Self {
        Self {
            content_type,
            requires: None,
            has_entity_tag: true,
            lines,
        }
    }
}

/// The values that a document needs besides its statement.
pub(crate) struct Context<'a> {
    conversation: &'a Conversation,
    /// The address of record of the message.
    target: String,
    next_versions: Option<&'a BTreeMap<String, u64>>,
    is_received: bool,
}

impl Context<'_> {
    fn next_version(&self, entity: &str) -> u64 {
        let next = self.next_versions.and_then(|versions| versions.get(entity));
        next.copied().unwrap_or_default()
    }
}

impl Conversation {
    /// The context of the body of that message.
    pub(crate) fn context(&self, message: &Message, is_received: bool) -> Context<'_> {
        let same = |name: &str, other: &Message| message.get(name) == other.get(name);
        let mut subscriptions = self.subscriptions.iter().rev();
        let subscription = subscriptions
            .find(|known| same("Call-ID", &known.request) && same("Event", &known.request));
        let party = if is_received { "To" } else { "From" };
        Context {
            conversation: self,
            target: uri_of(&message.value(party)).to_owned(),
            next_versions: subscription
                .filter(|_| !is_received)
                .map(|known| &known.next_versions),
            is_received,
        }
    }
}

/// The subject of a statement.
pub(crate) fn subject(statement: &str) -> &str {
    let mut words = statement.split([' ', ',']);
    match words.next() {
        Some("list") => words.next().unwrap_or_default(),
        word => word.unwrap_or_default(),
    }
}

/// The document for these statements.
pub(crate) fn write(statements: &[String], context: &Context<'_>) -> Result<Document, String> {
    let (first, others) = statements.split_first().ok_or("states what?")?;
    if first.starts_with("list ") {
        return list::write(first, others, context);
    }
    if !others.is_empty() {
        return Err(format!("not a statement: {}", others.join("; ")));
    }
    let document = features::write(first).or_else(|| messages::write(first, context));
    match document {
        Some(document) => Ok(document),
        None => write_state(first, context),
    }
}

/// The document about one address of record.
fn write_state(statement: &str, context: &Context<'_>) -> Result<Document, String> {
    let document = lamp::write(statement, context).or_else(|| presence::write(statement, context));
    document.ok_or_else(|| format!("not a statement: {statement}"))
}

/// The statements that stand for a body; None if there are none, or if they would not give the same
/// lines again.
pub(crate) fn statements(message: &Message, context: &Context<'_>) -> Option<Vec<String>> {
    let lines = &message.body;
    let guess = list::read(lines, context)
        .or_else(|| features::read(lines).map(|statement| vec![statement]))
        .or_else(|| messages::read(lines, context).map(|statement| vec![statement]))
        .or_else(|| read_state(lines, context).map(|statement| vec![statement]))?;
    let written = write(&guess, context).ok()?;
    (written.lines == *lines).then_some(guess)
}

fn read_state(lines: &[String], context: &Context<'_>) -> Option<String> {
    lamp::read(lines, context).or_else(|| presence::read(lines, context))
}

/// A body in long form; its media type is determined by its first lines.
pub(crate) fn literal(event: &str, lines: Vec<String>) -> Document {
    let begins = |start: &str| lines.iter().take(3).any(|line| line.starts_with(start));
    let package = event.split(';').next().unwrap_or_default();
    if begins("Content-ID: <r0@lamps>") {
        return list::of(lines);
    }
    let content_type = match package.to_ascii_lowercase().as_str() {
        "as-feature-event" if begins("--lamps00") => features::CONTENT_TYPE,
        "as-feature-event" => "application/x-as-feature-event+xml",
        "message-summary" => messages::CONTENT_TYPE,
        "reg" => "application/reginfo+xml",
        "presence" => presence::CONTENT_TYPE,
        winfo if winfo.ends_with(".winfo") => "application/watcherinfo+xml",
        _ => lamp::CONTENT_TYPE,
    };
    Document {
        content_type,
        requires: None,
        has_entity_tag: true,
        lines,
    }
}

/// The entity tag of a NOTIFY: a hash of its state, which is its Call-Info and the text after the
/// opening tag with entity and version.
pub(crate) fn entity_tag(message: &Message) -> String {
    let is_opening = |line: &String| {
        line.starts_with("<dialog-info ")
            || line.starts_with("<presence ")
            || line.starts_with("<reginfo ")
    };
    let opening = message.body.iter().take(3).position(is_opening);
    let state = &message.body[opening.map_or(0, |place| place + 1)..];
    let mut hashed = Vec::new();
    for header in &message.headers {
        let value = header.strip_prefix("Call-Info: ").unwrap_or_default();
        hashed.extend_from_slice(value.as_bytes());
    }
    hashed.extend(octets(state).unwrap_or_default());
    let mut hasher = DefaultHasher::new();
    hashed.hash(&mut hasher);
    format!("{:016x}", hasher.finish() | 1)
}

/// The clauses of a statement after its first.
struct Clauses<'a>(Vec<&'a str>);

impl<'a> Clauses<'a> {
    /// `123`, `early` and the clauses of `123 is early, recipient`.
    fn split(statement: &'a str) -> Option<(&'a str, &'a str, Self)> {
        let (subject, rest) = statement.split_once(" is ")?;
        let mut parts = rest.split(", ");
        let state = parts.next()?;
        Some((subject, state, Self(parts.collect())))
    }

    /// Removes the clause with that name, and returns its value.
    fn take(&mut self, name: &str) -> Option<&'a str> {
        let rest = |clause: &&'a str| clause.strip_prefix(name)?.strip_prefix(' ');
        let place = self.0.iter().position(|clause| rest(clause).is_some())?;
        let clause = self.0.remove(place);
        rest(&clause)
    }

    /// Removes the clause that is this word, and returns whether there was one.
    fn has(&mut self, word: &str) -> bool {
        let place = self.0.iter().position(|clause| *clause == word);
        place.map(|place| self.0.remove(place)).is_some()
    }
}

/// The text between two texts in any of the lines.
fn find<'a>(lines: &'a [String], before: &str, behind: &str) -> Option<&'a str> {
    lines.iter().find_map(|line| between(line, before, behind))
}

fn owned(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| (*line).to_owned()).collect()
}
