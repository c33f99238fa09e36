//! A load tester for any SIP presence server: simulated phones subscribe, publish and check every
//! lamp they show.
//!
//! It shares no code with Lamplighter: requests are built with `rsip`; received messages are
//! scanned by [`wire`], and a sample of them is parsed in full by `rsip`, so that one bug cannot
//! hide at both ends.
//!
//! ```text
//! main ── run ── swarm        phones and users: no socket, time as an argument
//!          │       └─ wire    bytes: templates, scans, documents, lists, digest
//!          ├────── net        ports in batches, epoll, GSO and GRO; TCP, TLS, WebSocket
//!          ├────── measure    latencies, counts, /proc
//!          └────── report     progress, table, JSON, HTML, comparison
//! scenario                    the parameters of a run: TOML
//! selfcheck ── reference      the cost of this tool itself
//! ```

mod measure;
mod net;
#[cfg(test)]
mod notifier;
mod reference;
mod report;
mod run;
mod scenario;
mod selfcheck;
mod swarm;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::{Parser, Subcommand};

use crate::net::security::{Security, Trust};
use crate::report::summary::Summary;
use crate::run::Setting;
use crate::scenario::Scenario;
use crate::selfcheck::SelfcheckArguments;
use crate::swarm::Target;

/// A load tester for SIP presence servers.
#[derive(Debug, Parser)]
#[command(name = "lamplighter-load", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a scenario: exit with 0 if it was clean, with 1 if not, with 2 if it could not run.
    Run(Box<RunArguments>),
    /// List the built-in scenarios.
    Scenarios,
    /// Print every key of a scenario with its default and its meaning.
    Keys,
    /// Print two runs side by side, as ratios.
    Compare {
        /// JSON file of the first run.
        a: PathBuf,
        /// JSON file of the second run, which is divided by the first.
        b: PathBuf,
    },
    /// Print the table, and write the HTML report, from the JSON file of a run.
    Report {
        json: PathBuf,
        #[arg(long)]
        html: Option<PathBuf>,
    },
    /// Measure the rate that this tool itself reaches on one core of this machine.
    Selfcheck(SelfcheckArguments),
}

#[derive(Debug, clap::Args)]
struct RunArguments {
    /// Name of a built-in scenario (see `scenarios`), or path of a TOML file.
    scenario: String,
    /// Override a key of the scenario: `--set call_rate=100`. See `keys`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The server's SIP address.
    #[arg(long, default_value = "127.0.0.1:5060")]
    server: SocketAddr,
    /// The SIP domain of all users.
    #[arg(long, default_value = "abc.com")]
    domain: String,
    /// With transport "tls" or "wss": the authorities, in PEM, that may have issued the server's
    /// certificate.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    ca: Option<PathBuf>,
    /// With transport "tls" or "wss": accept any certificate.
    #[arg(long)]
    insecure: bool,
    /// With transport "tls" or "wss": the name that the server is asked for (SNI), and that its
    /// certificate must have. Default: the domain.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The prefix of user names; a number of at least three digits follows.
    #[arg(long, default_value = "1")]
    user_prefix: String,
    /// The account used for authentication; by default each user has its own account.
    #[arg(long)]
    username: Option<String>,
    /// The password of the account, or of all users.
    #[arg(long)]
    password: Option<String>,
    /// The server's HTTP address, for call_state.htm.
    #[arg(long)]
    http: Option<SocketAddr>,
    /// Local addresses of the phones, used in turn. One address has about 28,000 ports.
    #[arg(long)]
    source: Vec<IpAddr>,
    /// The process id of a server on this machine: the report then has the CPU time and memory of
    /// this process and all its descendants.
    #[arg(long)]
    server_pid: Vec<u32>,
    /// The CPU to run on.
    #[arg(long)]
    cpu: Option<usize>,
    /// Write the full report as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write the report as one HTML file.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Print only the final table.
    #[arg(long)]
    quiet: bool,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run_scenario(*arguments),
        Command::Scenarios => {
            for (name, about) in Scenario::list() {
                println!("{name:<14}{about}");
            }
            Ok(true)
        }
        Command::Keys => {
            print!("{}", scenario::DEFAULT);
            Ok(true)
        }
        Command::Compare { a, b } => compare(&a, &b),
        Command::Report { json, html } => read(&json).and_then(|summary| {
            print!("{}", report::table::table(&summary));
            write_reports(&summary, None, html.as_deref())?;
            Ok(summary.clean)
        }),
        Command::Selfcheck(arguments) => selfcheck::selfcheck(&arguments).map_err(sentence),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lamplighter-load: {error}");
            ExitCode::from(2)
        }
    }
}

fn run_scenario(arguments: RunArguments) -> Result<bool, String> {
    let scenario = Scenario::load(&arguments.scenario, &arguments.set)?;
    let name = Path::new(&arguments.scenario).file_stem();
    let name = name.map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let security = security(&arguments, &scenario)?;
    let setting = Setting {
        name,
        security,
        target: Target {
            server: arguments.server,
            domain: arguments.domain,
            user_prefix: arguments.user_prefix,
            username: arguments.username,
            password: arguments.password,
            http: arguments.http,
        },
        sources: arguments.source,
        server_pids: arguments.server_pid,
        cpu: arguments.cpu,
        quiet: arguments.quiet,
    };
    let outcome = run::run(setting, scenario).map_err(sentence)?;
    let summary = Summary::new(&outcome);
    print!("\n{}", report::table::table(&summary));
    write_reports(
        &summary,
        arguments.json.as_deref(),
        arguments.html.as_deref(),
    )?;
    Ok(summary.clean)
}

/// The TLS settings, if the scenario needs them.
fn security(arguments: &RunArguments, scenario: &Scenario) -> Result<Option<Security>, String> {
    if !scenario.transport.is_encrypted() {
        return Ok(None);
    }
    let trust = match (&arguments.ca, arguments.insecure) {
        (Some(file), _) => Trust::Authorities(file),
        (None, true) => Trust::Anyone,
        (None, false) => {
            return Err("transport \"tls\" and \"wss\" need --ca FILE or --insecure".to_owned());
        }
    };
    let name = arguments.server_name.as_ref();
    Security::new(trust, name.unwrap_or(&arguments.domain)).map(Some)
}

fn write_reports(
    summary: &Summary,
    json: Option<&Path>,
    html: Option<&Path>,
) -> Result<(), String> {
    let write = |path: &Path, text: String| {
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = json {
        write(path, summary.json())?;
    }
    if let Some(path) = html {
        write(path, report::html::html(summary))?;
    }
    Ok(())
}

fn compare(a: &Path, b: &Path) -> Result<bool, String> {
    let (one, two) = (read(a)?, read(b)?);
    let names = [a, b].map(|path| path.display().to_string());
    let names = [names[0].as_str(), names[1].as_str()];
    print!("{}", report::compare::compare(names, [&one, &two]));
    Ok(true)
}

fn read(path: &Path) -> Result<Summary, String> {
    let text = fs::read_to_string(path);
    text.map_err(sentence)
        .and_then(|text| Summary::parse(&text))
        .map_err(|error| format!("{}: {error}", path.display()))
}

fn sentence(error: io::Error) -> String {
    error.to_string()
}
