//! SIP over streams: what a stream transport must offer ([`StreamListener`], [`StreamTransport`],
//! [`Framing`]), and what they have in common ([`connection`], [`connections`]).
//!
//! A stream transport is one file beside [`tcp`]; nothing outside this folder knows which one a
//! connection has.

pub mod connection;
pub mod connections;
pub mod content_length;
pub mod tcp;
mod transport;

pub use transport::{Arrival, Framing, StreamListener, StreamTransport};
