//! The connections of one endpoint: how many there are, from which peers, and how long each may
//! take.
//!
//! A connection has one deadline. It is set when the connection begins, when a request's head is
//! complete and when the response is ready. Partial data does not extend it: a client that sends an
//! octet now and then is still disconnected (W:E2.8). When connections run low, in total or
//! for the peer, the deadlines shrink to a few seconds.
//!
//! Beyond the limits a few spare connections are accepted, for health and metrics alone: a client
//! that holds all the others must not make the server look dead. When the spare ones are in use
//! too, the one that has waited longest is closed to make room.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::IpAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use glommio::timer::sleep;
use slab::Slab;

use crate::net::connection_limits::{ConnectionCount, ConnectionLimits};

/// Connections beyond the limits, at each endpoint.
pub const SPARE_CONNECTIONS: usize = 16;
/// From the beginning of a connection to the end of its first request's head.
const FIRST_HEAD_TIME: Duration = Duration::from_secs(10);
/// Deadline while connections are nearly exhausted.
const SHORT_TIME: Duration = Duration::from_secs(3);

/// All connections of an endpoint.
#[derive(Debug)]
pub(crate) struct Connections {
    count: RefCell<ConnectionCount>,
    visits: RefCell<Slab<Rc<Visit>>>,
    refused: Cell<u64>,
    ended: Cell<u64>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Visit {
    place: Cell<usize>,
    peer: IpAddr,
    is_spare: bool,
    /// When the last step ended: the connection began, a head was complete, a response was ready.
    since: Cell<Instant>,
    deadline: Cell<Instant>,
    /// Its event streams: responses that do not end by themselves.
    streams: Cell<usize>,
    /// It ends with the request under way, or at once.
    is_last: Cell<bool>,
    /// Wakes the task that serves it.
    waker: RefCell<Option<Waker>>,
}

impl Connections {
    /// No connection yet.
    pub(crate) fn new(limits: ConnectionLimits) -> Self {
        Self {
            count: RefCell::new(ConnectionCount::new(limits)),
            visits: RefCell::default(),
            refused: Cell::new(0),
            ended: Cell::new(0),
        }
    }

    /// Accepts a connection; None when it must be closed at once.
    pub(crate) fn admit(
        &self,
        peer: IpAddr,
        now: Instant,
        is_trusted: impl FnOnce(IpAddr) -> bool,
    ) -> Option<Rc<Visit>> {
        let mut count = self.count.borrow_mut();
        let is_spare = !count.has_room(peer, is_trusted);
        if is_spare {
            if !self.has_spare_room(now) {
                self.refused.set(self.refused.get() + 1);
                return None;
            }
        } else {
            count.join(peer);
        }
        let visit = Rc::new(Visit::new(peer, is_spare, now));
        let place = self.visits.borrow_mut().insert(Rc::clone(&visit));
        visit.place.set(place);
        Some(visit)
    }

    /// Forgets a connection that is closed.
    pub(crate) fn leave(&self, visit: &Visit) {
        self.visits.borrow_mut().try_remove(visit.place.get());
        if !visit.is_spare {
            self.count.borrow_mut().leave(visit.peer);
        }
    }

    /// Closes connections without a request, and the others after their response. Whether none is
    /// left.
    pub(crate) fn close_all(&self) -> bool {
        let visits = self.visits.borrow();
        visits.iter().for_each(|(_, visit)| visit.close());
        visits.is_empty()
    }

    /// Closes idle connections when connections are nearly exhausted.
    pub(crate) fn end_waiting(&self, now: Instant, is_trusted: impl Fn(IpAddr) -> bool) {
        let count = self.count.borrow();
        for (_, visit) in &*self.visits.borrow() {
            let is_late = now.saturating_duration_since(visit.since.get()) >= SHORT_TIME;
            if is_late && (visit.is_spare || count.is_short(visit.peer, &is_trusted)) {
                self.end(visit, now);
            }
        }
    }

    /// The counters, by their names in the metrics.
    pub(crate) fn counters(&self) -> [(&'static str, u64); 3] {
        [
            ("http_connections_open", self.visits.borrow().len() as u64),
            ("http_connections_refused", self.refused.get()),
            ("http_connections_ended", self.ended.get()),
        ]
    }

    /// Whether one more spare connection can be accepted. The one that waited longest is ended for
    /// it.
    fn has_spare_room(&self, now: Instant) -> bool {
        let visits = self.visits.borrow();
        let spare = || visits.iter().filter(|(_, visit)| visit.is_spare);
        if spare().count() < SPARE_CONNECTIONS {
            return true;
        }
        let is_waiting = |visit: &Visit| visit.deadline.get() > now;
        let longest = spare()
            .filter(|(_, visit)| is_waiting(visit))
            .min_by_key(|(_, visit)| visit.since.get());
        if let Some((_, visit)) = longest {
            self.end(visit, now);
        }
        longest.is_some()
    }

    fn end(&self, visit: &Visit, now: Instant) {
        self.ended.set(self.ended.get() + 1);
        visit.end(now);
    }
}

impl Visit {
    /// The address it comes from.
    pub(crate) fn peer(&self) -> IpAddr {
        self.peer
    }

    fn new(peer: IpAddr, is_spare: bool, now: Instant) -> Self {
        Self {
            place: Cell::new(usize::MAX),
            peer,
            is_spare,
            since: Cell::new(now),
            deadline: Cell::new(now + FIRST_HEAD_TIME),
            streams: Cell::new(0),
            is_last: Cell::new(false),
            waker: RefCell::default(),
        }
    }

    /// Whether no further request is taken.
    pub(crate) fn is_last(&self) -> bool {
        self.is_last.get()
    }

    /// Takes no further request.
    pub(crate) fn close(&self) {
        self.is_last.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Whether it is served only health and metrics.
    pub(crate) fn is_spare(&self) -> bool {
        self.is_spare
    }

    /// An event stream begins.
    pub(crate) fn begin_stream(&self) {
        self.streams.set(self.streams.get() + 1);
    }

    /// An event stream has ended.
    pub(crate) fn end_stream(&self) {
        self.streams.set(self.streams.get() - 1);
    }

    /// Whether it has an event stream.
    pub(crate) fn is_streaming(&self) -> bool {
        self.streams.get() > 0
    }

    /// Begins a step that may take this long.
    pub(crate) fn begin(&self, time: Duration) {
        let now = Instant::now();
        self.since.set(now);
        self.deadline.set(now + time);
    }

    /// Cuts it off.
    fn end(&self, now: Instant) {
        self.deadline.set(now);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Keeps the waker of the connection's task. Returns whether it was kept already.
    fn keep_waker(&self, context: &Context<'_>) -> bool {
        let mut kept = self.waker.borrow_mut();
        let is_kept = kept
            .as_ref()
            .is_some_and(|kept| kept.will_wake(context.waker()));
        if !is_kept {
            *kept = Some(context.waker().clone());
        }
        is_kept
    }

    /// Runs a future to its end or to the deadline, which may move meanwhile. None when it was cut
    /// off.
    pub(crate) async fn bound<F: Future>(&self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        loop {
            let deadline = self.deadline.get();
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let mut sleep = pin!(sleep(left));
            let mut is_armed = false;
            let poll = |context: &mut Context<'_>| {
                if let Poll::Ready(output) = future.as_mut().poll(context) {
                    return Poll::Ready(Some(output));
                }
                // Polling the timer arms it anew, which costs more than all the rest of this poll.
                if !self.keep_waker(context) || !is_armed {
                    is_armed = true;
                    if sleep.as_mut().poll(context).is_ready() {
                        return Poll::Ready(None);
                    }
                }
                let is_over = self.deadline.get() < deadline || Instant::now() >= deadline;
                match is_over {
                    true => Poll::Ready(None),
                    false => Poll::Pending,
                }
            };
            if let Some(output) = poll_fn(poll).await {
                return Some(output);
            }
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

    fn visit(time: Duration) -> Visit {
        let visit = Visit::new([192, 0, 2, 1].into(), false, Instant::now());
        visit.begin(time);
        visit
    }

    #[test]
    fn a_deadline_that_moves_on_is_waited_for() {
        run(async || {
            let begin = Instant::now();
            let visit = visit(Duration::from_millis(30));
            let work = async {
                sleep(Duration::from_millis(15)).await;
                visit.begin(Duration::from_millis(105));
                sleep(Duration::from_millis(60)).await;
                7
            };
            assert_eq!(visit.bound(work).await, Some(7));
            assert!(begin.elapsed() >= Duration::from_millis(75));
        });
    }

    #[test]
    fn a_connection_past_its_deadline_is_closed() {
        run(async || {
            let visit = visit(Duration::from_millis(20));
            assert_eq!(visit.bound(std::future::pending::<()>()).await, None);
        });
    }

    #[test]
    fn an_ended_connection_is_closed_at_once() {
        run(async || {
            let visit = visit(Duration::from_secs(60));
            let begin = Instant::now();
            let end = async {
                sleep(Duration::from_millis(20)).await;
                visit.end(Instant::now());
            };
            let bound = visit.bound(std::future::pending::<()>());
            assert_eq!(futures_util::future::join(bound, end).await.0, None);
            assert!(begin.elapsed() < Duration::from_secs(10));
        });
    }

    #[test]
    fn the_spare_connection_that_waited_longest_makes_room() {
        let now = Instant::now();
        let connections = Connections::new(ConnectionLimits {
            connections_max: 1,
            per_address_max: 1,
        });
        let admit = |offset: u64| {
            let now = now + Duration::from_millis(offset);
            connections.admit([192, 0, 2, 1].into(), now, |_| true)
        };
        assert!(!admit(0).unwrap().is_spare());
        let spare: Vec<_> = (1..=SPARE_CONNECTIONS as u64)
            .map(|offset| admit(offset).unwrap())
            .collect();
        assert!(spare.iter().all(|visit| visit.is_spare()));
        let newest = admit(100).unwrap();
        let later = now + Duration::from_millis(100);
        assert_eq!(spare[0].deadline.get(), later);
        assert!(spare[1..].iter().all(|visit| visit.deadline.get() > later));
        connections.leave(&spare[0]);
        connections.leave(&newest);
        assert_eq!(
            connections.counters(),
            [
                ("http_connections_open", SPARE_CONNECTIONS as u64),
                ("http_connections_refused", 0),
                ("http_connections_ended", 1),
            ]
        );
    }
}
