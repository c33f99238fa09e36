//! `lamplighter demo`: a whole server, three phones and a telephone exchange in one process, to
//! look at.
//!
//! The phones subscribe to each other over real UDP on loopback, the exchange publishes calls,
//! somebody's mobile speaks HTTP, and the lamps on the phones are drawn as they change. With
//! `--once` the demonstration is a test of the installation: it ends by itself, with 0 only if
//! every key of every phone showed exactly what it should have, in order, and nothing else.
//!
//! Nothing here is used by the server. Nothing leaves the machine: all sockets are bound to
//! 127.0.0.1, on free ports.

mod cast;
mod exchange;
mod lamp;
mod mobile;
mod phone;
mod screen;
mod script;
mod stage;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Args;

use crate::cli::demo::screen::Screen;
use crate::cli::demo::stage::Ending;
use crate::cli::demo::stage::Stage;
use crate::cli::demo::stage::StageError;
use crate::runtime::signals;

/// How the demonstration runs.
#[derive(Debug, Args)]
pub(super) struct DemoArguments {
    /// Play one round and end: with 0 only if every lamp was right.
    #[arg(long)]
    pub(super) once: bool,
    /// No colours, no cursor movement: a line for each change.
    #[arg(long)]
    pub(super) plain: bool,
}

/// Runs the demonstration, until Ctrl-C or, with `--once`, to the end of a round.
#[must_use]
pub(super) fn run(arguments: &DemoArguments) -> ExitCode {
    let is_dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    let is_drawn = !arguments.plain && !is_dumb && std::io::stdout().is_terminal();
    let screen = Screen::new(Box::new(std::io::stdout()), is_drawn);
    match play(screen, arguments.once) {
        Ok(Ending::Good) => ExitCode::SUCCESS,
        Ok(Ending::Bad(faults)) => {
            eprintln!("{} lamps or messages were wrong:", faults.len());
            faults.iter().for_each(|fault| eprintln!("  {fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the demonstration cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn play(screen: Screen, once: bool) -> Result<Ending, StageError> {
    // Before the first thread, so that a Ctrl-C during the start is not lost.
    let signals = signals::listen()?;
    let mut stage = Stage::open(screen, signals)?;
    let ending = if once {
        stage.play_once()
    } else {
        stage.play_on()
    };
    Ok(stage.close(ending))
}
