//! Bytes: what a phone writes and reads. `rsip` makes the requests' templates and reads a sample of
//! what comes back; plain scans carry the rest. No socket, no clock, nothing of the server's code.

pub(crate) mod dialog_info;
pub(crate) mod digest;
pub(crate) mod message;
pub(crate) mod names;
pub(crate) mod rlmi;
pub(crate) mod second_opinion;
pub(crate) mod template;
