//! A load generator for SIP presence servers: phones that subscribe, publish and check every lamp
//! they see.
//!
//! It shares no code with the server it is pointed at: requests are made with `rsip`, what comes
//! back is scanned by [`message`] and, in samples, read in full by `rsip` again, so that one bug
//! cannot hide at both ends.
//!
//! ```text
//! main ── swarm ── phone, exchange, call_state      what happens: no socket, time as an argument
//!           │ └─── message, dialog_info, template, names, digest, second_opinion   bytes
//!           ├───── ports ── sockets                 the network: one thread, epoll, batches
//!           └───── report                           what was found
//! ```

mod call_state;
mod dialog_info;
mod digest;
mod exchange;
mod message;
mod names;
#[cfg(test)]
mod notifier;
mod phone;
mod ports;
mod report;
mod second_opinion;
mod sockets;
mod swarm;
mod template;

use std::io;
use std::process::ExitCode;

use clap::Parser;
use clap::Subcommand;

use crate::report::Report;
use crate::swarm::SwarmArguments;

/// A load generator for SIP presence servers.
#[derive(Debug, Parser)]
#[command(name = "lamplighter-load", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Subscribe many phones, change what they watch, check every NOTIFY; ends with 0 only if all
    /// was right.
    Swarm(SwarmArguments),
}

fn main() -> ExitCode {
    let Command::Swarm(arguments) = Arguments::parse().command;
    match swarm(&arguments) {
        Ok(report) if report.is_clean() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lamplighter-load: {error}");
            ExitCode::from(2)
        }
    }
}

fn swarm(arguments: &SwarmArguments) -> io::Result<Report> {
    sockets::raise_descriptor_limit()?;
    let report = swarm::run(arguments)?;
    print!("\n{report}");
    if let Some(path) = &arguments.json {
        std::fs::write(path, report.json())?;
    }
    Ok(report)
}
