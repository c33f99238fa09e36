//! What commands print. The reader of standard output or standard error may have exited (`| head`): that is no
//! fault, and the rest is dropped, where `println!` and `eprintln!` would panic.

use std::fmt::Display;
use std::io;
use std::io::{ErrorKind, Write};
use std::process::ExitCode;

/// Prints on standard output.
pub(super) fn print(octets: impl AsRef<[u8]>) -> ExitCode {
    match write(octets) {
        Ok(()) => ExitCode::SUCCESS,
        Err(complaint) => fail(complaint),
    }
}

/// As [`print`], for a command that prints more than once. Returns why it cannot.
pub(super) fn write(octets: impl AsRef<[u8]>) -> Result<(), String> {
    let mut out = io::stdout();
    match out.write_all(octets.as_ref()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(format!("cannot write: {error}"))
        }
        _ => Ok(()),
    }
}

/// The columns of the terminal; None if standard output is a pipe or a file.
pub(super) fn columns() -> Option<u16> {
    let (terminal_size::Width(columns), _) = terminal_size::terminal_size_of(io::stdout())?;
    Some(columns)
}

/// Prints why a command fails.
pub(super) fn fail(complaint: impl Display) -> ExitCode {
    remark(complaint.to_string().trim_end());
    ExitCode::FAILURE
}

/// Prints a line on standard error.
pub(super) fn remark(line: impl Display) {
    let _ = writeln!(io::stderr(), "{line}");
}
