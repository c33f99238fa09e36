//! The sockets of a shard: datagrams in batches, stream connections, and kernel calls without a
//! safe wrapper.
//!
//! - [`datagram`]: SIP over UDP. A kind of socket is one file there.
//! - [`stream`]: SIP over connections: TCP, TLS, WebSocket. A stream transport is one file there.
//! - [`listener`]: the list of the transports that are served, and how each is bound and opened.
//!
//! Guarantees: a datagram is received into a fixed pool and sent from the outbox's arena; neither
//! copies nor allocates. An error of one datagram costs that datagram alone. Every queue is bounded;
//! what exceeds the bound is counted. This is the only room with `unsafe`: the system calls that
//! have no safe wrapper, each beside its reason. The loop that feeds the engine is in `runtime`.

mod acceptor;
mod address;
pub mod bind;
pub mod connection_limits;
pub mod datagram;
pub mod descriptor_passing;
pub mod executor_pass;
pub mod interfaces;
pub mod kernel;
mod kernel_options;
mod limits;
pub mod listener;
pub mod readiness;
pub mod source_address;
pub mod stream;
pub mod stun;

pub use acceptor::Acceptor;
pub use limits::{HandshakeLimits, Limits};
