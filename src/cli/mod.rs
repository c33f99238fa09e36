//! The command line of the daemon and its tools. One file per command; the work is done in other
//! modules.

mod account;
mod backup;
mod certificate;
mod check;
mod client;
mod connectors;
mod demo;
mod documents;
mod edit;
mod history;
mod lockouts;
mod log;
mod operate;
mod output;
mod probe;
mod question;
mod serve;
mod set;
mod token;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::cli::account::AccountArguments;
use crate::cli::backup::{BackupArguments, RestoreArguments};
use crate::cli::certificate::CertificateArguments;
use crate::cli::client::Request;
use crate::cli::connectors::ConnectorsArguments;
use crate::cli::demo::DemoArguments;
use crate::cli::documents::{CompletionsArguments, ManualArguments};
use crate::cli::edit::{ApproveArguments, DenyArguments, ListArguments, RulesArguments};
use crate::cli::history::{ForgetArguments, HistoryArguments};
use crate::cli::lockouts::LockoutsArguments;
use crate::cli::log::LogArguments;
use crate::cli::operate::{DrainArguments, ExportArguments, ReloadArguments, StatusArguments};
use crate::cli::probe::ProbeArguments;
use crate::cli::set::SetArguments;
use crate::cli::token::TokenArguments;
use crate::cli::trace::TraceArguments;

/// Where the configuration is unless `--config` or [`CONFIG_VARIABLE`] says otherwise.
const CONFIG_FILE: &str = "/etc/lamplighter/lamplighter.toml";
/// The environment variable that names the configuration.
const CONFIG_VARIABLE: &str = "LAMPLIGHTER_CONFIG";

/// The configuration file that the environment names.
fn config_of_environment() -> Option<PathBuf> {
    let file = std::env::var_os(CONFIG_VARIABLE);
    file.filter(|file| !file.is_empty()).map(PathBuf::from)
}

/// A SIP presence and busy-lamp-field server.
#[derive(Debug, Parser)]
#[command(name = "lamplighter", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server.
    Serve(ServeArguments),
    /// See lamps change: a server, three phones and a PBX in one process on loopback.
    Demo(DemoArguments),
    /// Check a configuration file, and print every fault with its line.
    Check(ConfigArguments),
    /// Print the default configuration, with every key explained.
    Config,
    /// Make the hashes of a password for an account.
    Account(AccountArguments),
    /// Make, list and remove the tokens of the HTTP API.
    Token(TokenArguments),
    /// Make a certificate for TLS in a lab.
    Certificate(CertificateArguments),
    /// Show whether the running server is ready, where it listens, and how much it serves.
    Status(StatusArguments),
    /// Show everything that the running server counts.
    Counters(StatusArguments),
    /// Show what the running server logs, or change it until the next start.
    Log(LogArguments),
    /// Reload the configuration of the running server.
    Reload(ReloadArguments),
    /// End all subscriptions, before a server with a store is stopped for good.
    Drain(DrainArguments),
    /// Back up the store of the running server to a file.
    Backup(BackupArguments),
    /// Print as JSON all that an operator has configured: accounts, lists, rules, notes. No passwords.
    Export(ExportArguments),
    /// Restore a backup into an empty directory, before a server is started on it.
    Restore(RestoreArguments),
    /// Explain the current lamp state of an address.
    Why(QuestionArguments),
    /// Show how the state of an address, or of all addresses of a domain, changed in the past.
    History(HistoryArguments),
    /// Erase what is known and stored of a person: state, subscriptions, rules, history.
    Forget(ForgetArguments),
    /// Show who watches an address, or subscribes to a list.
    Watchers(QuestionArguments),
    /// Show phones that keep repeating failing requests.
    Loops(ReportArguments),
    /// Show which requests were refused recently, by sender and reason.
    Refusals(ReportArguments),
    /// Show the relays, which tell other systems the state of users, and whether each works.
    Relays(ReportArguments),
    /// Show, and lift, the lockouts of addresses and accounts after wrong passwords.
    Lockouts(LockoutsArguments),
    /// Show the PBXs and presence servers that the server subscribes to; start, stop or restart one.
    Connectors(ConnectorsArguments),
    /// Test another SIP server: subscribe or publish there for a minute, and print its responses.
    Probe(ProbeArguments),
    /// Show the SIP messages of a person or phone as they come and go; record them, send them to Homer.
    Trace(TraceArguments),
    /// Show and edit lists; subscribed phones are notified at once.
    List(ListArguments),
    /// Set the state of an address: do-not-disturb, a note, a lamp, a parked call.
    Set(SetArguments),
    /// Show and replace the rules that an address has for its watchers.
    Rules(RulesArguments),
    /// Approve a watcher, pending or not.
    Approve(ApproveArguments),
    /// Refuse a watcher.
    Deny(DenyArguments),
    /// Write the manual pages of all commands.
    Manual(ManualArguments),
    /// Print the script by which a shell completes commands.
    Completions(CompletionsArguments),
}

/// The configuration file.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file [default: $LAMPLIGHTER_CONFIG, or /etc/lamplighter/lamplighter.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigArguments {
    fn file(&self) -> PathBuf {
        let file = self.config.clone().or_else(config_of_environment);
        file.unwrap_or_else(|| PathBuf::from(CONFIG_FILE))
    }
}

/// `lamplighter serve`
#[derive(Debug, Args)]
struct ServeArguments {
    /// Take the place of the running server without a gap: its sockets, connections and store. It ends.
    /// Under systemd use `systemctl restart` instead, which does the same.
    #[arg(long)]
    take_over: bool,
    #[command(flatten)]
    config: ConfigArguments,
}

/// How to reach the running server, and the output format.
#[derive(Debug, Args)]
struct ServerArguments {
    /// The server's control socket [default: where the configuration says]
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// The server's configuration file [default: $LAMPLIGHTER_CONFIG, or
    /// /etc/lamplighter/lamplighter.toml]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print the response as JSON
    #[arg(long, global = true)]
    json: bool,
}

/// The address that a question is about.
#[derive(Debug, Args)]
struct QuestionArguments {
    /// The address of record: 123@example.com or sip:123@example.com.
    #[arg(value_name = "AOR")]
    aor: String,
    /// Show all columns, however wide.
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// A table about the whole server: `lamplighter loops`, `lamplighter refusals`.
#[derive(Debug, Args)]
struct ReportArguments {
    /// Show all columns, however wide.
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    server: ServerArguments,
}

impl ReportArguments {
    fn request(&self, path: &'static str) -> Request {
        Request::get(path).with_some("wide", self.wide.then_some("yes"))
    }

    fn ask(&self, path: &'static str) -> ExitCode {
        question::run(&self.request(path), &self.server)
    }
}

impl QuestionArguments {
    fn ask(&self, path: &'static str) -> ExitCode {
        let wide = self.wide.then_some("yes");
        let request = Request::get(path)
            .with("aor", &self.aor)
            .with_some("wide", wide);
        question::run(&request, &self.server)
    }
}

/// Runs the command. Exits with 0 on success, 1 on failure, 2 when the command line is not
/// understood.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments.config.file(), arguments.take_over),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments.file()),
        Command::Certificate(arguments) => certificate::run(&arguments),
        Command::Config => operate::print_default(),
        Command::Account(arguments) => account::run(&arguments),
        Command::Token(arguments) => token::run(&arguments),
        Command::Status(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Counters(arguments) => {
            question::run(&Request::get("/counters"), &arguments.server)
        }
        Command::Log(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Reload(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Backup(arguments) => match arguments.request() {
            Ok(request) => question::run(&request, &arguments.server),
            Err(error) => output::fail(error),
        },
        Command::Export(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Restore(arguments) => backup::restore(&arguments),
        Command::Drain(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Why(arguments) => arguments.ask("/why"),
        Command::History(arguments) => arguments.ask(),
        Command::Forget(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Watchers(arguments) => arguments.ask("/watchers"),
        Command::Loops(arguments) => arguments.ask("/loops"),
        Command::Relays(arguments) => arguments.ask("/relays"),
        Command::Refusals(arguments) => arguments.ask("/refusals"),
        Command::Lockouts(arguments) => question::run(&arguments.request(), &arguments.server),
        Command::Connectors(arguments) => question::run(&arguments.request(), arguments.server()),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Trace(arguments) => trace::run(&arguments),
        Command::List(arguments) => edit::list(&arguments),
        Command::Set(arguments) => set::run(&arguments),
        Command::Rules(arguments) => edit::rules(&arguments),
        Command::Approve(arguments) => edit::approve(&arguments),
        Command::Deny(arguments) => edit::deny(&arguments),
        Command::Manual(arguments) => documents::write_manual(Arguments::command(), &arguments),
        Command::Completions(arguments) => {
            documents::print_completions(Arguments::command(), &arguments)
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn commands_are_understood() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' '));
        let Command::Serve(serve) = parse("lamplighter serve").unwrap().command else {
            unreachable!()
        };
        assert_eq!((serve.config.config, serve.take_over), (None, false));
        let Command::Why(why) = parse("lamplighter why 123@a --socket /x").unwrap().command else {
            unreachable!()
        };
        assert_eq!(
            (why.aor.as_str(), why.server.socket),
            ("123@a", Some(PathBuf::from("/x")))
        );
        for line in [
            "lamplighter why 123@a --json",
            "lamplighter list show --json --socket /x",
        ] {
            let json = match parse(line).map(|arguments| arguments.command) {
                Ok(Command::Why(why)) => why.server.json,
                Ok(Command::List(list)) => list.server.json,
                _ => false,
            };
            assert!(json, "{line}");
        }
        assert!(parse("lamplighter demo --once --plain").is_ok());
        assert!(parse("lamplighter why").is_err());
        assert!(parse("lamplighter watchers a@b --socket /x --config /y").is_err());
        assert!(parse("lamplighter").is_err());
    }

    /// What a command line asks of the server.
    fn request(line: &str) -> Option<Request> {
        let words = line.split(' ').map(|word| word.replace('_', " "));
        let words = std::iter::once("lamplighter".to_owned()).chain(words);
        match Arguments::try_parse_from(words).ok()?.command {
            Command::List(arguments) => Some(arguments.request()),
            Command::Loops(arguments) => Some(arguments.request("/loops")),
            Command::Relays(arguments) => Some(arguments.request("/relays")),
            Command::Refusals(arguments) => Some(arguments.request("/refusals")),
            Command::Lockouts(arguments) => Some(arguments.request()),
            Command::Connectors(arguments) => Some(arguments.request()),
            Command::Status(arguments) => Some(arguments.request()),
            Command::Reload(arguments) => Some(arguments.request()),
            Command::Drain(arguments) => Some(arguments.request()),
            Command::History(arguments) => Some(arguments.request()),
            Command::Forget(arguments) => Some(arguments.request()),
            Command::Backup(arguments) => arguments.request().ok(),
            Command::Set(arguments) => Some(arguments.request()),
            Command::Approve(arguments) => Some(arguments.request()),
            Command::Deny(arguments) => Some(arguments.request()),
            Command::Rules(arguments) => arguments.request().ok(),
            Command::Probe(arguments) => arguments.request().ok(),
            _ => None,
        }
    }

    #[test]
    fn each_command_becomes_a_request() {
        type Row = (
            &'static str,
            &'static str,
            &'static [(&'static str, &'static str)],
        );
        let table: &[Row] = &[
            ("loops --socket /x", "/loops", &[]),
            ("relays --socket /x", "/relays", &[]),
            ("status --config /y", "/status", &[]),
            ("reload", "/reload", &[]),
            ("drain --end", "/drain", &[]),
            (
                "history 1@a --since 2h --until 10m --limit 5 --from 7 --csv",
                "/history",
                &[
                    ("aor", "1@a"),
                    ("since", "2h"),
                    ("until", "10m"),
                    ("limit", "5"),
                    ("from", "7"),
                ],
            ),
            (
                "history a.example --wide --json",
                "/history",
                &[("domain", "a.example"), ("wide", "yes")],
            ),
            ("forget 1@a --socket /x", "/forget", &[("aor", "1@a")]),
            (
                "reload --accept-removal",
                "/reload",
                &[("accept_removal", "yes")],
            ),
            ("loops --wide", "/loops", &[("wide", "yes")]),
            ("refusals --wide", "/refusals", &[("wide", "yes")]),
            ("lockouts --wide", "/lockouts", &[("wide", "yes")]),
            ("connectors", "/connectors", &[]),
            ("connectors pbx --json", "/connectors", &[("name", "pbx")]),
            (
                "connectors restart pbx --socket /x",
                "/connectors/restart",
                &[("name", "pbx")],
            ),
            (
                "lockouts lift 192.0.2.7 --socket /x",
                "/lockouts/lift",
                &[("who", "192.0.2.7")],
            ),
            ("list show", "/list", &[]),
            ("list show t@a --socket /x", "/list", &[("list", "t@a")]),
            (
                "list add t@a sip:1@a --at 2",
                "/list/add",
                &[("list", "t@a"), ("member", "sip:1@a"), ("at", "2")],
            ),
            (
                "list remove t@a 1",
                "/list/remove",
                &[("list", "t@a"), ("member", "1")],
            ),
            (
                "list create t@a --name The_team --style broadworks 1 sip:2@a",
                "/list/create",
                &[
                    ("list", "t@a"),
                    ("name", "The team"),
                    ("style", "broadworks"),
                    ("members", "1 sip:2@a"),
                ],
            ),
            ("list delete t@a", "/list/delete", &[("list", "t@a")]),
            (
                "set 1@a dnd on --config /y",
                "/set/dnd",
                &[("aor", "1@a"), ("state", "on")],
            ),
            (
                "set 1@a forward no-answer *97 --rings 3",
                "/set/forward",
                &[
                    ("aor", "1@a"),
                    ("kind", "no-answer"),
                    ("target", "*97"),
                    ("rings", "3"),
                ],
            ),
            (
                "set 1@a note out_to_lunch",
                "/set/note",
                &[("aor", "1@a"), ("text", "out to lunch")],
            ),
            (
                "set 1@a presence open away lunch",
                "/set/presence",
                &[
                    ("aor", "1@a"),
                    ("basic", "open"),
                    ("activities", "away lunch"),
                ],
            ),
            (
                "set 1@a messages 3/1 1/0",
                "/set/messages",
                &[("aor", "1@a"), ("counts", "3/1"), ("urgent", "1/0")],
            ),
            (
                "set *76210@a lamp early --from sip:5@a --display Five --expires 10m",
                "/set/lamp",
                &[
                    ("aor", "*76210@a"),
                    ("state", "early"),
                    ("from", "sip:5@a"),
                    ("display", "Five"),
                    ("expires", "10m"),
                ],
            ),
            (
                "set 700@a park sip:5@a --display Five",
                "/set/park",
                &[("aor", "700@a"), ("from", "sip:5@a"), ("display", "Five")],
            ),
            ("set 700@a unpark", "/set/unpark", &[("aor", "700@a")]),
            (
                "set 1@a appearance 2 held --party <sip:5@a>",
                "/set/appearance",
                &[
                    ("aor", "1@a"),
                    ("index", "2"),
                    ("state", "held"),
                    ("party", "<sip:5@a>"),
                ],
            ),
            (
                "set 1@a registered sip:1@10.0.0.9 3600",
                "/set/registered",
                &[
                    ("aor", "1@a"),
                    ("contact", "sip:1@10.0.0.9"),
                    ("expires", "3600"),
                ],
            ),
            (
                "set 1@a unregistered",
                "/set/unregistered",
                &[("aor", "1@a")],
            ),
            (
                "probe subscribe sip:1@a --server 192.0.2.1:5060 --package presence --user 7 --socket /x",
                "/probe/subscribe",
                &[
                    ("package", "presence"),
                    ("target", "sip:1@a"),
                    ("server", "192.0.2.1:5060"),
                    ("user", "7"),
                    ("for", "60s"),
                ],
            ),
            (
                "probe publish 1@a --state ringing --for 5m",
                "/probe/publish",
                &[("state", "ringing"), ("target", "1@a"), ("for", "5m")],
            ),
            ("rules show 1@a", "/rules", &[("aor", "1@a")]),
            ("rules remove 1@a", "/rules/remove", &[("aor", "1@a")]),
            (
                "approve b@x 1@a",
                "/rules/approve",
                &[("watcher", "b@x"), ("aor", "1@a")],
            ),
            (
                "deny b@x 1@a --politely",
                "/rules/deny",
                &[("watcher", "b@x"), ("aor", "1@a"), ("politely", "yes")],
            ),
        ];
        for (line, path, fields) in table {
            let is_question = [
                "/connectors",
                "/history",
                "/list",
                "/lockouts",
                "/loops",
                "/refusals",
                "/relays",
                "/rules",
                "/status",
            ]
            .contains(path);
            let expected = if is_question {
                Request::get(path)
            } else {
                Request::post(path)
            };
            let expected = fields
                .iter()
                .fold(expected, |request, (name, value)| request.with(name, value));
            // A large file takes long to be written anew.
            let expected = match *path == "/forget" {
                true => expected.patient(),
                false => expected,
            };
            assert_eq!(request(line), Some(expected), "{line}");
        }
        for wrong in [
            "list",
            "list add t@a",
            "list create",
            "list create t@a --style pretty 1",
            "set 1@a",
            "set 1@a dnd maybe",
            "set 1@a forward sometimes 5",
            "set 1@a appearance two held",
            "approve b@x",
            "loops 1@a",
            "probe",
            "probe subscribe",
            "probe subscribe 1@a --package reg",
            "probe subscribe 1@a --password-file /x",
            "probe publish 1@a",
            "list show --socket /x --config /y",
            "rules import 1@a /nowhere/at/all",
        ] {
            assert_eq!(request(wrong), None, "{wrong}");
        }
    }
}
