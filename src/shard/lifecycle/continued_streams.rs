//! The streams that an earlier process handed over, while its dialogs come back.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::record::dialog::FlowRecord;
use crate::shard::contract::flow::{ConnectionId, Flow};
use crate::sip::Transport;

/// Streams by what a record knows of them: transport, our address, the peer's.
#[derive(Debug, Default)]
pub(super) struct ContinuedStreams(HashMap<(Transport, SocketAddr, SocketAddr), Flow>);

impl ContinuedStreams {
    /// A stream goes on.
    pub(super) fn add(&mut self, flow: Flow) {
        self.0.insert((flow.transport, flow.local, flow.peer), flow);
    }

    /// It has ended. Dialogs on it that come back later are cut.
    pub(super) fn remove(&mut self, connection: ConnectionId) {
        self.0.retain(|_, flow| flow.connection != connection);
    }

    /// The stream of a record, if it goes on.
    pub(super) fn find(&self, record: &FlowRecord) -> Option<Flow> {
        let key = (record.transport, record.local, record.peer);
        self.0.get(&key).copied()
    }

    /// All dialogs are back.
    pub(super) fn clear(&mut self) {
        self.0 = HashMap::new();
    }
}
