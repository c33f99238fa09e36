//! The configuration: one TOML file, typed, checked as a whole, converted once.
//!
//! [`Config`] is the file as its keys stand (`schema`, read by `reader`); [`Plan`] is what the other
//! rooms are built from. Between them each part of the file is checked and converted: `cores`,
//! `listeners`, `shield`, `tenants`. Reader and checks report every fault of a file at once, each
//! with its place, what is wrong and what to do ([`Complaints`]).
//! `default.toml`, shipped beside this file, is the manual.
//!
//! What a key does is documented with the module that owns the option.

mod complaint;
mod cores;
mod files;
mod listeners;
mod machine;
mod outbound;
mod plan;
mod quantity;
mod reader;
mod schema;
mod shield;
mod suggestion;
mod tenants;
mod text;
mod transport_security;

pub use complaint::{Complaint, Complaints, Source};
pub use listeners::{HttpListener, Listener};
pub use machine::Machine;
pub use plan::{Connections, HistoryPlan, Plan, StorePlan};
pub use quantity::{Interval, Octets};
pub use schema::{AuthKind, Config, TransportKind};
pub use tenants::SHIPPED_FILE;

use std::path::Path;

use crate::config::complaint::Complainer;

/// The shipped default configuration, with every key explained.
pub const DEFAULT_FILE: &str = include_str!("default.toml");

/// A valid configuration, converted.
#[derive(Debug)]
pub struct Loaded {
    /// The keys as they stand in the file.
    pub config: Config,
    /// What is built from them.
    pub plan: Plan,
}

/// Reads, checks and converts a configuration file for this machine.
///
/// # Errors
/// Everything that is wrong with the file.
pub fn load(path: &Path) -> Result<Loaded, Complaints> {
    let source = Source::read(path)?;
    load_from(&source, &Machine::inspect())
}

/// [`load`] for a text that was read already and a machine that is given.
///
/// # Errors
/// Everything that is wrong with the text.
pub fn load_from(source: &Source, machine: &Machine) -> Result<Loaded, Complaints> {
    let mut complainer = Complainer::new(source);
    let config = Config::read(source, &mut complainer);
    let plan = Plan::new(&config, machine, complainer)?;
    Ok(Loaded { config, plan })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests;
