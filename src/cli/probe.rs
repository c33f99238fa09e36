//! `lamplighter probe`: tests another SIP server; the running server sends the requests and the
//! command prints progress line by line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use crate::cli::client::{Format, Request};
use crate::cli::{ServerArguments, output, question};

/// How often the server is asked what happened.
const POLL: Duration = Duration::from_millis(200);
/// What the last line of a probe ends with.
const OVER: &str = "the probe is over";
/// Prefix of a line with the user's status.
const USER: &str = "user status: ";
/// The line that says that the server responds.
const RESPONDS: &str = "server status: UpAndRunning";
/// The statuses that make the command fail.
const FAILURES: [&str; 3] = ["Access denied", "Error", "Not Found"];

/// `lamplighter probe`
#[derive(Debug, Args)]
pub(super) struct ProbeArguments {
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Subscribe to an address at another server, and print each response and NOTIFY as it arrives.
    Subscribe {
        #[command(flatten)]
        target: TargetArguments,
        /// The event package.
        #[arg(long, value_enum, default_value = "dialog")]
        package: Package,
    },
    /// Publish the state of an address to another server, and remove it at the end.
    Publish {
        #[command(flatten)]
        target: TargetArguments,
        /// The state to publish.
        #[arg(long, value_enum)]
        state: State,
    },
}

/// Target, server and credentials of the probe.
#[derive(Debug, Args)]
struct TargetArguments {
    /// The address at the other server: sip:123@pbx.example.com.
    #[arg(value_name = "URI")]
    target: String,
    /// The other server, over UDP: an address or a name, and a port. A name without a port is looked up
    /// by its SRV records first [default: the host of the URI]
    #[arg(long = "server", id = "peer", value_name = "HOST")]
    peer: Option<String>,
    /// User name for digest authentication.
    #[arg(long)]
    user: Option<String>,
    /// A file with the password, on its first line.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// The SIP URI in From [default: with publish the URI itself; with subscribe USER, or `probe`,
    /// at the host of the URI]
    #[arg(long, value_name = "URI")]
    from: Option<String>,
    /// Duration: 60s, 10m, at most 1h. At the end, the state is removed from the other server.
    #[arg(
        long = "for",
        id = "duration",
        value_name = "TIME",
        default_value = "60s"
    )]
    duration: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Package {
    Dialog,
    Presence,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum State {
    Busy,
    Ringing,
    Idle,
}

/// Begins the probe and prints what happens until it is over. Fails when the server refused us, or
/// did not know the address, or never responded, or could not be reached at the end.
pub(super) fn run(arguments: &ProbeArguments) -> ExitCode {
    let begun = arguments.request().and_then(|request| {
        let socket = question::socket(&arguments.server).map_err(|faults| faults.to_string())?;
        let id = question::ask(&request, &socket, Format::Text)?;
        follow(id.trim(), &socket, arguments.server.json)
    });
    match begun {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(complaint) => output::fail(complaint),
    }
}

/// Prints what happens; whether the probe succeeded.
fn follow(id: &str, socket: &Path, is_json: bool) -> Result<bool, String> {
    let (mut seen, mut is_good, mut is_over) = (0, false, false);
    while !is_over {
        std::thread::sleep(POLL);
        let text = question::ask(&progress(id, seen), socket, Format::Text)?;
        seen += text.lines().count();
        if !is_json {
            output::write(&text)?;
        }
        is_good = text.lines().rev().find_map(status).unwrap_or(is_good);
        is_over = text.lines().any(|line| line.ends_with(OVER));
    }
    if is_json {
        output::write(question::ask(&progress(id, 0), socket, Format::Json)?)?;
    }
    // A probe that was read to its end is forgotten at once.
    let _ = question::ask(&progress(id, seen), socket, Format::Text);
    Ok(is_good)
}

/// Whether a line reports a good or a bad status. None for any other line, and for a status of the user
/// that no response decided: a request was sent, or none is made any more.
fn status(line: &str) -> Option<bool> {
    if line.ends_with(RESPONDS) {
        return Some(true);
    }
    match line.split_once(USER)?.1 {
        "Requesting" | "Not requested by anyone" => None,
        status => Some(!FAILURES.contains(&status)),
    }
}

fn progress(id: &str, seen: usize) -> Request {
    Request::get("/probe").with("id", id).with("seen", seen)
}

impl ProbeArguments {
    /// The command that begins the probe.
    pub(super) fn request(&self) -> Result<Request, String> {
        let word = |word: Option<clap::builder::PossibleValue>| {
            word.map(|word| word.get_name().to_owned())
        };
        match &self.what {
            What::Subscribe { target, package } => {
                let request = Request::post("/probe/subscribe");
                let request = request.with_some("package", word(package.to_possible_value()));
                target.add_to(request)
            }
            What::Publish { target, state } => {
                let request = Request::post("/probe/publish");
                let request = request.with_some("state", word(state.to_possible_value()));
                target.add_to(request)
            }
        }
    }
}

impl TargetArguments {
    fn add_to(&self, request: Request) -> Result<Request, String> {
        let password = self.password_file.as_deref().map(password).transpose()?;
        Ok(request
            .with("target", &self.target)
            .with_some("server", self.peer.as_ref())
            .with_some("user", self.user.as_ref())
            .with_some("password", password)
            .with_some("from", self.from.as_ref())
            .with("for", &self.duration))
    }
}

fn password(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_status_decides() {
        assert_eq!(status("  0.1 s  user status: Available"), Some(true));
        assert_eq!(status("  0.1 s  user status: Access denied"), Some(false));
        assert_eq!(
            status("  0.1 s  user status: Not requested by anyone"),
            None
        );
        assert_eq!(status("  0.1 s  user status: Requesting"), None);
        assert_eq!(status("  0.1 s  server status: UpAndRunning"), Some(true));
        assert_eq!(status("  0.1 s  server status: Forbidden"), None);
        assert_eq!(status("  0.1 s  200 OK"), None);
    }
}
