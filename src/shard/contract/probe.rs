//! Probes: tests of another SIP server that an operator asks for. A probe subscribes to, or publishes
//! for, one address there, reports what happens, and ends by itself.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::presence::call::{CallDialog, CallState};
use crate::presence::document::Document;
use crate::presence::event::Package;
use crate::presence::source::RichPresence;
use crate::shard::contract::flow::{Flow, ShardId};
use crate::sip::digest::client::Login;

/// Identifies a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeId {
    /// The shard that runs it.
    pub shard: ShardId,
    /// Unguessable, so that no other probe is meant.
    pub number: u64,
}

/// What an operator asks for.
#[derive(Clone, Debug)]
pub struct ProbeOrder {
    /// From our listener to the server.
    pub flow: Flow,
    /// To other locations of the server, in order: each is tried if the one before does not respond, or
    /// responds 503 (RFC 3263 §4.3).
    pub alternatives: Vec<Flow>,
    /// The SIP URI of the presentity, which goes into the request line and To.
    pub target: Box<str>,
    /// The SIP URI of From.
    pub from: Box<str>,
    /// Responds to a challenge of the server.
    pub login: Option<Login>,
    /// How long it lasts; the state is removed then.
    pub duration: Duration,
    /// What it does.
    pub task: ProbeTask,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeTask {
    /// Subscribes to the presentity.
    Subscribe(Package),
    /// Publishes one call of the presentity in this state.
    Publish(CallState),
}

/// What a probe has to tell since it was last asked.
#[derive(Clone, Debug)]
pub struct ProbeReport {
    /// Oldest first.
    pub entries: Vec<ProbeEntry>,
    /// Whether nothing will follow.
    pub is_over: bool,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeEntry {
    /// Since the start of the probe.
    pub at: Duration,
    /// What happened.
    pub event: ProbeEvent,
}

/// What happens in a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeEvent {
    /// We sent a request.
    Sent {
        /// SUBSCRIBE or PUBLISH.
        method: &'static str,
        /// The Expires that it asks for; 0 removes the state.
        expires: u32,
    },
    /// The server sent a final response.
    Response {
        /// Its status code.
        code: u16,
        /// Its reason phrase.
        reason: Box<str>,
        /// The expiry that a 2xx grants.
        expires: Option<u32>,
    },
    /// A request was not sent, because too many requests of ours wait for a response.
    NotSent,
    /// No final response came within 32 s (timer F).
    TimedOut,
    /// The probe's time was over before the final response to a request came.
    Unanswered,
    /// Another location of the server is tried.
    MovedOn(SocketAddr),
    /// A NOTIFY came and was accepted.
    Notify {
        /// The value of its Subscription-State.
        state: Box<str>,
        /// What its body says; None without a body.
        document: Option<Document>,
    },
    /// A NOTIFY came and was refused with this status.
    NotifyRefused(u16),
    /// No NOTIFY came within 32 s of the 2xx (timer N).
    NotifyMissing,
    /// The server's status changed.
    Server(ServerStatus),
    /// The user's status changed.
    User(UserStatus),
    /// Events are missing here because there were too many.
    Skipped,
    /// The probe ended.
    Over,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerStatus {
    /// It refuses our credentials or our address: 403 or 603, or 401 to credentials.
    Forbidden,
    /// It cannot be reached: no response, or 503.
    ConnectionError,
    /// It answers.
    UpAndRunning,
    /// It does not know the user that the credentials are of: 404 to a request about that user.
    CredentialsNotFound,
    /// It answers, but a list is subscribed to and it knows no lists: 420, 421, or the state of a single user.
    ListsNotSupported,
}

impl ServerStatus {
    /// Whether it cannot be used.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Forbidden | Self::ConnectionError)
    }

    /// The words for the operator.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::ConnectionError => "ConnectionError",
            Self::UpAndRunning => "UpAndRunning",
            Self::CredentialsNotFound => "Credentials entered not found",
            Self::ListsNotSupported => "Lists not supported",
        }
    }
}

/// What is known of a user at a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserStatus {
    /// No request about the user is left: the state at the server is removed.
    NotRequested,
    /// A request was sent, and no response came yet.
    Requesting,
    /// 401, 403 or 603.
    AccessDenied,
    /// For now: no response, or 5xx. For good: any other refusal.
    Error,
    /// 404.
    NotFound,
    /// The state is published.
    Published,
    /// Nothing keeps the user from a call.
    Available,
    /// A call, or an activity that says so.
    Busy,
    /// The user asked for it.
    DoNotDisturb,
    /// The user cannot be reached.
    Offline,
}

impl UserStatus {
    /// The words for the operator.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRequested => "Not requested by anyone",
            Self::Requesting => "Requesting",
            Self::AccessDenied => "Access denied",
            Self::Error => "Error",
            Self::NotFound => "Not Found",
            Self::Published => "Published",
            Self::Available => "Available",
            Self::Busy => "Busy",
            Self::DoNotDisturb => "Do not disturb",
            Self::Offline => "Offline",
        }
    }

    /// Whether the server refuses the user, or does not answer.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::AccessDenied | Self::Error | Self::NotFound)
    }

    /// The status of the user in a document; None if the document has none.
    pub(crate) fn of_document(document: &Document) -> Option<Self> {
        match document {
            Document::DialogInfo { full, dialogs, .. } => {
                let is_live = |dialog: &CallDialog| dialog.state != CallState::Terminated;
                let is_busy = dialogs.iter().any(is_live);
                // A partial document without a live dialog reports ended dialogs; others may still be live.
                (is_busy || *full).then_some(if is_busy { Self::Busy } else { Self::Available })
            }
            Document::Pidf { statement, .. } => Some(Self::of_presence(statement)),
            Document::Messages { .. } | Document::Registrations { .. } => None,
        }
    }

    fn of_presence(statement: &RichPresence) -> Self {
        let is_doing = |names: &[&str]| {
            let mut activities = statement.activities.iter();
            activities.any(|activity| names.contains(&&**activity))
        };
        if statement.open == Some(false) {
            Self::Offline
        } else if is_doing(&["do-not-disturb", "dnd"]) {
            Self::DoNotDisturb
        } else if is_doing(&["busy", "on-the-phone", "meeting", "appointment"]) {
            Self::Busy
        } else {
            Self::Available
        }
    }
}

/// One line for the operator; control characters from the peer are escaped where it is displayed.
impl fmt::Display for ProbeEvent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { method, expires: 0 } => write!(out, "{method} sent, to remove the state"),
            Self::Sent { method, expires } => write!(out, "{method} sent, for {expires} s"),
            Self::Response {
                code,
                reason,
                expires: Some(expires),
            } => write!(out, "{code} {reason}, for {expires} s"),
            Self::Response { code, reason, .. } => write!(out, "{code} {reason}"),
            Self::NotSent => out.write_str("not sent: too many requests wait for a response"),
            Self::Unanswered => out.write_str("no response until the end of the probe"),
            Self::TimedOut => out.write_str("no response within 32 s"),
            Self::MovedOn(address) => write!(out, "next the server at {address}"),
            Self::Notify {
                state,
                document: None,
            } => write!(out, "NOTIFY {state}, without a body"),
            Self::Notify {
                state,
                document: Some(document),
            } => write!(out, "NOTIFY {state}: {}", Content(document)),
            Self::NotifyRefused(code) => write!(out, "NOTIFY refused with {code}"),
            Self::NotifyMissing => out.write_str("no NOTIFY within 32 s"),
            Self::Server(status) => write!(out, "server status: {}", status.as_str()),
            Self::User(status) => write!(out, "user status: {}", status.as_str()),
            Self::Skipped => out.write_str("some events are missing: too many happened at once"),
            Self::Over => out.write_str("the probe is over"),
        }
    }
}

/// The content of a document, in a few words.
struct Content<'a>(&'a Document);

impl fmt::Display for Content<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Document::DialogInfo { full, dialogs, .. } => {
                out.write_str(if *full { "" } else { "changed: " })?;
                if dialogs.is_empty() {
                    return out.write_str("no call");
                }
                for (index, dialog) in dialogs.iter().enumerate() {
                    out.write_str(if index > 0 { ", " } else { "" })?;
                    out.write_str(dialog.state.as_str())?;
                    let remote = dialog.remote();
                    if !remote.identity.is_empty() {
                        write!(out, " with {}", remote.identity)?;
                    }
                }
                Ok(())
            }
            Document::Pidf { statement, .. } => {
                out.write_str(match statement.open {
                    Some(true) => "open",
                    Some(false) => "closed",
                    None => "no status",
                })?;
                for activity in &statement.activities {
                    write!(out, ", {activity}")?;
                }
                match &statement.note {
                    Some(note) => write!(out, ", \"{note}\""),
                    None => Ok(()),
                }
            }
            Document::Messages { .. } | Document::Registrations { .. } => {
                out.write_str("a document")
            }
        }
    }
}
