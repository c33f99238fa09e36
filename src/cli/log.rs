//! `lamplighter log`: what the running server logs.

use clap::{Args, Subcommand};

use crate::cli::ServerArguments;
use crate::cli::client::Request;

/// `lamplighter log`
#[derive(Debug, Args)]
pub(super) struct LogArguments {
    #[command(subcommand)]
    what: Option<LogCommand>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum LogCommand {
    /// Change what is logged, until the next start. LAMPLIGHTER_LOG says what is logged from then on.
    Level {
        /// error, warn, info, debug, trace, a level for a part like info,lamplighter::http=debug, or
        /// "default" for what is logged since the start.
        filter: String,
    },
}

impl LogArguments {
    pub(super) fn request(&self) -> Request {
        match &self.what {
            Some(LogCommand::Level { filter }) => {
                Request::post("/log/level").with("filter", filter)
            }
            None => Request::get("/log"),
        }
    }
}
