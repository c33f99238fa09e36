//! Parsing SIP: the torture messages of the RFCs, messages of real clients, and damaged copies of
//! both.
#![allow(clippy::unwrap_used, reason = "tests")]

mod corpus;
#[path = "../fuzz/bodies/message.rs"]
mod message;
#[path = "../fuzz/mutator.rs"]
mod mutator;
mod plain;
mod plain_responses;
mod torture;
mod wild;
