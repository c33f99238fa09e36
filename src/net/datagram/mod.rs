//! SIP over UDP: what a kind of socket must offer ([`DatagramTransport`]), and what all kinds have
//! in common ([`DatagramPort`](port::DatagramPort)).
//!
//! A kind of socket is one file beside [`udp`]; nothing outside this folder knows which kind a
//! port has.

pub mod classify;
pub mod port;
mod receive;
mod send_order;
mod transmit;
mod transport;
pub mod udp;

pub use transport::{
    BATCH, Datagram, DatagramTransport, Interest, Received, ReceivedDatagrams, Sent,
};
