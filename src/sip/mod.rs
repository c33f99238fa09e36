//! SIP messages as octets: parsing those of peers and writing our own (RFC 3261, 6665, 3903, 8760).
//!
//! Zero-copy: a [`Message`] is a view of a datagram or a stream frame. Nothing here reads a clock,
//! touches a socket or handles XML; nothing here panics, whatever the peer sends.

pub mod date;
pub mod dialog;
pub mod digest;
pub mod emit;
pub mod fault;
pub mod framing;
pub mod header;
pub mod location;
pub mod message;
pub mod method;
pub mod name;
pub(crate) mod octets;
pub mod random;
mod simd;
pub mod status;
pub mod transaction;
pub mod transport;
pub mod uri;

pub use fault::Fault;
pub use message::{Message, StartLine};
pub use method::Method;
pub use name::HeaderName;
pub use status::Status;
pub use transport::Transport;
pub use uri::Uri;
