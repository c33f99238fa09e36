//! One connection: a handshake if it is encrypted, then HTTP/1.1 or HTTP/2, until its deadline.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use glommio::net::TcpStream;

use crate::http::connections::Visit;
use crate::http::engine::Engine;
use crate::http::facts::Scheme;
use crate::http::representation::response::{Body, Response};
use crate::http::server::io::Io;
use crate::http::server::{Listening, http1, http2};
use crate::http::site::Site;
use crate::http::transport_counters::count;
use crate::net::stream::handshakes::HandshakeFault;
use crate::net::stream::{StreamTransport, tls};
use crate::tls::{HTTP_2, SharedKeyring};

/// From a request's head to its response.
pub(super) const RESPONSE_TIME: Duration = Duration::from_secs(15);
/// From a response to the end of the next request's head.
pub(super) const NEXT_HEAD_TIME: Duration = Duration::from_secs(30);

/// Serves one connection to its end.
pub(super) async fn serve<E: Engine>(
    stream: TcpStream,
    listening: &Listening,
    visit: &Rc<Visit>,
    site: &Site<E>,
) {
    // TCP_NODELAY: a response does not wait for the ACK of the previous one. A Unix socket knows no
    // such option and needs none.
    let _ = stream.set_nodelay(true);
    let Some(keyring) = &listening.keyring else {
        let io = Io::plain(stream, &site.scratch);
        return http1::serve(io, listening.endpoint, Scheme::Http, visit, site).await;
    };
    let Some(stream) = shake_hands(stream, keyring, visit, site).await else {
        return;
    };
    // Without a choice of protocols the client speaks HTTP/1.1.
    let is_http2 = stream.application_protocol() == Some(HTTP_2);
    let io = Io::encrypted(stream, &site.scratch);
    match is_http2 {
        true => http2::serve(io, visit, site).await,
        false => http1::serve(io, listening.endpoint, Scheme::Https, visit, site).await,
    }
}

/// Ties an event stream to its connection, which then lasts as long as the stream.
pub(super) fn tie(response: &mut Response, visit: &Rc<Visit>) {
    if let Body::Events(events) = response.body_mut() {
        events.keep(visit);
    }
}

/// Does the handshake of an encrypted connection. None if it fails: the connection is over.
async fn shake_hands<E: Engine>(
    stream: TcpStream,
    keyring: &SharedKeyring,
    visit: &Visit,
    site: &Site<E>,
) -> Option<Box<dyn StreamTransport>> {
    let counters = &site.counters;
    let stream = match tls::accepted(stream, keyring) {
        Ok(stream) => RefCell::new(stream?),
        Err(error) => {
            count(&counters.http_handshakes_failed);
            tracing::warn!(%error, "TLS cannot be served");
            return None;
        }
    };
    let peer = visit.peer();
    let handshake = site
        .handshakes
        .complete((peer, site.trusts(peer)), &stream, &site.scratch);
    let done = visit.bound(handshake).await;
    let counter = match done.unwrap_or(Err(HandshakeFault::TimedOut)) {
        Ok(()) => {
            count(&counters.http_handshakes_completed);
            let stream = stream.into_inner();
            // From now on the deadlines of the connection hold.
            stream.set_read_timeout(None).ok()?;
            return Some(stream);
        }
        Err(HandshakeFault::Refused) => &counters.http_handshakes_refused,
        Err(HandshakeFault::TimedOut) => &counters.http_handshakes_timed_out,
        Err(HandshakeFault::Failed(error)) => {
            tracing::debug!(peer = %visit.peer(), %error, "a handshake failed");
            &counters.http_handshakes_failed
        }
    };
    count(counter);
    None
}
