//! The types that cross the engine's boundary or are shared by all of its rooms.
//!
//! - In: [`input::Input`] (SIP messages, mail from other shards, operator commands).
//! - Out: [`outbox::Outbox`] (messages to send, mail, replies, durable records, state changes, entries for
//!   the log), [`counters::Counters`].
//! - Records: [`commit`], and which acknowledgements wait until they are durable.
//! - Limits: [`options::Options`], [`overload_options::OverloadOptions`].
//! - Probes of other servers: [`probe`].
//! - [`certificates`]: what the certificates of peers say, by stream.
//! - Inside: `turn::Turn` (the context that rooms pass on), `ids` (typed table keys), `place` (their
//!   numbers within the node), `timer::Timer`, `expected` (assertions of what our own tables must
//!   hold).
//!
//! Data only, no protocol logic. Imports no other room of the shard but the timer wheel.

pub(crate) mod body;
pub mod certificates;
pub mod change_readers;
pub mod command;
pub mod commit;
pub mod connector;
pub mod counters;
pub mod dial;
pub(crate) mod expected;
pub mod flow;
pub(crate) mod ids;
pub mod input;
pub mod lockout;
pub mod mail;
pub mod options;
pub mod outbox;
pub mod overload_options;
pub(crate) mod place;
pub mod probe;
pub mod relay;
pub mod report;
pub mod state_change;
pub(crate) mod timer;
pub(crate) mod turn;
