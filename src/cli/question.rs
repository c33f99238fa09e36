//! A question or a command to the running server, its answer printed as it is.

use std::io;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::ServerArguments;
use crate::cli::client::Request;
use crate::config::Complaints;
use crate::config::Config;
use crate::config::Source;

/// Sends it and prints what comes back.
pub(super) fn run(request: &Request, server: &ServerArguments) -> ExitCode {
    let socket = match socket(server) {
        Ok(socket) => socket,
        Err(complaints) => {
            eprintln!("{complaints}");
            return ExitCode::FAILURE;
        }
    };
    match request.send(&socket) {
        Ok(response) if response.status == 200 => {
            // Whoever reads through a pipe may stop before the end (`| head`); that is no fault.
            let _ = io::stdout().write_all(response.body.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(response) => {
            eprint!("{}", response.body);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}: {error}{}", socket.display(), advice(error.kind()));
            ExitCode::FAILURE
        }
    }
}

/// The control socket: as given, else as the given configuration says, else the default one. A
/// configuration with faults the parser does not see still says where its server is.
fn socket(server: &ServerArguments) -> Result<PathBuf, Complaints> {
    match (&server.socket, &server.config) {
        (Some(socket), _) => Ok(socket.clone()),
        (None, Some(file)) => Ok(Config::parse(&Source::read(file)?)?.control_socket()),
        (None, None) => Ok(Config::default().control_socket()),
    }
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; is the server running? Name its socket with --socket or its configuration with --config"
        }
        io::ErrorKind::PermissionDenied => {
            "; run this as the server's user or as a member of its group"
        }
        _ => "",
    }
}
