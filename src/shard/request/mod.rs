//! What one request says, read and checked without any state of the engine.
//!
//! - `target`: the presentity or server that the Request-URI names; `uris`: the URIs to repeat.
//! - `headers`: one function per header; `publication`, `contacts`: the whole of PUBLISH and
//!   REGISTER.
//! - `principal`, `sender`, `publisher`: who sent it.
//! - `refusal`: why it is refused; `response_flow`: where its response goes.
//!
//! Guarantee: changes nothing and sends nothing.

pub(crate) mod contacts;
pub(crate) mod headers;
pub(crate) mod principal;
pub(crate) mod publication;
pub(crate) mod publisher;
pub(crate) mod refusal;
pub(crate) mod response_flow;
pub(crate) mod sender;
pub(crate) mod target;
pub(crate) mod uris;

use crate::shard::contract::flow::Flow;
use crate::sip::Message;
use crate::sip::transaction::server::TransactionKey;

/// A request that passed the message checks, with the flow it arrived on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) flow: Flow,
    /// The server transaction that waits for the response; None if the response is not stored.
    pub(crate) transaction: Option<TransactionKey>,
}
