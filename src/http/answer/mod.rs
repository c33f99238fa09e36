//! Answers: responses, and how a value is rendered in them.

pub(crate) mod response;
pub(crate) mod table;
