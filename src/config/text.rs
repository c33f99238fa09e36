//! Texts that several tables have: domain names, networks, users, phrases.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;
use toml::Spanned;

use crate::config::complaint::Complainer;

/// A domain in canonical form: lower case, without a trailing dot, IPv6 in brackets. None if it is not a
/// host name.
pub(super) fn canonical_domain(name: &str) -> Option<String> {
    if let Ok(address) = name.trim_matches(['[', ']']).parse::<Ipv6Addr>() {
        return Some(format!("[{address}]"));
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        let legal = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
        (1..=63).contains(&label.len()) && label.chars().all(legal)
    };
    (name.len() <= 253 && name.split('.').all(is_label)).then(|| name.to_ascii_lowercase())
}

/// Octets of the empty lines at the begin of a text, which are no records of CSV.
pub(super) fn empty_lines(text: &str) -> usize {
    text.len() - text.trim_start_matches(['\r', '\n']).len()
}

/// A network, or a single address.
pub(super) fn network(text: &Spanned<String>, complainer: &mut Complainer<'_>) -> Option<IpNet> {
    let parsed = text.get_ref().parse::<IpNet>().ok();
    let parsed = parsed.or_else(|| text.get_ref().parse::<IpAddr>().ok().map(IpNet::from));
    if parsed.is_none() {
        let what = format!(
            "\"{}\" is neither an IP network nor an IP address",
            text.get_ref()
        );
        complainer.add(
            text.span(),
            what,
            "write \"10.0.0.0/8\", \"192.0.2.7\" or \"2001:db8::/32\"",
        );
    }
    parsed
}

/// A displayable name or number; reports an error otherwise.
pub(super) fn phrase(
    text: &Spanned<String>,
    key: &str,
    complainer: &mut Complainer<'_>,
) -> Option<Box<str>> {
    let given = text.get_ref().trim();
    if !is_phrase(given) {
        let what = format!("{:?} is not valid in {key}", text.get_ref());
        complainer.add(
            text.span(),
            what,
            "use 1 to 256 octets without control characters, or remove it",
        );
        return None;
    }
    Some(given.into())
}

/// A text without `sip:`.
pub(super) fn bare(text: &str) -> &str {
    text.strip_prefix("sip:").unwrap_or(text)
}

/// Whether a text can be shown: a name, a number.
pub(super) fn is_phrase(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control) && text.len() <= 256
}

/// Whether a text can be the user part of an address of record, unescaped. The user part in a
/// phone's request contains no @, space or scheme.
pub(super) fn is_user(text: &str) -> bool {
    let is_strange = |letter: char| letter == '@' || letter.is_whitespace();
    is_phrase(text) && !text.contains(is_strange) && !text.starts_with("sip:")
}

/// What to write instead of a text that is not a user.
pub(super) fn user_remedy(text: &str) -> String {
    let part = bare(text).split('@').next().unwrap_or_default();
    let part: String = part.split_whitespace().collect();
    if part != text && is_user(&part) {
        return format!("write the part before the @, without spaces: \"{part}\"");
    }
    "write the part before the @, at most 256 octets".to_owned()
}
