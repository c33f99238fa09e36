//! `application/simple-message-summary` (RFC 3842 §5): the state of a mailbox, in lines of text
//! instead of XML.

use std::io::Write;

use crate::presence::document::{Document, DocumentFault, xml};
use crate::presence::profile::Rendering;
use crate::presence::source::{MessageClass, MessageCounts, Messages};
use crate::presence::{Aor, Composed};

/// The media type.
pub const CONTENT_TYPE: &str = "application/simple-message-summary";

/// Maximum octets of a document.
const DOCUMENT_OCTETS_MAX: usize = 8 * 1024;
/// Maximum octets of a Message-Account.
const ACCOUNT_OCTETS_MAX: usize = 1024;

/// The classes and the headers that carry them (RFC 3842 §5.2), in the order of [`MessageClass`].
const CLASSES: [(MessageClass, &str); 6] = [
    (MessageClass::Voice, "Voice-Message"),
    (MessageClass::Fax, "Fax-Message"),
    (MessageClass::Pager, "Pager-Message"),
    (MessageClass::Multimedia, "Multimedia-Message"),
    (MessageClass::Text, "Text-Message"),
    (MessageClass::None, "None"),
];

/// Appends the document. A mailbox without a statement counts as empty. There is always a line of
/// counts, because some phones read nothing else.
pub fn write_state(out: &mut Vec<u8>, aor: &Aor, composed: &Composed, rendering: Rendering) {
    static EMPTY: Messages = Messages {
        are_waiting: false,
        account: None,
        counts: Vec::new(),
    };
    let messages = composed.extras.messages.as_ref().unwrap_or(&EMPTY);
    let are_waiting = if messages.are_waiting { "yes" } else { "no" };
    // Writing to a Vec cannot fail.
    let _ = write!(out, "Messages-Waiting: {are_waiting}\r\nMessage-Account: ");
    match &messages.account {
        Some(account) => write_line(out, account),
        None => xml::write_plain_sip_uri(out, aor.user(), aor.domain()),
    }
    out.extend_from_slice(b"\r\n");
    for (class, counts) in &messages.counts {
        write_counts(out, *class, *counts, rendering);
    }
    if messages.counts.is_empty() {
        let counts = MessageCounts {
            new: u32::from(messages.are_waiting),
            ..MessageCounts::default()
        };
        write_counts(out, MessageClass::Voice, counts, rendering);
    }
}

fn write_counts(
    out: &mut Vec<u8>,
    class: MessageClass,
    counts: MessageCounts,
    rendering: Rendering,
) {
    let header = CLASSES.iter().find(|(known, _)| *known == class);
    let header = header.map_or("None", |(_, header)| header);
    let _ = write!(out, "{header}: {}/{}", counts.new, counts.old);
    let (urgent_new, urgent_old) = (counts.urgent_new, counts.urgent_old);
    if !rendering.omits_zero_urgent || urgent_new != 0 || urgent_old != 0 {
        let _ = write!(out, " ({urgent_new}/{urgent_old})");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends text without line ends.
fn write_line(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().filter(|octet| !octet.is_ascii_control()));
}

/// Reads a published document. Header names match in any case, lines may end with LF only, unknown
/// headers are ignored, and of two lines of one class the last counts.
///
/// # Errors
/// `Malformed` without Messages-Waiting, with a value of it that is neither yes nor no, with
/// invalid counts, and for text that is not UTF-8; `TooLarge` over a limit.
pub fn parse(body: &[u8]) -> Result<Document, DocumentFault> {
    if body.len() > DOCUMENT_OCTETS_MAX {
        return Err(DocumentFault::TooLarge);
    }
    let text = std::str::from_utf8(body).map_err(|_| DocumentFault::Malformed)?;
    let mut are_waiting = None;
    let mut messages = Messages::default();
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("Messages-Waiting") {
            are_waiting = Some(yes_or_no(value)?);
        } else if name.eq_ignore_ascii_case("Message-Account") {
            if value.len() > ACCOUNT_OCTETS_MAX {
                return Err(DocumentFault::TooLarge);
            }
            messages.account = (!value.is_empty()).then(|| value.into());
        } else if let Some((class, _)) = CLASSES
            .iter()
            .find(|(_, header)| name.eq_ignore_ascii_case(header))
        {
            let counts = counts(value).ok_or(DocumentFault::Malformed)?;
            messages.counts.retain(|(other, _)| other != class);
            messages.counts.push((*class, counts));
        }
    }
    messages.are_waiting = are_waiting.ok_or(DocumentFault::Malformed)?;
    messages.counts.sort_unstable_by_key(|(class, _)| *class);
    Ok(Document::Messages { messages })
}

fn yes_or_no(value: &str) -> Result<bool, DocumentFault> {
    if value.eq_ignore_ascii_case("yes") {
        Ok(true)
    } else if value.eq_ignore_ascii_case("no") {
        Ok(false)
    } else {
        Err(DocumentFault::Malformed)
    }
}

/// `2/8 (0/2)`; the parentheses are optional.
fn counts(value: &str) -> Option<MessageCounts> {
    fn pair(text: &str) -> Option<(u32, u32)> {
        let (new, old) = text.split_once('/')?;
        Some((new.trim().parse().ok()?, old.trim().parse().ok()?))
    }
    let (all, urgent) = value.split_once('(').unwrap_or((value, "0/0)"));
    let (new, old) = pair(all)?;
    let (urgent_new, urgent_old) = pair(urgent.trim_end().strip_suffix(')')?)?;
    Some(MessageCounts {
        new,
        old,
        urgent_new,
        urgent_old,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::presence::composition::Extras;

    fn written(messages: Option<Messages>, rendering: Rendering) -> String {
        let composed = Composed {
            extras: Arc::new(Extras {
                messages,
                ..Extras::default()
            }),
            ..Composed::default()
        };
        let mut out = Vec::new();
        write_state(&mut out, &Aor::new("1&0", "abc.com"), &composed, rendering);
        String::from_utf8(out).unwrap()
    }

    fn parsed(body: &str) -> Result<Messages, DocumentFault> {
        parse(body.as_bytes()).map(|document| match document {
            Document::Messages { messages } => messages,
            other => panic!("{other:?}"),
        })
    }

    fn mailbox() -> Messages {
        let voice = MessageCounts {
            new: 2,
            old: 8,
            urgent_new: 0,
            urgent_old: 2,
        };
        let fax = MessageCounts {
            new: 1,
            ..MessageCounts::default()
        };
        Messages {
            are_waiting: true,
            account: Some("sip:alice@vmail.example.com".into()),
            counts: vec![(MessageClass::Voice, voice), (MessageClass::Fax, fax)],
        }
    }

    /// W:B7.1, B7.2
    #[test]
    fn b7_1_the_lines() {
        let quiet = Rendering {
            omits_zero_urgent: true,
            ..Rendering::GENERIC
        };
        assert_eq!(
            written(Some(mailbox()), Rendering::GENERIC),
            "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n\
            Voice-Message: 2/8 (0/2)\r\nFax-Message: 1/0 (0/0)\r\n"
        );
        assert_eq!(
            written(Some(mailbox()), quiet),
            "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n\
            Voice-Message: 2/8 (0/2)\r\nFax-Message: 1/0\r\n"
        );
        // Never empty (W:A3.11), and plain text without any XML.
        assert_eq!(
            written(None, Rendering::GENERIC),
            "Messages-Waiting: no\r\nMessage-Account: sip:1&0@abc.com\r\nVoice-Message: 0/0 (0/0)\r\n"
        );
        let uncounted = Messages {
            are_waiting: true,
            account: Some("sip:a@b\r\nInjected: x".into()),
            counts: Vec::new(),
        };
        assert_eq!(
            written(Some(uncounted), quiet),
            "Messages-Waiting: yes\r\nMessage-Account: sip:a@bInjected: x\r\nVoice-Message: 1/0\r\n"
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let written = written(Some(mailbox()), Rendering::GENERIC);
        assert_eq!(parsed(&written), Ok(mailbox()));
    }

    #[test]
    fn real_feeders() {
        // RFC 3842 §5.2, followed by the headers of single messages.
        let example = "Messages-Waiting: yes\r\nMessage-Account: sip:alice@vmail.example.com\r\n\
            Voice-Message: 4/8 (1/2)\r\n\r\nTo: <alice@atlanta.example.com>\r\nSubject: carpool tomorrow?\r\n";
        let messages = parsed(example).unwrap();
        assert_eq!(messages.counts[0].1.urgent_new, 1);
        // As sent by Asterisk.
        let asterisk = "Messages-Waiting: no\nMessage-Account: sip:asterisk@10.0.0.1\nvoice-message: 0/0 (0/0)\n";
        assert_eq!(parsed(asterisk).unwrap().counts.len(), 1);
        assert!(!parsed("MESSAGES-WAITING:NO").unwrap().are_waiting);
        let twice = "Messages-Waiting: yes\nText-Message: 1/1\nVoice-Message: 1/0\nVoice-Message: 3 / 0 ( 1 / 0 )\n";
        let counts = parsed(twice).unwrap().counts;
        assert_eq!(
            counts
                .iter()
                .map(|(class, counts)| (*class, counts.new))
                .collect::<Vec<_>>(),
            [(MessageClass::Voice, 3), (MessageClass::Text, 1)]
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        let bad = [
            "",
            "Voice-Message: 1/0",
            "Messages-Waiting: maybe",
            "Messages-Waiting: yes\nVoice-Message: many",
            "Messages-Waiting: yes\nVoice-Message: 1/0 (0/0",
            "Messages-Waiting: yes\nVoice-Message: -1/0",
            "Messages-Waiting: yes\nVoice-Message: 99999999999/0",
            "<presence/>",
        ];
        for body in bad {
            assert_eq!(parsed(body), Err(DocumentFault::Malformed), "{body}");
        }
        assert_eq!(
            parse(b"Messages-Waiting: yes\n\xff"),
            Err(DocumentFault::Malformed)
        );
        let long = format!(
            "Messages-Waiting: yes\nMessage-Account: {}",
            "x".repeat(ACCOUNT_OCTETS_MAX + 1)
        );
        assert_eq!(parsed(&long), Err(DocumentFault::TooLarge));
        let long = "\n".repeat(DOCUMENT_OCTETS_MAX + 1);
        assert_eq!(parsed(&long), Err(DocumentFault::TooLarge));
    }
}
