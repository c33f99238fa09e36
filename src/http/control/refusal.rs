//! Why a command of the operator is not done: in words for him, with a status for programs.

use hyper::StatusCode;

use crate::directory::lists::ListFault;
use crate::http::answer::response;
use crate::http::answer::response::Answer;
use crate::http::answer::table::visible;
use crate::http::control::aor::NotAnAor;
use crate::presence::Aor;
use crate::presence::document::DocumentFault;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// A field that the page has no use for.
    #[error("there is no field \"{name}\" here; there are: {known}")]
    UnknownField {
        /// Its name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A field is there twice: which one counts?
    #[error("{0} is given twice")]
    Repeated(&'static str),
    /// A field is not there.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A field is too long.
    #[error("{0} is longer than {1} octets")]
    TooLong(&'static str, usize),
    /// A field holds what no text of ours does.
    #[error("{0} holds a control character")]
    ControlCharacter(&'static str),
    /// The body is too long.
    #[error("the body is cut off, or longer than {0} octets")]
    BodyTooLong(usize),
    /// A field is no number.
    #[error("{0} is no number")]
    NoNumber(&'static str),
    /// A field is no time span, or too long a one.
    #[error("{0} is no time of at most a year: write it like 600, 10m or 2h")]
    NoTime(&'static str),
    /// A field is none of the words that may stand there.
    #[error("{field} is none of: {words}")]
    NoWord {
        /// The field.
        field: &'static str,
        /// What may stand there.
        words: String,
    },
    /// A field is no URI.
    #[error("{0} is no URI")]
    NoUri(&'static str),
    /// Two fields that do not go together, or a number outside its bounds.
    #[error("{0}")]
    Senseless(&'static str),
    /// An address that cannot be read, or of a domain that is not served.
    #[error(transparent)]
    NotAnAor(#[from] NotAnAor),
    /// Nobody has the address.
    #[error("there is no {0}: no account, orbit, resource or list has that address")]
    Nobody(Aor),
    /// A list is no presentity.
    #[error("{0} is a list, which has no state of its own")]
    IsList(Aor),
    /// A list of that address is there already.
    #[error("the list {0} is there already")]
    ListExists(Aor),
    /// What is wrong with an edit of a list.
    #[error(transparent)]
    List(#[from] ListFault),
    /// A document of rules that cannot be read.
    #[error("the document is no ruleset of RFC 4745 and 5025, or has a rule that cannot be read")]
    NoRuleset,
    /// A document of rules that is too much.
    #[error("the document has too many rules, or too many identities in one")]
    TooManyRules,
    /// There are no rules to show or remove.
    #[error("{0} has no rules of its own")]
    NoRules(Aor),
    /// A rule lets everybody in, known or not.
    #[error(
        "the rules of {0} let everybody in, known or not: take them away or import better ones"
    )]
    LetsEverybodyIn(Aor),
    /// A table is full.
    #[error("{0}")]
    Full(&'static str),
    /// An edit that is in force, but which a shard did not take: it follows with the next.
    #[error("done, but a shard does not answer: it follows with the next change")]
    HalfDone,
    /// The configuration is not reloaded: what is wrong with it, a line each.
    #[error("{0}\nthe configuration is not reloaded, the old one stays in force")]
    NotReloaded(String),
    /// The engine does not answer.
    #[error("the engine does not answer")]
    Silent,
}

impl Refusal {
    const fn status(&self) -> StatusCode {
        match self {
            Self::UnknownField { .. }
            | Self::Repeated(_)
            | Self::Missing(_)
            | Self::TooLong(..)
            | Self::ControlCharacter(_)
            | Self::NoNumber(_)
            | Self::NoTime(_)
            | Self::NoWord { .. }
            | Self::NoUri(_)
            | Self::Senseless(_)
            | Self::NotAnAor(NotAnAor::Unreadable)
            | Self::List(ListFault::NoMember(_))
            | Self::NoRuleset => StatusCode::BAD_REQUEST,
            Self::NotAnAor(NotAnAor::UnknownDomain(_))
            | Self::Nobody(_)
            | Self::NoRules(_)
            | Self::List(ListFault::NoDomain(_) | ListFault::NoList(_) | ListFault::NotMember(_)) => {
                StatusCode::NOT_FOUND
            }
            Self::IsList(_)
            | Self::ListExists(_)
            | Self::LetsEverybodyIn(_)
            | Self::NotReloaded(_)
            | Self::List(
                ListFault::Taken(..)
                | ListFault::AlreadyMember(_)
                | ListFault::TooManyMembers(_)
                | ListFault::Cycle(_)
                | ListFault::TooDeep(_)
                | ListFault::AnyDnWithin(_),
            ) => StatusCode::CONFLICT,
            Self::BodyTooLong(_) | Self::TooManyRules => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Full(_) | Self::HalfDone | Self::Silent => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The refusal as an answer.
    pub(super) fn into_answer(self) -> Answer {
        let lines = self.to_string();
        let lines = lines.lines().map(|line| visible(line) + "\n");
        let text: String = lines.collect();
        match self {
            Self::Silent => response::unavailable(),
            // What is left of the body is not read.
            Self::BodyTooLong(_) => response::last(self.status(), text),
            _ => response::text(self.status(), text),
        }
    }
}

impl From<DocumentFault> for Refusal {
    fn from(fault: DocumentFault) -> Self {
        match fault {
            DocumentFault::TooLarge => Self::TooManyRules,
            _ => Self::NoRuleset,
        }
    }
}
