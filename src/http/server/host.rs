//! The host of a request: exactly one, with or without a port. Otherwise a front proxy and this server
//! could disagree about it.

use std::net::Ipv6Addr;

use hyper::header::HeaderValue;
use hyper::{Request, Version, header};

/// Whether a request has the host that its version of HTTP demands.
pub(super) fn is_valid<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return false;
    }
    match request.version() {
        Version::HTTP_2 => {
            let authority = request.uri().authority();
            is_authority(authority.map(|name| name.as_str().as_bytes()), host)
        }
        version => host.map_or(version < Version::HTTP_11, is_host),
    }
}

/// HTTP/2: `:authority`, or else Host; if there are both, they must be equal (RFC 9113 §8.3.1).
fn is_authority(authority: Option<&[u8]>, host: Option<&[u8]>) -> bool {
    let is_same = authority
        .zip(host)
        .is_none_or(|(authority, host)| authority.eq_ignore_ascii_case(host));
    is_same && authority.or(host).is_some_and(is_host)
}

/// `uri-host [ ":" port ]`, or nothing for a target without an authority.
fn is_host(value: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(value) else {
        return false;
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (text, ""),
    };
    let is_port = port.len() <= 5 && port.bytes().all(|digit| digit.is_ascii_digit());
    let in_brackets = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    is_port
        && in_brackets.map_or_else(
            || is_name(host),
            |address| address.parse::<Ipv6Addr>().is_ok(),
        )
}

/// A `reg-name` (RFC 3986 §3.2.2), IPv4 addresses included.
fn is_name(host: &str) -> bool {
    let is_allowed =
        |octet: u8| octet.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&octet);
    let is_escaped = |rest: &str| {
        let digits = rest.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    host.bytes().all(is_allowed) && host.split('%').skip(1).all(is_escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_and_a_host_are_the_same() {
        assert!(is_authority(Some(b"pbx:8443"), None));
        assert!(is_authority(None, Some(b"pbx")));
        assert!(is_authority(Some(b"pbx"), Some(b"PBX")));
        assert!(!is_authority(Some(b"pbx"), Some(b"other")));
        assert!(!is_authority(Some(b"user@pbx"), None));
        assert!(!is_authority(None, None));
    }

    #[test]
    fn valid_and_invalid_host_headers() {
        for host in [
            "",
            "h",
            "example.com",
            "example.com:8080",
            "example.com:",
            "192.0.2.1:80",
            "[2001:db8::1]",
            "[2001:db8::1]:8080",
            "a%20b",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "a b",
            "a/b",
            "a@b",
            "a:b",
            "a:80:80",
            "a:123456",
            "2001:db8::1",
            "[2001:db8::1",
            "[h]",
            "a,b c",
            "a%2",
            "a%zz",
            "h\u{e4}",
            "<h>",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
        assert!(!is_host(b"\xff"));
    }
}
