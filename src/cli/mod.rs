//! The command line: what the daemon and its tools are called with. Each command is a file; none
//! holds anything the rooms do.

mod check;
mod client;
mod demo;
mod question;
mod serve;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use clap::Parser;
use clap::Subcommand;

use crate::cli::demo::DemoArguments;

/// Where the configuration is unless `--config` says otherwise.
const CONFIG_FILE: &str = "/etc/lamplighter/lamplighter.toml";

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
    Serve(ConfigArguments),
    /// See a lamp change: a server, a phone and a caller in one process on loopback.
    Demo(DemoArguments),
    /// Check a configuration file; prints every fault with its line.
    Check(ConfigArguments),
    /// Tell why the lamp of an address is as it is.
    Why(QuestionArguments),
    /// Tell who watches an address.
    Watchers(QuestionArguments),
}

/// The configuration file.
#[derive(Debug, Args)]
struct ConfigArguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = CONFIG_FILE)]
    config: PathBuf,
}

/// What the running server is asked, and where to find it.
#[derive(Debug, Args)]
struct QuestionArguments {
    /// The address of record: 123@example.com or sip:123@example.com.
    #[arg(value_name = "AOR")]
    aor: String,
    /// The server's control socket [default: /run/lamplighter/control.sock]
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    socket: Option<PathBuf>,
    /// The server's configuration file, which says where its control socket is.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Does what the command line says. 0 when it went well, 1 when not, 2 when the command line is not
/// understood.
#[must_use]
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments.config),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Check(arguments) => check::run(&arguments.config),
        Command::Why(arguments) => question::run("/why", &arguments),
        Command::Watchers(arguments) => question::run("/watchers", &arguments),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use clap::CommandFactory;

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
        assert_eq!(serve.config, PathBuf::from(CONFIG_FILE));
        let Command::Why(why) = parse("lamplighter why 123@a --socket /x").unwrap().command else {
            unreachable!()
        };
        assert_eq!(
            (why.aor.as_str(), why.socket),
            ("123@a", Some(PathBuf::from("/x")))
        );
        assert!(parse("lamplighter demo --once --plain").is_ok());
        assert!(parse("lamplighter why").is_err());
        assert!(parse("lamplighter watchers a@b --socket /x --config /y").is_err());
        assert!(parse("lamplighter").is_err());
    }
}
