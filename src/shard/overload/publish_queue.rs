//! The queue of deferred PUBLISHes. `conduct::postponed` decides what goes in and out.

use std::collections::VecDeque;

use crate::shard::contract::flow::Flow;

/// PUBLISHes in order of arrival. Its owner limits `octets`.
#[derive(Debug, Default)]
pub(crate) struct PublishQueue {
    messages: VecDeque<(Flow, Box<[u8]>)>,
    pub(crate) octets: usize,
}

impl PublishQueue {
    /// Whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Appends a PUBLISH.
    pub(crate) fn push(&mut self, flow: Flow, octets: &[u8]) {
        self.octets += octets.len();
        self.messages.push_back((flow, octets.into()));
    }

    /// Removes the oldest PUBLISH.
    pub(crate) fn pop(&mut self) -> Option<(Flow, Box<[u8]>)> {
        let (flow, octets) = self.messages.pop_front()?;
        self.octets -= octets.len();
        Some((flow, octets))
    }
}
