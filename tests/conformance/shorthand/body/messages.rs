//! message-summary (RFC 3842): `messages 2/8`, new and old.

use crate::shorthand::body::{Context, Document, find};

/// The media type.
pub(crate) const CONTENT_TYPE: &str = "application/simple-message-summary";

/// The document of a statement; None if it is not about messages.
pub(crate) fn write(statement: &str, context: &Context<'_>) -> Option<Document> {
    let counts = statement.strip_prefix("messages ")?;
    let new = counts.split('/').next()?;
    let waiting = if new == "0" { "no" } else { "yes" };
    let account = &context.target;
    let lines = vec![
        format!("Messages-Waiting: {waiting}{{x0d}}"),
        format!("Message-Account: {account}{{x0d}}"),
        format!("Voice-Message: {counts} (0/0){{x0d}}"),
    ];
    Some(Document::tagged(CONTENT_TYPE, lines)).filter(|_| !context.is_received)
}

/// The statement of a document.
pub(crate) fn read(lines: &[String], _: &Context<'_>) -> Option<String> {
    let counts = find(lines, "Voice-Message: ", " (0/0)")?;
    Some(format!("messages {counts}"))
}
