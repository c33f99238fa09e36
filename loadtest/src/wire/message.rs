//! Scans the messages of a server for the few fields that the checks need, as slices of the
//! received octets.
//!
//! Guarantees: linear time, no allocation, never a panic. It is not a SIP parser: `rsip` parses a
//! sample of the same messages in full (see [`crate::wire::second_opinion`]); all others are only
//! scanned.

use memchr::memchr;

/// Lines that a response must copy: every Via, then From, To, Call-ID and CSeq.
const ECHO_LINES_MAX: usize = 16;
/// Maximum WWW-Authenticate headers examined in one response.
const CHALLENGES_MAX: usize = 4;

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start<'a> {
    /// A request: the method and the Request-URI.
    Request { method: &'a [u8], uri: &'a [u8] },
    /// A response: the status code.
    Response(u16),
}

/// One message from the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Incoming<'a> {
    pub(crate) start: Start<'a>,
    /// The branch of the topmost Via; empty if there is none.
    pub(crate) branch: &'a [u8],
    pub(crate) from_tag: &'a [u8],
    pub(crate) to_tag: &'a [u8],
    pub(crate) call_id: &'a [u8],
    pub(crate) sequence: u32,
    pub(crate) sequence_method: &'a [u8],
    /// The package of Event, without parameters.
    pub(crate) event: &'a [u8],
    pub(crate) subscription_state: &'a [u8],
    /// The URI of Contact, without angle brackets.
    pub(crate) contact: &'a [u8],
    pub(crate) content_type: &'a [u8],
    pub(crate) entity_tag: &'a [u8],
    pub(crate) expires: Option<u32>,
    pub(crate) min_expires: Option<u32>,
    pub(crate) retry_after: Option<u32>,
    pub(crate) body: &'a [u8],
    challenges: [&'a [u8]; CHALLENGES_MAX],
    echo_lines: [&'a [u8]; ECHO_LINES_MAX],
    echo_count: usize,
}

/// Why a message cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The first line is not a SIP start line.
    StartLine,
    /// A header line has no colon, or the head never ends.
    Head,
    /// CSeq is missing or not a number.
    Sequence,
    /// Via branch, From tag or Call-ID is missing.
    Identifiers,
    /// Content-Length does not give the length of the body.
    Length,
}

/// Reads one complete message.
pub(crate) fn scan(bytes: &[u8]) -> Result<Incoming<'_>, Unreadable> {
    let (first, mut rest) = take_line(bytes).ok_or(Unreadable::StartLine)?;
    let mut message = Incoming::empty(start_line(first).ok_or(Unreadable::StartLine)?);
    let mut content_length = None;
    loop {
        let (line, after) = take_header(rest).ok_or(Unreadable::Head)?;
        rest = after;
        if line.is_empty() {
            break;
        }
        // Names are so short that a plain loop is faster than a vector search.
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .ok_or(Unreadable::Head)?;
        let (name, value) = (line[..colon].trim_ascii(), line[colon + 1..].trim_ascii());
        match Field::of(name) {
            Some(Field::ContentLength) => {
                content_length = Some(number(value).ok_or(Unreadable::Length)?);
            }
            Some(field) => message.take(field, line, value)?,
            None => {}
        }
    }
    if content_length.is_some_and(|length| length as usize != rest.len()) {
        return Err(Unreadable::Length);
    }
    message.body = rest;
    if message.sequence_method.is_empty() {
        return Err(Unreadable::Sequence);
    }
    if message.branch.is_empty() || message.from_tag.is_empty() || message.call_id.is_empty() {
        return Err(Unreadable::Identifiers);
    }
    Ok(message)
}

/// The length of the message at the front of a stream's buffer: `Ok(None)` if more octets are
/// needed, `Err` if the stream is out of sync. The caller must skip leading line ends.
pub(crate) fn frame(buffer: &[u8]) -> Result<Option<usize>, Unreadable> {
    let mut rest = buffer;
    let mut content_length = None;
    loop {
        let Some((line, after)) = take_line(rest) else {
            return Ok(None);
        };
        rest = after;
        if line.is_empty() {
            break;
        }
        if let Some(colon) = memchr(b':', line)
            && Field::of(line[..colon].trim_ascii()) == Some(Field::ContentLength)
        {
            content_length = number(line[colon + 1..].trim_ascii());
        }
    }
    let length = content_length.ok_or(Unreadable::Length)? as usize;
    let whole = buffer.len() - rest.len() + length;
    Ok((whole <= buffer.len()).then_some(whole))
}

impl<'a> Incoming<'a> {
    /// Appends the response to this request: `status_line` without its line end, the copied lines,
    /// no body.
    pub(crate) fn respond(&self, status_line: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(status_line.as_bytes());
        out.extend_from_slice(b"\r\n");
        for line in &self.echo_lines[..self.echo_count] {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"Content-Length: 0\r\n\r\n");
    }

    /// The WWW-Authenticate values, in order.
    pub(crate) fn challenges(&self) -> impl Iterator<Item = &'a [u8]> {
        self.challenges
            .into_iter()
            .filter(|challenge| !challenge.is_empty())
    }

    fn empty(start: Start<'a>) -> Self {
        Self {
            start,
            branch: b"",
            from_tag: b"",
            to_tag: b"",
            call_id: b"",
            sequence: 0,
            sequence_method: b"",
            event: b"",
            subscription_state: b"",
            contact: b"",
            content_type: b"",
            entity_tag: b"",
            expires: None,
            min_expires: None,
            retry_after: None,
            body: b"",
            challenges: [b""; CHALLENGES_MAX],
            echo_lines: [b""; ECHO_LINES_MAX],
            echo_count: 0,
        }
    }

    fn take(&mut self, field: Field, line: &'a [u8], value: &'a [u8]) -> Result<(), Unreadable> {
        match field {
            Field::Via => {
                if self.branch.is_empty() {
                    self.branch = parameter(value, b"branch");
                }
                self.echo(line);
            }
            Field::From => {
                self.from_tag = parameter(after_address(value), b"tag");
                self.echo(line);
            }
            Field::To => {
                self.to_tag = parameter(after_address(value), b"tag");
                self.echo(line);
            }
            Field::CallId => {
                self.call_id = value;
                self.echo(line);
            }
            Field::Sequence => {
                let (digits, method) = split_at_byte(value, b' ').ok_or(Unreadable::Sequence)?;
                self.sequence = number(digits).ok_or(Unreadable::Sequence)?;
                self.sequence_method = method.trim_ascii();
                self.echo(line);
            }
            Field::Event => self.event = before_byte(value, b';').trim_ascii(),
            Field::SubscriptionState => self.subscription_state = value,
            Field::Contact => self.contact = address(value),
            Field::ContentType => self.content_type = value,
            Field::EntityTag => self.entity_tag = value,
            Field::Expires => self.expires = number(value),
            Field::MinExpires => self.min_expires = number(value),
            Field::RetryAfter => self.retry_after = leading_number(value),
            Field::Challenge => {
                if let Some(free) = self.challenges.iter_mut().find(|slot| slot.is_empty()) {
                    *free = value;
                }
            }
            Field::ContentLength => {}
        }
        Ok(())
    }

    fn echo(&mut self, line: &'a [u8]) {
        if let Some(slot) = self.echo_lines.get_mut(self.echo_count) {
            *slot = line;
            self.echo_count += 1;
        }
    }
}

/// The headers that are examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Via,
    From,
    To,
    CallId,
    Sequence,
    Event,
    SubscriptionState,
    Contact,
    ContentType,
    ContentLength,
    EntityTag,
    Expires,
    MinExpires,
    RetryAfter,
    Challenge,
}

impl Field {
    fn of(name: &[u8]) -> Option<Self> {
        let is = |expected: &str| name.eq_ignore_ascii_case(expected.as_bytes());
        match name.len() {
            1 => match name[0].to_ascii_lowercase() {
                b'v' => Some(Self::Via),
                b'f' => Some(Self::From),
                b't' => Some(Self::To),
                b'i' => Some(Self::CallId),
                b'o' => Some(Self::Event),
                b'm' => Some(Self::Contact),
                b'c' => Some(Self::ContentType),
                b'l' => Some(Self::ContentLength),
                _ => None,
            },
            2 if is("To") => Some(Self::To),
            3 if is("Via") => Some(Self::Via),
            4 if is("From") => Some(Self::From),
            4 if is("CSeq") => Some(Self::Sequence),
            5 if is("Event") => Some(Self::Event),
            7 if is("Call-ID") => Some(Self::CallId),
            7 if is("Contact") => Some(Self::Contact),
            7 if is("Expires") => Some(Self::Expires),
            8 if is("SIP-ETag") => Some(Self::EntityTag),
            11 if is("Min-Expires") => Some(Self::MinExpires),
            11 if is("Retry-After") => Some(Self::RetryAfter),
            12 if is("Content-Type") => Some(Self::ContentType),
            14 if is("Content-Length") => Some(Self::ContentLength),
            16 if is("WWW-Authenticate") => Some(Self::Challenge),
            18 if is("Subscription-State") => Some(Self::SubscriptionState),
            _ => None,
        }
    }
}

fn start_line(line: &[u8]) -> Option<Start<'_>> {
    if let Some(rest) = line.strip_prefix(b"SIP/2.0 ") {
        let code = number(rest.get(..3)?)?;
        return (100..700)
            .contains(&code)
            .then_some(Start::Response(code as u16));
    }
    let (method, rest) = split_at_byte(line, b' ')?;
    let uri = rest.strip_suffix(b" SIP/2.0")?;
    Some(Start::Request { method, uri })
}

/// One line without its end, and the rest.
fn take_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr(b'\n', bytes)?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

/// One header line including its folded lines, and the rest.
fn take_header(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, mut rest) = take_line(bytes)?;
    if line.is_empty() || !matches!(rest.first(), Some(b' ' | b'\t')) {
        return Some((line, rest));
    }
    let mut end = line.len();
    while matches!(rest.first(), Some(b' ' | b'\t')) {
        let start = bytes.len() - rest.len();
        let (folded, after) = take_line(rest)?;
        end = start + folded.len();
        rest = after;
    }
    Some((&bytes[..end], rest))
}

/// The URI of a name-addr or addr-spec.
fn address(value: &[u8]) -> &[u8] {
    match split_at_byte(value, b'<') {
        Some((_, rest)) => before_byte(rest, b'>'),
        None => before_byte(value, b';').trim_ascii(),
    }
}

/// The text after the address of a From, To or Contact: the header's own parameters.
fn after_address(value: &[u8]) -> &[u8] {
    match split_at_byte(value, b'>') {
        Some((_, rest)) => rest,
        None => value,
    }
}

/// A parameter's value up to the next `;`, `,` or white space; empty if it is absent.
pub(crate) fn parameter<'a>(value: &'a [u8], name: &[u8]) -> &'a [u8] {
    let mut rest = value;
    while let Some((_, after)) = split_at_byte(rest, b';') {
        rest = after;
        let Some((found, text)) = split_at_byte(before_byte(rest, b';'), b'=') else {
            continue;
        };
        if found.trim_ascii().eq_ignore_ascii_case(name) {
            let text = text.trim_ascii();
            let end = text
                .iter()
                .position(|byte| matches!(byte, b',' | b' ' | b'\t'));
            return &text[..end.unwrap_or(text.len())];
        }
    }
    b""
}

/// A value that consists of one decimal number.
pub(crate) fn number(value: &[u8]) -> Option<u32> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0_u32, |sum, byte| {
        let digit = byte.is_ascii_digit().then(|| u32::from(byte - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

fn leading_number(value: &[u8]) -> Option<u32> {
    let end = value
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(value.len());
    number(&value[..end])
}

/// The text before and after the first `byte`.
pub(crate) fn split_at_byte(value: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = value.iter().position(|&found| found == byte)?;
    Some((&value[..at], &value[at + 1..]))
}

/// The text before the first `byte`, or all of it.
pub(crate) fn before_byte(value: &[u8], byte: u8) -> &[u8] {
    split_at_byte(value, byte).map_or(value, |(before, _)| before)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const NOTIFY: &[u8] = b"NOTIFY sip:line7@127.0.0.1:40001 SIP/2.0\r\n\
        Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKabc;rport\r\n\
        From: \"a>;tag=no\" <sip:1001@abc.com>;tag=server1\r\n\
        t: <sip:1002@abc.com>;tag=phone1\r\n\
        i: 7-feed@127.0.0.1\r\n\
        CSeq: 12 NOTIFY\r\n\
        Contact: <sip:s1@127.0.0.1:5060;transport=udp>\r\n\
        o: dialog;id=4\r\n\
        Subscription-State: active;\r\n expires=3599\r\n\
        c: application/dialog-info+xml\r\n\
        l: 4\r\n\r\n<a/>";

    #[test]
    fn a_notify_is_scanned_with_compact_names_and_folds() {
        let message = scan(NOTIFY).unwrap();
        let uri: &[u8] = b"sip:line7@127.0.0.1:40001";
        assert_eq!(
            message.start,
            Start::Request {
                method: b"NOTIFY",
                uri
            }
        );
        assert_eq!(message.branch, b"z9hG4bKabc");
        assert_eq!(message.to_tag, b"phone1");
        assert_eq!(message.call_id, b"7-feed@127.0.0.1");
        assert_eq!(
            (message.sequence, message.sequence_method),
            (12, b"NOTIFY".as_slice())
        );
        assert_eq!(message.contact, b"sip:s1@127.0.0.1:5060;transport=udp");
        assert_eq!(message.event, b"dialog");
        assert_eq!(message.content_type, b"application/dialog-info+xml");
        assert_eq!(parameter(message.subscription_state, b"expires"), b"3599");
        assert_eq!(message.body, b"<a/>");
    }

    #[test]
    fn an_answer_repeats_what_must_be_repeated() {
        let mut out = Vec::new();
        scan(NOTIFY).unwrap().respond("SIP/2.0 200 OK", &mut out);
        let response = scan(&out).unwrap();
        assert_eq!(response.start, Start::Response(200));
        assert_eq!(response.branch, b"z9hG4bKabc");
        assert_eq!(response.sequence, 12);
        assert_eq!(response.to_tag, b"phone1");
        assert!(rsip::Response::try_from(out.as_slice()).is_ok());
    }

    #[test]
    fn malformed_parts_are_named() {
        let broken = |from: &str, to: &str| {
            let text = String::from_utf8(NOTIFY.to_vec()).unwrap();
            assert!(text.contains(from));
            let text = text.replace(from, to);
            scan(text.as_bytes()).map(|_| ()).unwrap_err()
        };
        assert_eq!(broken("NOTIFY sip:", "NOTIFYsip:"), Unreadable::StartLine);
        assert_eq!(
            broken("CSeq: 12 NOTIFY", "CSeq: twelve NOTIFY"),
            Unreadable::Sequence
        );
        assert_eq!(broken("CSeq: 12 NOTIFY", "X: y"), Unreadable::Sequence);
        assert_eq!(broken("l: 4", "l: 5"), Unreadable::Length);
        assert_eq!(broken("branch=", "bunch="), Unreadable::Identifiers);
        assert_eq!(broken("l: 4", "nonsense"), Unreadable::Head);
        assert_eq!(scan(b"").map(|_| ()).unwrap_err(), Unreadable::StartLine);
    }

    #[test]
    fn every_cut_of_a_message_is_survived() {
        for end in 0..NOTIFY.len() {
            assert!(scan(&NOTIFY[..end]).is_err());
        }
    }

    #[test]
    fn a_stream_is_cut_at_its_lengths() {
        let mut stream = NOTIFY.to_vec();
        stream.extend_from_slice(NOTIFY);
        assert_eq!(frame(&stream), Ok(Some(NOTIFY.len())));
        assert_eq!(frame(&NOTIFY[..NOTIFY.len() - 1]), Ok(None));
        assert_eq!(frame(&NOTIFY[..20]), Ok(None));
        assert_eq!(frame(b"SIP/2.0 200 OK\r\n\r\n"), Err(Unreadable::Length));
    }
}
