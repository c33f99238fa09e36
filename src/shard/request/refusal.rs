//! The reasons to refuse a request, with status and reason phrase.

use std::hash::Hash;
use std::time::Duration;

use crate::directory::Domain;
use crate::presence::event::Package;
use crate::sip::{Fault, Status};

/// Why a request is refused, with the contents of the headers that the response needs.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal<'d> {
    /// A malformed request.
    Fault(Fault),
    /// A status that needs no further header.
    Plain(Status),
    /// A status that needs no further header, with a reason phrase of its own.
    Because(Status, &'static str),
    /// 403: From names, or the dialog belongs to, another user than the principal.
    ForeignFrom,
    /// 405 or 501 with Allow (RFC 3261 §8.2.1).
    Method(Status),
    /// 405 with Allow, to an INVITE in a domain whose registrar we are: we do not route calls.
    NoCalls,
    /// 420 with Unsupported (RFC 3261 §8.2.2.3).
    Extension,
    /// 401 with the challenges of the domain (RFC 3261 §22, RFC 6665 §4.2.1.3).
    Challenge { domain: &'d Domain, stale: bool },
    /// 489 with Allow-Events (RFC 6665 §4.2.1.1).
    BadEvent,
    /// 489 with the packages that support lists in Allow-Events. The package is supported, but not
    /// for a list (RFC 4826 §4).
    BadListEvent,
    /// 415 with Accept (RFC 3261 §8.2.3).
    MediaType(&'static str),
    /// 415 with Accept-Encoding (RFC 3261 §8.2.3).
    Encoding,
    /// 406 with Accept (RFC 3261 §8.2.3, §21.4.7).
    NotAcceptable(Package),
    /// 421 with Require: eventlist. The target is a list, and the request does not support lists
    /// (RFC 4662 §4.1).
    ListRequired,
    /// 423 with Min-Expires (RFC 6665 §4.2.1.1).
    TooBrief(Duration),
    /// 503 with Retry-After (RFC 3261 §21.5.4).
    OverLimit,
    /// 503 with Retry-After from overload control, not stored in the transaction (W:A1.24).
    Shed(OverloadLimit),
    /// 503 with a short Retry-After: the process is about to be replaced.
    Draining,
    /// 503 with a short Retry-After: the dialog may not be recovered yet.
    Recovering,
}

impl From<Fault> for Refusal<'_> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal<'_> {
    /// 481: the dialog has no such subscription, or it is over (RFC 6665 §4.2.1.1).
    pub(crate) const NO_SUBSCRIPTION: Self = Self::Plain(Status::SUBSCRIPTION_DOES_NOT_EXIST);

    /// The status code of the response.
    pub(crate) fn status(&self) -> Status {
        match self {
            Self::Fault(fault) => fault.status(),
            Self::Plain(status) | Self::Because(status, _) | Self::Method(status) => *status,
            Self::ForeignFrom => Status::FORBIDDEN,
            Self::NoCalls => Status::METHOD_NOT_ALLOWED,
            Self::Extension => Status::BAD_EXTENSION,
            Self::Challenge { .. } => Status::UNAUTHORIZED,
            Self::BadEvent | Self::BadListEvent => Status::BAD_EVENT,
            Self::MediaType(_) | Self::Encoding => Status::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable(_) => Status::NOT_ACCEPTABLE,
            Self::ListRequired => Status::EXTENSION_REQUIRED,
            Self::TooBrief(_) => Status::INTERVAL_TOO_BRIEF,
            Self::OverLimit | Self::Shed(_) | Self::Draining | Self::Recovering => {
                Status::SERVICE_UNAVAILABLE
            }
        }
    }

    /// The reason phrase, if it is not the standard one of the status.
    pub(crate) fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Fault(fault) => Some(fault.reason()),
            Self::Because(_, reason) => Some(reason),
            Self::BadListEvent => Some("Bad Event For A List"),
            Self::NoCalls => Some("Presence Only, Calls Are Not Routed"),
            _ => None,
        }
    }
}

/// The limit of overload control that a request exceeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OverloadLimit {
    /// The rate limit of a phone.
    Phone,
    /// The rate limit of requests about one presentity.
    Presentity,
    /// The rate limit of a source address.
    Source,
    /// The rate limit of requests to a domain.
    Domain,
    /// The number of dialogs on a path that no response has proved yet.
    Path,
    /// The octets of NOTIFYs to addresses that have proved nothing.
    Allowance,
    /// The number of queued NOTIFYs of the shard.
    Backlog,
    /// The number of acknowledgements that wait for their records to be durable.
    Store,
}
