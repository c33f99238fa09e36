//! SIP over streams: what a stream transport must offer ([`StreamListener`], [`StreamTransport`],
//! [`Framing`]), and what they have in common ([`connection`], [`connections`]).
//!
//! A stream transport is one file: [`tcp`], [`tls`]. Nothing outside this folder knows which one a
//! connection has. A connection of TLS cannot be continued by another process, as one of TCP can: its
//! keys are in this one's memory. At a handover it is closed, and the phone connects again.

pub mod connection;
pub mod connections;
pub mod content_length;
pub mod tcp;
pub mod tls;
mod transport;

pub use transport::{Arrival, Framing, Handshake, StreamListener, StreamTransport};
