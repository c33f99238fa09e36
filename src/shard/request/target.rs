//! The target of a request, from its Request-URI (RFC 3261 §8.2.2.1): this server, or a presentity
//! of one of its domains.

use std::net::SocketAddr;

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::turn::Turn;
use crate::shard::request::headers::find_domain;
use crate::shard::request::refusal::Refusal;
use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::uri::Scheme;
use crate::sip::{Fault, Status, Uri};

/// The target of a request.
#[derive(Debug)]
pub(crate) enum Target<'d> {
    /// This server.
    Server,
    /// An address of record of a domain that we serve; the domain itself if its user is empty.
    Presentity { aor: Aor, domain: &'d Domain },
}

/// The refusal of an INVITE: calls are not routed here. Phones that register with us may expect it,
/// so they get a reason phrase that says so.
pub(crate) fn refuse_call<'d>(uri: &[u8], flow: &Flow, turn: &Turn<'d>) -> Refusal<'d> {
    match resolve(uri, flow, turn) {
        Ok(Target::Presentity { domain, .. }) if domain.is_registrar => Refusal::NoCalls,
        _ => Refusal::Method(Status::METHOD_NOT_ALLOWED),
    }
}

/// The target that a Request-URI names (RFC 3261 §8.2.2.1).
///
/// Refuses URIs that are too long, malformed, of another scheme, or of a domain that we do not
/// serve.
pub(crate) fn resolve<'d>(
    uri: &[u8],
    flow: &Flow,
    turn: &Turn<'d>,
) -> Result<Target<'d>, Refusal<'d>> {
    if uri.len() > URI_OCTETS_MAX {
        return Err(Fault::UriTooLong.into());
    }
    let uri = Uri::parse(uri)?;
    // `sips:` requires TLS on every hop, and this is the last one (RFC 3261 §26.2.2).
    let is_supported = match uri.scheme {
        Scheme::Sip => true,
        Scheme::Sips => flow.transport.is_secure(),
        Scheme::Tel | Scheme::Other => false,
    };
    if !is_supported {
        return Err(Refusal::Plain(Status::UNSUPPORTED_URI_SCHEME));
    }
    if let Some((domain, aor)) = find_domain(&uri, turn.directory) {
        let aor = aor.ok_or(Fault::RequestUri)?;
        return Ok(Target::Presentity { aor, domain });
    }
    let port = uri.port.unwrap_or_else(|| flow.transport.default_port());
    let is_ourselves = uri
        .ip()
        .is_some_and(|ip| is_local(SocketAddr::new(ip, port), &flow.local, turn));
    if is_ourselves {
        Ok(Target::Server)
    } else {
        Err(Refusal::Plain(Status::NOT_FOUND))
    }
}

/// Whether an address is one of our listeners (W:E2.5), of which one is at `local`. IPv6 zones are
/// ignored, because URIs carry none.
pub(crate) fn is_local(address: SocketAddr, local: &SocketAddr, turn: &Turn<'_>) -> bool {
    let is_same = |own: &SocketAddr| own.ip() == address.ip() && own.port() == address.port();
    is_same(local) || turn.options.local_addresses.iter().any(is_same)
}
