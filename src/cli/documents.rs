//! `lamplighter manual` and `lamplighter completions`: what packages install beside the program, made from
//! the command line itself.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::cli::output;

/// `lamplighter manual`
#[derive(Debug, Args)]
pub(super) struct ManualArguments {
    /// The directory to write to, such as /usr/share/man/man1. It must exist.
    #[arg(value_name = "DIRECTORY")]
    directory: PathBuf,
}

/// `lamplighter completions`
#[derive(Debug, Args)]
pub(super) struct CompletionsArguments {
    /// The shell.
    shell: Shell,
}

/// Writes a page for the program and one for each command: lamplighter.1, lamplighter-serve.1, ...
pub(super) fn write_manual(command: Command, arguments: &ManualArguments) -> ExitCode {
    match clap_mangen::generate_to(command, &arguments.directory) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let directory = arguments.directory.display();
            output::fail(format_args!("cannot write to {directory}: {error}"))
        }
    }
}

/// Prints the script by which a shell completes the command line.
pub(super) fn print_completions(
    mut command: Command,
    arguments: &CompletionsArguments,
) -> ExitCode {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    generate(arguments.shell, &mut command, name, &mut script);
    output::print(script)
}
