//! The grammar of single headers, decoded on demand out of a field's value (RFC 3261 §20, §25).
//!
//! Every decoder takes folded values, tolerates white space around separators, and returns `None` for what it cannot read.
//! (Split into header/{params,via,name_addr,...}.rs when it grows past 400 lines.)

use crate::sip::Method;

/// `;name=value;flag` behind a header value or URI: an unparsed tail, read on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parameters<'a>(pub &'a [u8]);

impl<'a> Parameters<'a> {
    /// A parameter's value, quotes kept: None when absent, empty for a flag. Names compare without case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        todo!()
    }

    /// How often the name occurs (a repeated tag is malformed, W:E3.1).
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        todo!()
    }

    /// All parameters in order, flags with an empty value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        std::iter::empty()
    }
}

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

/// A name-addr or addr-spec with the header's parameters: From, To, Contact, Route.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'a> {
    /// The display name as it came, quotes kept; empty when absent.
    pub display: &'a [u8],
    /// The URI, without angle brackets.
    pub uri: &'a [u8],
    /// Parameters of the header, not of the URI.
    pub parameters: Parameters<'a>,
}

impl<'a> NameAddr<'a> {
    /// One address (the whole value, or one item of a list).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        todo!()
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&'a [u8]> {
        todo!()
    }
}

/// `CSeq: 1 SUBSCRIBE`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// At most 2^31-1 (W:A5.13).
    pub number: u32,
    /// The method it names.
    pub method: Method<'a>,
}

/// `Event: dialog;id=7;sla`
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// The package as it came; compare without case (W:A1.8).
    pub package: &'a [u8],
    /// `id`, empty when absent.
    pub id: &'a [u8],
    /// Everything behind the package, `id` included.
    pub parameters: Parameters<'a>,
}

impl<'a> Event<'a> {
    /// Reads an Event value; None when empty or a list (W:E3.3).
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        todo!()
    }
}

/// `application/pidf+xml;q=0.5`
#[derive(Clone, Copy, Debug)]
pub struct MediaRange<'a> {
    /// `application` or `*`.
    pub kind: &'a [u8],
    /// `pidf+xml` or `*`.
    pub subtype: &'a [u8],
    /// Parameters, `q` among them.
    pub parameters: Parameters<'a>,
}

impl<'a> MediaRange<'a> {
    /// Reads one media type or range.
    #[must_use]
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        todo!()
    }

    /// Whether it names or covers `kind/subtype` (without case) with a q above 0.
    #[must_use]
    pub fn covers(&self, kind: &str, subtype: &str) -> bool {
        todo!()
    }
}

/// The items of a comma-separated value: commas inside quotes and angle brackets do not split. Empty items are skipped.
pub fn list_items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let _ = value;
    std::iter::empty()
}

/// Expires, Min-Expires: `3600`, `3600;foo` (W:E3.4). Too large clamps to `u32::MAX` (W:A5.14); anything else is None.
#[must_use]
pub fn delta_seconds(value: &[u8]) -> Option<u32> {
    todo!()
}

/// Retry-After: `18000;duration=3600`, `5 (busy)`; clamped to 3600 s; None when malformed (W:E3.19).
#[must_use]
pub fn retry_after(value: &[u8]) -> Option<std::time::Duration> {
    todo!()
}
