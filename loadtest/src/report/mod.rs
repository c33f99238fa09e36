//! The reports of a run: a line or a bar while it runs, a table, JSON and HTML at its end, and a
//! comparison of two runs.
//!
//! All of them except the progress are written from a [`summary::Summary`], so that a JSON file is
//! sufficient to write the others again.

pub(crate) mod chart;
pub(crate) mod compare;
pub(crate) mod html;
pub(crate) mod progress;
pub(crate) mod search;
pub(crate) mod summary;
pub(crate) mod table;
pub(crate) mod units;
