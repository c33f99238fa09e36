//! The Host of a request (RFC 9112 §3.2): exactly one, and a host with or without a port. Otherwise
//! a front proxy and this server could disagree about the host.

use std::net::Ipv6Addr;

use hyper::{Request, Version, header};

/// Whether a request has the Host that its version of HTTP demands.
pub(super) fn is_valid<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.version() < Version::HTTP_11,
        (Some(host), None) => is_host(host.as_bytes()),
        (Some(_), Some(_)) => false,
    }
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
