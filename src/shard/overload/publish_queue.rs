//! The queue of deferred PUBLISHes. `conduct::postponed` decides what goes in and out.

use std::collections::VecDeque;

use crate::shard::contract::flow::Arrived;

/// PUBLISHes in order of arrival. Its owner limits `octets`.
#[derive(Debug, Default)]
pub(crate) struct PublishQueue {
    messages: VecDeque<(Arrived, Box<[u8]>)>,
    pub(crate) octets: usize,
}

impl PublishQueue {
    /// Whether the queue is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Appends a PUBLISH.
    pub(crate) fn push(&mut self, arrived: Arrived, octets: &[u8]) {
        self.octets += octets.len();
        self.messages.push_back((arrived, octets.into()));
    }

    /// Removes the oldest PUBLISH.
    pub(crate) fn pop(&mut self) -> Option<(Arrived, Box<[u8]>)> {
        let (arrived, octets) = self.messages.pop_front()?;
        self.octets -= octets.len();
        Some((arrived, octets))
    }
}
