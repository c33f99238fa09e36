//! The requests of one connection, which its task runs: they end with it at the latest.

use std::cell::RefCell;
use std::pin::pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use futures_util::stream::FuturesUnordered;
use glommio::timer::sleep;

use crate::http::connections::Visit;

/// Requests that have begun and have not been polled yet.
type Begun<'c> = RefCell<Vec<LocalBoxFuture<'c, ()>>>;

/// All of a connection.
pub(super) struct Requests<'c> {
    begun: Rc<Begun<'c>>,
    running: FuturesUnordered<LocalBoxFuture<'c, ()>>,
    time_max: Duration,
    visit: Rc<Visit>,
}

/// Begins requests. The requests themselves hold one, so it must not keep them alive.
#[derive(Clone)]
pub(super) struct RequestExecutor<'c>(Weak<Begun<'c>>);

impl<'c> Requests<'c> {
    /// None yet. Each may take that long, with its response; longer while the connection has an event stream.
    pub(super) fn new(time_max: Duration, visit: &Rc<Visit>) -> Self {
        Self {
            begun: Rc::default(),
            running: FuturesUnordered::new(),
            time_max,
            visit: Rc::clone(visit),
        }
    }

    /// What begins them.
    pub(super) fn executor(&self) -> RequestExecutor<'c> {
        RequestExecutor(Rc::downgrade(&self.begun))
    }

    /// Goes on with all that can.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) {
        let begun = self.begun.take().into_iter();
        let begun = begun.map(|request| bounded(request, self.time_max, Rc::clone(&self.visit)));
        self.running.extend(begun);
        while let Poll::Ready(Some(())) = self.running.poll_next_unpin(context) {}
    }
}

impl<'c, F: Future<Output = ()> + 'c> hyper::rt::Executor<F> for RequestExecutor<'c> {
    fn execute(&self, request: F) {
        if let Some(begun) = self.0.upgrade() {
            begun.borrow_mut().push(request.boxed_local());
        }
    }
}

/// A request with its response, given up after some time: what is dropped is reset.
fn bounded(
    request: LocalBoxFuture<'_, ()>,
    time_max: Duration,
    visit: Rc<Visit>,
) -> LocalBoxFuture<'_, ()> {
    let bounded = async move {
        let mut request = request;
        while let Either::Right(((), unfinished)) = select(request, pin!(sleep(time_max))).await {
            if !visit.is_streaming() {
                return;
            }
            request = unfinished;
        }
    };
    bounded.boxed_local()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::time::Instant;

    use glommio::LocalExecutorBuilder;
    use hyper::rt::Executor;

    use super::*;
    use crate::http::connections::Connections;
    use crate::net::connection_limits::ConnectionLimits;

    fn visit() -> Rc<Visit> {
        let connections = Connections::new(ConnectionLimits {
            connections_max: 1,
            per_address_max: 1,
        });
        let admitted = connections.admit([192, 0, 2, 1].into(), Instant::now(), |_| true);
        admitted.unwrap()
    }

    /// An event stream lasts for as long as its client reads it.
    #[test]
    fn a_request_with_events_is_not_given_up() {
        let executor = LocalExecutorBuilder::default().io_memory(64 << 10);
        executor.make().unwrap().run(async {
            let visit = visit();
            let mut requests = Requests::new(Duration::from_millis(10), &visit);
            visit.begin_stream();
            let done = Rc::new(Cell::new(false));
            let is_done = Rc::clone(&done);
            requests.executor().execute(async move {
                sleep(Duration::from_millis(60)).await;
                is_done.set(true);
            });
            poll_fn(|context| {
                requests.poll(context);
                match done.get() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
        });
    }

    /// Tells when it is dropped.
    struct Dropped(Rc<Cell<bool>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }

    #[test]
    fn a_request_that_takes_too_long_is_given_up() {
        let executor = LocalExecutorBuilder::default().io_memory(64 << 10);
        executor.make().unwrap().run(async {
            let mut requests = Requests::new(Duration::from_millis(20), &visit());
            let (slow, quick) = (Rc::default(), Rc::new(Cell::new(false)));
            let executor = requests.executor();
            let (dropped, done) = (Dropped(Rc::clone(&slow)), Rc::clone(&quick));
            executor.execute(async move {
                let _dropped = dropped;
                pending::<()>().await;
            });
            executor.execute(async move { done.set(true) });
            poll_fn(|context| {
                requests.poll(context);
                match slow.get() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            assert!(quick.get());
        });
    }

    #[test]
    fn requests_end_with_their_connection() {
        let requests = Requests::new(Duration::from_secs(1), &visit());
        let gone = Rc::default();
        let dropped = Dropped(Rc::clone(&gone));
        // As hyper's, it holds what begins further ones.
        let executor = requests.executor();
        let own = executor.clone();
        executor.execute(async move {
            let _held = (dropped, own);
            pending::<()>().await;
        });
        drop(requests);
        assert!(gone.get());
    }
}
