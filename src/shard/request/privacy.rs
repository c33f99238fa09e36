//! Privacy (RFC 3323 §4.2, RFC 3325 §9.3): what a request asks to be hidden, and whether it is.

use crate::shard::request::refusal::Refusal;
use crate::sip::{HeaderName, Message, Method, Status};

/// The services that hide the parties of a call in what watchers are shown.
const HIDING: [&[u8]; 3] = [b"id", b"user", b"header"];
/// The request is to fail rather than be served without what it asks for.
const CRITICAL: &[u8] = b"critical";
/// Nothing is to be hidden.
const NONE: &[u8] = b"none";

/// Whether a request asks to hide the parties that its document names.
pub(crate) fn asks_privacy(message: &Message<'_>) -> bool {
    services(message).any(|service| is_one_of(service, &HIDING))
}

/// Refuses a request for which privacy is critical that it would not get. Parties in a publication are
/// hidden; a watcher is shown to the presentity that it watches, and a contact to the watchers of registrations.
pub(crate) fn check_privacy<'d>(message: &Message<'_>) -> Result<(), Refusal<'d>> {
    let hides = message.method() == Method::Publish;
    let is_given = |service: &[u8]| {
        is_one_of(service, &[CRITICAL, NONE]) || hides && is_one_of(service, &HIDING)
    };
    let is_critical = services(message).any(|service| is_one_of(service, &[CRITICAL]));
    match is_critical && !services(message).all(is_given) {
        true => {
            let status = Status::SERVER_INTERNAL_ERROR;
            Err(Refusal::Because(status, "Privacy Not Available"))
        }
        false => Ok(()),
    }
}

/// The services in all Privacy headers.
fn services<'m>(message: &Message<'m>) -> impl Iterator<Item = &'m [u8]> {
    let values = message.headers(HeaderName::Privacy);
    let words = values.flat_map(|value| value.split(|octet| b";, \t\r\n".contains(octet)));
    words.filter(|service| !service.is_empty())
}

fn is_one_of(service: &[u8], known: &[&[u8]]) -> bool {
    known.iter().any(|one| service.eq_ignore_ascii_case(one))
}
