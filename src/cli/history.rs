//! `lamplighter history` and `lamplighter forget`: what was, and its erasure.

use std::process::ExitCode;

use clap::Args;

use crate::cli::client::{Format, Request};
use crate::cli::{ServerArguments, question};

/// `lamplighter history`
#[derive(Debug, Args)]
pub(super) struct HistoryArguments {
    /// An address, 123@example.com, or a whole domain, example.com.
    #[arg(value_name = "AOR|DOMAIN")]
    subject: String,
    /// From when on: a time span before now, or a time: 2h, 2026-11-29T12:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Until when, written like --since.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// The most changes, newest first [default: 1000]
    #[arg(long, value_name = "NUMBER")]
    limit: Option<u32>,
    /// Go on where an earlier answer ended.
    #[arg(long, value_name = "NUMBER")]
    from: Option<i64>,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Show all columns, however wide.
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// `lamplighter forget`
#[derive(Debug, Args)]
pub(super) struct ForgetArguments {
    /// The address of record: 123@example.com or sip:123@example.com.
    #[arg(value_name = "AOR")]
    aor: String,
    #[command(flatten)]
    pub(super) server: ServerArguments,
}

impl HistoryArguments {
    pub(super) fn request(&self) -> Request {
        let subject = match self.subject.contains('@') {
            true => "aor",
            false => "domain",
        };
        Request::get("/history")
            .with(subject, &self.subject)
            .with_some("since", self.since.as_ref())
            .with_some("until", self.until.as_ref())
            .with_some("limit", self.limit)
            .with_some("from", self.from)
            .with_some("wide", self.wide.then_some("yes"))
    }

    pub(super) fn ask(&self) -> ExitCode {
        match self.csv {
            true => question::run_as(&self.request(), &self.server, Format::Csv),
            false => question::run(&self.request(), &self.server),
        }
    }
}

impl ForgetArguments {
    pub(super) fn request(&self) -> Request {
        Request::post("/forget").patient().with("aor", &self.aor)
    }
}
