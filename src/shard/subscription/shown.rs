//! What a phone was shown last, so that a NOTIFY that says nothing new is not sent.

use std::sync::Arc;

use crate::presence::Composed;
use crate::presence::document::Format;
use crate::presence::document::dialog_info::ShownDialogs;
use crate::presence::document::reginfo::ShownContacts;

/// What [`Subscription::shown`](crate::shard::subscription::Subscription) is when a NOTIFY without
/// a body was sent.
pub(crate) const SHOWN_EMPTY: u64 = 2;

/// The last sent state of a subscription with partial notifications.
#[derive(Debug)]
pub(crate) enum Shown {
    /// Dialogs of a `dialog-info` (RFC 4235 §4.3).
    Dialogs(ShownDialogs),
    /// The state behind a `pidf-full` or `pidf-diff` (RFC 5262, RFC 5263).
    State(Arc<Composed>),
    /// Contacts of a `reginfo`, each is reported once more when it terminates.
    Contacts(ShownContacts),
}

impl Shown {
    /// What a subscription with partial notifications must remember; None for other formats.
    pub(crate) fn of(format: Format, is_partial: bool) -> Option<Box<Self>> {
        match format {
            Format::DialogInfo if is_partial => {
                Some(Box::new(Self::Dialogs(ShownDialogs::default())))
            }
            Format::PidfDiff => Some(Box::new(Self::State(Arc::default()))),
            Format::RegInfo => Some(Box::new(Self::Contacts(ShownContacts::default()))),
            _ => None,
        }
    }
}
