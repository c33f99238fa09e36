//! What the two protocols have in common for the worker: octets in, requests out, facts on the board. No socket
//! and no clock.

use crate::connect::board::Board;

/// Speaks with one PBX over one connection.
pub(super) trait Protocol {
    /// Reads what has come: the complete frames at the beginning of `octets`. Returns how many octets they have.
    /// Requests that follow are appended to `requests`.
    ///
    /// # Errors
    /// Why the connection is of no use.
    fn receive(
        &mut self,
        octets: &[u8],
        board: &mut Board,
        requests: &mut Vec<u8>,
    ) -> Result<usize, Fault>;

    /// Asks for everything anew.
    fn read_all(&mut self, board: &mut Board, requests: &mut Vec<u8>);

    /// Asks for a sign of life.
    fn ask_for_life(&mut self, requests: &mut Vec<u8>);

    /// Whether everything was told once, and nothing that was asked for is missing.
    fn has_read_all(&self) -> bool;

    /// What the PBX refuses to tell, in words for the operator; each once.
    fn take_complaints(&mut self) -> Vec<String>;
}

/// Why a connection is of no use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The PBX refuses our password or address, in its words.
    #[error("refused: {0}")]
    Forbidden(String),
    /// It does not speak the protocol.
    #[error("not understood: {0}")]
    Garbage(&'static str),
    /// No connection, in the words of the system.
    #[error("{0}")]
    Unreachable(String),
    /// It closed the connection.
    #[error("the PBX closed the connection")]
    Closed,
    /// It is silent.
    #[error("no sign of life")]
    Silent,
    /// It takes no requests.
    #[error("requests are not taken")]
    Stuck,
}
