//! What a source asserts about a presentity, as far as the operator may see it. [`fmt::Display`] puts
//! it into words: `early recipient from sip:12@abc.com`, `open, away: lunch`.

use std::fmt;
use std::sync::Arc;

use crate::presence::call::{Appearance, CallDialog, CallState, Direction};
use crate::presence::composition::Declaration;
use crate::presence::source::{Forward, ForwardKind, Messages};

/// The assertion of one contribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// Its calls; no call is an assertion too.
    Calls(Vec<Call>),
    /// Do-not-disturb.
    DoNotDisturb,
    /// A forwarding.
    Forward(Forward),
    /// A note.
    Note(Arc<str>),
    /// Rich presence.
    Presence(Presence),
    /// The state of a mailbox.
    Messages(Messages),
    /// The contact after which the source is named is registered.
    Registered,
    /// These contacts are registered; no contact is an assertion too.
    Contacts(Vec<Box<str>>),
    /// An appearance of a shared line.
    Appearance(Appearance),
    /// An alternative number at which the user can be reached.
    Alternative(Box<str>),
}

/// A call, without a party that is private.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Its state.
    pub state: CallState,
    /// Which side started it; None if unknown.
    pub direction: Option<Direction>,
    /// The other party.
    pub party: CallParty,
    /// Whether this side put it on hold.
    pub is_on_hold: bool,
}

/// The other party of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallParty {
    /// Known, but hidden from every watcher and the operator (W:D1.4).
    Private,
    /// The URI, or the name if there is no URI.
    Known(Box<str>),
    /// Not stated.
    Unknown,
}

/// What a client or the operator declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// `basic`; None if not declared.
    pub is_open: Option<bool>,
    /// Do-not-disturb, in any vendor's spelling.
    pub do_not_disturb: bool,
    /// RPID activities by their element names.
    pub activities: Vec<&'static str>,
    /// A number or URI at which the user can be reached besides the registered contacts.
    pub alternative: Option<Box<str>>,
    /// The note.
    pub note: Option<Arc<str>>,
}

impl From<&CallDialog> for Call {
    fn from(call: &CallDialog) -> Self {
        let remote = call.remote();
        let names = [remote.identity, remote.target, remote.display];
        let known = names.into_iter().find(|name| !name.is_empty());
        Self {
            state: call.state,
            direction: call.direction,
            party: match known {
                _ if call.remote_is_private => CallParty::Private,
                Some(name) => CallParty::Known(name.into()),
                None => CallParty::Unknown,
            },
            is_on_hold: call.local().rendering == Some(false),
        }
    }
}

impl From<&Declaration> for Presence {
    fn from(declaration: &Declaration) -> Self {
        Self {
            is_open: declaration.open,
            do_not_disturb: declaration.activities.declares_do_not_disturb(),
            activities: declaration.activities.names().collect(),
            alternative: declaration.alternative.clone(),
            note: declaration.note.clone(),
        }
    }
}

impl fmt::Display for Assertion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Calls(calls) if calls.is_empty() => formatter.write_str("no call"),
            Self::Calls(calls) => {
                separated(formatter, calls, |call, formatter| call.fmt(formatter))
            }
            Self::DoNotDisturb => formatter.write_str("do-not-disturb"),
            Self::Forward(forward) => write_forward(forward, formatter),
            Self::Note(note) => formatter.write_str(note),
            Self::Presence(presence) => presence.fmt(formatter),
            Self::Messages(messages) => write_messages(messages, formatter),
            Self::Registered => formatter.write_str("registered"),
            Self::Contacts(contacts) if contacts.is_empty() => {
                formatter.write_str("no contact is registered")
            }
            Self::Contacts(contacts) => separated(formatter, contacts, |contact, formatter| {
                write!(formatter, "{contact} is registered")
            }),
            Self::Appearance(appearance) => write_appearance(appearance, formatter),
            Self::Alternative(number) => write!(formatter, "reachable at {number}"),
        }
    }
}

/// `early recipient from sip:12@abc.com`
impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.state.as_str())?;
        let preposition = match self.direction {
            Some(Direction::Initiator) => {
                formatter.write_str(" initiator")?;
                "to"
            }
            Some(Direction::Recipient) => {
                formatter.write_str(" recipient")?;
                "from"
            }
            None => "with",
        };
        match &self.party {
            CallParty::Private => write!(formatter, " {preposition} a private party")?,
            CallParty::Known(party) => write!(formatter, " {preposition} {party}")?,
            CallParty::Unknown => {}
        }
        if self.is_on_hold {
            formatter.write_str(", on hold")?;
        }
        Ok(())
    }
}

/// `open, away: lunch`
impl fmt::Display for Presence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.is_open {
            Some(true) => "open",
            Some(false) => "closed",
            None => "neither open nor closed",
        })?;
        if self.do_not_disturb {
            formatter.write_str(", do-not-disturb")?;
        }
        for name in &self.activities {
            write!(formatter, ", {name}")?;
        }
        if let Some(number) = &self.alternative {
            write!(formatter, ", reachable at {number}")?;
        }
        if let Some(note) = &self.note {
            write!(formatter, ": {note}")?;
        }
        Ok(())
    }
}

/// `always to sip:*97@abc.com`
fn write_forward(forward: &Forward, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str(match forward.kind {
        ForwardKind::Immediate => "always",
        ForwardKind::Busy => "if busy",
        ForwardKind::NoAnswer => "if unanswered",
    })?;
    if let Some(rings) = forward.ring_count {
        write!(formatter, " after {rings} rings")?;
    }
    if forward.target.is_empty() {
        formatter.write_str(" to nowhere")?;
    } else {
        write!(formatter, " to {}", forward.target)?;
    }
    if !forward.is_active {
        formatter.write_str(", off")?;
    }
    Ok(())
}

/// `messages waiting, voice 2 new 8 old`
fn write_messages(messages: &Messages, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    formatter.write_str(if messages.are_waiting {
        "messages waiting"
    } else {
        "no messages waiting"
    })?;
    for (class, counts) in &messages.counts {
        let (class, new, old) = (class.as_str(), counts.new, counts.old);
        write!(formatter, ", {class} {new} new {old} old")?;
    }
    Ok(())
}

/// `1 held with "Bob" <sip:bob@abc.com>`
fn write_appearance(appearance: &Appearance, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(
        formatter,
        "{} {}",
        appearance.index,
        appearance.state.as_str()
    )?;
    match &appearance.party {
        Some(party) => write!(formatter, " with {party}"),
        None => Ok(()),
    }
}

fn separated<T>(
    formatter: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&T, &mut fmt::Formatter<'_>) -> fmt::Result,
) -> fmt::Result {
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            formatter.write_str("; ")?;
        }
        write(item, formatter)?;
    }
    Ok(())
}
