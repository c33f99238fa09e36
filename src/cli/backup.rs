//! `lamplighter backup` and `restore`: the store of a running server to a file, and back into a directory.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{io, path};

use clap::Args;

use crate::cli::client::Request;
use crate::cli::{ConfigArguments, ServerArguments, output};
use crate::{config, runtime};

/// `lamplighter backup`
#[derive(Debug, Args)]
pub(super) struct BackupArguments {
    /// The file to write, on the server's machine and by its user. It must not exist.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

/// `lamplighter restore`
#[derive(Debug, Args)]
pub(super) struct RestoreArguments {
    /// The backup.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The directory to restore into; it must be empty [default: that of [store] in the configuration]
    #[arg(long, value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArguments,
}

impl BackupArguments {
    /// Relative to this process, not to the server.
    pub(super) fn request(&self) -> io::Result<Request> {
        let file = path::absolute(&self.file)?;
        Ok(Request::post("/backup")
            .with("file", file.display())
            .patient())
    }
}

/// Restores a backup and prints what was restored.
pub(super) fn restore(arguments: &RestoreArguments) -> ExitCode {
    let restored = directories(arguments).and_then(|(directory, data_dir)| {
        let restored = runtime::restore(&arguments.file, &directory);
        let restored = restored.map_err(|error| error.to_string())?;
        let domains = restore_domains(&arguments.file, &data_dir)?;
        Ok((directory, restored, domains))
    });
    match restored {
        Ok((directory, restored, domains)) => output::print(format!(
            "{}: {} dialogs and {} presentities; {} dropped, because they have expired\n{domains}",
            directory.display(),
            restored.dialogs,
            restored.presentities,
            restored.dropped
        )),
        Err(why) => output::fail(why),
    }
}

/// Puts the domains of the HTTP API, if the backup has any, into a data directory. What to print of it.
fn restore_domains(backup: &Path, data_dir: &Path) -> Result<String, String> {
    let beside = runtime::restored_beside(backup).map_err(|error| error.to_string())?;
    let Some(octets) = beside else {
        return Ok(String::new());
    };
    match config::restore_managed(data_dir, &octets) {
        Ok(path) => Ok(format!(
            "{}: the domains of the HTTP API; they belong into the data_dir\n",
            path.display()
        )),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(format!(
            "{}: has domains of the HTTP API already, which stay as they are\n",
            data_dir.display()
        )),
        Err(error) => Err(format!(
            "the store is restored, but the domains of the HTTP API are not: {}: {error}",
            data_dir.display()
        )),
    }
}

/// The directory to restore into, and that of the domains.
fn directories(arguments: &RestoreArguments) -> Result<(PathBuf, PathBuf), String> {
    if let Some(directory) = &arguments.directory {
        return Ok((directory.clone(), directory.clone()));
    }
    let file = arguments.config.file();
    let loaded = config::inspect(&file).map_err(|complaints| complaints.to_string())?;
    let data_dir = loaded.plan.data_dir;
    let store = loaded.plan.store.map(|store| store.directory);
    let none = || format!("{}: no [store]: give a --directory", file.display());
    Ok((store.ok_or_else(none)?, data_dir))
}
