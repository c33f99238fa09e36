//! A PUBLISH as the domain sees it: its content, what is granted, why it is refused (RFC 3903 §6).

use std::time::Duration;

use crate::presence::call::CallState;
use crate::presence::document::{Document, DocumentFault};
use crate::presence::event::Package;
use crate::presence::origin::Origin;
use crate::presence::source::EntityTag;

/// The condition of a PUBLISH: its SIP-If-Match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No SIP-If-Match: an initial publication.
    None,
    /// A tag of the form that we issue.
    Matches(EntityTag),
    /// A tag that we cannot have issued: 412 (RFC 3903 §6).
    Foreign,
}

/// A PUBLISH whose body has been read.
#[derive(Clone, Debug)]
pub struct Publication {
    /// A package that can be published: `presence`, `dialog`, `message-summary` or `reg`.
    pub package: Package,
    /// The condition.
    pub condition: Condition,
    /// Expires in seconds; None if absent.
    pub expires: Option<u32>,
    /// The body; None if there was none. A fault in it is reported only if the condition holds (the
    /// order of RFC 3903 §6).
    pub document: Option<Result<Document, DocumentFault>>,
    /// The publisher, as a hash: equal for two PUBLISHes of one publisher for one presentity (W:B1.12).
    pub publisher: u64,
    /// Whether the publisher may publish for every user of the domain, as a PBX does (RFC 3903 §6).
    pub is_feeder: bool,
    /// The system that the PUBLISH came from, if that is told of the presentity as well.
    pub origin: Option<Origin>,
}

impl Publication {
    /// Returns whether it only ends calls: every dialog of its document is terminated, or there is
    /// none. The expiry of such a publication is never too brief (W:B1.5).
    #[must_use]
    pub fn ends_calls(&self) -> bool {
        match &self.document {
            Some(Ok(Document::DialogInfo { dialogs, .. })) => dialogs
                .iter()
                .all(|dialog| dialog.state == CallState::Terminated),
            _ => false,
        }
    }
}

/// Bounds on publications.
#[derive(Clone, Copy, Debug)]
pub struct PublicationLimits {
    /// A shorter expiry, unless 0, is refused with 423, unless the PUBLISH only ends calls; see
    /// [`Publication::ends_calls`].
    pub expires_min: Duration,
    /// A longer expiry is shortened without an error.
    pub expires_max: Duration,
    /// The expiry granted if the request has none (3600 s).
    pub expires_default: Duration,
    /// Maximum publications of one presentity; one more is refused with 503.
    pub publications_max: usize,
    /// Maximum call legs of one presentity (RFC 4235 §4).
    pub calls_max: usize,
}

/// The content of the 200 to a PUBLISH.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// SIP-ETag.
    pub entity_tag: EntityTag,
    /// Expires.
    pub expires: Duration,
}

/// Why a PUBLISH is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishRefused {
    /// 412
    ConditionFailed,
    /// 423 with Min-Expires
    TooBrief(Duration),
    /// 400: no SIP-If-Match and no body
    NoBody,
    /// 400 or 415
    Document(DocumentFault),
    /// 503: the presentity has the maximum number of publications
    TooMany,
}
