//! NOTIFYs that are too long for a datagram (RFC 3261 §18.1.1; W:A6.3): sent over a stream to the same
//! phone, if it accepts one.
//!
//! Such a NOTIFY is written as a datagram and kept like one. Over the stream goes its copy with another
//! transport in Via, and nothing else changed: the phone goes on to send its requests by UDP. If the
//! stream cannot be opened, ends, or brings no response in time, the datagram follows with the same
//! branch and CSeq, so that a phone that has the NOTIFY already absorbs it as a retransmission.

use std::time::Duration;

use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::Flow;
use crate::shard::contract::ids::{DialId, InFlightId, SubscriptionId};
use crate::shard::contract::timer::Timer;
use crate::shard::contract::turn::Turn;
use crate::shard::lifecycle::Subscriptions;
use crate::shard::lifecycle::notifiers_table::NotifiersTable;
use crate::shard::notify::{InFlight, Notifier};
use crate::shard::subscription::Subscription;
use crate::sip::Transport;
use crate::sip::transaction::client::ClientTransaction;

/// Larger datagrams may be fragmented (RFC 3261 §18.1.1).
const UDP_OCTETS_ADVISED: usize = 1300;

/// Time for opening the stream and for the response on it. After it the datagram is sent: behind a
/// firewall that answers nothing, a lamp is late by so much.
const PATIENCE: Duration = Duration::from_secs(1);

/// What stands before the transport in the Via of our requests.
const VIA: &[u8] = b"Via: SIP/2.0/";

/// See [`Expected`].
const OUTSTANDING: &str = "the detour of a NOTIFY ends with it";

/// The stream of an outstanding NOTIFY.
#[derive(Debug)]
pub(super) struct Detour {
    pub(super) dial: DialId,
    /// By which the datagram goes.
    datagrams: Flow,
}

impl Notifier {
    /// Sends a NOTIFY that is too long for a datagram over a stream, once it is open. False if it must
    /// go by UDP.
    pub(super) fn take_detour(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) -> bool {
        let in_flight = self.in_flight.get(id).expected(OUTSTANDING);
        let subscription = in_flight.and_then(|in_flight| in_flight.subscription);
        let table = subscriptions.table_mut();
        let subscription = subscription.and_then(|id| table.subscription(id));
        let dialog = subscription.map(Subscription::dialog);
        let detour = dialog.and_then(|dialog| table.detour(dialog, id, turn));
        let in_flight = self.in_flight.get_mut(id).expected(OUTSTANDING);
        let (Some(detour), Some(in_flight)) = (detour, in_flight) else {
            return false;
        };
        in_flight.detour = Some(Box::new(Detour {
            dial: detour.dial,
            datagrams: in_flight.flow,
        }));
        turn.wheel.cancel(in_flight.timer);
        in_flight.timer = turn.wheel.arm(turn.now + PATIENCE, Timer::Notify(id));
        if let Some(flow) = detour.flow {
            self.send_by_stream(id, flow, turn);
        }
        true
    }

    /// The stream of a NOTIFY is open.
    pub(super) fn send_by_stream(&mut self, id: InFlightId, flow: Flow, turn: &mut Turn<'_>) {
        let Some(in_flight) = self.in_flight.get_mut(id).expected(OUTSTANDING) else {
            return;
        };
        in_flight.flow = flow;
        // Formats our address there, by which the response will be known.
        self.local_addresses.of(&flow);
        let message = self.copies.write(&in_flight.kept, &mut turn.out.arena);
        let octets = turn.out.arena.get_mut(message.clone());
        set_via_transport(octets.unwrap_or_default(), flow.transport);
        turn.counters.notifies_by_stream += 1;
        turn.transmit(flow, message, 0..0);
    }

    /// A NOTIFY got no response on its stream in time, or that could not be opened in time.
    pub(super) fn give_up_detour(
        &mut self,
        id: InFlightId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let in_flight = self.in_flight.get(id).expected(OUTSTANDING);
        if let Some(InFlight {
            detour: Some(detour),
            ..
        }) = in_flight
        {
            subscriptions.table_mut().end_detour(detour.dial, id, true);
            self.send_datagram(id, turn);
        }
    }

    /// A SUBSCRIBE renews or ends a subscription: a NOTIFY of it that waits for a stream goes by UDP now.
    /// Behind the 2xx it would contradict that.
    pub(super) fn send_waiting(
        &mut self,
        id: SubscriptionId,
        subscriptions: &mut Subscriptions,
        turn: &mut Turn<'_>,
    ) {
        let subscription = subscriptions.table().subscription(id);
        let Some(id) = subscription.and_then(Subscription::in_flight) else {
            return;
        };
        let in_flight = self.in_flight.get(id).expected(OUTSTANDING);
        if let Some(InFlight {
            detour: Some(detour),
            flow,
            ..
        }) = in_flight
            && *flow == detour.datagrams
        {
            subscriptions.table_mut().end_detour(detour.dial, id, false);
            self.leave_stream([id], turn);
        }
    }

    /// The stream of these NOTIFYs failed: sends them by UDP.
    pub(super) fn leave_stream(
        &mut self,
        notifies: impl IntoIterator<Item = InFlightId>,
        turn: &mut Turn<'_>,
    ) {
        for id in notifies {
            if let Some(in_flight) = self.in_flight.get(id).expected(OUTSTANDING) {
                turn.wheel.cancel(in_flight.timer);
                self.send_datagram(id, turn);
            }
        }
    }

    /// Sends a NOTIFY that was to go by a stream. Its timer is not set.
    fn send_datagram(&mut self, id: InFlightId, turn: &mut Turn<'_>) {
        let in_flight = self.in_flight.get_mut(id).expected(OUTSTANDING);
        let Some(in_flight) = in_flight else { return };
        if let Some(detour) = in_flight.detour.take().expected("it was to go by a stream") {
            in_flight.flow = detour.datagrams;
        }
        in_flight.transaction = ClientTransaction::new(turn.now, false);
        let deadline = in_flight.transaction.deadline();
        in_flight.timer = turn.wheel.arm(deadline, Timer::Notify(id));
        let message = self.copies.write(&in_flight.kept, &mut turn.out.arena);
        turn.counters.udp_oversize += u64::from(is_oversize(message.len()));
        turn.transmit(in_flight.flow, message, 0..0);
    }
}

/// Whether a datagram may be fragmented.
pub(super) fn is_oversize(octets: usize) -> bool {
    octets > UDP_OCTETS_ADVISED
}

/// Replaces UDP by another transport with a name of three letters in the Via of a request of ours, which
/// follows the request line.
fn set_via_transport(request: &mut [u8], transport: Transport) {
    let line = request.iter().position(|octet| *octet == b'\n');
    let at = line.unwrap_or_default() + 1;
    let place = request.get_mut(at..at + VIA.len() + 3);
    if let Some(place) = place.expected("a request of ours has a Via") {
        debug_assert!(place.starts_with(VIA), "Via is its first header");
        place[VIA.len()..].copy_from_slice(transport.via_token().as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transport_in_via_is_replaced() {
        let mut request =
            b"NOTIFY sip:9@a.com SIP/2.0\r\nVia: SIP/2.0/UDP a.com;branch=z9\r\n".to_vec();
        set_via_transport(&mut request, Transport::Tcp);
        let expected = b"NOTIFY sip:9@a.com SIP/2.0\r\nVia: SIP/2.0/TCP a.com;branch=z9\r\n";
        assert_eq!(request, expected);
    }
}
