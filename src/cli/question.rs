//! Sends a question or a command to the running server and prints the response as it is.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::cli::client::{Format, Request};
use crate::cli::{CONFIG_FILE, ServerArguments, config_of_environment, output};
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
        Err(complaints) => return output::fail(complaints),
    };
    let request = request.clone().within(output::columns());
    match ask(&request, &socket, format) {
        Ok(response) => output::print(response),
        Err(complaint) => output::fail(complaint),
    }
}

/// Sends it and returns what comes back; an error is a text for the operator.
pub(super) fn ask(request: &Request, socket: &Path, format: Format) -> Result<String, String> {
    match request.send(socket, format) {
        Ok(response) if response.status == 200 => Ok(response.body),
        Ok(response) => Err(response.body),
        Err(error) => Err(complaint(socket, &error)),
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
fn complaint(socket: &Path, error: &io::Error) -> String {
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
