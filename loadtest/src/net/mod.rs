//! The network: many UDP ports or TCP connections on one thread, and their system calls.

pub(crate) mod ports;
pub(crate) mod sockets;
