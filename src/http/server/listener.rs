//! Accepting connections, each served in a task of its own. Limits are in `connections`.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use glommio::net::TcpStream;
use glommio::timer::sleep;

use crate::http::engine::Engine;
use crate::http::server::{Listening, connection};
use crate::http::site::{Endpoint, Site};
use crate::net::Acceptor;
use crate::telemetry::Throttle;

/// Pause after a failed accept (e.g. out of file descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Interval between repeated warnings.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How often idle connections are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// Accepts and serves connections. Never ends.
pub(super) async fn accept<E: Engine>(socket: Acceptor, listening: Listening, site: Rc<Site<E>>) {
    let endpoint = listening.endpoint;
    let mut warnings = Throttle::new(WARNING_INTERVAL);
    loop {
        let stream = match socket.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                if warnings.is_due(Instant::now()) {
                    tracing::warn!(%error, ?endpoint, "cannot accept HTTP connections for now");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let connections = site.connections(endpoint);
        let peer = peer_of(&stream, endpoint);
        if let Some(visit) = connections.admit(peer, Instant::now(), |peer| site.trusts(peer)) {
            let (site, listening) = (Rc::clone(&site), listening.clone());
            let task = async move {
                connection::serve(stream, &listening, &visit, &site).await;
                site.connections(endpoint).leave(&visit);
            };
            glommio::spawn_local(task).detach();
        }
        glommio::yield_if_needed().await;
    }
}

/// Ends connections that only wait while room is short, again and again. Never ends.
pub(super) async fn sweep<E: Engine>(site: Rc<Site<E>>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let directory = site.directory();
        for endpoint in Endpoint::ALL {
            let is_trusted = |peer| directory.trusts(peer);
            site.connections(endpoint)
                .end_waiting(Instant::now(), is_trusted);
        }
    }
}

/// The address a connection comes from. A Unix socket has none: all its clients count as one
/// address.
fn peer_of(stream: &TcpStream, endpoint: Endpoint) -> IpAddr {
    match endpoint {
        Endpoint::Public => stream.peer_addr().ok().map(|peer| peer.ip()),
        Endpoint::Control => None,
    }
    .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}
