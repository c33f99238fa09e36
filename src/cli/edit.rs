//! `lamplighter list`, `rules`, `approve` and `deny`: the lists and the watcher rules of the
//! running server.

use std::fs::File;
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::cli::client::Request;
use crate::cli::{ServerArguments, output, question};

/// Octets read of a document: more than the server accepts.
const DOCUMENT_OCTETS_MAX: u64 = 1 << 20;

/// `lamplighter list`
#[derive(Debug, Args)]
pub(super) struct ListArguments {
    #[command(subcommand)]
    command: ListCommand,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum ListCommand {
    /// Show a list with its members, or all lists.
    Show {
        /// The list's address: team@example.com.
        #[arg(value_name = "LIST")]
        list: Option<String>,
    },
    /// Add a member.
    Add {
        /// The list's address.
        #[arg(value_name = "LIST")]
        list: String,
        /// The member: sip:100@example.com, or 100.
        #[arg(value_name = "URI")]
        member: String,
        /// Position, counting from 1 [default: at the end].
        #[arg(long, value_name = "N")]
        at: Option<u32>,
    },
    /// Remove a member.
    Remove {
        /// The list's address.
        #[arg(value_name = "LIST")]
        list: String,
        /// The member.
        #[arg(value_name = "URI")]
        member: String,
    },
    /// Create a list.
    Create {
        /// The list's address.
        #[arg(value_name = "LIST")]
        list: String,
        /// Its display name.
        #[arg(long)]
        name: Option<String>,
        /// The style of its NOTIFYs.
        #[arg(long, value_parser = ["rfc", "broadworks"])]
        style: Option<String>,
        /// Its members, in order.
        #[arg(value_name = "URI")]
        members: Vec<String>,
    },
    /// Delete a list; its subscriptions end.
    Delete {
        /// The list's address.
        #[arg(value_name = "LIST")]
        list: String,
    },
}

/// `lamplighter rules`
#[derive(Debug, Args)]
pub(super) struct RulesArguments {
    #[command(subcommand)]
    command: RulesCommand,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum RulesCommand {
    /// Show the rules of an address.
    Show {
        /// The address of record.
        aor: String,
    },
    /// Replace the rules with those in a document (RFC 4745, RFC 5025).
    Import {
        /// The address of record.
        aor: String,
        /// The document; - for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Remove all rules.
    Remove {
        /// The address of record.
        aor: String,
    },
}

/// `lamplighter approve`
#[derive(Debug, Args)]
pub(super) struct ApproveArguments {
    /// The watcher, of any domain.
    watcher: String,
    /// The address that is watched.
    aor: String,
    #[command(flatten)]
    server: ServerArguments,
}

/// `lamplighter deny`
#[derive(Debug, Args)]
pub(super) struct DenyArguments {
    /// The watcher, of any domain.
    watcher: String,
    /// The address that is watched.
    aor: String,
    /// Show the watcher a state that never changes instead of refusing it.
    #[arg(long)]
    politely: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// `lamplighter list`
pub(super) fn list(arguments: &ListArguments) -> ExitCode {
    question::run(&arguments.request(), &arguments.server)
}

/// `lamplighter rules`
pub(super) fn rules(arguments: &RulesArguments) -> ExitCode {
    match arguments.request() {
        Ok(request) => question::run(&request, &arguments.server),
        Err((file, error)) => output::fail(format_args!("{}: {error}", file.display())),
    }
}

/// `lamplighter approve`
pub(super) fn approve(arguments: &ApproveArguments) -> ExitCode {
    question::run(&arguments.request(), &arguments.server)
}

/// `lamplighter deny`
pub(super) fn deny(arguments: &DenyArguments) -> ExitCode {
    question::run(&arguments.request(), &arguments.server)
}

impl ListArguments {
    pub(super) fn request(&self) -> Request {
        match &self.command {
            ListCommand::Show { list } => Request::get("/list").with_some("list", list.as_ref()),
            ListCommand::Add { list, member, at } => Request::post("/list/add")
                .with("list", list)
                .with("member", member)
                .with_some("at", at.as_ref()),
            ListCommand::Remove { list, member } => Request::post("/list/remove")
                .with("list", list)
                .with("member", member),
            ListCommand::Create {
                list,
                name,
                style,
                members,
            } => Request::post("/list/create")
                .with("list", list)
                .with_some("name", name.as_ref())
                .with_some("style", style.as_ref())
                .with("members", members.join(" ")),
            ListCommand::Delete { list } => Request::post("/list/delete").with("list", list),
        }
    }
}

impl RulesArguments {
    pub(super) fn request(&self) -> Result<Request, (&Path, io::Error)> {
        Ok(match &self.command {
            RulesCommand::Show { aor } => Request::get("/rules").with("aor", aor),
            RulesCommand::Remove { aor } => Request::post("/rules/remove").with("aor", aor),
            RulesCommand::Import { aor, file } => {
                let document = read(file).map_err(|error| (file.as_path(), error))?;
                Request::post("/rules/import")
                    .with("aor", aor)
                    .with_document(document)
            }
        })
    }
}

impl ApproveArguments {
    pub(super) fn request(&self) -> Request {
        Request::post("/rules/approve")
            .with("watcher", &self.watcher)
            .with("aor", &self.aor)
    }
}

impl DenyArguments {
    pub(super) fn request(&self) -> Request {
        let politely = self.politely.then_some("yes");
        Request::post("/rules/deny")
            .with("watcher", &self.watcher)
            .with("aor", &self.aor)
            .with_some("politely", politely)
    }
}

fn read(file: &Path) -> io::Result<Vec<u8>> {
    let mut document = Vec::new();
    if file == Path::new("-") {
        let incoming = io::stdin().lock();
        incoming
            .take(DOCUMENT_OCTETS_MAX)
            .read_to_end(&mut document)?;
    } else {
        File::open(file)?
            .take(DOCUMENT_OCTETS_MAX)
            .read_to_end(&mut document)?;
    }
    Ok(document)
}
