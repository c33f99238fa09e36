//! The server: sockets, connections, and dispatch of requests.

mod connection;
mod dispatch;
mod host;
mod io;
mod listener;

use std::os::fd::OwnedFd;
use std::rc::Rc;

use futures_util::future::{join, join_all};

use crate::http::engine::Engine;
use crate::http::site::{Endpoint, Site};
use crate::net::bind;

/// Serves at these listening sockets until it is dropped; returns at once if there are none.
pub(crate) async fn serve<E: Engine>(
    listeners: impl Iterator<Item = (Endpoint, OwnedFd)>,
    site: Rc<Site<E>>,
) {
    let accepting =
        listeners.filter_map(
            |(endpoint, listener)| match bind::accept_on_executor(listener) {
                Ok(listener) => Some(listener::accept(listener, endpoint, Rc::clone(&site))),
                Err(error) => {
                    tracing::error!(%error, ?endpoint, "cannot use a listening socket");
                    None
                }
            },
        );
    let accepting = join_all(accepting.collect::<Vec<_>>());
    join(accepting, listener::sweep(Rc::clone(&site))).await;
}
