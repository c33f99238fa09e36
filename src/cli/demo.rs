//! `lamplighter demo`: see a lamp change without a phone.

use std::process::ExitCode;

use clap::Args;

/// How the demonstration runs.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// Show one call and end.
    #[arg(long)]
    pub once: bool,
    /// No colours, no cursor movement.
    #[arg(long)]
    pub plain: bool,
}

/// Runs the demonstration.
#[must_use]
pub fn run(arguments: &DemoArguments) -> ExitCode {
    eprintln!(
        "the demonstration is not part of this build (once: {}, plain: {})",
        arguments.once, arguments.plain
    );
    ExitCode::FAILURE
}
