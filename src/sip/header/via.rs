//! Via: the path of a request and of its responses (RFC 3261 §20.42, RFC 3581).

use crate::sip::header::octets::Cursor;
use crate::sip::header::{Parameters, octets};
use crate::sip::uri::host_ip;

/// The topmost Via (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, ... as received.
    pub transport: &'a [u8],
    /// sent-by host, including the brackets of IPv6.
    pub host: &'a [u8],
    /// sent-by port.
    pub port: Option<u16>,
    /// `branch`, if there is one.
    pub branch: Option<&'a [u8]>,
    /// `;rport` is present without a value: the response goes to the source port (RFC 3581).
    pub wants_rport: bool,
    /// `;keep` is present without a value: the sender offers keepalives (RFC 6223 §4).
    pub wants_keep: bool,
    /// All parameters.
    pub parameters: Parameters<'a>,
    /// Length of this entry in the value, without the comma after it.
    pub(crate) octets: usize,
    /// The position in the parameters where the name `rport` ends.
    pub(crate) rport_end: Option<usize>,
    /// The parameters are written in their shortest form, each of them once, without quotes and
    /// without `received`.
    pub(crate) is_tight: bool,
}

impl<'a> Via<'a> {
    /// The first entry of a Via value. Stricter than the other decoders, because responses are
    /// routed by it: an empty entry or parameter makes it malformed (RFC 4475 §3.1.2.1).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::read_entry(value, true)
    }

    /// Returns whether `rport` is present, with or without a value. A request must not give it a
    /// value, but a phone that does expects responses at its source port.
    #[must_use]
    pub fn has_rport(&self) -> bool {
        self.wants_rport || self.parameters.get("rport").is_some()
    }

    /// Reads the Via of a response, which is our own with parameters added by other elements: empty
    /// parameters are skipped.
    pub(crate) fn parse_returned(value: &'a [u8]) -> Option<Self> {
        Self::read_entry(value, false)
    }

    #[inline(always)]
    fn read_entry(value: &'a [u8], is_strict: bool) -> Option<Self> {
        let mut cursor = Cursor::new(value);
        let transport = sent_protocol(&mut cursor)?;
        let host = host(&mut cursor)?;
        let port = port(&mut cursor)?;
        let start = cursor.position();
        let mut via = Self {
            transport,
            host,
            port,
            branch: None,
            wants_rport: false,
            wants_keep: false,
            parameters: Parameters(b""),
            octets: 0,
            rport_end: None,
            is_tight: true,
        };
        let mut end = start;
        while cursor.eat(b';') {
            end = via.take_parameter(&mut cursor, start, is_strict)?;
            via.is_tight &= !cursor.skip_blanks();
        }
        via.parameters = Parameters(&value[start..end]);
        via.octets = end;
        matches!(cursor.peek(), None | Some(b',')).then_some(via)
    }

    /// Reads `name=value` of the parameters that start at `start`; returns its end.
    #[inline]
    fn take_parameter(
        &mut self,
        cursor: &mut Cursor<'a>,
        start: usize,
        is_strict: bool,
    ) -> Option<usize> {
        let mut is_loose = cursor.skip_blanks();
        let name = cursor.take(&octets::TOKEN);
        let name_end = cursor.position();
        let mut end = name_end;
        is_loose |= cursor.skip_blanks();
        let mut value: &[u8] = b"";
        if cursor.eat(b'=') {
            is_loose |= cursor.skip_blanks();
            value = match cursor.peek() {
                Some(b'"') => cursor.take_quoted()?,
                _ => cursor.take_parameter(),
            };
            end = cursor.position();
            is_loose |= value.is_empty() || value.starts_with(b"\"");
        }
        self.is_tight &= !is_loose;
        match name.len() {
            0 if is_strict || !value.is_empty() => return None,
            // RFC 3261 §7.3.1; others would go by the first one.
            6 if is_named(name, b"branch") && self.branch.is_some() => return None,
            6 if is_named(name, b"branch") => {
                self.branch = (!value.is_empty()).then_some(value);
            }
            5 if is_named(name, b"rport") => {
                self.wants_rport = value.is_empty();
                self.is_tight &= self.rport_end.is_none();
                self.rport_end = Some(name_end - start);
            }
            4 if is_named(name, b"keep") => {
                self.wants_keep = value.is_empty();
                self.is_tight = false;
            }
            8 if is_named(name, b"received") => self.is_tight = false,
            _ => {}
        }
        Some(end)
    }
}

/// Returns whether it is that name, ignoring case. Nearly all peers write lower case.
#[inline]
fn is_named(text: &[u8], name: &[u8]) -> bool {
    text == name || text.eq_ignore_ascii_case(name)
}

/// Consumes `SIP / 2.0 / UDP` and the white space after it; returns the transport.
#[inline]
fn sent_protocol<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    // The usual spelling.
    for known in [b"SIP/2.0/UDP ", b"SIP/2.0/TCP "] {
        if let Some(found) = cursor.take_known(known) {
            cursor.skip_blanks();
            return Some(&found[8..11]);
        }
    }
    for _ in 0..2 {
        let part = cursor.take(&octets::TOKEN);
        cursor.skip_blanks();
        if part.is_empty() || !cursor.eat(b'/') {
            return None;
        }
        cursor.skip_blanks();
    }
    let transport = cursor.take(&octets::TOKEN);
    (!transport.is_empty() && cursor.skip_blanks()).then_some(transport)
}

/// A name, an IPv4 address or an IPv6 address in brackets.
#[inline]
fn host<'a>(cursor: &mut Cursor<'a>) -> Option<&'a [u8]> {
    if cursor.peek() != Some(b'[') {
        let name = cursor.take(&octets::HOST);
        return (!name.is_empty()).then_some(name);
    }
    let start = cursor.position();
    cursor.eat(b'[');
    cursor.take(&octets::IPV6);
    let address = cursor.eat(b']').then(|| cursor.since(start))?;
    host_ip(address).map(|_| address)
}

/// Consumes `: 5060` if present, with surrounding white space; returns the port.
#[inline]
fn port(cursor: &mut Cursor<'_>) -> Option<Option<u16>> {
    cursor.skip_blanks();
    if !cursor.eat(b':') {
        return Some(None);
    }
    cursor.skip_blanks();
    let port = u16::try_from(octets::number(cursor.take(&octets::DIGIT))?).ok()?;
    cursor.skip_blanks();
    Some(Some(port))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_plain_via() {
        let value = b"SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK77";
        let via = Via::parse(value).unwrap();
        assert_eq!(via.transport, b"UDP");
        assert_eq!(via.host, b"192.0.2.1");
        assert_eq!(via.port, Some(5062));
        assert_eq!(via.branch, Some(&b"z9hG4bK77"[..]));
        assert!(via.wants_rport);
        assert_eq!(via.parameters.0, b";rport;branch=z9hG4bK77");
        assert_eq!(via.octets, value.len());
    }

    #[test]
    fn blanks_folds_and_lists() {
        let value = b"SIP  / 2.0\r\n /TCP\t spc.example.com : 4000 ;ttl=16\r\n ;maddr = 224.2.0.1 ;x=\"a,b;c\" ;branch = b1 , SIP/2.0/UDP h";
        let via = Via::parse(value).unwrap();
        assert_eq!(via.transport, b"TCP");
        assert_eq!(via.host, b"spc.example.com");
        assert_eq!(via.port, Some(4000));
        assert_eq!(via.branch, Some(&b"b1"[..]));
        assert_eq!(via.parameters.get("x"), Some(&b"\"a,b;c\""[..]));
        assert!(!via.wants_rport);
        assert_eq!(&value[via.octets..], b" , SIP/2.0/UDP h");
    }

    #[test]
    fn ipv6_and_odd_parameters() {
        let via = Via::parse(
            b"SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255];branch=z9hG4bK;rport=9",
        )
        .unwrap();
        assert_eq!(via.host, b"[2001:db8::9:1]");
        assert_eq!(via.port, Some(5060));
        assert!(!via.wants_rport);
        let via = Via::parse(b"SIP/2.0/UDP h;received=2001:db8::9:255;branch=;rport=").unwrap();
        assert_eq!(
            via.parameters.get("received"),
            Some(&b"2001:db8::9:255"[..])
        );
        assert_eq!(via.branch, None);
        assert!(via.wants_rport);
    }

    #[test]
    fn a_returned_via_may_have_empty_parameters() {
        for value in [
            "SIP/2.0/UDP h:1;;branch=x",
            "SIP/2.0/UDP h:1;branch=x;",
            "SIP/2.0/UDP h:1; ;branch=x; , SIP/2.0/UDP g",
        ] {
            assert!(Via::parse(value.as_bytes()).is_none(), "{value}");
            let via = Via::parse_returned(value.as_bytes()).unwrap();
            assert_eq!(
                (via.host, via.port, via.branch),
                (&b"h"[..], Some(1), Some(&b"x"[..]))
            );
        }
        assert!(Via::parse_returned(b"SIP/2.0/UDP h;=x").is_none());
    }

    #[test]
    fn invalid_vias() {
        for value in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 UDP h",
            "SIP/2.0/UDP SIP/2.0/TCP h",
            "SIP/2.0/UDP h;;branch=x",
            "SIP/2.0/UDP h;",
            "SIP/2.0/UDP h;=x",
            "SIP/2.0/UDP h:65536",
            "SIP/2.0/UDP h:",
            "SIP/2.0/UDP h:x",
            "SIP/2.0/UDP 2001:db8::9:1;branch=x",
            "SIP/2.0/UDP [2001:db8:::1]",
            "SIP/2.0/UDP [::1",
            "SIP/2.0/UDP h h;x",
            "SIP/2.0/UDP ;x",
            ", SIP/2.0/UDP h",
            "SIP/2.0/UDP h;x=\"a",
            "SIP/2.0/UDP h;branch=x;Branch=y",
        ] {
            assert!(Via::parse(value.as_bytes()).is_none(), "{value}");
        }
    }
}
