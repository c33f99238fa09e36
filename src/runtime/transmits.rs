//! The messages of a turn on their way to the sockets.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::net::datagram::port::DatagramPort;
use crate::net::stream::connections::Connections;
use crate::shard::{Answered, AnsweredRequest, Outbox, Transmit};
use crate::telemetry::CoreCounters;

/// Sends the datagrams, run by run of one port (`ports` are by listener), and what goes to streams; then
/// counts how long the requests took that are answered.
pub(crate) fn send(
    ports: &[Option<Rc<DatagramPort>>],
    outbox: &Outbox,
    streams: &mut Connections,
    counters: &Arc<CoreCounters>,
) {
    let mut rest = outbox.transmits.as_slice();
    while let Some(first) = rest.first() {
        let index = outbox.transmits.len() - rest.len();
        if first.flow.transport.is_reliable() {
            streams.gather(index, &first.flow, counters);
            rest = &rest[1..];
            continue;
        }
        let listener = first.flow.listener;
        let is_next = |transmit: &&Transmit| {
            !transmit.flow.transport.is_reliable() && transmit.flow.listener == listener
        };
        let (run, behind) = rest.split_at(rest.iter().take_while(is_next).count());
        rest = behind;
        let Some(Some(port)) = ports.get(usize::from(listener)) else {
            debug_assert!(false, "a flow of datagrams has a listener for datagrams");
            counters.send_errors.add(run.len() as u64);
            continue;
        };
        if port.send(outbox, run, counters) {
            let (port, counters) = (Rc::clone(port), Arc::clone(counters));
            glommio::spawn_local(async move { port.drain(&counters).await }).detach();
        }
    }
    if !streams.is_flushed() {
        streams.flush(outbox, counters, |connection| {
            let connection = Rc::clone(connection);
            glommio::spawn_local(async move { connection.drain().await }).detach();
        });
    }
    count_answered(&outbox.answered, counters);
}

/// Counts how long these requests took until now. The clock is read once for all of them.
fn count_answered(answered: &[Answered], counters: &CoreCounters) {
    if answered.is_empty() {
        return;
    }
    let now = Instant::now();
    for one in answered {
        let durations = match one.request {
            AnsweredRequest::Publish => &counters.publish_durations,
            AnsweredRequest::Subscribe => &counters.subscribe_durations,
            AnsweredRequest::Register => &counters.register_durations,
        };
        durations.record(now.saturating_duration_since(one.arrived));
    }
}
