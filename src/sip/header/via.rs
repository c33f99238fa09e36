//! Via: where a message has been and where its answer goes (RFC 3261 §20.42, RFC 3581).

use crate::sip::header::Parameters;
use crate::sip::header::octets;

/// The topmost Via (RFC 3261 §20.42).
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// `UDP`, `TCP`, ... as it came.
    pub transport: &'a [u8],
    /// sent-by host, brackets of IPv6 kept.
    pub host: &'a [u8],
    /// sent-by port.
    pub port: Option<u16>,
    /// `branch`, when there is one.
    pub branch: Option<&'a [u8]>,
    /// `;rport` is there without a value, so the answer goes to the source port (RFC 3581).
    pub wants_rport: bool,
    /// All parameters.
    pub parameters: Parameters<'a>,
}

impl<'a> Via<'a> {
    /// The first entry of a Via value. Stricter than the other decoders, because answers are routed by it: an empty entry or
    /// parameter makes it unreadable (W:E1.14).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        Self::parse_entry(value).map(|(via, _)| via)
    }

    /// The first entry and how many octets of `value` it takes, without the comma behind it.
    #[inline]
    pub(crate) fn parse_entry(value: &'a [u8]) -> Option<(Self, usize)> {
        let (transport, at) = sent_protocol(value)?;
        let (host, at) = host(value, at)?;
        let (port, at) = port(value, at)?;
        let mut via = Self {
            transport,
            host,
            port,
            branch: None,
            wants_rport: false,
            parameters: Parameters(b""),
        };
        let end = via.take_parameters(value, at)?;
        Some((via, end))
    }

    /// Reads `;name=value` up to the end of the entry, which it returns.
    fn take_parameters(&mut self, value: &'a [u8], start: usize) -> Option<usize> {
        let mut at = start;
        let mut end = start;
        loop {
            match value.get(at) {
                None | Some(b',') => break,
                Some(b';') => {}
                Some(_) => return None,
            }
            let name_at = octets::skip_blanks(value, at + 1);
            let name_end = octets::skip_class(&octets::TOKEN, value, name_at);
            let name = &value[name_at..name_end];
            if name.is_empty() {
                return None;
            }
            end = name_end;
            at = octets::skip_blanks(value, name_end);
            let mut parameter: &[u8] = b"";
            if value.get(at) == Some(&b'=') {
                let value_at = octets::skip_blanks(value, at + 1);
                end = parameter_end(value, value_at)?;
                parameter = &value[value_at..end];
                at = octets::skip_blanks(value, end);
            }
            match name.len() {
                6 if name.eq_ignore_ascii_case(b"branch") => {
                    self.branch = (!parameter.is_empty()).then_some(parameter);
                }
                5 if name.eq_ignore_ascii_case(b"rport") => self.wants_rport = parameter.is_empty(),
                _ => {}
            }
        }
        self.parameters = Parameters(&value[start..end]);
        Some(end)
    }
}

/// `SIP / 2.0 / UDP` and the white space behind it: the transport and where sent-by starts.
#[inline]
fn sent_protocol(value: &[u8]) -> Option<(&[u8], usize)> {
    let mut at = 0;
    if value.starts_with(b"SIP/2.0/") {
        at = 8;
    } else {
        for _ in 0..2 {
            let end = octets::skip_class(&octets::TOKEN, value, at);
            let slash = octets::skip_blanks(value, end);
            if end == at || value.get(slash) != Some(&b'/') {
                return None;
            }
            at = octets::skip_blanks(value, slash + 1);
        }
    }
    let end = octets::skip_class(&octets::TOKEN, value, at);
    let sent_by = octets::skip_blanks(value, end);
    (end > at && sent_by > end).then(|| (&value[at..end], sent_by))
}

/// A name, an IPv4 address or an IPv6 address in brackets, and where it ends.
#[inline]
fn host(value: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let end = if value.get(at) == Some(&b'[') {
        let end = at + memchr::memchr(b']', &value[at..])? + 1;
        let address = std::str::from_utf8(&value[at + 1..end - 1]).ok()?;
        address.parse::<std::net::Ipv6Addr>().ok()?;
        end
    } else {
        let is_host =
            |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_');
        let mut end = at;
        while value.get(end).is_some_and(|&octet| is_host(octet)) {
            end += 1;
        }
        end
    };
    (end > at).then(|| (&value[at..end], end))
}

/// `: 5060` if it is there, and where what follows starts.
#[inline]
fn port(value: &[u8], at: usize) -> Option<(Option<u16>, usize)> {
    let at = octets::skip_blanks(value, at);
    if value.get(at) != Some(&b':') {
        return Some((None, at));
    }
    let start = octets::skip_blanks(value, at + 1);
    let mut end = start;
    while value.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    let port = u16::try_from(octets::number(&value[start..end])?).ok()?;
    Some((Some(port), octets::skip_blanks(value, end)))
}

/// Where a parameter's value ends: a quoted string, or everything up to a separator or white space.
#[inline]
fn parameter_end(value: &[u8], at: usize) -> Option<usize> {
    if value.get(at) == Some(&b'"') {
        return octets::skip_quoted(value, at);
    }
    let mut end = at;
    while let Some(&octet) = value.get(end)
        && octet != b';'
        && octet != b','
        && !octets::is_blank(octet)
    {
        end += 1;
    }
    Some(end)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_plain_one() {
        let value = b"SIP/2.0/UDP 192.0.2.1:5062;rport;branch=z9hG4bK77";
        let (via, end) = Via::parse_entry(value).unwrap();
        assert_eq!(via.transport, b"UDP");
        assert_eq!(via.host, b"192.0.2.1");
        assert_eq!(via.port, Some(5062));
        assert_eq!(via.branch, Some(&b"z9hG4bK77"[..]));
        assert!(via.wants_rport);
        assert_eq!(via.parameters.0, b";rport;branch=z9hG4bK77");
        assert_eq!(end, value.len());
    }

    #[test]
    fn blanks_folds_and_lists() {
        let value = b"SIP  / 2.0\r\n /TCP\t spc.example.com : 4000 ;ttl=16\r\n ;maddr = 224.2.0.1 ;x=\"a,b;c\" ;branch = b1 , SIP/2.0/UDP h";
        let (via, end) = Via::parse_entry(value).unwrap();
        assert_eq!(via.transport, b"TCP");
        assert_eq!(via.host, b"spc.example.com");
        assert_eq!(via.port, Some(4000));
        assert_eq!(via.branch, Some(&b"b1"[..]));
        assert_eq!(via.parameters.get("x"), Some(&b"\"a,b;c\""[..]));
        assert!(!via.wants_rport);
        assert_eq!(&value[end..], b" , SIP/2.0/UDP h");
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
    fn what_is_no_via() {
        for value in [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/2.0 UDP h",
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
        ] {
            assert!(Via::parse(value.as_bytes()).is_none(), "{value}");
        }
    }
}
