//! `lamplighter backup` and `restore`: the store of a running server to a file, and back into a directory.

use std::path::PathBuf;
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
    let restored = directory(arguments).and_then(|directory| {
        let restored = runtime::restore(&arguments.file, &directory);
        let restored = restored.map_err(|error| error.to_string())?;
        Ok((directory, restored))
    });
    match restored {
        Ok((directory, restored)) => output::print(format!(
            "{}: {} dialogs and {} presentities; {} dropped, because they have expired\n",
            directory.display(),
            restored.dialogs,
            restored.presentities,
            restored.dropped
        )),
        Err(why) => output::fail(why),
    }
}

fn directory(arguments: &RestoreArguments) -> Result<PathBuf, String> {
    if let Some(directory) = &arguments.directory {
        return Ok(directory.clone());
    }
    let file = arguments.config.file();
    let loaded = config::inspect(&file).map_err(|complaints| complaints.to_string())?;
    let store = loaded.plan.store.map(|store| store.directory);
    store.ok_or_else(|| format!("{}: no [store]: give a --directory", file.display()))
}
