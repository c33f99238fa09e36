//! `lamplighter connectors`: lists the PBXs and presence servers that the server subscribes to, and starts,
//! stops and restarts them.

use clap::{Args, Subcommand};

use crate::cli::ServerArguments;
use crate::cli::client::Request;

/// `lamplighter connectors`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct ConnectorsArguments {
    #[command(subcommand)]
    what: Option<ConnectorsCommand>,
    /// The connector of which users are shown, too.
    name: Option<String>,
    /// Show all columns, however wide.
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum ConnectorsCommand {
    /// Start a connector that was stopped.
    Start(OrderArguments),
    /// End the subscriptions of a connector, until it is started, or a reload changes it.
    Stop(OrderArguments),
    /// Begin all subscriptions of a connector anew.
    Restart(OrderArguments),
}

/// Which connector.
#[derive(Debug, Args)]
struct OrderArguments {
    /// The connector.
    name: String,
    #[command(flatten)]
    server: ServerArguments,
}

impl ConnectorsArguments {
    pub(super) fn request(&self) -> Request {
        let order =
            |path, arguments: &OrderArguments| Request::post(path).with("name", &arguments.name);
        match &self.what {
            Some(ConnectorsCommand::Start(which)) => order("/connectors/start", which),
            Some(ConnectorsCommand::Stop(which)) => order("/connectors/stop", which),
            Some(ConnectorsCommand::Restart(which)) => order("/connectors/restart", which),
            None => Request::get("/connectors")
                .with_some("name", self.name.as_deref())
                .with_some("wide", self.wide.then_some("yes")),
        }
    }

    pub(super) fn server(&self) -> &ServerArguments {
        match &self.what {
            Some(
                ConnectorsCommand::Start(which)
                | ConnectorsCommand::Stop(which)
                | ConnectorsCommand::Restart(which),
            ) => &which.server,
            None => &self.server,
        }
    }
}
