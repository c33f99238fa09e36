//! A PUBLISH as the domain sees it: what was sent, what is granted, why it is refused (RFC 3903 §6;
//! W:B1).

use std::time::Duration;

use crate::presence::call::CallState;
use crate::presence::document::Document;
use crate::presence::document::DocumentFault;
use crate::presence::event::Package;
use crate::presence::source::EntityTag;

/// What SIP-If-Match says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No SIP-If-Match: an initial publication.
    None,
    /// One token that looks like ours.
    Matches(EntityTag),
    /// One token that cannot be ours: 412 (W:E3.20).
    Foreign,
}

/// A PUBLISH, its body already read.
#[derive(Clone, Debug)]
pub struct Publication {
    /// One of those that are published: `presence`, `dialog`, `message-summary`, `reg`.
    pub package: Package,
    /// The condition.
    pub condition: Condition,
    /// Expires in seconds; None when absent.
    pub expires: Option<u32>,
    /// The body; None when there was none. A fault is answered only when the condition holds (order
    /// of RFC 3903 §6).
    pub document: Option<Result<Document, DocumentFault>>,
    /// Who publishes: equal for two of one publisher and presentity (W:B1.12).
    pub publisher: u64,
    /// Whether that is one who speaks for everybody of the domain, as an exchange does (W:B1.3).
    pub is_feeder: bool,
}

impl Publication {
    /// Whether it only says that calls are over: every dialog of its document is terminated, or
    /// there is none. Such news is never too brief (W:B1.5).
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

/// Bounds on what is granted.
#[derive(Clone, Copy, Debug)]
pub struct PublicationLimits {
    /// Shorter (and not 0) is 423, unless it ends something; see [`Publication::ends_calls`].
    pub expires_min: Duration,
    /// Longer is shortened silently.
    pub expires_max: Duration,
    /// Granted when the request names none (3600 s).
    pub expires_default: Duration,
    /// Publications of one presentity; one more is refused.
    pub publications_max: usize,
    /// Call legs of one presentity (W:E4.7).
    pub calls_max: usize,
}

/// What the 200 says.
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
    /// 503: the presentity has all the publications it may have
    TooMany,
}
