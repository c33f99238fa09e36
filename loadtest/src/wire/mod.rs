//! The wire format: the messages that a phone writes and reads. `rsip` builds the templates of
//! requests and parses a sample of the received messages; all others are only scanned. No socket,
//! no clock, no code of the server.

pub(crate) mod dialog_info;
pub(crate) mod digest;
pub(crate) mod message;
pub(crate) mod names;
pub(crate) mod rlmi;
pub(crate) mod second_opinion;
pub(crate) mod template;
