//! One reader of events: the body of a response that does not end.
//!
//! What comes before the events of the log, all states, is fetched in small parts as the client reads: a
//! client that does not read costs one part.
//!
//! While the client reads, its connection goes on; a client that takes nothing for a minute is cut off by
//! the deadline of its connection. When the server ends, so does the stream.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use glommio::timer::sleep;
use hyper::body::{Bytes, Frame};

use crate::http::connections::Visit;
use crate::http::events::log::{EventFilter, EventLog, Read};

/// The time between two comments that keep a connection alive which has no events.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How long the client may take for the next octets.
const READ_TIME: Duration = Duration::from_secs(60);
/// Octets that are read from the log at once.
const OCTETS_AT_ONCE: usize = 64 << 10;

/// See the head of this file.
pub(crate) struct EventStream {
    log: Rc<EventLog>,
    filter: EventFilter,
    next: u64,
    /// What comes before the events of the log: the text that is there, and what fetches more.
    first: Bytes,
    source: Option<Box<dyn FirstPart>>,
    fetching: Option<LocalBoxFuture<'static, Option<Fetched>>>,
    keep_alive: LocalBoxFuture<'static, ()>,
    /// Its connection.
    visit: Option<Rc<Visit>>,
    is_over: bool,
    /// That of the log when it began.
    admission: u64,
}

/// What a reader gets before the events of the log, part by part.
pub(crate) trait FirstPart {
    /// Fetches the next part. None if that cannot be had: then the stream ends.
    fn fetch(self: Box<Self>) -> LocalBoxFuture<'static, Option<Fetched>>;
}

/// A part, and what fetches the next one; None after the last.
pub(crate) type Fetched = (Bytes, Option<Box<dyn FirstPart>>);

impl EventStream {
    /// A reader from number `next` of the log on; it gets `first`, and what `source` fetches, before.
    pub(crate) fn new(
        log: &Rc<EventLog>,
        next: u64,
        filter: EventFilter,
        (first, source): Fetched,
    ) -> Self {
        log.join();
        Self {
            log: Rc::clone(log),
            filter,
            next,
            first,
            source,
            fetching: None,
            keep_alive: sleep(KEEP_ALIVE).boxed_local(),
            visit: None,
            is_over: false,
            admission: log.admission(),
        }
    }

    /// It is the body of a response on that connection.
    pub(crate) fn keep(&mut self, visit: &Rc<Visit>) {
        visit.begin_stream();
        visit.begin(READ_TIME);
        self.visit = Some(Rc::clone(visit));
    }

    /// The next octets; None at the end.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let is_last = self.visit.as_ref().is_some_and(|visit| visit.is_last());
        let is_dismissed = self.admission != self.log.admission();
        if self.is_over || is_last || is_dismissed {
            return Poll::Ready(None);
        }
        let octets = match self.poll_octets(context) {
            Poll::Ready(Some(octets)) => octets,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending if self.keep_alive.poll_unpin(context).is_ready() => {
                Bytes::from_static(b": keep-alive\n\n")
            }
            Poll::Pending => return Poll::Pending,
        };
        self.keep_alive = sleep(KEEP_ALIVE).boxed_local();
        if let Some(visit) = &self.visit {
            visit.begin(READ_TIME);
        }
        Poll::Ready(Some(Ok(Frame::data(octets))))
    }

    /// What is next; None if the stream has to end.
    fn poll_octets(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        loop {
            if !self.first.is_empty() {
                return Poll::Ready(Some(std::mem::take(&mut self.first)));
            }
            if let Some(source) = self.source.take() {
                self.fetching = Some(source.fetch());
            }
            let Some(fetching) = &mut self.fetching else {
                return self.poll_log(context);
            };
            let Some((first, source)) = ready!(fetching.poll_unpin(context)) else {
                return Poll::Ready(None);
            };
            (self.first, self.source, self.fetching) = (first, source, None);
        }
    }

    fn poll_log(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.log.read(self.next, &self.filter, OCTETS_AT_ONCE) {
            Read::Events(octets, next) => {
                self.next = next;
                Poll::Ready(Some(octets))
            }
            Read::More(next) => {
                self.next = next;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Read::Nothing(next) => {
                self.next = next;
                self.log.wait(context.waker());
                Poll::Pending
            }
            // The client connects again, and gets all states.
            Read::Gap => {
                self.is_over = true;
                let gap = b"event: reset\ndata: {\"reason\":\"gap\"}\n\n";
                Poll::Ready(Some(Bytes::from_static(gap)))
            }
        }
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.log.leave();
        if let Some(visit) = &self.visit {
            visit.end_stream();
        }
    }
}

impl hyper::body::Body for EventStream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Self::poll_frame(self.get_mut(), context)
    }
}
