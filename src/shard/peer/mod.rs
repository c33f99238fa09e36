//! How NOTIFYs reach a phone, and how the phone's messages reach the right shard and table entry.
//!
//! - `path`: a flow and a destination, shared by the dialogs that use both; the response that must
//!   prove a path before more NOTIFYs are sent on it.
//! - `allowance`: the octets that may be sent on paths that are not proven.
//! - `endpoint`: where a peer listens for streams: an address, or a name.
//! - `dials`: the places that we open streams to.
//! - `next_hop`: the destination, from what the SUBSCRIBE says (RFC 3261 §12.2.1.1).
//! - `local_address`: our Via and Contact on a local address.
//! - `path_salt`: salts of nonces that prove a path.
//! - `routing_token`: the To-tags and branches that we mint.
//!
//! Reads requests and dialogs, sends nothing.

pub(crate) mod allowance;
pub(crate) mod dials;
pub(crate) mod endpoint;
pub(crate) mod local_address;
pub(crate) mod next_hop;
pub(crate) mod path;
pub(crate) mod path_salt;
pub(crate) mod routing_token;
