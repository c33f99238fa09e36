//! The framing of Asterisk's manager interface (AMI): a greeting in one line, then blocks of `Name: value` lines,
//! each ended by an empty line.

use memchr::memmem;

use crate::connect::headers::Headers;
use crate::connect::protocol::Fault;

/// What the greeting begins with; a version follows.
const GREETING: &[u8] = b"Asterisk Call Manager/";
/// Octets of a greeting.
const GREETING_OCTETS_MAX: usize = 256;
/// Octets of a block; channel variables of a dial plan may make it long.
const BLOCK_OCTETS_MAX: usize = 256 * 1024;

/// The octets of the greeting that `octets` begin with; None if it is incomplete.
///
/// # Errors
/// It is another protocol's.
pub(super) fn greeting(octets: &[u8]) -> Result<Option<usize>, Fault> {
    let begun = octets.len().min(GREETING.len());
    if octets.get(..begun) != GREETING.get(..begun) || octets.len() > GREETING_OCTETS_MAX * 64 {
        return Err(Fault::Garbage("no greeting of the manager interface"));
    }
    match memchr::memchr(b'\n', octets) {
        Some(end) if end < GREETING_OCTETS_MAX => Ok(Some(end + 1)),
        None if octets.len() < GREETING_OCTETS_MAX => Ok(None),
        _ => Err(Fault::Garbage("the greeting is too long")),
    }
}

/// The block that `octets` begin with, and its octets; None if it is incomplete.
///
/// # Errors
/// It is too long.
pub(super) fn block(octets: &[u8]) -> Result<Option<(Headers, usize)>, Fault> {
    let searched = octets.get(..BLOCK_OCTETS_MAX).unwrap_or(octets);
    match memmem::find(searched, b"\r\n\r\n") {
        Some(end) => {
            let lines = octets.get(..end).unwrap_or_default();
            Ok(Some((Headers::parse(lines), end + 4)))
        }
        None if octets.len() < BLOCK_OCTETS_MAX => Ok(None),
        None => Err(Fault::Garbage("a block is too long")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_one_line_of_asterisk() {
        let whole = b"Asterisk Call Manager/9.0.0\r\nResponse";
        assert_eq!(greeting(whole), Ok(Some(29)));
        for end in 0..28 {
            assert_eq!(greeting(whole.get(..end).unwrap()), Ok(None), "{end}");
        }
        assert!(greeting(b"SSH-2.0-OpenSSH\r\n").is_err());
        let long = [GREETING, &[b'1'; 300]].concat();
        assert!(greeting(&long).is_err());
    }

    #[test]
    fn a_block_ends_with_an_empty_line() {
        let whole = b"Event: Hold\r\nUniqueid: 1.2\r\n\r\nEvent";
        let (headers, octets) = block(whole).unwrap().unwrap();
        assert_eq!((headers.get("Uniqueid"), octets), ("1.2", 30));
        for end in 0..29 {
            assert_eq!(block(whole.get(..end).unwrap()), Ok(None), "{end}");
        }
        assert!(block(&vec![b'a'; BLOCK_OCTETS_MAX]).is_err());
        let (headers, octets) = block(b"\r\n\r\n").unwrap().unwrap();
        assert_eq!((headers, octets), (Headers::parse(b""), 4));
    }
}
