//! Lamplighter: a SIP presence and busy-lamp-field server.
//!
//! # Rooms
//! ```text
//! sip ◄────────┐
//! presence ◄───┼── directory ◄── shard ◄── net | http ◄── runtime ◄── cli ◄── main
//! telemetry ◄──┘                     config ─► the options each room owns
//! ```
//! - [`sip`]: bytes. A zero-copy message view, emitting, transactions, dialogs, digest. No clock,
//!   no socket, no XML.
//! - [`presence`]: the domain. Contributions, composition, publication, documents. No SIP message
//!   type.
//! - [`directory`]: what the configuration says of domains, accounts, lists, rules and profiles.
//! - [`shard`]: the engine, where they meet: synchronous, single-owner, deterministic.
//! - `net`, `http`, `config`, `telemetry`, `runtime`, `cli`: everything that touches a socket, a
//!   file or a clock (feature `server`).
//!
//! `W:A1.13` in a comment names a rule of `tests/conformance/RULES.md`.

pub mod directory;
pub mod presence;
pub mod shard;
pub mod sip;

#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod net;
#[cfg(feature = "server")]
pub mod runtime;
#[cfg(feature = "server")]
pub mod telemetry;
