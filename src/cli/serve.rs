//! `lamplighter serve`: the daemon.

use std::path::Path;
use std::process::ExitCode;

/// Runs until it is told to end.
pub(super) fn run(file: &Path) -> ExitCode {
    let _ = file;
    ExitCode::FAILURE
}
