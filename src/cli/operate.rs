//! `lamplighter status`, `reload`, `drain` and `config`: the server as a whole.

use std::process::ExitCode;

use clap::Args;

use crate::cli::client::Request;
use crate::cli::{ServerArguments, output};
use crate::config;

/// `lamplighter status`
#[derive(Debug, Args)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

/// `lamplighter export`
#[derive(Debug, Args)]
pub(super) struct ExportArguments {
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

impl ExportArguments {
    pub(super) fn request(&self) -> Request {
        Request::get("/export").patient()
    }
}

/// `lamplighter reload`
#[derive(Debug, Args)]
pub(super) struct ReloadArguments {
    /// Reload even if the file drops more than half of the domains or accounts.
    #[arg(long)]
    accept_removal: bool,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

/// `lamplighter drain`
#[derive(Debug, Args)]
pub(super) struct DrainArguments {
    /// End all subscriptions, then refuse new ones (503) until the next start.
    #[arg(long, required = true)]
    end: bool,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

impl DrainArguments {
    pub(super) fn request(&self) -> Request {
        debug_assert!(self.end, "the flag is required");
        Request::post("/drain")
    }
}

impl StatusArguments {
    pub(super) const fn request(&self) -> Request {
        Request::get("/status")
    }
}

impl ReloadArguments {
    pub(super) fn request(&self) -> Request {
        let accepts = self.accept_removal.then_some("yes");
        Request::post("/reload").with_some("accept_removal", accepts)
    }
}

/// Prints the default configuration, which explains every key.
pub(super) fn print_default() -> ExitCode {
    output::print(config::DEFAULT_FILE)
}
