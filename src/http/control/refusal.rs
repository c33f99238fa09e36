//! Why a question or command of the operator is refused: words for humans, a status for programs.

use hyper::header::HeaderValue;
use hyper::{StatusCode, header};
use serde_json::{Value, json};

use crate::directory::accounts::AccountFault;
use crate::directory::lists::ListFault;
use crate::dns::LookupError;
use crate::http::control::aor::NotAnAor;
use crate::http::engine::HistoryFault;
use crate::http::representation::response::Response;
use crate::http::representation::{Format, Representation, response, visible};
use crate::presence::Aor;
use crate::presence::document::DocumentFault;
use crate::trace::TooManyTraces;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ControlRefusal {
    /// A field that the page does not know.
    #[error("unknown field \"{name}\"; valid fields: {known}")]
    UnknownField {
        /// Its name.
        name: String,
        /// The fields that the page knows.
        known: String,
    },
    /// A field is there twice, so that it is unclear which one counts.
    #[error("{0} is given twice")]
    Repeated(&'static str),
    /// A field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is too long.
    #[error("{0} is longer than {1} octets")]
    TooLong(&'static str, usize),
    /// A field holds a control character.
    #[error("{0} contains a control character")]
    ControlCharacter(&'static str),
    /// The body is too long.
    #[error("the body is truncated, or longer than {0} octets")]
    BodyTooLong(usize),
    /// A field is no number.
    #[error("{0} is not a number")]
    NoNumber(&'static str),
    /// A field is no time span, or too long a one.
    #[error("{0} is not a time span of at most one year: write it like 600, 10m or 2h")]
    NoTime(&'static str),
    /// A field is neither a time span nor a time.
    #[error(
        "{0} is neither a time span of at most one year nor a time: write it like 2h or 2026-11-29T12:00:00Z"
    )]
    NoMoment(&'static str),
    /// A field is none of the words it may be.
    #[error("{field} must be one of: {words}")]
    NoWord {
        /// The field.
        field: &'static str,
        /// The words it may be.
        words: String,
    },
    /// A filter of the log that cannot be read.
    #[error("not a filter: {0}; write it like debug, or info,lamplighter::http=debug")]
    NoFilter(String),
    /// A field is no URI.
    #[error("{0} is not a URI")]
    NoUri(&'static str),
    /// Two fields that do not go together, or a number outside its bounds.
    #[error("{0}")]
    Senseless(&'static str),
    /// An address that cannot be read, or of a domain that is not served.
    #[error(transparent)]
    NotAnAor(#[from] NotAnAor),
    /// There is no such address.
    #[error("{0} does not exist: no account, orbit, resource or list has that address")]
    NoAddress(Aor),
    /// The address is a list, which has no state to set.
    #[error("{0} is a list, which has no state of its own")]
    IsList(Aor),
    /// The configuration has no connector with that name.
    #[error("there is no connector \"{0}\"")]
    NoConnector(String),
    /// A list of that address is there already.
    #[error("the list {0} already exists")]
    ListExists(Aor),
    /// An invalid list edit.
    #[error(transparent)]
    List(#[from] ListFault),
    /// A refused edit of an account.
    #[error(transparent)]
    Account(#[from] AccountFault),
    /// A document of rules that cannot be read.
    #[error("the document is not a ruleset of RFC 4745 and 5025, or contains an invalid rule")]
    NoRuleset,
    /// A document with too many rules.
    #[error("the document has too many rules, or too many identities in one rule")]
    TooManyRules,
    /// There are no rules to show or remove.
    #[error("{0} has no rules of its own")]
    NoRules(Aor),
    /// A rule allows every watcher, authenticated or not, so a single watcher cannot be denied.
    #[error(
        "the rules of {0} allow every watcher, authenticated or not: remove them or import stricter ones"
    )]
    AllowsEveryWatcher(Aor),
    /// A probe of another transport than UDP.
    #[error("a probe can use UDP only; TCP and TLS are not supported yet")]
    OnlyUdp,
    /// The server of a probe is not found by its name.
    #[error("the server {0} is not found: {1}")]
    NotLocated(String, LookupError),
    /// No UDP listener reaches the server of a probe.
    #[error("none of our UDP listeners can reach that server")]
    NoRoute,
    /// A probe of this server itself.
    #[error("that is this server itself; probe another one")]
    IsThisServer,
    /// There is no such probe, or it was forgotten a minute after its end.
    #[error("the probe does not exist, or ended more than a minute ago")]
    NoProbe,
    /// The target of a trace is neither a person nor a phone.
    #[error("write a person like 123@example.com, or a phone like 10.0.0.9 or 10.0.0.9:5060")]
    NoTarget,
    /// There is no such trace.
    #[error("the trace has ended: it was not read for ten seconds, or the server was restarted")]
    NoTrace,
    /// There are too many traces.
    #[error(transparent)]
    TooManyTraces(#[from] TooManyTraces),
    /// A table is full.
    #[error("{0}")]
    Full(&'static str),
    /// Edits have added to a domain as much as they may.
    #[error("the domain {domain} has {max} {what}, and may have no more")]
    DomainFull {
        /// The domain.
        domain: String,
        /// How many it has.
        max: usize,
        /// What it has.
        what: &'static str,
    },
    /// An edit is in force, but a shard did not take it: it follows with the next.
    #[error(
        "the change is in force, but a shard does not respond: it will apply the change with the next one"
    )]
    HalfDone,
    /// An edit is in force, but the store did not confirm it.
    #[error(
        "the change is in force, but it is not on the disk yet: it may be lost if the server ends now"
    )]
    NotKept,
    /// The configuration was not reloaded, or not by every shard. One line for each fault.
    #[error("{0}")]
    NotReloaded(String),
    /// The history does not answer.
    #[error(transparent)]
    History(#[from] HistoryFault),
    /// A server without a store has nothing to back up.
    #[error("the server has no store: see [store] in its configuration")]
    NoStore,
    /// The store was not backed up.
    #[error("{0}")]
    NoBackup(String),
    /// A person was erased, but octets of it may be left in the file of the store.
    #[error(
        "erased, but its octets may be left in the file of the store, which could not be written anew: {0}; run the command again"
    )]
    NotOverwritten(String),
    /// The engine does not reply.
    #[error("the engine does not respond")]
    Silent,
}

impl ControlRefusal {
    pub(crate) const fn status(&self) -> StatusCode {
        match self {
            Self::UnknownField { .. }
            | Self::Repeated(_)
            | Self::Missing(_)
            | Self::TooLong(..)
            | Self::ControlCharacter(_)
            | Self::NoNumber(_)
            | Self::NoTime(_)
            | Self::NoMoment(_)
            | Self::NoWord { .. }
            | Self::NoFilter(_)
            | Self::NoUri(_)
            | Self::Senseless(_)
            | Self::NotAnAor(NotAnAor::Unreadable)
            | Self::Account(AccountFault::Hashes(_))
            | Self::List(ListFault::NoMember(_))
            | Self::OnlyUdp
            | Self::NoRoute
            | Self::IsThisServer
            | Self::NoTarget
            | Self::NoRuleset => StatusCode::BAD_REQUEST,
            Self::NotAnAor(NotAnAor::UnknownDomain(_))
            | Self::NoAddress(_)
            | Self::NoRules(_)
            | Self::NoProbe
            | Self::NoConnector(_)
            | Self::NoTrace
            | Self::NotLocated(_, LookupError::Unknown)
            | Self::History(HistoryFault::Off)
            | Self::Account(AccountFault::NoDomain(_) | AccountFault::NoAccount(_))
            | Self::List(ListFault::NoDomain(_) | ListFault::NoList(_) | ListFault::NotMember(_)) => {
                StatusCode::NOT_FOUND
            }
            Self::IsList(_)
            | Self::ListExists(_)
            | Self::DomainFull { .. }
            | Self::AllowsEveryWatcher(_)
            | Self::NotReloaded(_)
            | Self::NoStore
            | Self::NoBackup(_)
            | Self::Account(
                AccountFault::Taken(..) | AccountFault::AuthIdTaken(_) | AccountFault::UserTaken(_),
            )
            | Self::List(
                ListFault::Taken(..)
                | ListFault::AlreadyMember(_)
                | ListFault::TooManyMembers(_)
                | ListFault::Cycle(_)
                | ListFault::TooDeep(_)
                | ListFault::AnyDnWithin(_),
            ) => StatusCode::CONFLICT,
            Self::BodyTooLong(_) | Self::TooManyRules => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full(_)
            | Self::TooManyTraces(_)
            | Self::HalfDone
            | Self::NotKept
            | Self::NotOverwritten(_)
            | Self::NotLocated(_, LookupError::Unanswered | LookupError::TooMany)
            | Self::History(HistoryFault::Busy | HistoryFault::Failed(_))
            | Self::Silent => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The refusal as a response.
    pub(crate) fn into_response(self, format: Format) -> Response {
        let response = response::rendered(self.status(), &self, format, None);
        match self {
            Self::Silent => {
                response::with(response, header::RETRY_AFTER, HeaderValue::from_static("1"))
            }
            // The rest of the body is not read.
            Self::BodyTooLong(_) => response::closing(response),
            _ => response,
        }
    }
}

impl Representation for ControlRefusal {
    fn text(&self, _: Option<usize>) -> String {
        if *self == Self::Silent {
            return "Service Unavailable\n".to_owned();
        }
        let lines = self.to_string();
        lines.lines().map(|line| visible(line) + "\n").collect()
    }

    fn json(&self) -> Value {
        json!({"error": self.to_string()})
    }
}

impl From<DocumentFault> for ControlRefusal {
    fn from(fault: DocumentFault) -> Self {
        match fault {
            DocumentFault::TooLarge => Self::TooManyRules,
            _ => Self::NoRuleset,
        }
    }
}
