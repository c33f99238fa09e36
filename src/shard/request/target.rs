//! What the Request-URI names (RFC 3261 §8.2.2.1): this server, or a presentity of a domain it
//! serves.

use std::net::SocketAddr;

use crate::directory::Domain;
use crate::presence::Aor;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::turn::Turn;
use crate::shard::request::Request;
use crate::shard::request::headers::address_of_record;
use crate::shard::request::refusal::Refusal;
use crate::sip::Fault;
use crate::sip::Status;
use crate::sip::Uri;
use crate::sip::dialog::URI_OCTETS_MAX;
use crate::sip::uri::Scheme;

/// Whom a request is for.
#[derive(Debug)]
pub(crate) enum Target<'d> {
    /// The server itself.
    Server,
    /// Somebody of a domain we serve, or the domain itself when there is no user.
    Presentity { aor: Aor, domain: &'d Domain },
}

/// No call is routed here. Phones that are registered with us are told so in words, for they
/// have reason to think otherwise.
pub(crate) fn refuse_call<'d>(uri: &[u8], flow: &Flow, turn: &Turn<'d>) -> Refusal<'d> {
    match resolve(uri, flow, turn) {
        Ok(Target::Presentity { domain, .. }) if domain.is_registrar => Refusal::NoCalls,
        _ => Refusal::Method(Status::METHOD_NOT_ALLOWED),
    }
}

/// Whom the Request-URI names (W:A1.3).
pub(crate) fn resolve<'d>(
    uri: &[u8],
    flow: &Flow,
    turn: &Turn<'d>,
) -> Result<Target<'d>, Refusal<'d>> {
    if uri.len() > URI_OCTETS_MAX {
        return Err(Fault::UriTooLong.into());
    }
    let uri = Uri::parse(uri)?;
    // `sips:` asks for TLS on every hop (W:A1.19), which we do not offer.
    if uri.scheme != Scheme::Sip {
        return Err(Refusal::Plain(Status::UNSUPPORTED_URI_SCHEME));
    }
    let mut host = String::with_capacity(uri.host.len());
    uri.write_host(&mut host);
    if let Some(domain) = turn.directory.domain(&host) {
        let mut user = String::with_capacity(uri.user.map_or(0, <[u8]>::len));
        if !uri.write_user(&mut user) {
            return Err(Fault::RequestUri.into());
        }
        return Ok(Target::Presentity {
            aor: Aor::new(&user, &domain.name),
            domain,
        });
    }
    let port = uri.port.unwrap_or_else(|| flow.transport.default_port());
    let is_ourselves = uri
        .ip()
        .is_some_and(|ip| is_local(SocketAddr::new(ip, port), flow, turn));
    if is_ourselves {
        Ok(Target::Server)
    } else {
        Err(Refusal::Plain(Status::NOT_FOUND))
    }
}

/// Whether an address is one of our own listeners (W:E2.5), in whatever IPv6 zone: a URI names
/// none.
pub(crate) fn is_local(address: SocketAddr, flow: &Flow, turn: &Turn<'_>) -> bool {
    let is_it = |own: &SocketAddr| own.ip() == address.ip() && own.port() == address.port();
    is_it(&flow.local) || turn.options.local_addresses.iter().any(is_it)
}

/// The address of record in From, when it is of a domain we serve.
pub(crate) fn sender(request: &Request<'_>, turn: &Turn<'_>) -> Option<Aor> {
    address_of_record(request.message.from()?.uri, turn.directory)
}
