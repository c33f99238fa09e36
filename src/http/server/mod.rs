//! The server: sockets, connections, and dispatch of requests.

mod connection;
mod dispatch;
mod host;
mod http1;
mod http2;
mod io;
mod listener;

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all, select};
use glommio::timer::sleep;

use crate::http::engine::Engine;
use crate::http::site::{Endpoint, Site};
use crate::net::Acceptor;
use crate::tls::SharedKeyring;

/// How long requests under way may take when the server ends.
const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// How often it is looked whether they are done.
const LAST_REQUESTS_POLL: Duration = Duration::from_millis(1);

/// What is listened for at a socket.
#[derive(Clone, Debug)]
pub(crate) struct Listening {
    /// Whose socket it is.
    pub(crate) endpoint: Endpoint,
    /// Its certificates, if its connections are encrypted.
    pub(crate) keyring: Option<SharedKeyring>,
}

/// Serves at these listening sockets until `stopped`. Then it accepts no more connections, closes
/// those without a request, and the others after their response.
pub(crate) async fn serve<E: Engine>(
    listeners: impl Iterator<Item = (Listening, OwnedFd)>,
    site: Rc<Site<E>>,
    stopped: impl Future<Output = ()>,
) {
    let accepting = listeners.filter_map(|(listening, socket)| match Acceptor::new(socket) {
        Ok(socket) => Some(listener::accept(socket, listening, Rc::clone(&site))),
        Err(error) => {
            let endpoint = listening.endpoint;
            tracing::error!(%error, ?endpoint, "cannot use a listening socket");
            None
        }
    });
    let accepting = join_all(accepting.collect::<Vec<_>>());
    let serving = join(accepting, listener::sweep(Rc::clone(&site)));
    // Boxed so that it is dropped while the executor can still cancel its operations.
    drop(select(Box::pin(serving), pin!(stopped)).await);
    let deadline = Instant::now() + LAST_REQUESTS;
    while !site.close_connections() && Instant::now() < deadline {
        sleep(LAST_REQUESTS_POLL).await;
    }
}
