//! `lamplighter check`: checks a configuration file.

use std::path::Path;
use std::process::ExitCode;

use crate::config;

/// Prints every fault, or a summary of the configuration.
pub(super) fn run(file: &Path) -> ExitCode {
    let plan = match config::load(file) {
        Ok(loaded) => loaded.plan,
        Err(complaints) => {
            eprintln!("{complaints}");
            let count = complaints.complaints.len();
            eprintln!(
                "{count} {} found",
                if count == 1 { "fault" } else { "faults" }
            );
            return ExitCode::FAILURE;
        }
    };
    for note in &plan.notes {
        println!("note: {note}");
    }
    let (domains, listeners) = (plan.directory.domains().len(), plan.listeners.len());
    println!("{}: no errors", file.display());
    println!(
        "  SIP listeners: {listeners}, HTTP listeners: {}, domains: {domains}",
        plan.http_listen.len()
    );
    println!(
        "  shards on CPU {:?}, HTTP on CPU {}",
        plan.shards, plan.http_cpu
    );
    println!("  control socket {}", plan.control_socket.display());
    match &plan.store {
        Some(store) => println!("  store in {}", store.directory.display()),
        None => println!("  no store: subscriptions and states end with the server"),
    }
    ExitCode::SUCCESS
}
