//! Boot, one core's turn, the mesh between cores, signals, drain: the only room that knows both the
//! executor and the engine, and the only one that reads the clock for it. It also joins the engine
//! and the store: records go there after each turn, and come back at the start.
//!
//! ```text
//! Node ── one thread per shard, pinned ── Core { Shard, sockets, timer } ─┐
//!      ├─ one thread for HTTP, pinned ─── http::serve ── Commander ──────┤ Mesh: bounded queues, one inbox per shard
//!      ├─ the thread that called: signals, drain ───────── Commander ────┤
//!      ├─ a thread for names, on the CPU of HTTP, once one is looked up ─┤
//!      └─ threads of the store (if there is one): writer, checkpoints ───┘
//! ```
//!
//! Invariants worth naming: a shard is touched by its own thread alone; a turn never waits; mail is
//! delivered in the order it was sent, and essential mail is never lost; if the mail backlog
//! exceeds a limit, sockets are not read until it drains. With a store, sockets are bound before it
//! is opened, and are read once the engine knows how much is to come back; what arrives before waits
//! in the kernel. Handshakes of TLS compute one step at a time, between which everything else runs.

mod adaptive_poll;
mod alarms;
mod arrival_pattern;
mod boot;
mod bundle;
mod changes;
pub mod commander;
mod core;
pub mod daemon;
mod datagrams;
mod descriptors;
mod dialer;
mod edit_keeper;
mod eraser;
mod error;
mod executor;
mod handshakes;
mod heir;
mod history;
mod lookups;
mod mesh;
pub mod node;
mod orders;
mod password_verifier;
mod plan;
mod proxied;
mod records;
mod recovered_part;
mod recovery;
mod reload;
mod replier;
mod resolver;
mod restore;
pub mod service_manager;
mod services;
mod shard_core;
mod shard_sockets;
pub mod signals;
mod stop;
mod store_monitor;
mod streams;
mod system_clock;
pub mod take_over;
mod timekeeper;
mod tracer;
mod transmits;
mod watchdog;

pub use bundle::Bundle;
pub use commander::Commander;
pub use daemon::run;
pub use error::BootError;
pub use node::Node;
pub use plan::{HistoryPlan, HttpListenerPlan, ListenerPlan, NodePlan, OutboundPlan, StorePlan};
pub use reload::{ConfigurationFiles, LoadedChange, LoadedConfiguration};
pub use restore::{restore, restored_beside};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
