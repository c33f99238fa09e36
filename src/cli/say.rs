//! `lamplighter say`: what the operator says about somebody.

use std::process::ExitCode;

use clap::Args;
use clap::Subcommand;

use crate::cli::ServerArguments;
use crate::cli::client::Request;
use crate::cli::question;

/// About whom, and what.
#[derive(Debug, Args)]
pub(super) struct SayArguments {
    /// The address of record: 123@example.com or sip:123@example.com.
    #[arg(value_name = "AOR")]
    aor: String,
    #[command(subcommand)]
    what: What,
    #[command(flatten)]
    server: ServerArguments,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Do-not-disturb.
    Dnd {
        /// on or off
        #[arg(value_parser = ["on", "off"])]
        state: String,
    },
    /// Calls are sent on.
    Forward {
        /// When.
        #[arg(value_parser = ["immediate", "busy", "no-answer"])]
        kind: String,
        /// A number or a URI; off for no longer.
        target: String,
        /// After how many rings, with no-answer.
        #[arg(long, value_name = "N")]
        rings: Option<u32>,
    },
    /// The note that goes before any other.
    Note {
        /// The note; off takes it away.
        text: String,
    },
    /// What stands for whatever the clients declare.
    Presence {
        /// open, closed, or off for what the clients declare
        #[arg(value_parser = ["open", "closed", "off"])]
        basic: String,
        /// RPID activities: away, meeting, vacation.
        #[arg(value_name = "ACTIVITY")]
        activities: Vec<String>,
    },
    /// What waits in the mailbox.
    Messages {
        /// new/old; off for no mailbox
        counts: String,
        /// new/old of the urgent ones
        urgent: Option<String>,
    },
    /// The lamp of a queue, a day or night key, and the like.
    Lamp {
        /// early (blinks), confirmed, or off
        #[arg(value_parser = ["early", "confirmed", "off"])]
        state: String,
        #[command(flatten)]
        call: CallArguments,
    },
    /// A call is parked in this orbit.
    Park {
        /// The URI of the parked caller.
        from: String,
        /// The caller's name.
        #[arg(long, value_name = "NAME")]
        display: Option<String>,
        /// How long it is believed: 600, 10m.
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// No call is parked here any more.
    Unpark,
    /// An appearance of a shared line.
    Appearance {
        /// 1 to 32
        index: u32,
        /// idle, seized, progressing, alerting, active, held, held-private, bridge-active, bridge-held
        state: String,
        /// The other party: '"Bob" <sip:bob@example.com>'.
        #[arg(long, value_name = "NAME-ADDR")]
        party: Option<String>,
    },
    /// A contact is registered.
    Registered {
        /// Its URI.
        contact: String,
        /// For how long; 0 for no longer.
        seconds: u32,
    },
    /// No contact is registered.
    Unregistered,
}

/// What is known about a call.
#[derive(Debug, Args)]
struct CallArguments {
    /// The URI of the other party.
    #[arg(long, value_name = "URI")]
    from: Option<String>,
    /// The other party's name.
    #[arg(long, value_name = "NAME")]
    display: Option<String>,
    /// How long it is believed: 600, 10m [default: until it is said otherwise].
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
}

/// Says it to the running server.
pub(super) fn run(arguments: &SayArguments) -> ExitCode {
    question::run(&arguments.request(), &arguments.server)
}

impl SayArguments {
    pub(super) fn request(&self) -> Request {
        let say = |path| Request::post(path).with("aor", &self.aor);
        match &self.what {
            What::Dnd { state } => say("/say/dnd").with("state", state),
            What::Forward {
                kind,
                target,
                rings,
            } => say("/say/forward")
                .with("kind", kind)
                .with("target", target)
                .with_some("rings", rings.as_ref()),
            What::Note { text } => say("/say/note").with("text", text),
            What::Presence { basic, activities } => say("/say/presence")
                .with("basic", basic)
                .with("activities", activities.join(" ")),
            What::Messages { counts, urgent } => say("/say/messages")
                .with("counts", counts)
                .with_some("urgent", urgent.as_ref()),
            What::Lamp { state, call } => say("/say/lamp")
                .with("state", state)
                .with_some("from", call.from.as_ref())
                .with_some("display", call.display.as_ref())
                .with_some("expires", call.expires.as_ref()),
            What::Park {
                from,
                display,
                expires,
            } => say("/say/park")
                .with("from", from)
                .with_some("display", display.as_ref())
                .with_some("expires", expires.as_ref()),
            What::Unpark => say("/say/unpark"),
            What::Appearance {
                index,
                state,
                party,
            } => say("/say/appearance")
                .with("index", index)
                .with("state", state)
                .with_some("party", party.as_ref()),
            What::Registered { contact, seconds } => say("/say/registered")
                .with("contact", contact)
                .with("expires", seconds),
            What::Unregistered => say("/say/unregistered"),
        }
    }
}
