//! The request line and the status line (RFC 3261 §7.1, §7.2).

use memchr::memchr;

use crate::sip::header::octets;
use crate::sip::message::REQUEST_URI_OCTETS_MAX;
use crate::sip::{Fault, Method, Uri};

/// A message's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// `SUBSCRIBE sip:123@abc.com SIP/2.0`
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI, undecoded.
        uri: &'a [u8],
    },
    /// `SIP/2.0 200 OK`
    Response {
        /// 100 to 699.
        code: u16,
        /// May be empty (RFC 3261 §7.2).
        reason: &'a [u8],
    },
}

impl<'a> StartLine<'a> {
    /// Parses a first line without its line end. `Err` if it is not SIP; an ill-formed request line
    /// is returned with its fault, so that a response can be sent.
    #[inline]
    pub(crate) fn parse(line: &'a [u8]) -> Result<(Self, Option<Fault>), Fault> {
        if line
            .get(..4)
            .is_some_and(|front| front.eq_ignore_ascii_case(b"SIP/"))
        {
            status_line(line)
        } else {
            request_line(line)
        }
    }
}

fn request_line(line: &[u8]) -> Result<(StartLine<'_>, Option<Fault>), Fault> {
    let (token, rest) = line.split_at(octets::skip_class(&octets::TOKEN, line, 0));
    if token.is_empty() || rest.first() != Some(&b' ') {
        return Err(Fault::StartLine);
    }
    let method = Method::from_token(token);
    let Some(uri) = rest.strip_suffix(b" SIP/2.0") else {
        return odd_request_line(method, rest);
    };
    let uri = uri.strip_prefix(b" ").ok_or(Fault::StartLine)?;
    let fault = request_uri_fault(uri);
    Ok((
        StartLine::Request {
            method,
            uri: octets::trim(uri),
        },
        fault,
    ))
}

/// A request line that does not end in ` SIP/2.0`: another version, another case, white space after
/// it, or not SIP.
fn odd_request_line<'a>(
    method: Method<'a>,
    rest: &'a [u8],
) -> Result<(StartLine<'a>, Option<Fault>), Fault> {
    let text = octets::trim_end(rest);
    let space = text
        .iter()
        .rposition(|&octet| octets::is_blank(octet))
        .ok_or(Fault::StartLine)?;
    let version = version_fault(&text[space + 1..])?;
    let uri = &text[..space];
    let uri = uri.strip_prefix(b" ").unwrap_or(uri);
    let spacing = (text.len() < rest.len()).then_some(Fault::StartLine);
    let fault = version.or(spacing).or_else(|| request_uri_fault(uri));
    Ok((
        StartLine::Request {
            method,
            uri: octets::trim(uri),
        },
        fault,
    ))
}

/// The fault of a Request-URI. Surplus blanks around it are a fault of the line; blanks inside it
/// are a fault of the URI (RFC 4475 §3.1.2.8, §3.1.2.9).
fn request_uri_fault(uri: &[u8]) -> Option<Fault> {
    if uri.len() > REQUEST_URI_OCTETS_MAX {
        return Some(Fault::UriTooLong);
    }
    match Uri::parse(uri) {
        // A Request-URI must not contain headers (RFC 3261 §19.1.1; RFC 4475 §3.1.2.11).
        Ok(parsed) => (!parsed.headers.is_empty()).then_some(Fault::RequestUri),
        Err(_) if octets::trim(uri).len() < uri.len() || uri.is_empty() => Some(Fault::StartLine),
        Err(fault) => Some(fault),
    }
}

fn status_line(line: &[u8]) -> Result<(StartLine<'_>, Option<Fault>), Fault> {
    let space = memchr(b' ', line).ok_or(Fault::StartLine)?;
    let (version, rest) = line.split_at(space);
    let fault = version_fault(version)?;
    let (digits, tail) = rest[1..].split_first_chunk::<3>().ok_or(Fault::StartLine)?;
    let reason = match tail {
        [] => tail,
        [b' ', reason @ ..] => reason,
        _ => return Err(Fault::StartLine),
    };
    let code = octets::number(digits).ok_or(Fault::StartLine)?;
    if !(100..=699).contains(&code) {
        return Err(Fault::StartLine);
    }
    Ok((
        StartLine::Response {
            code: code as u16,
            reason,
        },
        fault,
    ))
}

/// None for `SIP/2.0` in any case (RFC 3261 §7.1), 505 for another SIP version, `Err` if it is not
/// a SIP version.
fn version_fault(text: &[u8]) -> Result<Option<Fault>, Fault> {
    if text.eq_ignore_ascii_case(b"SIP/2.0") {
        return Ok(None);
    }
    let [protocol @ .., major, b'.', minor] = text else {
        return Err(Fault::StartLine);
    };
    let is_sip =
        protocol.eq_ignore_ascii_case(b"SIP/") && major.is_ascii_digit() && minor.is_ascii_digit();
    if is_sip {
        Ok(Some(Fault::Version))
    } else {
        Err(Fault::StartLine)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn request(line: &str) -> (Method<'_>, &str, Option<Fault>) {
        match StartLine::parse(line.as_bytes()).unwrap() {
            (StartLine::Request { method, uri }, fault) => {
                (method, std::str::from_utf8(uri).unwrap(), fault)
            }
            (StartLine::Response { .. }, _) => unreachable!("{line}"),
        }
    }

    #[test]
    fn requests() {
        assert_eq!(
            request("SUBSCRIBE sip:a@b SIP/2.0"),
            (Method::Subscribe, "sip:a@b", None)
        );
        assert_eq!(
            request("SUBSCRIBE sip:a@b sip/2.0"),
            (Method::Subscribe, "sip:a@b", None)
        );
        assert_eq!(
            request("subscribe tel:1 SIP/2.0"),
            (Method::Other(b"subscribe"), "tel:1", None)
        );
        let start_line = Some(Fault::StartLine);
        assert_eq!(
            request("INVITE  sip:a@b  SIP/2.0"),
            (Method::Invite, "sip:a@b", start_line)
        );
        assert_eq!(
            request("OPTIONS sip:a@b SIP/2.0  "),
            (Method::Options, "sip:a@b", start_line)
        );
        assert_eq!(
            request("OPTIONS  SIP/2.0"),
            (Method::Options, "", start_line)
        );
        let uri = Some(Fault::RequestUri);
        assert_eq!(
            request("INVITE sip:a@b; lr SIP/2.0"),
            (Method::Invite, "sip:a@b; lr", uri)
        );
        assert_eq!(
            request("INVITE <sip:a@b> SIP/2.0"),
            (Method::Invite, "<sip:a@b>", uri)
        );
        assert_eq!(
            request("INVITE sip:a@b?Route=x SIP/2.0"),
            (Method::Invite, "sip:a@b?Route=x", uri)
        );
        assert_eq!(
            request("OPTIONS sip:a@b SIP/7.0"),
            (Method::Options, "sip:a@b", Some(Fault::Version))
        );
        let long = format!("OPTIONS sip:{} SIP/2.0", "a".repeat(REQUEST_URI_OCTETS_MAX));
        assert_eq!(request(&long).2, Some(Fault::UriTooLong));
    }

    #[test]
    fn responses() {
        let response = |line: &'static str| StartLine::parse(line.as_bytes());
        let code = |code, reason| Ok((StartLine::Response { code, reason }, None));
        assert_eq!(response("SIP/2.0 200 OK"), code(200, b"OK"));
        assert_eq!(response("sip/2.0 100 "), code(100, b""));
        assert_eq!(response("SIP/2.0 699"), code(699, b""));
        assert_eq!(response("SIP/3.0 200 OK").unwrap().1, Some(Fault::Version));
        for line in [
            "SIP/2.0 4294967301 x",
            "SIP/2.0 99 x",
            "SIP/2.0 700 x",
            "SIP/2.0  200 OK",
            "SIP/2.0 2x0 OK",
            "SIP/2.0",
            "SIP/2.0 200OK",
        ] {
            assert_eq!(response(line), Err(Fault::StartLine), "{line}");
        }
    }

    #[test]
    fn invalid_start_lines() {
        for line in [
            "",
            " ",
            "GET / HTTP/1.1",
            "INVITE",
            "INVITE sip:a@b",
            "INV\"ITE sip:a@b SIP/2.0",
            "<?xml version=\"1.0\"?>",
            "A B SIP/2",
            "SIP/2.0 SIP/2.0",
        ] {
            assert_eq!(
                StartLine::parse(line.as_bytes()),
                Err(Fault::StartLine),
                "{line}"
            );
        }
    }
}
