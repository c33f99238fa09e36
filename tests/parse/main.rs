//! Reading SIP: the torture messages of the RFCs, what real clients send, and damage done to both.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod corpus;
mod plain;
mod torture;
mod wild;
