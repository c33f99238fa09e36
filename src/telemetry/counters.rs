//! The counters of a core's sockets and mail, and the list of all cores that are alive.
//!
//! A counter has one writer, the core it belongs to, so that counting is a plain load and store
//! without a lock prefix. Readers see every counter on its own, up to date within nanoseconds, not
//! a consistent cut over all of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::telemetry::durations::Durations;

/// A number that one thread writes and every thread may read.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning core may call it, a second writer would lose counts.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(
            self.0.load(Ordering::Relaxed).wrapping_add(count),
            Ordering::Relaxed,
        );
    }

    /// Replaces the value, for gauges.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value now.
    #[inline]
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a value is, and so how those of different cores are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows; of all cores the sum.
    Sum,
    /// It grows and falls; of all cores the sum.
    Gauge,
    /// It grows and falls; of all cores the largest.
    Largest,
}

/// What is counted, by every core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name of the value.
    pub name: &'static str,
    /// See [`Kind`].
    pub kind: Kind,
    /// What the value means, as sentences.
    pub meaning: &'static str,
}

macro_rules! core_counters {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident,)*) => {
        /// All counters of one core. Aligned so that no two cores share a cache line (128:
        /// neighbouring lines are fetched in pairs).
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub struct CoreCounters {
            core: u16,
            /// The lengths of its turns.
            pub turn_durations: Durations,
            /// How long PUBLISHes took, from their arrival until their 2xx was handed to the socket.
            pub publish_durations: Durations,
            /// How long SUBSCRIBEs took.
            pub subscribe_durations: Durations,
            /// How long REGISTERs took.
            pub register_durations: Durations,
            $($(#[doc = $doc])+ pub $name: Counter,)*
        }

        /// What every core counts, in the order of the declaration.
        pub const METRICS: &[Metric] = &[$(Metric {
            name: stringify!($name),
            kind: Kind::$kind,
            meaning: concat!($($doc),+),
        },)*];

        impl CoreCounters {
            /// The shard's number.
            #[must_use]
            pub const fn core(&self) -> u16 {
                self.core
            }

            /// All values with their names, in the order of the declaration.
            pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.value()),)*].into_iter()
            }
        }
    };
}

core_counters! {
    /// Datagrams received, junk included.
    datagrams_received: Sum,
    /// Octets in the datagrams received.
    datagrams_received_bytes: Sum,
    /// Turns that received datagrams; `datagrams_received` divided by this is the mean batch length.
    receive_batches: Sum,
    /// Keepalives and scanner noise dropped before the engine (RFC 5626 §4.4.1, §5.4, RFC 8489).
    datagrams_junk: Sum,
    /// STUN Binding requests answered (RFC 5626 §4.4.1, §5.4, RFC 8489).
    stun_answered: Sum,
    /// Datagrams cut off by the kernel because no buffer was long enough.
    datagrams_truncated: Sum,
    /// Datagrams the kernel dropped because the receive buffer was full.
    datagrams_lost_in_kernel: Sum,
    /// Errors of the receiving sockets.
    receive_errors: Sum,
    /// Datagrams handed to the kernel.
    datagrams_sent: Sum,
    /// Octets in the datagrams sent.
    datagrams_sent_bytes: Sum,
    /// Datagrams the kernel refused, each skipped on its own.
    send_errors: Sum,
    /// Datagrams that left together with others to the same destination (UDP segmentation offload).
    datagrams_segmented: Sum,
    /// Times the kernel refused several datagrams in one call (GSO); they were sent one by one, as all
    /// are after a few refusals.
    segmentation_refused: Sum,
    /// Datagrams that had to wait because the send buffer was full.
    datagrams_stalled: Sum,
    /// Datagrams dropped because too many were already waiting to be sent.
    datagrams_dropped: Sum,
    /// Stream connections accepted.
    connections_accepted: Sum,
    /// Stream connections opened to phones whose own had ended.
    connections_dialed: Sum,
    /// Names that were not looked up, because too many were.
    lookups_refused: Sum,
    /// Times no stream connection could be accepted: no more files may be open.
    accept_errors: Sum,
    /// Stream connections refused: over the limit for the shard or for their address.
    connections_refused: Sum,
    /// Stream connections closed where the PROXY protocol is required: not from a proxy of the listener,
    /// or without a header in time.
    connections_not_proxied: Sum,
    /// Stream connections that ended, whatever the reason.
    connections_closed: Sum,
    /// Stream connections closed because the peer sent no complete message in time.
    connections_timed_out: Sum,
    /// Stream connections closed because they were idle: for long, without a live subscription, publication
    /// or registration; or for some seconds, while nearly all connections were in use.
    connections_idle: Sum,
    /// Stream connections closed because the framing was broken, or a message exceeded a limit (RFC 3261
    /// §18.3).
    connections_out_of_step: Sum,
    /// Stream connections closed because the peer did not read and its queue was full.
    connections_overflowed: Sum,
    /// Stream connections open now.
    connections_open: Gauge,
    /// Handshakes of streams completed: TLS, WebSocket.
    handshakes_completed: Sum,
    /// Handshakes that failed: what came was none, or the two sides do not accept each other.
    handshakes_failed: Sum,
    /// Handshakes that were not done in time.
    handshakes_timed_out: Sum,
    /// Connections closed because too many handshakes were under way.
    handshakes_refused: Sum,
    /// Messages cut from streams.
    stream_messages_received: Sum,
    /// Messages handed to streams.
    stream_messages_sent: Sum,
    /// Messages for a stream that is gone.
    stream_messages_dropped: Sum,
    /// Keepalive pings on streams answered.
    stream_pings: Sum,
    /// Mail sent to other shards.
    mail_sent: Sum,
    /// Mail received from other shards.
    mail_received: Sum,
    /// Mail that waited in the inbox of a shard when the shard last looked.
    mail_waiting: Gauge,
    /// Mail that waits at its sender because the receiver's queue is full.
    mail_backlog: Gauge,
    /// Misdirected messages dropped because the receiver's queue was full.
    mail_dropped: Sum,
    /// Times a socket was left unread because too much mail, or too many records, were waiting.
    congested: Sum,
    /// Records handed to the store.
    records: Sum,
    /// Records that wait for room in the queue of the store.
    records_waiting: Gauge,
    /// Commands processed.
    commands: Sum,
    /// Turns: passes of the core's loop that gave the engine something.
    turns: Sum,
    /// Turns that left due timers to a later turn because more packets were waiting: a sign of
    /// overload.
    timeouts_deferred: Sum,
    /// How late the earliest timer was after the last turn that handled timers, in milliseconds.
    timer_lateness_milliseconds: Largest,
    /// Warnings that timers are more than a second late.
    timer_warnings: Sum,
    /// Median length of a turn in nanoseconds, of the last second that had turns.
    turn_nanoseconds_p50: Largest,
    /// 99th percentile of the lengths of that second's turns.
    turn_nanoseconds_p99: Largest,
    /// 99.9th percentile of the lengths of that second's turns.
    turn_nanoseconds_p999: Largest,
    /// The longest turn of that second.
    turn_nanoseconds_max: Largest,
}

/// One value of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// What is counted.
    pub name: &'static str,
    /// The shard's number.
    pub core: u16,
    /// The value.
    pub value: u64,
}

static CORES: Mutex<Vec<Weak<CoreCounters>>> = Mutex::new(Vec::new());

/// Counters for a core that starts. They are part of every snapshot for as long as the core holds
/// them.
#[must_use]
pub fn register(core: u16) -> Arc<CoreCounters> {
    let counters = Arc::new(CoreCounters {
        core,
        ..CoreCounters::default()
    });
    let mut cores = CORES.lock().unwrap_or_else(PoisonError::into_inner);
    cores.retain(|core| core.strong_count() > 0);
    cores.push(Arc::downgrade(&counters));
    counters
}

/// The counters of every core that is alive.
#[must_use]
pub fn cores() -> Vec<Arc<CoreCounters>> {
    let cores = CORES.lock().unwrap_or_else(PoisonError::into_inner).clone();
    cores.iter().filter_map(Weak::upgrade).collect()
}

/// Every value of every core of this process.
#[must_use]
pub fn snapshot() -> Vec<Sample> {
    cores()
        .iter()
        .flat_map(|counters| {
            let core = counters.core;
            counters
                .values()
                .map(|(name, value)| Sample { name, core, value })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Every value over all cores, in a fixed order: counters as sums, lengths of turns as the longest
/// of any core.
#[must_use]
pub fn totals() -> Vec<(&'static str, u64)> {
    merge(&snapshot())
}

fn merge(samples: &[Sample]) -> Vec<(&'static str, u64)> {
    let total = |metric: &Metric| {
        let samples = samples.iter().filter(|sample| sample.name == metric.name);
        let values = samples.map(|sample| sample.value);
        let value = match metric.kind {
            Kind::Sum | Kind::Gauge => values.fold(0, u64::saturating_add),
            Kind::Largest => values.max().unwrap_or(0),
        };
        (metric.name, value)
    };
    METRICS.iter().map(total).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(values: &[(&str, u64)], name: &str) -> u64 {
        values.iter().find(|(known, _)| *known == name).unwrap().1
    }

    #[test]
    fn counters_are_summed_and_the_longest_turn_is_kept() {
        let samples = [
            Sample {
                name: "datagrams_received",
                core: 0,
                value: 2,
            },
            Sample {
                name: "datagrams_received",
                core: 1,
                value: 3,
            },
            Sample {
                name: "turn_nanoseconds_max",
                core: 0,
                value: 900,
            },
            Sample {
                name: "turn_nanoseconds_max",
                core: 1,
                value: 400,
            },
        ];
        let totals = merge(&samples);
        assert_eq!(value(&totals, "datagrams_received"), 5);
        assert_eq!(value(&totals, "turn_nanoseconds_max"), 900);
        assert_eq!(value(&totals, "mail_sent"), 0);
    }

    #[test]
    fn a_core_is_counted_while_it_lives() {
        let counters = register(61_234);
        counters.send_errors.add(4);
        counters.send_errors.add(1);
        let mine = |sample: &Sample| sample.core == 61_234 && sample.name == "send_errors";
        assert_eq!(
            snapshot().iter().find(|sample| mine(sample)).unwrap().value,
            5
        );
        drop(counters);
        assert!(!snapshot().iter().any(mine));
    }

    #[test]
    fn cores_share_no_cache_line() {
        assert_eq!(align_of::<CoreCounters>(), 128);
        assert_eq!(size_of::<CoreCounters>() % 128, 0);
    }
}
