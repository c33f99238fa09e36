//! The URIs of a SUBSCRIBE that its NOTIFYs repeat, and the `id` parameter of its Event.

use crate::presence::Aor;
use crate::sip::header::Event;
use crate::sip::uri::{Scheme, sip_uri};
use crate::sip::{Message, StartLine, Uri, emit};

/// The entity URI for documents: the URI in To as the phone wrote it, without parameters, because
/// soft clients match on it (RFC 4235 §4.1); if To does not name the presentity, its address of
/// record.
pub(crate) fn entity_uri(message: &Message<'_>, aor: &Aor) -> Vec<u8> {
    let to = message.to().and_then(|to| Uri::parse(to.uri).ok());
    let mut user = String::new();
    let (scheme, raw_user, host) = match to {
        Some(uri) if uri.write_user(&mut user) && user == aor.user() => {
            (uri.scheme, uri.user, host_port(uri))
        }
        _ => return sip_uri(aor.user(), aor.domain()).into_bytes(),
    };
    let scheme: &[u8] = if scheme == Scheme::Sips {
        b"sips:"
    } else {
        b"sip:"
    };
    [scheme, raw_user.unwrap_or_default(), b"@", &host].concat()
}

/// The Request-URI unchanged, by which a phone recognises its list (W:B5.4).
pub(crate) fn request_uri<'m>(message: &Message<'m>) -> &'m [u8] {
    match message.start_line() {
        StartLine::Request { uri, .. } => uri,
        StartLine::Response { .. } => b"",
    }
}

fn host_port(uri: Uri<'_>) -> Vec<u8> {
    let mut host = uri.host.to_vec();
    if let Some(port) = uri.port {
        host.push(b':');
        emit::decimal(&mut host, u64::from(port));
    }
    host
}

/// The `id` parameter of an Event header value; empty if absent.
pub(crate) fn event_id(value: &[u8]) -> &[u8] {
    Event::parse(value)
        .map(|event| event.id)
        .unwrap_or_default()
}
