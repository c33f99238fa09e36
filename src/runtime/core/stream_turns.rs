//! Turns in which a stream connection begins or ends.

use std::net::SocketAddr;
use std::rc::Rc;

use crate::net::listener;
use crate::net::stream::StreamTransport;
use crate::net::stream::connection::Connection;
use crate::runtime::core::{State, Turn};
use crate::runtime::shard_sockets::ContinuedStream;
use crate::shard::{ConnectionId, Dial, Flow, Input};

impl Turn<'_> {
    /// Registers an accepted stream if the limits allow.
    pub(crate) fn admit(
        &mut self,
        stream: Box<dyn StreamTransport>,
        (listener, peer): (u16, SocketAddr),
    ) -> Option<Rc<Connection>> {
        let State { streams, shard, .. } = &mut *self.state;
        let is_trusted = |flow: &Flow| shard.trusts(flow);
        let counters = &self.core.counters;
        streams.admit(stream, (listener, peer), self.now, is_trusted, counters)
    }

    /// Whether a domain trusts the peer of a stream.
    pub(crate) fn trusts(&self, flow: &Flow) -> bool {
        self.state.shard.trusts(flow)
    }

    /// Registers a stream that the engine wanted, if the limits allow. The engine learns of it once its
    /// handshake is done.
    pub(crate) fn take_dialed(
        &mut self,
        stream: Box<dyn StreamTransport>,
        dial: &Dial,
    ) -> Option<Rc<Connection>> {
        let State { streams, shard, .. } = &mut *self.state;
        let is_trusted = |flow: &Flow| shard.trusts(flow);
        streams.take_dialed(stream, dial, self.now, is_trusted, &self.core.counters)
    }

    /// Removes a stream that the engine wanted and whose handshake failed.
    pub(crate) fn give_up_dialed(&mut self, name: ConnectionId, dial: &Dial) {
        self.state.streams.remove(name, &self.core.counters);
        self.handle(Input::DialFailed(dial.id));
    }

    /// Registers a stream that an earlier process accepted. The engine learns if it does not go on.
    pub(crate) fn continue_stream(&mut self, stream: ContinuedStream) -> Option<Rc<Connection>> {
        let ContinuedStream {
            flow,
            socket,
            in_use,
        } = stream;
        let until = self.now + in_use;
        let stream = listener::continue_stream(flow.transport, socket);
        let streams = &mut self.state.streams;
        let counters = &self.core.counters;
        let connection =
            stream.and_then(|stream| streams.continue_stream(stream, flow, until, counters));
        if connection.is_none() {
            self.handle(Input::Closed(flow.connection));
        }
        connection
    }

    /// Ends idle streams.
    pub(crate) fn end_idle_streams(&mut self) {
        let State { streams, shard, .. } = &mut *self.state;
        streams.end_idle(self.now, |flow| shard.trusts(flow), &self.core.counters);
    }

    /// Removes a stream that has ended, and informs the engine.
    pub(crate) fn closed(&mut self, name: ConnectionId) {
        // Messages for it may be in the outbox; they must leave while it exists.
        self.empty_outbox();
        self.state.streams.remove(name, &self.core.counters);
        self.handle(Input::Closed(name));
    }
}
