//! The PROXY protocol: a header is found whole, and no octet behind it is asked for, however it arrives.

use lamplighter::net::stream::proxy_protocol::{Header, Malformed, read};

/// Octets of the longest header that is accepted.
const HEADER_OCTETS_MAX: usize = 2048;

/// The octets of a connection.
pub(crate) fn proxy_protocol(octets: &[u8]) {
    let asked = read_as_asked(octets);
    let octet_by_octet = read_by_octet(octets);
    match asked {
        Some(found) => assert_eq!(octet_by_octet, Some(found)),
        None => assert!(!matches!(octet_by_octet, Some(Ok(_)))),
    }
    if let Some(Ok(length)) = asked {
        assert!(length <= HEADER_OCTETS_MAX);
        // An octet behind a header makes it another one, or none.
        let longer = [&octets[..length], b"\0"].concat();
        assert_eq!(read(&longer), Err(Malformed));
    }
}

/// As the server reads: as many octets as are certainly still of the header. Its length; None if more
/// octets are needed than there are.
fn read_as_asked(octets: &[u8]) -> Option<Result<usize, Malformed>> {
    let mut length = 0;
    loop {
        match read(octets.get(..length)?) {
            Ok(Header::More(more)) => {
                assert!(more > 0, "nothing is asked for");
                length += more;
                assert!(length <= HEADER_OCTETS_MAX, "{length} octets");
            }
            Ok(Header::Whole(_)) => return Some(Ok(length)),
            Err(malformed) => return Some(Err(malformed)),
        }
    }
}

/// The shortest beginning that is a header, or cannot become one.
fn read_by_octet(octets: &[u8]) -> Option<Result<usize, Malformed>> {
    (0..=octets.len()).find_map(|length| match read(&octets[..length]) {
        Ok(Header::More(_)) => None,
        Ok(Header::Whole(_)) => Some(Ok(length)),
        Err(malformed) => Some(Err(malformed)),
    })
}
