//! What the engine is told and what it says: inputs, effects, limits, and the context of a turn.
//! Data only; every room above uses it.

pub(crate) mod body;
pub(crate) mod command;
pub(crate) mod counters;
pub(crate) mod flow;
pub(crate) mod ids;
pub(crate) mod input;
pub(crate) mod mail;
pub(crate) mod options;
pub(crate) mod outbox;
pub(crate) mod overload_options;
pub(crate) mod report;
pub(crate) mod timer;
pub(crate) mod turn;
