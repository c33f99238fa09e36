//! The messages in a mailbox (RFC 3842).

use serde::{Deserialize, Serialize};

/// A class of messages (RFC 3458).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MessageClass {
    /// Voice mail.
    Voice,
    /// Fax.
    Fax,
    /// Pager.
    Pager,
    /// Multimedia.
    Multimedia,
    /// Text.
    Text,
    /// No class.
    None,
}

impl MessageClass {
    /// Its name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Voice => "voice",
            Self::Fax => "fax",
            Self::Pager => "pager",
            Self::Multimedia => "multimedia",
            Self::Text => "text",
            Self::None => "none",
        }
    }
}

/// `new/old (urgent-new/urgent-old)`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MessageCounts {
    /// New messages.
    pub new: u32,
    /// Old messages.
    pub old: u32,
    /// Urgent messages among `new`.
    pub urgent_new: u32,
    /// Urgent messages among `old`.
    pub urgent_old: u32,
}

/// A mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Messages {
    /// `Messages-Waiting`: what the lamp shows. The source sets it independently of the counts.
    pub are_waiting: bool,
    /// `Message-Account`, a URI; None for the presentity itself.
    pub account: Option<Box<str>>,
    /// At most one entry per class, in the order of [`MessageClass`].
    pub counts: Vec<(MessageClass, MessageCounts)>,
}
