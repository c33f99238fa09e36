//! NOTIFYs to phones whose stream ended, and NOTIFYs that are too long for a datagram: where the phone
//! listens for streams at its own address, we open one. A phone that does not has to connect again, or
//! gets the datagram in fragments.
//!
//! Guarantee: a stream is opened only to the address that the SUBSCRIBE came from, or between trusted
//! addresses, whatever a name stands for.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Instant;

use crate::shard::contract::expected::Expected;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::shard::contract::ids::{DialId, DialogId, InFlightId, SubscriptionId};
use crate::shard::contract::turn::Turn;
use crate::shard::peer::dials::{Detour, Reach, Wanted};
use crate::shard::peer::endpoint::{Endpoint, Place};
use crate::shard::peer::next_hop::{alias_of, at_same_host, detour_hop, stream_hop};
use crate::shard::peer::path::Path;
use crate::shard::request::Request;
use crate::shard::request::target::is_local;
use crate::shard::subscription::dialog_entry::DialogEntry;
use crate::shard::subscription::table::Table;
use crate::shard::subscription::{Subscription, Wants};

impl Table {
    /// A NOTIFY of a subscription is due, but its stream ended: has one opened if that is possible.
    pub(crate) fn reach_phone(&mut self, id: SubscriptionId, turn: &mut Turn<'_>) {
        let dialog = self.subscription(id).map(Subscription::dialog);
        let Some(dialog) = dialog.expected("a NOTIFY is of a subscription") else {
            return;
        };
        let Some(wanted) = self.wanted_stream(dialog, turn) else {
            return;
        };
        let reach = self.dials.reach(wanted, dialog, turn);
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.awaits_stream = reach == Reach::Later;
        }
        match reach {
            Reach::Now(flow) => self.continue_on(dialog, flow, turn),
            Reach::Later => self.open_streams(turn),
            Reach::Never => {}
        }
    }

    /// The stream by which the phone of a dialog can be reached; None if it does not say that it listens
    /// for one, or may not be reached by it.
    fn wanted_stream(&self, id: DialogId, turn: &Turn<'_>) -> Option<Wanted> {
        let entry = self.dialog(id)?;
        let flow = self.flow_of(entry)?;
        let endpoint = stream_hop(&entry.dialog, &flow, |ip| turn.directory.trusts(ip))?;
        unless_ours(endpoint, &flow, turn)
    }

    /// A NOTIFY of a dialog is too long for a datagram: the stream by which it is to be sent. None if the
    /// phone cannot be expected to listen for one, or is not known to be at the address that its SUBSCRIBE
    /// came from; or as [`Dials::detour`](crate::shard::peer::dials::Dials::detour) says.
    pub(crate) fn detour(
        &mut self,
        id: DialogId,
        notify: InFlightId,
        turn: &mut Turn<'_>,
    ) -> Option<Detour> {
        let entry = self.dialog(id).filter(|it| self.is_path_proven(it.path))?;
        let flow = self.flow_of(entry)?;
        let endpoint = detour_hop(&entry.dialog, &flow, |ip| turn.directory.trusts(ip))?;
        let wanted = unless_ours(endpoint, &flow, turn)?;
        self.dials.detour(wanted, notify, turn)
    }

    /// The NOTIFYs that wait for a stream.
    pub(crate) fn detours(&self, id: DialId) -> Vec<InFlightId> {
        self.dials.detours(id)
    }

    /// A NOTIFY that was to be sent over a stream has ended, or goes by UDP. `has_failed`: it got no
    /// response on the stream.
    pub(crate) fn end_detour(&mut self, id: DialId, notify: InFlightId, has_failed: bool) {
        self.dials.end_detour(id, notify, has_failed);
    }

    fn open_streams(&mut self, turn: &mut Turn<'_>) {
        let dialogs = &self.dialogs;
        let is_waiting = |id| dialogs.get(id).is_some_and(|entry| entry.awaits_stream);
        self.dials.open_queued(is_waiting, turn);
    }

    /// The addresses of a name that was to be looked up: those that may be dialed are.
    pub(crate) fn handle_located(
        &mut self,
        id: DialId,
        addresses: &[SocketAddr],
        turn: &mut Turn<'_>,
    ) {
        let Some(Wanted {
            endpoint, local, ..
        }) = self.dials.wanted(id).cloned()
        else {
            return;
        };
        let Place::Name { only, .. } = endpoint.place else {
            debug_assert!(false, "only names are looked up");
            return;
        };
        let permitted = addresses.iter().filter_map(|address| {
            let is_of_use = address.is_ipv4() == local.is_ipv4();
            let permitted = match only {
                Some(source) => at_same_host(*address, source),
                None => turn.directory.trusts(address.ip()).then_some(*address),
            };
            permitted.filter(|_| is_of_use && !is_local(*address, &local, turn))
        });
        let permitted: Vec<SocketAddr> = permitted.collect();
        self.dials.located(id, permitted.into_iter(), turn);
        self.open_streams(turn);
    }

    /// A stream that was wanted is open: the dialogs that waited for it go on on it.
    pub(crate) fn handle_dialed(&mut self, id: DialId, flow: Flow, turn: &mut Turn<'_>) {
        let waiting = self.dials.opened(id, flow, turn);
        self.continue_waiting(waiting, id, flow, turn);
        self.open_streams(turn);
    }

    /// A SUBSCRIBE was accepted: its stream may lead to the place in its Via as well (RFC 5923).
    pub(crate) fn take_alias(&mut self, request: &Request<'_>, turn: &mut Turn<'_>) {
        let flow = request.flow;
        if !flow.transport.is_reliable() {
            return;
        }
        let certificate = turn.certificates.of(flow.connection).map(|it| &**it);
        let endpoint = alias_of(request, certificate, |ip| turn.directory.trusts(ip));
        let wanted = endpoint.and_then(|endpoint| unless_ours(endpoint, &flow, turn));
        let taken = wanted.and_then(|wanted| self.dials.take_alias(wanted, flow, turn));
        if let Some((id, waiting)) = taken {
            self.continue_waiting(waiting, id, flow, turn);
        }
    }

    /// Dialogs that waited for a stream to a place go on on it.
    fn continue_waiting(
        &mut self,
        waiting: Vec<DialogId>,
        id: DialId,
        flow: Flow,
        turn: &mut Turn<'_>,
    ) {
        for dialog in waiting {
            let is_waiting = self.dialog(dialog).is_some_and(|entry| entry.awaits_stream);
            // The key may be of another dialog by now, and the directory another.
            let wanted = self.wanted_stream(dialog, turn).filter(|_| is_waiting);
            let opened = self.dials.wanted(id).map(|opened| &opened.endpoint);
            if wanted.is_some_and(|wanted| opened == Some(&wanted.endpoint)) {
                self.continue_on(dialog, flow, turn);
            }
        }
    }

    /// A stream that was wanted could not be opened. Returns the NOTIFYs that go by UDP therefore.
    pub(crate) fn handle_dial_failed(
        &mut self,
        id: DialId,
        turn: &mut Turn<'_>,
    ) -> BTreeSet<InFlightId> {
        let detours = self.dials.failed(id, turn);
        self.open_streams(turn);
        detours
    }

    /// Whether the stream that we opened leads to one of several addresses, and others were not tried yet.
    pub(crate) fn has_next_address(&self, connection: ConnectionId) -> bool {
        self.dials.has_next_address(connection)
    }

    /// A stream ended, or is left for another; perhaps we opened it. `has_failed`: a NOTIFY was left
    /// without a response. Returns the NOTIFYs that go by UDP therefore.
    pub(crate) fn note_stream_end(
        &mut self,
        connection: ConnectionId,
        has_failed: bool,
        turn: &mut Turn<'_>,
    ) -> BTreeSet<InFlightId> {
        self.dials.closed(connection, has_failed, turn)
    }

    /// A stream may be opened to an address again.
    pub(crate) fn handle_dial_timer(&mut self, id: DialId, turn: &mut Turn<'_>) {
        self.dials.handle_timer(id);
        self.open_streams(turn);
    }

    /// The NOTIFYs of a dialog go on on a stream that we opened.
    fn continue_on(&mut self, id: DialogId, flow: Flow, turn: &mut Turn<'_>) {
        let destination = flow.peer;
        self.take_path(id, Path { flow, destination });
        let usages = self.usages(id);
        let expires_at = usages.iter().filter_map(|usage| self.expires_at(*usage));
        let expires_at = expires_at.max().unwrap_or(turn.now);
        turn.keep_stream(&flow, expires_at.saturating_duration_since(turn.now));
        for usage in usages {
            self.want_again(usage);
        }
    }

    fn expires_at(&self, id: SubscriptionId) -> Option<Instant> {
        Some(self.subscription(id)?.expires_at())
    }

    /// Queues a subscription whose NOTIFY could not be sent.
    pub(crate) fn want_again(&mut self, id: SubscriptionId) {
        let wants = self.subscription(id).map(Subscription::wants);
        if let Some(wants) = wants.filter(|wants| *wants > Wants::Nothing) {
            self.want(id, wants);
        }
    }
}

/// A stream to a place, for a peer that is reached by `flow`; None if the place is ours.
fn unless_ours(endpoint: Endpoint, flow: &Flow, turn: &Turn<'_>) -> Option<Wanted> {
    let is_ours = matches!(endpoint.place, Place::Address(address)
        if is_local(address, &flow.local, turn));
    (!is_ours).then_some(Wanted {
        endpoint,
        listener: flow.listener,
        local: flow.local,
    })
}

impl DialogEntry {
    /// Whether it waits for a stream that is to be opened.
    #[inline]
    pub(crate) fn awaits_stream(&self) -> bool {
        self.awaits_stream
    }
}
