//! `multipart/related` and `multipart/mixed` (RFC 2046, 2387): the bodies of lists, and a PIDF
//! inside a multipart (RFC 4662 §4.3-4.5; W:B1.14).
//!
//! Written as a stream: the boundary is a constant, so no line of a part may begin with `--`
//! followed by the boundary. Our XML lines begin with `<`, our other lines with a letter, and no
//! part is itself a multipart.
//!
//! Read leniently (W:E4.9): lines may end with LF only, text before the first and after the last
//! delimiter is ignored, and the last delimiter may be missing.

use std::fmt;
use std::io::Write;

use crate::presence::document::DocumentFault;

/// Maximum octets of a boundary (RFC 2046 §5.1.1).
const BOUNDARY_OCTETS_MAX: usize = 70;
/// Maximum octets of a part's header.
const PART_HEADER_OCTETS_MAX: usize = 2048;

/// The boundary that is written: a token that needs no quotes, at most 10 characters (W:B5.8, G1).
const BOUNDARY: &str = "lamps00";

/// A Content-ID, without its angle brackets: `r17@lamps`. At most 54 characters, and equal in the
/// part and in the RLMI (W:B5.8, G1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentId(pub u32);

impl ContentId {
    /// The Content-ID of the root part.
    pub const ROOT: Self = Self(0);
}

impl fmt::Display for ContentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "r{}@lamps", self.0)
    }
}

/// Appends the Content-Type value of a `multipart/related` whose root part is `root` of type
/// `root_type`.
pub fn write_related(out: &mut Vec<u8>, root: ContentId, root_type: &str) {
    // Writing to a Vec cannot fail.
    let _ = write!(
        out,
        "multipart/related;type=\"{root_type}\";start=\"<{root}>\";boundary={BOUNDARY}"
    );
}

/// Appends the Content-Type value of a `multipart/mixed`.
pub fn write_mixed(out: &mut Vec<u8>) {
    let _ = write!(out, "multipart/mixed;boundary={BOUNDARY}");
}

/// Begins a part: delimiter, header, empty line. Append the part's octets next, then call
/// [`end_part`].
pub fn begin_part(out: &mut Vec<u8>, content_id: Option<ContentId>, content_type: &str) {
    let _ = write!(out, "--{BOUNDARY}\r\n");
    if let Some(content_id) = content_id {
        let _ = write!(out, "Content-ID: <{content_id}>\r\n");
    }
    let _ = write!(out, "Content-Type: {content_type}\r\n\r\n");
}

/// Like [`begin_part`], for a client that looks for a header with exactly this name and with the
/// value of the RLMI's `cid` (W:G1).
pub fn begin_bare_part(out: &mut Vec<u8>, content_id: ContentId, content_type: &str) {
    let _ = write!(
        out,
        "--{BOUNDARY}\r\nContent-Id: {content_id}\r\nContent-Type: {content_type}\r\n\r\n"
    );
}

/// Ends a part.
pub fn end_part(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Ends the body (W:G1).
pub fn end(out: &mut Vec<u8>) {
    let _ = write!(out, "--{BOUNDARY}--\r\n");
}

/// One part of a body that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The value of its Content-Type; empty if it has none.
    pub content_type: &'a str,
    /// Its Content-ID without angle brackets; empty if it has none.
    pub content_id: &'a str,
    /// Its octets.
    pub body: &'a [u8],
}

/// The root part of a `multipart/related`: the one that `start` names, otherwise the first (RFC
/// 2387 §3.2). `content_type` is the header's value.
///
/// # Errors
/// `Malformed` without a boundary, with one that is too long, or without a part.
pub fn root<'a>(content_type: &'a str, body: &'a [u8]) -> Result<Part<'a>, DocumentFault> {
    let boundary = boundary(content_type).ok_or(DocumentFault::Malformed)?;
    let start = parameter(content_type, "start").map(without_brackets);
    let is_start = |part: &Part<'_>| start == Some(part.content_id);
    parts(boundary, body)
        .find(is_start)
        .or_else(|| parts(boundary, body).next())
        .ok_or(DocumentFault::Malformed)
}

/// The parts of a body, in order; none without a boundary, or with one that is too long. `content_type` is the header's
/// value.
pub fn all<'a>(content_type: &'a str, body: &'a [u8]) -> impl Iterator<Item = Part<'a>> {
    let boundary = boundary(content_type).into_iter();
    boundary.flat_map(move |boundary| parts(boundary, body))
}

/// The boundary; None without one, or if it is too long.
fn boundary(content_type: &str) -> Option<&str> {
    let boundary = parameter(content_type, "boundary")?;
    (1..=BOUNDARY_OCTETS_MAX)
        .contains(&boundary.len())
        .then_some(boundary)
}

/// The parts of a body, in order. A part whose header is too long or not UTF-8 is ignored.
pub fn parts<'a>(boundary: &'a str, body: &'a [u8]) -> impl Iterator<Item = Part<'a>> {
    let mut delimiters = delimiters(boundary, body).peekable();
    std::iter::from_fn(move || {
        loop {
            let delimiter = delimiters.next().filter(|delimiter| !delimiter.is_last)?;
            let end = delimiters.peek().map_or(body.len(), |next| next.start);
            if let Some(part) = read_part(body.get(delimiter.end..end)?) {
                return Some(part);
            }
        }
    })
}

/// A line `--boundary` or `--boundary--`, with the line ends before and after it.
struct Delimiter {
    start: usize,
    end: usize,
    is_last: bool,
}

fn delimiters<'a>(boundary: &'a str, body: &'a [u8]) -> impl Iterator<Item = Delimiter> {
    let mut line_start = 0;
    std::iter::from_fn(move || {
        while line_start < body.len() {
            let start = line_start;
            let rest = &body[start..];
            let line_octets = memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
            line_start += line_octets;
            let line = rest[..line_octets].trim_ascii_end();
            let behind = line
                .strip_prefix(b"--")
                .and_then(|line| line.strip_prefix(boundary.as_bytes()));
            if let Some(behind @ (b"" | b"--")) = behind {
                return Some(Delimiter {
                    start: without_line_end(&body[..start]).len(),
                    end: line_start,
                    is_last: !behind.is_empty(),
                });
            }
        }
        None
    })
}

fn read_part(octets: &[u8]) -> Option<Part<'_>> {
    let mut part = Part {
        content_type: "",
        content_id: "",
        body: octets,
    };
    loop {
        let header_octets = octets.len() - part.body.len();
        if header_octets > PART_HEADER_OCTETS_MAX {
            return None;
        }
        let line_octets = memchr::memchr(b'\n', part.body).map_or(part.body.len(), |at| at + 1);
        let (line, rest) = part.body.split_at(line_octets);
        part.body = rest;
        let line = std::str::from_utf8(line.trim_ascii()).ok()?;
        if line.is_empty() {
            return Some(part);
        }
        if let Some((name, value)) = line.split_once(':') {
            let (name, value) = (name.trim(), value.trim());
            if name.eq_ignore_ascii_case("Content-Type") {
                part.content_type = value;
            } else if name.eq_ignore_ascii_case("Content-ID") {
                part.content_id = without_brackets(value);
            }
        }
    }
}

/// The media type that a Content-Type names, without its parameters.
#[must_use]
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The value of a parameter of a Content-Type, without its quotes. Backslashes are kept.
fn parameter<'a>(content_type: &'a str, name: &str) -> Option<&'a str> {
    let mut is_quoted = false;
    let mut fields = content_type.split(|character| {
        is_quoted ^= character == '"';
        character == ';' && !is_quoted
    });
    fields.find_map(|field| {
        let (key, value) = field.split_once('=')?;
        key.trim()
            .eq_ignore_ascii_case(name)
            .then(|| value.trim().trim_matches('"'))
    })
}

fn without_brackets(content_id: &str) -> &str {
    let content_id = content_id.trim();
    content_id
        .strip_prefix('<')
        .and_then(|content_id| content_id.strip_suffix('>'))
        .unwrap_or(content_id)
}

fn without_line_end(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_suffix(b"\n").unwrap_or(octets);
    octets.strip_suffix(b"\r").unwrap_or(octets)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
