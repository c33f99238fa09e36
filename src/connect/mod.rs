//! wip
#![allow(dead_code, reason = "wip")]
mod ami;
mod board;
mod event_socket;
mod facts;
mod headers;
mod protocol;
mod users;
