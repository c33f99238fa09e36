//! The octets of one connection, watched on their way: a client that only keeps the server busy is cut off,
//! and what the server refuses is counted.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};

use crate::http::connections::Visit;
use crate::http::server::http2::frames::{DATA, Frames, GOAWAY, HEADERS, RST_STREAM};
use crate::http::server::io::Io;
use crate::http::transport_counters::{TransportCounters, count};

/// Frames that a client may send after its last request began, and after the last events were sent to it. A
/// frame counts once for each KiB. The limit leaves room for the bodies of as many requests as a client may
/// have at once, in frames of a few hundred octets.
const IDLE_FRAMES_MAX: u32 = 1024;

/// The stream of one connection.
pub(super) struct Guarded<'c> {
    io: Io<'c>,
    counters: &'c TransportCounters,
    visit: &'c Visit,
    received: Frames,
    sent: Frames,
    /// Frames received since the last request began.
    idle_frames: u32,
    /// The stream of the last request. Later ones have greater numbers (RFC 9113 §5.1.1).
    last_request: u32,
    has_said_goaway: Rc<Cell<bool>>,
}

impl<'c> Guarded<'c> {
    pub(super) fn new(io: Io<'c>, counters: &'c TransportCounters, visit: &'c Visit) -> Self {
        Self {
            io,
            counters,
            visit,
            received: Frames::of_client(),
            sent: Frames::default(),
            idle_frames: 0,
            last_request: 0,
            has_said_goaway: Rc::default(),
        }
    }

    /// Whether GOAWAY was sent, also while hyper has the stream.
    pub(super) fn has_said_goaway(&self) -> Rc<Cell<bool>> {
        Rc::clone(&self.has_said_goaway)
    }

    /// Counts the frames that were sent.
    fn note_sent(&mut self, octets: &[u8]) {
        let idle_frames = &mut self.idle_frames;
        self.sent.take(octets, |head| match head.kind {
            RST_STREAM => count(&self.counters.http2_streams_reset),
            GOAWAY => self.has_said_goaway.set(true),
            // The reader of an event stream sends no requests, but it must send WINDOW_UPDATE.
            DATA if self.visit.is_streaming() => *idle_frames = 0,
            _ => {}
        });
    }
}

impl Read for Guarded<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (received, idle_frames) = (&mut this.received, &mut this.idle_frames);
        let last_request = &mut this.last_request;
        let note = |octets: &[u8]| {
            received.take(octets, |head| {
                if head.kind == HEADERS && head.stream > *last_request {
                    (*last_request, *idle_frames) = (head.stream, 0);
                } else {
                    *idle_frames += 1 + head.length / 1024;
                }
            });
        };
        ready!(this.io.poll_read_noting(context, into, note))?;
        if this.idle_frames > IDLE_FRAMES_MAX {
            count(&this.counters.http2_floods);
            return Poll::Ready(Err(io::Error::other("too many frames without a request")));
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Guarded<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let taken = ready!(Pin::new(&mut this.io).poll_write(context, octets))?;
        this.note_sent(octets.get(..taken).unwrap_or_default());
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
