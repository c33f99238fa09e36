//! What the engine is told and what it says: inputs, effects, limits, and the context of a turn.
//! Data only; every room above uses it.

pub(crate) mod body;
pub mod command;
pub mod counters;
pub mod flow;
pub(crate) mod ids;
pub mod input;
pub mod mail;
pub mod options;
pub mod outbox;
pub mod overload_options;
pub mod report;
pub(crate) mod timer;
pub(crate) mod turn;
