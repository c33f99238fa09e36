//! Parsing SIP: the torture messages of the RFCs, messages of real clients, and damaged copies of
//! both.
#![allow(clippy::unwrap_used, reason = "tests")]

mod plain_responses;
mod corpus;
mod plain;
mod torture;
mod wild;
