//! Sends a question or a command to the running server and prints the response as it is.

use std::io;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::client::{Format, Request};
use crate::cli::{CONFIG_FILE, ServerArguments, config_of_environment};
use crate::config::{Complaints, Config, Source};

/// Sends it and prints what comes back.
pub(super) fn run(request: &Request, server: &ServerArguments) -> ExitCode {
    let format = match server.json {
        true => Format::Json,
        false => Format::Text,
    };
    run_as(request, server, format)
}

/// Sends it and prints what comes back, in that format.
pub(super) fn run_as(request: &Request, server: &ServerArguments, format: Format) -> ExitCode {
    let socket = match socket(server) {
        Ok(socket) => socket,
        Err(complaints) => {
            eprintln!("{complaints}");
            return ExitCode::FAILURE;
        }
    };
    match request.send(&socket, format) {
        Ok(response) if response.status == 200 => {
            // Standard output may be a pipe whose reader has exited (`| head`); that is no fault.
            let _ = io::stdout().write_all(response.body.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(response) => {
            eprint!("{}", response.body);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{}", complaint(&socket, &error));
            ExitCode::FAILURE
        }
    }
}

/// The control socket: --socket; else from the configuration (--config, $LAMPLIGHTER_CONFIG or the
/// default path); else the default. A configuration with errors can still provide it.
pub(super) fn socket(server: &ServerArguments) -> Result<PathBuf, Complaints> {
    if let Some(socket) = &server.socket {
        return Ok(socket.clone());
    }
    let source = match server.config.clone().or_else(config_of_environment) {
        Some(file) => Source::read(&file)?,
        // The usual file may be missing, or unreadable for this user.
        None => Source::read(Path::new(CONFIG_FILE)).unwrap_or_default(),
    };
    Ok(Config::glance(&source).control_socket())
}

/// Why there is no response from the socket, and what may help.
pub(super) fn complaint(socket: &Path, error: &io::Error) -> String {
    format!("{}: {error}{}", socket.display(), advice(error.kind()))
}

fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; is the server running? Give its socket with --socket, or its configuration with --config"
        }
        io::ErrorKind::PermissionDenied => {
            "; run this as the server's user or as a member of its group"
        }
        _ => "",
    }
}
