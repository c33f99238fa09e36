//! The address of record an operator types: `123@abc.com`, `sip:123@abc.com;transport=tcp`, with an
//! alias for the domain.

use crate::directory::Directory;
use crate::presence::Aor;
use crate::sip::Uri;

/// Why an address is invalid, as a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAnAor {
    /// It cannot be read.
    #[error("the address is invalid: write it like 123@example.com or sip:123@example.com")]
    Unreadable,
    /// The domain is not served.
    #[error("unknown domain; configured domains: {0}")]
    UnknownDomain(String),
}

/// The address that `text` names, of any domain: a watcher may come from elsewhere. None when it
/// cannot be read.
pub(super) fn of_any_domain(text: &str, directory: &Directory) -> Option<Aor> {
    let (user, host) = split(text.trim())?;
    let domain = directory.domain(&host);
    let host = domain.map_or(host.as_str(), |domain| &domain.name);
    Some(Aor::new(&user, host))
}

/// The presentity that `text` names.
pub(crate) fn resolve(text: &str, directory: &Directory) -> Result<Aor, NotAnAor> {
    let (user, host) = split(text.trim()).ok_or(NotAnAor::Unreadable)?;
    Ok(Aor::new(&user, &domain(&host, directory)?))
}

/// The name of the domain that `text` names, which may be an alias.
pub(super) fn domain(text: &str, directory: &Directory) -> Result<String, NotAnAor> {
    let domain = directory.domain(&text.trim().to_ascii_lowercase());
    let domain = domain.ok_or_else(|| {
        let names: Vec<&str> = directory
            .domains()
            .iter()
            .map(|domain| domain.name.as_str())
            .collect();
        NotAnAor::UnknownDomain(names.join(", "))
    })?;
    Ok(domain.name.clone())
}

/// User (unescaped) and host (lower case).
fn split(text: &str) -> Option<(String, String)> {
    let is_uri = |scheme: &str| {
        text.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    if is_uri("sip:") || is_uri("sips:") {
        let uri = Uri::parse(text.as_bytes()).ok()?;
        let (mut user, mut host) = (String::new(), String::new());
        uri.write_host(&mut host);
        return (uri.write_user(&mut user) && !user.is_empty()).then_some((user, host));
    }
    let (user, host) = text.rsplit_once('@')?;
    (!user.is_empty() && !host.is_empty()).then(|| (user.to_owned(), host.to_ascii_lowercase()))
}
