//! The framing of FreeSWITCH's event socket: a block of `Name: value` lines ended by an empty line, then as many
//! octets of body as its Content-Length says.

use memchr::memmem;

use crate::connect::headers::Headers;
use crate::connect::protocol::Fault;

/// Octets of the lines.
const HEAD_OCTETS_MAX: usize = 64 * 1024;
/// Octets of a body: that of a list of all channels is the longest.
const BODY_OCTETS_MAX: usize = 64 * 1024 * 1024;

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame<'o> {
    /// Its lines.
    pub(super) head: Headers,
    /// Its body; empty if it has none.
    pub(super) body: &'o [u8],
}

/// The frame that `octets` begin with, and its octets; None if it is incomplete.
///
/// # Errors
/// It is too long, or its length is no number.
pub(super) fn take(octets: &[u8]) -> Result<Option<(Frame<'_>, usize)>, Fault> {
    let searched = octets.get(..HEAD_OCTETS_MAX).unwrap_or(octets);
    let Some(end) = memmem::find(searched, b"\n\n") else {
        return match octets.len() < HEAD_OCTETS_MAX {
            true => Ok(None),
            false => Err(Fault::Garbage("the lines of a frame are too long")),
        };
    };
    let head = Headers::parse(octets.get(..end).unwrap_or_default());
    let length = match head.get("Content-Length") {
        "" => 0,
        length => length
            .parse()
            .map_err(|_| Fault::Garbage("a Content-Length is no number"))?,
    };
    if length > BODY_OCTETS_MAX {
        return Err(Fault::Garbage("the body of a frame is too long"));
    }
    let begin = end + 2;
    let body = octets.get(begin..begin + length);
    Ok(body.map(|body| (Frame { head, body }, begin + length)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_as_many_octets_as_it_says() {
        let whole = b"Content-Length: 3\nContent-Type: api/response\n\nabcContent";
        let (frame, octets) = take(whole).unwrap().unwrap();
        assert_eq!(frame.head.get("content-type"), "api/response");
        assert_eq!((frame.body, octets), (b"abc".as_slice(), 49));
        for end in 0..49 {
            assert_eq!(take(whole.get(..end).unwrap()), Ok(None), "{end}");
        }
        let (frame, octets) = take(b"Content-Type: auth/request\n\n").unwrap().unwrap();
        assert_eq!((frame.body, octets), (b"".as_slice(), 28));
    }

    #[test]
    fn lengths_have_limits() {
        for length in ["-1", "1x", "99999999999999999999", "67108865"] {
            let frame = format!("Content-Length: {length}\n\n");
            assert!(take(frame.as_bytes()).is_err(), "{length}");
        }
        assert!(take(&vec![b'a'; HEAD_OCTETS_MAX]).is_err());
    }
}
