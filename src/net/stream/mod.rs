//! SIP over streams: what a stream transport must offer ([`StreamListener`], [`StreamTransport`],
//! [`Framing`]), and what they have in common ([`connection`], [`connections`]).
//!
//! A stream transport is one file or folder: [`tcp`], [`tls`], [`websocket`] on either of them. Nothing
//! outside this folder knows which one a connection has. Only a connection of TCP can be continued by
//! another process; the keys and frames of the others are in this one's memory. At a handover they are
//! closed, and the phone connects again.

pub mod connection;
pub mod connections;
pub mod content_length;
pub mod handshakes;
pub mod proxy_protocol;
pub mod tcp;
pub mod tls;
mod transport;
pub mod websocket;

pub use transport::{Arrival, Framing, Handshake, PushFrame, StreamListener, StreamTransport};
