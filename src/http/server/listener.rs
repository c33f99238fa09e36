//! Accepting connections, and serving each until its deadline. How many there may be is said in
//! `connections`.

use std::convert::Infallible;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use glommio::net::TcpListener;
use glommio::net::TcpStream;
use glommio::timer::sleep;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::http::Site;
use crate::http::connections::Visit;
use crate::http::engine::Engine;
use crate::http::server::dispatch;
use crate::http::server::io::Io;
use crate::telemetry::Throttle;

/// From a request's head to its answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// From an answer to the end of the next request's head.
const NEXT_HEAD_TIME: Duration = Duration::from_secs(30);
/// After accepting failed (descriptors ran out), until it is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A warning of a failure that lasts is repeated after this.
const WARNING_INTERVAL: Duration = Duration::from_secs(10);
/// How often connections are looked through for those that only wait.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);
/// Octets of a request's head. Longer than the longest request line hyper knows, so that a query of
/// any length is told that it is too long (414) before the head is (431).
const HEAD_OCTETS_MAX: usize = 80 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;

/// Which of our doors a connection came in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The TCP listeners.
    Public,
    /// The operator's Unix socket.
    Control,
}

/// Accepts and serves connections, each in a task of its own. Never ends.
pub(crate) async fn accept<E: Engine>(listener: TcpListener, door: Door, site: Rc<Site<E>>) {
    let mut warnings = Throttle::new(WARNING_INTERVAL);
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                if warnings.is_due(Instant::now()) {
                    tracing::warn!(%error, ?door, "no HTTP connection can be accepted for now");
                }
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let is_trusted = |peer| site.directory().trusts(peer);
        let connections = site.connections(door);
        if let Some(visit) = connections.admit(peer_of(&stream, door), Instant::now(), is_trusted) {
            let site = Rc::clone(&site);
            let task = async move {
                serve_connection(stream, door, &visit, &site).await;
                site.connections(door).leave(&visit);
            };
            glommio::spawn_local(task).detach();
        }
        glommio::yield_if_needed().await;
    }
}

/// Ends connections that only wait while room is short, again and again. Never ends.
pub(crate) async fn sweep<E: Engine>(site: Rc<Site<E>>) {
    loop {
        sleep(SWEEP_INTERVAL).await;
        let directory = site.directory();
        for door in [Door::Public, Door::Control] {
            let is_trusted = |peer| directory.trusts(peer);
            site.connections(door)
                .end_waiting(Instant::now(), is_trusted);
        }
    }
}

/// Whose connection it is. A Unix socket has no addresses: all that connect there are one.
fn peer_of(stream: &TcpStream, door: Door) -> IpAddr {
    match door {
        Door::Public => stream.peer_addr().ok().map(|peer| peer.ip()),
        Door::Control => None,
    }
    .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

async fn serve_connection<E: Engine>(stream: TcpStream, door: Door, visit: &Visit, site: &Site<E>) {
    // An answer waits for nobody's acknowledgement. A Unix socket knows no such option and needs
    // none.
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request| {
        visit.begin(ANSWER_TIME);
        let response = dispatch::answer(request, door, visit, site).await;
        visit.begin(NEXT_HEAD_TIME);
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        // A client may close its sending side and still wait for the answer.
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_OCTETS_MAX)
        .serve_connection(Io::new(stream), service);
    if let Some(Err(error)) = visit.bound(connection).await {
        // What hyper says about a request that it cannot read never quotes it.
        tracing::debug!(%error, "connection ended");
    }
}
