//! The network: many UDP ports or TCP connections on one thread, and the system calls for them.

pub(crate) mod ports;
pub(crate) mod sockets;
