//! The lines of a request that its response repeats, where they can be copied as they came.

use crate::sip::HeaderName;
use crate::sip::message::Message;
use crate::sip::message::lines::next_control;

/// The lines in the order in which a response has them, each with what stands in front of its value.
const LINES: [(HeaderName, &[u8]); 4] = [
    (HeaderName::From, b"From: "),
    (HeaderName::To, b"To: "),
    (HeaderName::CallId, b"Call-ID: "),
    (HeaderName::CSeq, b"CSeq: "),
];
const LINE_END: &[u8] = b"\r\n";

/// From, To, Call-ID and CSeq of a request, in the octets that its response has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RepeatedLines<'a> {
    /// From and To, without the end of the line of To: a tag may be added there.
    pub(crate) addresses: &'a [u8],
    /// The end of the line of To, Call-ID and CSeq.
    pub(crate) rest: &'a [u8],
}

impl<'a> Message<'a> {
    /// From, To, Call-ID and CSeq as one piece. None unless they stand in this order one behind the
    /// other, as we write them ourselves: with the long name, one space, and no fold.
    pub(crate) fn repeated_lines(&self) -> Option<RepeatedLines<'a>> {
        let (from, _) = self.fields.first(HeaderName::From)?.place();
        let start = from.checked_sub(b"From: ".len())?;
        let (mut line, mut end_of_to) = (start, start);
        for (name, front) in LINES {
            let (value, end) = self.fields.first(name)?.place();
            let is_as_we_write = self.bytes.get(line..value) == Some(front)
                && next_control(self.bytes, value) == Some(end)
                && self.bytes[end..].starts_with(LINE_END);
            if !is_as_we_write {
                return None;
            }
            line = end + LINE_END.len();
            if name == HeaderName::To {
                end_of_to = end;
            }
        }
        Some(RepeatedLines {
            addresses: &self.bytes[start..end_of_to],
            rest: &self.bytes[end_of_to..line],
        })
    }
}
