//! `lamplighter demo`: a complete server, three phones and a PBX in one process, drawn on the
//! terminal.
//!
//! The phones subscribe to each other over real UDP on loopback, the PBX publishes calls, a mobile
//! reports its calls over HTTP, and the lamps on the phones are drawn as they change. With `--once`
//! the demonstration tests the installation: it plays one round and exits with 0 only if every key
//! of every phone showed exactly the expected states, in order, and nothing else.
//!
//! The server does not depend on this module. Nothing leaves the machine: all sockets are bound to
//! 127.0.0.1, on free ports.

mod lamp;
mod mobile;
mod participants;
mod pbx;
mod phone;
mod runner;
mod screen;
mod script;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::mpsc;

use clap::Args;

use crate::cli::demo::runner::{Ending, Runner, RunnerError};
use crate::cli::demo::screen::Screen;
use crate::cli::output;
use crate::runtime::signals;

/// How the demonstration runs.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Play one round, then exit with status 0 only if every lamp was right.
    #[arg(long)]
    pub(super) once: bool,
    /// Print one line per change, without colours and cursor movement.
    #[arg(long)]
    pub(super) plain: bool,
}

/// Runs the demonstration until Ctrl-C or, with `--once`, for one round.
#[must_use]
pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let is_drawn = !arguments.plain && !is_dumb && std::io::stdout().is_terminal();
    let screen = Screen::new(Box::new(std::io::stdout()), is_drawn);
    match play(screen, arguments.once) {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Bad(faults)) => {
            let lines = faults.iter().map(|fault| format!("\n  {fault}"));
            let (count, lines) = (faults.len(), lines.collect::<String>());
            output::fail(format_args!("{count} lamps or messages were wrong:{lines}"))
        }
        Err(error) => output::fail(format_args!("the demo cannot start: {error}")),
    }
}

fn play(screen: Screen, once: bool) -> Result<Ending, RunnerError> {
    // Before the first thread, so that a Ctrl-C during the start is not lost.
    let (sender, signals) = mpsc::channel();
    signals::listen(sender)?;
    let mut runner = Runner::open(screen, signals)?;
    let ending = if once {
        runner.play_once()
    } else {
        runner.play_on()
    };
    Ok(runner.close(ending))
}
