//! The messages that phones and a PBX write, and the few fields they read. Templates and plain
//! scans: a benchmark's phones must cost less than the server they drive.

use std::io::Write;
use std::net::SocketAddr;

use memchr::{memchr, memmem};

/// The domain of all users.
pub const DOMAIN: &str = "b.test";

/// One watcher's SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
pub struct Subscribe<'a> {
    /// The watcher's number: its Call-ID and From-tag.
    pub watcher: u32,
    /// The presentity.
    pub presentity: u32,
    /// The user of its Contact: equal for all keys of one phone.
    pub phone: u32,
    /// Its own address.
    pub local: SocketAddr,
    /// `UDP` or `TCP`.
    pub transport: &'a str,
    /// The server's tag and Contact; empty in the first one.
    pub to_tag: &'a str,
    /// See `to_tag`.
    pub target: &'a str,
    /// Of this request.
    pub cseq: u32,
    /// 0 ends it.
    pub expires: u32,
}

impl Subscribe<'_> {
    /// Appends it: 600 octets and some, as a Yealink writes them.
    pub fn write(&self, out: &mut Vec<u8>) {
        let Self {
            watcher,
            presentity,
            phone,
            local,
            transport,
            cseq,
            expires,
            ..
        } = self;
        let default_target = format!("sip:p{presentity}@{DOMAIN}");
        let (target, tag) = if self.to_tag.is_empty() {
            (default_target.as_str(), String::new())
        } else {
            (self.target, format!(";tag={}", self.to_tag))
        };
        // Writing to a Vec cannot fail.
        let _ = write!(
            out,
            "SUBSCRIBE {target} SIP/2.0\r\n\
             Via: SIP/2.0/{transport} {local};branch=z9hG4bKs{watcher}x{cseq};rport\r\n\
             From: \"Desk {phone}\" <sip:w{phone}@{DOMAIN}>;tag=f{watcher}\r\n\
             To: <sip:p{presentity}@{DOMAIN}>{tag}\r\n\
             Call-ID: s{watcher}@phones.{DOMAIN}\r\n\
             CSeq: {cseq} SUBSCRIBE\r\n\
             Contact: <sip:w{phone}@{local}>\r\n\
             Accept: application/dialog-info+xml\r\n\
             Max-Forwards: 70\r\n\
             User-Agent: Yealink SIP-T46S 66.86.0.15\r\n\
             Expires: {expires}\r\n\
             Supported: replaces\r\n\
             Event: dialog\r\n\
             Allow-Events: talk,hold,conference,refer,check-sync\r\n\
             Content-Length: 0\r\n\r\n"
        );
    }
}

/// Appends a PUBLISH: a call of the presentity with one of two parties in turn, so that each
/// PUBLISH changes the state but not its length.
pub fn write_publish(
    out: &mut Vec<u8>,
    presentity: u32,
    number: u32,
    entity_tag: &str,
    local: SocketAddr,
) {
    let party = 100 + number % 2;
    let body = format!(
        "<?xml version=\"1.0\"?>\n\
         <dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"{number}\" state=\"full\" \
         entity=\"sip:p{presentity}@{DOMAIN}\">\n\
         <dialog id=\"call{presentity}\" direction=\"recipient\">\n<state>confirmed</state>\n\
         <local>\n<identity>sip:p{presentity}@{DOMAIN}</identity>\n<target uri=\"sip:p{presentity}@{DOMAIN}\"/>\n</local>\n\
         <remote>\n<identity display=\"Switchboard\">sip:{party}@{DOMAIN}</identity>\n\
         <target uri=\"sip:{party}@{DOMAIN}\"/>\n</remote>\n</dialog>\n</dialog-info>\n"
    );
    let condition = if entity_tag.is_empty() {
        String::new()
    } else {
        format!("SIP-If-Match: {entity_tag}\r\n")
    };
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "PUBLISH sip:p{presentity}@{DOMAIN} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {local};branch=z9hG4bKp{presentity}x{number};rport\r\n\
         From: <sip:p{presentity}@{DOMAIN}>;tag=p{number}\r\n\
         To: <sip:p{presentity}@{DOMAIN}>\r\n\
         Call-ID: p{presentity}x{number}@pbx.{DOMAIN}\r\n\
         CSeq: 1 PUBLISH\r\n\
         Max-Forwards: 70\r\n\
         Event: dialog\r\n\
         {condition}\
         Expires: 3600\r\n\
         Content-Type: application/dialog-info+xml\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
}

/// Appends the 200 to a request.
pub fn write_ok(out: &mut Vec<u8>, request: &[u8]) {
    out.extend_from_slice(b"SIP/2.0 200 OK\r\n");
    for line in lines(request).skip(1) {
        let is_copied = match line.first() {
            Some(b'V') => line.starts_with(b"Via:"),
            Some(b'F') => line.starts_with(b"From:"),
            Some(b'T') => line.starts_with(b"To:"),
            Some(b'C') => line.starts_with(b"Call-ID:") || line.starts_with(b"CSeq:"),
            _ => false,
        };
        if is_copied {
            out.extend_from_slice(line);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"User-Agent: Yealink SIP-T46S 66.86.0.15\r\nContent-Length: 0\r\n\r\n");
}

/// Pads the 200 that begins at `start` to that length, with white space at the end of its
/// User-Agent.
pub fn fill_up(out: &mut Vec<u8>, start: usize, octets: usize) {
    let at = out.len() - "\r\nContent-Length: 0\r\n\r\n".len();
    let spaces = (start + octets).saturating_sub(out.len());
    out.splice(at..at, std::iter::repeat_n(b' ', spaces));
}

/// The lines of a message up to the empty one.
fn lines(message: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = message;
    std::iter::from_fn(move || {
        let end = memchr(b'\n', rest)?;
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        (!line.is_empty()).then_some(line)
    })
}

/// The first header of that name, if it is spelled in the usual way.
#[must_use]
pub fn header<'a>(message: &'a [u8], name: &str) -> Option<&'a [u8]> {
    lines(message).skip(1).find_map(|line| {
        let value = line.strip_prefix(name.as_bytes())?.strip_prefix(b":")?;
        Some(value.trim_ascii())
    })
}

/// The `tag` of a From or To.
#[must_use]
pub fn tag(value: &[u8]) -> &[u8] {
    let start = memmem::find(value, b";tag=").map_or(value.len(), |at| at + 5);
    let tag = &value[start..];
    &tag[..memchr(b';', tag).unwrap_or(tag.len())]
}

/// The number after the first `prefix` in a message.
#[must_use]
pub fn number_after(message: &[u8], prefix: &[u8]) -> Option<u32> {
    let start = memmem::find(message, prefix)? + prefix.len();
    let digits = message[start..]
        .iter()
        .take_while(|octet| octet.is_ascii_digit());
    digits.fold(None, |number, digit| {
        Some(
            number
                .unwrap_or(0u32)
                .wrapping_mul(10)
                .wrapping_add(u32::from(digit - b'0')),
        )
    })
}

/// The code of a response; None for a request.
#[must_use]
pub fn status(message: &[u8]) -> Option<u16> {
    let code = message.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
    std::str::from_utf8(code).ok()?.parse().ok()
}

/// Octets of the first message of a stream, once it is whole.
#[must_use]
pub fn message_octets(stream: &[u8]) -> Option<usize> {
    let head = memmem::find(stream, b"\r\n\r\n")? + 4;
    let body = number_after(&stream[..head], b"\r\nContent-Length: ").unwrap_or(0) as usize;
    (stream.len() >= head + body).then_some(head + body)
}
