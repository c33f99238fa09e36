//! The network: many UDP ports or connections on one thread, and their system calls.
//!
//! - `ports`: all of them behind one interface.
//! - `stream`: one connection, by TCP, TLS, WebSocket or secure WebSocket.
//! - `security`: whose certificates are accepted.
//! - `sockets`: system calls.

#[cfg(test)]
pub(crate) mod front;
pub(crate) mod ports;
pub(crate) mod security;
pub(crate) mod sockets;
mod stream;
