//! A connection to a PBX in the tests of both protocols.

use crate::connect::board::Board;
use crate::connect::protocol::{Fault, Protocol};
use crate::presence::call::{CallDialog, CallState, Direction};

/// A connection, and what the PBX tells.
pub(super) struct Dialogue<P> {
    pub(super) protocol: P,
    pub(super) board: Board,
    /// What was sent.
    pub(super) sent: String,
}

impl<P: Protocol> Dialogue<P> {
    pub(super) fn begin(protocol: P) -> Self {
        Self {
            protocol,
            board: Board::new("abc.com", 0, 0),
            sent: String::new(),
        }
    }

    pub(super) fn hear_octets(&mut self, octets: &[u8]) -> Result<usize, Fault> {
        let mut requests = Vec::new();
        let taken = self
            .protocol
            .receive(octets, &mut self.board, &mut requests);
        self.sent.push_str(str::from_utf8(&requests).unwrap());
        taken
    }

    /// The calls of a user: state, direction, the other party.
    pub(super) fn states(&self, user: &str) -> Vec<(CallState, Option<Direction>, String)> {
        let calls = self.board.report(user).calls;
        let state = |call: &CallDialog| {
            (
                call.state,
                call.direction,
                call.remote().identity.to_owned(),
            )
        };
        calls.iter().map(state).collect()
    }
}
