//! `lamplighter lockouts`: lists lockouts after wrong passwords, and lifts them.

use clap::{Args, Subcommand};

use crate::cli::ServerArguments;
use crate::cli::client::Request;

/// `lamplighter lockouts`
#[derive(Debug, Args)]
pub(super) struct LockoutsArguments {
    #[command(subcommand)]
    what: Option<LockoutsCommand>,
    /// Show all columns, however wide.
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum LockoutsCommand {
    /// Lift lockouts: credentials are checked again at once, and earlier failures are forgotten.
    Lift {
        /// Whose: an IP address, an account like 123@example.com, or all.
        who: String,
    },
}

impl LockoutsArguments {
    pub(super) fn request(&self) -> Request {
        match &self.what {
            Some(LockoutsCommand::Lift { who }) => Request::post("/lockouts/lift").with("who", who),
            None => Request::get("/lockouts").with_some("wide", self.wide.then_some("yes")),
        }
    }
}
