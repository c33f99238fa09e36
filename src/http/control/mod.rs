//! The operator's pages on the control socket: questions and commands, a file each. A page takes a
//! [`Form`] and returns a value of `representation`, or refuses. The pages and the fields of each are listed in
//! `routes`. Many operations of the API (`api`) call them, too.
//!
//! A command is done when its response comes: every shard has it, and NOTIFYs are on their way.

pub(crate) mod aor;
pub(crate) mod backup;
pub(crate) mod connectors;
mod domain_limits;
pub(crate) mod drain;
pub(crate) mod edit;
pub(crate) mod export;
pub(crate) mod forget;
pub(crate) mod form;
pub(crate) mod hand_over;
pub(crate) mod history;
pub(crate) mod lists;
pub(crate) mod lockouts;
pub(crate) mod log;
pub(crate) mod loops;
pub(crate) mod probe;
mod refusal;
pub(crate) mod refusals;
pub(crate) mod relays;
pub(crate) mod reload;
pub(crate) mod rules;
pub(crate) mod set;
pub(crate) mod status;
pub(crate) mod trace;
pub(crate) mod watchers;
pub(crate) mod why;

pub(crate) use form::Form;
pub(crate) use refusal::ControlRefusal;

use crate::http::representation::Representation;

/// The result of a page: a value to render, or a refusal.
pub(crate) type ControlResult = Result<Box<dyn Representation>, ControlRefusal>;
