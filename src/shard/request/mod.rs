//! A request as received, and what can be read from it alone: headers, sender, publication,
//! contacts. Reads and checks; changes nothing.

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

/// A request on its way through admission.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) message: &'a Message<'a>,
    pub(crate) flow: Flow,
    /// The transaction that waits for the answer; None for what is answered without memory.
    pub(crate) transaction: Option<TransactionKey>,
}
