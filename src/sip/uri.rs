//! SIP URIs (RFC 3261 §19.1), and the address of record derived from them (RFC 3261 §19.1.1,
//! §19.1.4, §25.1).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use memchr::memchr;
use smallvec::SmallVec;

use crate::sip::Fault;
use crate::sip::header::{Parameters, octets};

/// Maximum octets of a host: the longest domain name.
const HOST_OCTETS_MAX: usize = 255;

/// A URI's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`: everything after the colon up to the parameters is the user; the host is empty.
    Tel,
    /// Any other scheme: 416 in a Request-URI. The text after its colon is not parsed; user, host
    /// and the other fields are empty.
    Other,
}

/// A view of a URI. No field is unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part, without password, escapes as received. None if there is no `@`.
    pub user: Option<&'a [u8]>,
    /// The host: a name, an IPv4 address, or an IPv6 address with its brackets.
    pub host: &'a [u8],
    /// The port if there is one.
    pub port: Option<u16>,
    /// The parameters after the first `;` that follows the host, without it: `transport=tcp;lr`.
    pub parameters: &'a [u8],
    /// The headers after `?`, without it.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Parses a URI on its own (no angle brackets, no white space around it).
    #[inline]
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        Self::read(text).ok_or(Fault::RequestUri)
    }

    #[inline(always)]
    fn read(text: &'a [u8]) -> Option<Self> {
        let (scheme, rest) = split_scheme(text)?;
        if matches!(scheme, Scheme::Sip | Scheme::Sips) {
            return Self::read_sip(scheme, rest);
        }
        if !octets::all_in(&octets::URI, rest) {
            return None;
        }
        match scheme {
            Scheme::Tel => {
                let (user, parameters) = split_at_first(rest, b';');
                (!user.is_empty()).then_some(Self {
                    user: Some(user),
                    parameters: parameters.unwrap_or_default(),
                    ..Self::opaque(scheme)
                })
            }
            _ => Some(Self::opaque(scheme)),
        }
    }

    const fn opaque(scheme: Scheme) -> Self {
        Self {
            scheme,
            user: None,
            host: b"",
            port: None,
            parameters: b"",
            headers: b"",
        }
    }

    /// `user:password@host:port;parameters?headers`. Semicolons and question marks before the `@`
    /// belong to the user (RFC 4475 §3.1.1.9).
    #[inline(always)]
    fn read_sip(scheme: Scheme, text: &'a [u8]) -> Option<Self> {
        let front = octets::skip_class(&octets::URI_FRONT, text, 0);
        let (user, rest) = match text.get(front) {
            Some(b'@') if front > 0 => (Some(&text[..front]), &text[front + 1..]),
            None => (None, text),
            // A password, a user with a semicolon in it, or an empty user.
            _ => match memchr(b'@', text) {
                Some(at) => (Some(user_of(&text[..at])?), &text[at + 1..]),
                None => (None, text),
            },
        };
        let (host, port, tail) = split_host(rest)?;
        let mut uri = Self {
            user,
            host,
            port,
            ..Self::opaque(scheme)
        };
        if !tail.is_empty() {
            uri.take_tail(tail)?;
        }
        Some(uri)
    }

    /// `;parameters?headers`
    fn take_tail(&mut self, tail: &'a [u8]) -> Option<()> {
        let (parameters, headers) = split_at_first(tail, b'?');
        self.parameters = match parameters {
            [] => b"",
            [b';', parameters @ ..] => parameters,
            _ => return None,
        };
        self.headers = headers.unwrap_or_default();
        let is_sound = octets::all_in(&octets::URI, tail)
            && memchr(b'@', tail).is_none()
            && !headers.is_some_and(<[u8]>::is_empty);
        is_sound.then_some(())
    }

    /// The value of a parameter: None if absent, empty if it has no value. Names are compared
    /// ignoring case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        Parameters(self.parameters).get(name)
    }

    /// The host as an IP address, if it is one (brackets removed).
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        host_ip(self.host)
    }

    /// Appends the user with its escapes resolved. Returns false (and appends nothing) if an escape
    /// is invalid or the result is not UTF-8 or contains a control character: such a URI names no
    /// user here. Without a user nothing is appended.
    pub fn write_user(&self, out: &mut String) -> bool {
        let Some(user) = self.user else { return true };
        // Nearly every user is plain.
        if user.iter().all(|octet| octets::USER[usize::from(*octet)]) {
            out.push_str(std::str::from_utf8(user).unwrap_or_default());
            return true;
        }
        let mut octets = SmallVec::<[u8; 128]>::new();
        let mut rest = user;
        while let Some(at) = memchr(b'%', rest) {
            let Some(octet) = escaped_octet(&rest[at + 1..]) else {
                return false;
            };
            octets.extend_from_slice(&rest[..at]);
            octets.push(octet);
            rest = &rest[at + 3..];
        }
        octets.extend_from_slice(rest);
        match std::str::from_utf8(&octets) {
            Ok(text) if !text.chars().any(char::is_control) => {
                out.push_str(text);
                true
            }
            _ => false,
        }
    }

    /// Appends the host in lower case without a trailing dot; an IPv6 address in its canonical
    /// form, with brackets.
    pub fn write_host(&self, out: &mut String) {
        let is_name = !self.host.contains(&b':');
        if !is_name && let Some(IpAddr::V6(address)) = self.ip() {
            let _ = write!(out, "[{address}]");
            return;
        }
        let host = self.host.strip_suffix(b".").unwrap_or(self.host);
        // `parse` accepts only hosts in UTF-8.
        let host = std::str::from_utf8(host).unwrap_or_default();
        let start = out.len();
        out.push_str(host);
        out[start..].make_ascii_lowercase();
    }
}

/// Splits a host from its port; None if either is malformed. `[::1]:5060`, `example.com`.
#[must_use]
pub fn host_port(text: &[u8]) -> Option<(&[u8], Option<u16>)> {
    split_host(text)
        .filter(|(_, _, tail)| tail.is_empty())
        .map(|(host, port, _)| (host, port))
}

/// Splits text into a host, its port, and the rest.
#[inline]
fn split_host(text: &[u8]) -> Option<(&[u8], Option<u16>, &[u8])> {
    let (host, rest) = if text.first() == Some(&b'[') {
        let (host, rest) = text.split_at(memchr(b']', text)? + 1);
        host_ip(host)?;
        (host, rest)
    } else {
        let end = name_end(text)?;
        text.split_at(end)
    };
    let [b':', rest @ ..] = rest else {
        return Some((host, None, rest));
    };
    let end = rest
        .iter()
        .position(|octet| !octet.is_ascii_digit())
        .unwrap_or(rest.len());
    let port = u16::try_from(octets::number(&rest[..end])?).ok()?;
    Some((host, Some(port), &rest[end..]))
}

/// The end of a host name or IPv4 address. Besides the characters of the grammar, UTF-8 letters
/// outside ASCII are accepted.
#[inline]
fn name_end(text: &[u8]) -> Option<usize> {
    let mut end = octets::skip_class(&octets::HOST, text, 0);
    if text.get(end).is_some_and(|octet| !octet.is_ascii()) {
        let is_letter = |octet: u8| octets::HOST[usize::from(octet)] || !octet.is_ascii();
        end = text
            .iter()
            .position(|&octet| !is_letter(octet))
            .unwrap_or(text.len());
        std::str::from_utf8(&text[..end]).ok()?;
    }
    (end > 0 && end <= HOST_OCTETS_MAX && text[..end] != *b".").then_some(end)
}

/// The user in `user:password`, which must not be empty.
#[inline]
fn user_of(userinfo: &[u8]) -> Option<&[u8]> {
    let user = split_at_first(userinfo, b':').0;
    (!user.is_empty() && octets::all_in(&octets::URI, userinfo)).then_some(user)
}

/// An IPv4 address, or an IPv6 address with or without brackets.
#[must_use]
pub fn host_ip(host: &[u8]) -> Option<IpAddr> {
    match host {
        [b'[', inner @ .., b']'] => std::str::from_utf8(inner)
            .ok()?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6),
        [b'0'..=b'9', ..] if !host.contains(&b':') => std::str::from_utf8(host)
            .ok()?
            .parse::<Ipv4Addr>()
            .ok()
            .map(IpAddr::V4),
        _ if host.contains(&b':') => std::str::from_utf8(host)
            .ok()?
            .parse::<Ipv6Addr>()
            .ok()
            .map(IpAddr::V6),
        _ => None,
    }
}

/// Appends `user` as the user part of a URI: everything outside the unreserved and user-unreserved
/// characters of RFC 3261 §25.1 is percent-encoded (`#` becomes `%23`).
pub fn write_escaped_user(user: &str, out: &mut String) {
    for &octet in user.as_bytes() {
        if octets::USER[usize::from(octet)] {
            out.push(char::from(octet));
        } else {
            let _ = write!(out, "%{octet:02X}");
        }
    }
}

/// The SIP URI of a user at a host, which is written unchanged: `sip:%2371@abc.com`.
#[must_use]
pub fn sip_uri(user: &str, host: &str) -> String {
    let mut uri = String::with_capacity("sip:@".len() + user.len() + host.len());
    uri.push_str("sip:");
    write_escaped_user(user, &mut uri);
    uri.extend(["@", host]);
    uri
}

fn split_scheme(text: &[u8]) -> Option<(Scheme, &[u8])> {
    if let Some(rest) = text.strip_prefix(b"sip:") {
        return Some((Scheme::Sip, rest));
    }
    let (name, rest) = text.split_at(memchr(b':', text)?);
    let rest = &rest[1..];
    let is_scheme = name.first().is_some_and(u8::is_ascii_alphabetic)
        && name
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'));
    if !is_scheme || rest.is_empty() {
        return None;
    }
    let scheme = if name.eq_ignore_ascii_case(b"sip") {
        Scheme::Sip
    } else if name.eq_ignore_ascii_case(b"sips") {
        Scheme::Sips
    } else if name.eq_ignore_ascii_case(b"tel") {
        Scheme::Tel
    } else {
        Scheme::Other
    };
    Some((scheme, rest))
}

/// The text before the first `separator`, and the text after it if there is one.
fn split_at_first(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match memchr(separator, text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// The octet encoded by two hexadecimal digits at the front.
fn escaped_octet(text: &[u8]) -> Option<u8> {
    let [high, low, ..] = text else { return None };
    let digit = |octet: u8| char::from(octet).to_digit(16);
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::any;
    use proptest::proptest;

    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap()
    }

    /// `user@host` as in the key of an address of record.
    fn key(text: &str) -> String {
        let uri = uri(text);
        let mut key = String::new();
        assert!(uri.write_user(&mut key));
        key.push('@');
        uri.write_host(&mut key);
        key
    }

    #[test]
    fn the_parts_of_a_uri() {
        let all = uri("sip:alice:secret@Example.com:5070;transport=tcp;lr?subject=x&y=z");
        assert_eq!(all.scheme, Scheme::Sip);
        assert_eq!(all.user, Some(&b"alice"[..]));
        assert_eq!(all.host, b"Example.com");
        assert_eq!(all.port, Some(5070));
        assert_eq!(all.parameters, b"transport=tcp;lr");
        assert_eq!(all.headers, b"subject=x&y=z");
        assert_eq!(all.parameter("Transport"), Some(&b"tcp"[..]));
        assert_eq!(all.parameter("lr"), Some(&b""[..]));
        assert_eq!(all.parameter("maddr"), None);
        assert_eq!(uri("SIPS:h").scheme, Scheme::Sips);
        assert_eq!(uri("sip:h").user, None);
        assert_eq!(uri("sip:h?a=b").headers, b"a=b");
    }

    #[test]
    fn other_schemes() {
        let tel = uri("tel:+1;phone-context=example.com");
        assert_eq!(
            (tel.scheme, tel.user, tel.host),
            (Scheme::Tel, Some(&b"+1"[..]), &b""[..])
        );
        assert_eq!(tel.parameter("phone-context"), Some(&b"example.com"[..]));
        assert_eq!(
            uri("tel:+1;phone-context=").parameter("phone-context"),
            Some(&b""[..])
        );
        assert_eq!(
            uri("nobodyKnowsThisScheme:totallyopaquecontent").scheme,
            Scheme::Other
        );
        assert_eq!(uri("soap.beep://192.0.2.103:3002").scheme, Scheme::Other);
    }

    #[test]
    fn semicolons_in_front_of_the_at_belong_to_the_user() {
        let semicolons = uri("sip:user;par=u%40example.net@example.com");
        assert_eq!(semicolons.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(semicolons.host, b"example.com");
        assert_eq!(key("sip:alice;x=1@h"), "alice;x=1@h");
    }

    #[test]
    fn equivalent_uris_have_one_key() {
        for text in [
            "sip:alice@h",
            "sip:%61lice@H",
            "sip:alice@h:5060",
            "SIP:alice@h.",
            "sips:%61%6c%69ce@h;lr",
        ] {
            assert_eq!(key(text), "alice@h", "{text}");
        }
        assert_eq!(key("sip:%23300@h"), key("sip:#300@h"));
        assert_eq!(key("sip:%27%22%3C%3E%26@h"), "'\"<>&@h");
        assert_eq!(
            key("sip:j%C3%BCrgen@B\u{fc}cher.example"),
            "j\u{fc}rgen@b\u{fc}cher.example"
        );
        assert_eq!(key("sip:a@[2001:DB8:0::1]"), "a@[2001:db8::1]");
    }

    #[test]
    fn invalid_users() {
        for text in [
            "sip:null-%00-null@h",
            "sip:%zz@h",
            "sip:a%4@h",
            "sip:a%@h",
            "sip:%ff@h",
            "sip:%0d%0a@h",
            "sip:%c3@h",
        ] {
            let mut out = String::from("x");
            assert!(!uri(text).write_user(&mut out), "{text}");
            assert_eq!(out, "x");
        }
        assert_eq!(uri("sip:null-%00-null@h").user, Some(&b"null-%00-null"[..]));
    }

    #[test]
    fn addresses() {
        assert_eq!(
            uri("sip:a@[::1]:5060").ip(),
            Some(IpAddr::V6(Ipv6Addr::LOCALHOST))
        );
        assert_eq!(uri("sip:a@[::1]:5060").host, b"[::1]");
        assert_eq!(uri("sip:a@[::ffff:192.0.2.1]").port, None);
        assert_eq!(uri("sip:[2001:db8::10:5070]").port, None);
        assert_eq!(uri("sip:[2001:db8::10]:5070").port, Some(5070));
        assert_eq!(
            uri("sip:127.0.0.1").ip(),
            Some(IpAddr::V4(Ipv4Addr::LOCALHOST))
        );
        assert_eq!(uri("sip:example.com").ip(), None);
        assert_eq!(uri("sip:cafe").ip(), None);
        assert_eq!(host_ip(b"2001:db8::1"), host_ip(b"[2001:db8::1]"));
    }

    #[test]
    fn invalid_uris() {
        let long = format!("sip:{}", "a".repeat(300));
        for text in [
            "",
            "sip",
            "sip:",
            ":a",
            "1sip:a",
            "sip:@h",
            "sip:a@",
            "sip:a@h:",
            "sip:a@h:65536",
            "sip:a@[::1]:99999",
            "sip:a@[::1",
            "sip:a@[::1]x",
            "sip:2001:db8::10",
            "sip:a@[2001:db8:::192.0.2.1]",
            "sip:a b@h",
            "sip:a@h;lr x",
            "<sip:a@h>",
            "sip:a@h?",
            "sip:a@b@c",
            "sip:a@h;x=y@z",
            "sip:a@h\r\n",
            "sip:a@h o",
            "sip:a@\"h\"",
            "tel:",
            "tel:;x",
            "sip:a@.",
            "sip:a@h;x\0",
            &long,
        ] {
            assert_eq!(
                Uri::parse(text.as_bytes()),
                Err(Fault::RequestUri),
                "{text}"
            );
        }
    }

    #[test]
    fn users_are_escaped_for_the_wire() {
        let mut out = String::new();
        write_escaped_user("#300 a@b;c\u{fc}%", &mut out);
        assert_eq!(out, "%23300%20a%40b;c%C3%BC%25");
    }

    proptest! {
        #[test]
        fn what_is_escaped_reads_back(user in "[^\\p{Cc}]{1,40}") {
            let mut text = String::from("sip:");
            write_escaped_user(&user, &mut text);
            text.push_str("@h");
            let mut back = String::new();
            assert!(uri(&text).write_user(&mut back));
            assert_eq!(back, user);
        }

        #[test]
        fn arbitrary_input_does_not_panic(text in "(sip|sips|tel)?:?[a-z0-9:;@?%<>\\[\\]. =&\\x00]{0,40}") {
            if let Ok(uri) = Uri::parse(text.as_bytes()) {
                let mut out = String::new();
                uri.write_user(&mut out);
                uri.write_host(&mut out);
                let _ = (uri.ip(), uri.parameter("x"));
            }
        }

        #[test]
        fn ports_are_sixteen_bits(port in any::<u32>()) {
            let text = format!("sip:h:{port}");
            assert_eq!(Uri::parse(text.as_bytes()).ok().map(|uri| uri.port), u16::try_from(port).ok().map(Some));
        }
    }
}
