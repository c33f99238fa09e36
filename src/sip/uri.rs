//! SIP URIs (RFC 3261 §19.1) and the address-of-record key made of them (W:A5.6, A5.7, E3.25).

use crate::sip::Fault;

/// A URI's scheme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`: everything behind the colon up to the parameters is the user, the host is empty.
    Tel,
    /// Any other scheme: 416 in a Request-URI.
    Other,
}

/// A view of a URI. No field is unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    /// The scheme.
    pub scheme: Scheme,
    /// The user part, without password, escapes as they came. None when there is no `@`.
    pub user: Option<&'a [u8]>,
    /// The host: a name, an IPv4 address, or an IPv6 address with its brackets.
    pub host: &'a [u8],
    /// The port when there is one.
    pub port: Option<u16>,
    /// The parameters behind the first `;` after the host, without it: `transport=tcp;lr`.
    pub parameters: &'a [u8],
    /// The headers behind `?`, without it.
    pub headers: &'a [u8],
}

impl<'a> Uri<'a> {
    /// Reads a URI that stands alone (no angle brackets, no white space around it).
    pub fn parse(text: &'a [u8]) -> Result<Self, Fault> {
        todo!()
    }

    /// The value of a parameter: None when absent, empty when it has no value. Names compare without case.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a [u8]> {
        todo!()
    }

    /// The host as an IP address when it is one (brackets removed).
    #[must_use]
    pub fn ip(&self) -> Option<std::net::IpAddr> {
        todo!()
    }

    /// Appends the user with its escapes resolved. False (and nothing appended) when an escape is broken or the result is
    /// not UTF-8 or holds a control character: such a URI names nobody here.
    pub fn write_user(&self, out: &mut String) -> bool {
        todo!()
    }

    /// Appends the host in lower case without a trailing dot.
    pub fn write_host(&self, out: &mut String) {
        todo!()
    }
}

/// Appends `user` so that it can stand as the user part of a URI: everything outside the unreserved and user-unreserved
/// characters of RFC 3261 §25.1 is percent-encoded (`#` becomes `%23`, W:A5.7).
pub fn write_escaped_user(user: &str, out: &mut String) {
    todo!()
}
