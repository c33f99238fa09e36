//! What is counted below the requests: handshakes of TLS, and HTTP/2.

use std::cell::Cell;

/// The counters. Names in the metrics are those of the fields.
#[derive(Debug, Default)]
pub(crate) struct TransportCounters {
    /// Handshakes completed.
    pub(crate) http_handshakes_completed: Cell<u64>,
    /// Handshakes that failed: what came was none, or the two sides do not accept each other.
    pub(crate) http_handshakes_failed: Cell<u64>,
    /// Handshakes that were not done in time.
    pub(crate) http_handshakes_timed_out: Cell<u64>,
    /// Connections closed because too many handshakes were under way.
    pub(crate) http_handshakes_refused: Cell<u64>,
    /// Requests of HTTP/2 that were reset: too many at once, not completed in time, or malformed.
    pub(crate) http2_streams_reset: Cell<u64>,
    /// Connections of HTTP/2 ended by GOAWAY with an error: the client broke the protocol, or went on
    /// resetting its own requests.
    pub(crate) http2_goaways: Cell<u64>,
    /// Connections of HTTP/2 closed because too many frames belonged to no request.
    pub(crate) http2_floods: Cell<u64>,
}

impl TransportCounters {
    /// Names and values for `/metrics`.
    pub(crate) fn values(&self) -> [(&'static str, u64); 7] {
        [
            ("http_handshakes_completed", &self.http_handshakes_completed),
            ("http_handshakes_failed", &self.http_handshakes_failed),
            ("http_handshakes_timed_out", &self.http_handshakes_timed_out),
            ("http_handshakes_refused", &self.http_handshakes_refused),
            ("http2_streams_reset", &self.http2_streams_reset),
            ("http2_goaways", &self.http2_goaways),
            ("http2_floods", &self.http2_floods),
        ]
        .map(|(name, counter)| (name, counter.get()))
    }
}

/// Counts one more.
pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
