//! Every reason for which a request can be refused, with its status and reason phrase.

use std::hash::Hash;
use std::time::Duration;

use crate::directory::Domain;
use crate::presence::event::Package;
use crate::sip::Fault;
use crate::sip::Status;

/// Why a request is refused, with what its answer has to carry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal<'d> {
    /// Malformed.
    Fault(Fault),
    /// A status that needs no further header.
    Plain(Status),
    /// The same, with a reason phrase that says more.
    Because(Status, &'static str),
    /// 403: From, or the dialog, belongs to another user than the sender.
    ForeignFrom,
    /// 405 or 501 with Allow (W:A1.2).
    Method(Status),
    /// 405 with Allow to an INVITE: phones are registered with us, calls are not routed to them.
    NoCalls,
    /// 420 with Unsupported (W:A1.5).
    Extension,
    /// 401 with challenges of the domain (W:A1.6).
    Challenge { domain: &'d Domain, stale: bool },
    /// 489 with Allow-Events (W:A1.7).
    BadEvent,
    /// 489 with the packages of lists in Allow-Events: the others are served, but not for a list
    /// (W:B5.18).
    BadListEvent,
    /// 415 with Accept (W:A1.9).
    MediaType(&'static str),
    /// 415 with Accept-Encoding (W:A1.9).
    Encoding,
    /// 406 with Accept (W:A1.10).
    NotAcceptable(Package),
    /// 421 with Require: a list, and the peer does not say that it knows them (W:A1.11).
    ListRequired,
    /// 423 with Min-Expires (W:A1.13).
    TooBrief(Duration),
    /// 503 with Retry-After (W:A1.21).
    OverLimit,
    /// The same from the shield, without memory (W:A1.24).
    Shed(OverloadLimit),
    /// 503 with a short Retry-After: another process will be here soon.
    Draining,
}

impl From<Fault> for Refusal<'_> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl Refusal<'_> {
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
            Self::OverLimit | Self::Shed(_) | Self::Draining => Status::SERVICE_UNAVAILABLE,
        }
    }

    /// The reason phrase where it is not the status's own.
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

/// Whose bucket is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OverloadLimit {
    /// An address and whom From names.
    Phone,
    /// Whom a request is about.
    Presentity,
    /// An IP address.
    Source,
    /// The domain a request is for.
    Domain,
    /// An address that has yet to show that it gets what we send: too many wait for that.
    Path,
    /// Nobody's: the shard is behind with its NOTIFYs.
    Backlog,
}
