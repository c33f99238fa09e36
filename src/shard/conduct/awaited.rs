//! Requests in dialogs that are not recovered yet. Each waits for the record of its dialog, which the
//! driver is asked to bring before all others ([`Outbox::wanted_dialogs`]), and is served as soon as
//! that is here. So a dialog can be used long before all dialogs are recovered.
//!
//! [`Outbox::wanted_dialogs`]: crate::shard::Outbox::wanted_dialogs

use std::collections::BTreeMap;
use std::mem;

use crate::shard::conduct::Engine;
use crate::shard::contract::flow::{Arrived, ConnectionId};
use crate::shard::contract::place::Place;
use crate::shard::contract::turn::Turn;

/// Requests by the place of their dialog, those of one dialog in order of arrival. Limited like the
/// early inputs: in number by the limit on held acknowledgements, and in octets.
#[derive(Debug, Default)]
pub(crate) struct AwaitedDialogs {
    requests: BTreeMap<Place, Vec<AwaitingRequest>>,
    count: usize,
    octets: usize,
}

#[derive(Debug)]
struct AwaitingRequest {
    arrived: Arrived,
    octets: Box<[u8]>,
}

/// Whether a request waits for its dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaiting {
    /// It does, and its dialog is wanted.
    First,
    /// It does, behind another request in its dialog, or as its copy.
    Behind,
    /// It does not, as too many requests wait.
    Full,
}

impl AwaitedDialogs {
    fn add(&mut self, place: Place, arrived: Arrived, octets: &[u8], turn: &Turn<'_>) -> Awaiting {
        let waiting = self.requests.get(&place);
        let is_copy =
            |it: &AwaitingRequest| it.arrived.flow == arrived.flow && *it.octets == *octets;
        if waiting.is_some_and(|waiting| waiting.iter().any(is_copy)) {
            return Awaiting::Behind;
        }
        let is_full = self.count >= turn.options.acknowledgements_held_max
            || self.octets + octets.len() > turn.options.overload.postponed_octets_max;
        if is_full {
            return Awaiting::Full;
        }
        self.count += 1;
        self.octets += octets.len();
        let waiting = self.requests.entry(place).or_default();
        let octets = octets.into();
        waiting.push(AwaitingRequest { arrived, octets });
        match waiting.len() {
            1 => Awaiting::First,
            _ => Awaiting::Behind,
        }
    }

    /// A stream has ended: nothing that came over it needs an answer.
    pub(super) fn forget_stream(&mut self, connection: ConnectionId) {
        if self.count == 0 {
            return;
        }
        for waiting in self.requests.values_mut() {
            let is_over = |it: &mut AwaitingRequest| {
                let flow = &it.arrived.flow;
                flow.transport.is_reliable() && flow.connection == connection
            };
            for request in waiting.extract_if(.., is_over) {
                self.count -= 1;
                self.octets -= request.octets.len();
            }
        }
    }

    fn take(&mut self, place: Place) -> Vec<AwaitingRequest> {
        let requests = self.requests.remove(&place).unwrap_or_default();
        self.count -= requests.len();
        self.octets -= requests.iter().map(|it| it.octets.len()).sum::<usize>();
        requests
    }
}

impl Engine {
    /// Lets a request wait for its dialog. Returns false if too many requests wait.
    pub(crate) fn await_dialog(
        &mut self,
        place: Place,
        arrived: Arrived,
        octets: &[u8],
        turn: &mut Turn<'_>,
    ) -> bool {
        let awaiting = self.awaited.add(place, arrived, octets, turn);
        if awaiting == Awaiting::First {
            turn.out.wanted_dialogs.push(place.0);
        }
        awaiting != Awaiting::Full
    }

    /// Serves the requests that waited for the dialog at this place: it is recovered, or there is none.
    pub(crate) fn serve_awaiting(&mut self, place: Place, turn: &mut Turn<'_>) {
        if self.awaited.count == 0 {
            return;
        }
        for AwaitingRequest { arrived, octets } in self.awaited.take(place) {
            self.handle_octets(arrived, &octets, None, true, turn);
        }
    }

    /// Serves all requests that still wait: there are no more records.
    pub(crate) fn serve_all_awaiting(&mut self, turn: &mut Turn<'_>) {
        let requests = mem::take(&mut self.awaited).requests;
        for AwaitingRequest { arrived, octets } in requests.into_values().flatten() {
            self.handle_octets(arrived, &octets, None, true, turn);
        }
    }
}
