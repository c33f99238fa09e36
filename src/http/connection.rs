//! Connections: accepting, their number, and how long each may take.
//!
//! A connection has one deadline. It is set when the connection begins, when a request's head is
//! complete and when its answer is ready, and never by octets trickling in: who sends a byte now
//! and then is cut off all the same (W:E2.8).

use std::cell::Cell;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;
use std::time::Instant;

use futures_util::future::Either;
use futures_util::future::select;
use glommio::net::TcpListener;
use glommio::net::TcpStream;
use glommio::sync::Semaphore;
use glommio::timer::sleep;
use hyper::server::conn::http1;
use hyper::service::service_fn;

use crate::http::Site;
use crate::http::engine::Engine;
use crate::http::io::Io;
use crate::http::router;

/// From a connection's begin to the end of its first request's head.
const FIRST_HEAD_TIME: Duration = Duration::from_secs(10);
/// From a request's head to its answer.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// From an answer to the end of the next request's head.
const NEXT_HEAD_TIME: Duration = Duration::from_secs(30);
/// After accepting failed (descriptors ran out), until it is tried again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Octets of a request's head. Longer than the longest request line hyper knows, so that a query of
/// any length is told that it is too long (414) before the head is (431).
const HEAD_OCTETS_MAX: usize = 80 << 10;
/// Header fields of a request.
const HEADERS_MAX: usize = 64;

/// Which of our doors a connection came in at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// The TCP listeners.
    Public,
    /// The operator's Unix socket.
    Control,
}

impl Door {
    /// Connections at once; more wait in the kernel's backlog.
    const fn connections_max(self) -> u64 {
        match self {
            Self::Public => 1024,
            Self::Control => 32,
        }
    }
}

/// Accepts and serves connections, each in a task of its own. Never ends.
pub(super) async fn accept<E: Engine>(listener: TcpListener, door: Door, site: Rc<Site<E>>) {
    let slots = Rc::new(Semaphore::new(door.connections_max()));
    loop {
        let Ok(slot) = slots.acquire_static_permit(1).await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, ?door, "cannot accept a connection");
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let site = Rc::clone(&site);
        let task = async move {
            serve_connection(stream, door, &site).await;
            drop(slot);
        };
        glommio::spawn_local(task).detach();
    }
}

async fn serve_connection<E: Engine>(stream: TcpStream, door: Door, site: &Site<E>) {
    // An answer waits for nobody's acknowledgement. A Unix socket knows no such option and needs
    // none.
    let _ = stream.set_nodelay(true);
    let deadline = Cell::new(Instant::now() + FIRST_HEAD_TIME);
    let service = service_fn(async |request| {
        deadline.set(Instant::now() + ANSWER_TIME);
        let response = router::answer(request, door, site).await;
        deadline.set(Instant::now() + NEXT_HEAD_TIME);
        Ok::<_, Infallible>(response)
    });
    let connection = http1::Builder::new()
        // A client may close its sending side and still wait for the answer.
        .half_close(true)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_OCTETS_MAX)
        .serve_connection(Io::new(stream), service);
    if let Some(Err(error)) = before(&deadline, connection).await {
        // What hyper says about a request that it cannot read never quotes it.
        tracing::debug!(%error, "connection ended");
    }
}

/// Runs to the end or to the deadline, which may move on meanwhile. None when it was cut off.
async fn before<F: Future>(deadline: &Cell<Instant>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    loop {
        let left = deadline.get().saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        match select(future.as_mut(), pin!(sleep(left))).await {
            Either::Left((output, _)) => return Some(output),
            Either::Right(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use glommio::LocalExecutorBuilder;

    use super::*;

    fn run<T: Send + 'static>(future: impl AsyncFnOnce() -> T + Send + 'static) -> T {
        let executor = LocalExecutorBuilder::default()
            .io_memory(64 << 10)
            .spawn(move || async move { future().await });
        executor.unwrap().join().unwrap()
    }

    #[test]
    fn a_deadline_that_moves_on_is_waited_for() {
        run(async || {
            let deadline = Cell::new(Instant::now() + Duration::from_millis(30));
            let begin = Instant::now();
            let work = async {
                sleep(Duration::from_millis(15)).await;
                deadline.set(Instant::now() + Duration::from_millis(120));
                sleep(Duration::from_millis(60)).await;
                7
            };
            assert_eq!(before(&deadline, work).await, Some(7));
            assert!(begin.elapsed() >= Duration::from_millis(75));
        });
    }

    #[test]
    fn what_takes_longer_is_cut_off() {
        run(async || {
            let deadline = Cell::new(Instant::now() + Duration::from_millis(20));
            assert_eq!(before(&deadline, std::future::pending::<()>()).await, None);
        });
    }
}
