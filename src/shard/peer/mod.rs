//! How a peer is reached: its path, the proof that the path leads to it, our own address on it, and
//! the tokens by which its messages find their way back to the right shard and place.

pub(crate) mod local_address;
pub(crate) mod next_hop;
pub(crate) mod path;
pub(crate) mod path_probe;
pub(crate) mod routing_token;
